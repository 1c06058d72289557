import errno
import io
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing import current_process, forkserver
from pathlib import Path

import numpy as np
import pytest
import tifffile

from app.errors import ImageTooLargeError, NotReadyError, SettingsError, UnreadableImageError, UnsupportedImageError
from app.reading.decode import decode_image
from app.reading.isolation import DecodeProcesses
from tests.conftest import DATA
from tests.deadly import die, die_once
from tests.synthetic import tiff


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecodeProcesses]:
    """Two processes."""
    decoders = DecodeProcesses(2, 2 * 2**30, 5)
    yield decoders
    decoders.close()


@pytest.mark.parametrize("name", ["immunohistochemistry.png", "fluorescence.tif"])
def test_images_are_decoded_as_in_this_process(decoders: DecodeProcesses, name: str) -> None:
    data = (DATA / name).read_bytes()
    apart, here = decoders.call(decode_image, data, 10**7), decode_image(data, 10**7)
    np.testing.assert_array_equal(apart.channels, here.channels)
    assert (apart.warnings, apart.axes, apart.pixel_size_um) == (here.warnings, here.axes, here.pixel_size_um)


def test_refusals_come_back_as_they_are(decoders: DecodeProcesses) -> None:
    with pytest.raises(UnsupportedImageError, match="is not a PNG"):
        decoders.call(decode_image, b"nothing", 10**7)


def test_refusals_come_back_without_a_cause_that_cannot_be_pickled(decoders: DecodeProcesses) -> None:
    data = bytearray(tiff(np.eye(200, dtype=np.uint8), compression="zlib"))
    # The reader of CZI brings along what pickles causes, and that of deflate causes that cannot be pickled.
    start, size = tifffile.TiffFile(io.BytesIO(data)).pages.first.dataoffsets[0], 20
    data[start : start + size] = bytes(size)
    with pytest.raises(UnreadableImageError, match="is damaged"):
        decoders.call(decode_image, bytes(data), 10**7)


def test_a_process_that_is_killed_costs_its_file_a_second_try(decoders: DecodeProcesses, tmp_path: Path) -> None:
    assert decoders.call(die_once, tmp_path / "flag") == "alive"


def test_a_file_that_kills_two_processes_is_refused_and_no_other(decoders: DecodeProcesses) -> None:
    with pytest.raises(UnreadableImageError, match="break down"):
        decoders.call(die)
    assert decoders.call(len, b"four") == 4


def test_what_takes_too_long_is_ended(decoders: DecodeProcesses) -> None:
    with pytest.raises(ImageTooLargeError, match="more than 5 seconds"):
        decoders.call(time.sleep, 60)
    assert decoders.call(len, b"four") == 4


def test_what_needs_too_much_memory_is_refused(decoders: DecodeProcesses) -> None:
    with pytest.raises(ImageTooLargeError, match="more memory"):
        decoders.call(bytes, 3 * 2**30)
    assert decoders.call(len, b"four") == 4


def test_a_folder_that_cannot_be_written_to_stops_the_start_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match=r"set TMPDIR to one that can, and has room\.$"):
        DecodeProcesses(1, 2**30, 5)


def test_too_long_a_path_for_sockets_stops_the_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(current_process()._config, "tempdir", "/" + 90 * "a")  # type: ignore[attr-defined]
    with pytest.raises(SettingsError, match="set TMPDIR to a shorter one"):
        DecodeProcesses(1, 2**30, 5)


def test_decoders_are_replaced_though_the_server_that_forks_them_was_killed(decoders: DecodeProcesses) -> None:
    for _ in range(5):
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        assert server is not None
        os.kill(server, signal.SIGKILL)
        for process in decoders._processes:
            if process._process:
                process._process.kill()
        assert decoders.call(len, b"four") == 4


def test_what_cannot_be_started_anew_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    decoders = DecodeProcesses(1, 2**30, 60)
    try:
        assert decoders.call(len, b"four") == 4
        with monkeypatch.context() as full:
            full.setattr("app.reading.isolation.Path.mkdir", no_room)
            for _ in range(2):
                with pytest.raises(NotReadyError, match="cannot start a process"):
                    decoders.call(die)
        assert decoders.call(len, b"four") == 4
    finally:
        decoders.close()


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_mistakes_come_back_with_their_stack_trace(decoders: DecodeProcesses) -> None:
    with pytest.raises(RuntimeError, match=r"in _answer[\s\S]*TypeError"):
        decoders.call(len)  # type: ignore[call-arg]
