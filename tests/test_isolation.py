import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.errors import ImageTooLargeError, UnreadableImageError, UnsupportedImageError
from app.isolation import DecodeProcesses
from app.segmentation.decode import decode_image
from tests.conftest import DATA


def die_once(flag: Path) -> str:
    """Kill the process, unless a process was killed before."""
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die() -> None:
    """Kill the process."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecodeProcesses]:
    """Two processes."""
    decoders = DecodeProcesses(2, 2 * 2**30, 5)
    yield decoders
    decoders.close()


@pytest.mark.parametrize("name", ["histology.png", "bbbc039.tif"])
def test_images_are_decoded_as_in_this_process(decoders: DecodeProcesses, name: str) -> None:
    data = (DATA / name).read_bytes()
    apart, here = decoders.call(decode_image, data, 10**7), decode_image(data, 10**7)
    np.testing.assert_array_equal(apart.channels, here.channels)
    assert (apart.caveats, apart.axes, apart.pixel_size_um) == (here.caveats, here.axes, here.pixel_size_um)


def test_refusals_come_back_as_they_are(decoders: DecodeProcesses) -> None:
    with pytest.raises(UnsupportedImageError, match="is not a PNG"):
        decoders.call(decode_image, b"nothing", 10**7)


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
