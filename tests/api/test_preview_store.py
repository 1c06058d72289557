import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.api.preview_store import Place, PreviewStore
from app.engine.preview import Preview
from app.errors import NoPreviewError, NoRoomError, UploadTooLargeError
from app.options import SegmentationOptions
from tests import fakes
from tests.synthetic import png

ANY = Place(None, None, None)
SHAPE = (20, 30)
PICTURE_BYTES = SHAPE[0] * SHAPE[1]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def image(number: int) -> bytes:
    """Images of about the same number of bytes."""
    return png(np.full(SHAPE, number, np.uint8))


def draw(source: Path, folder: Path) -> Preview:
    return fakes.engine().preview(source, SegmentationOptions(), folder, 10**6)


def n_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_what_one_has_sent_is_kept_for_that_one_alone(clock: Clock) -> None:
    store = PreviewStore(10**6, 100, clock)
    digest = store.add("alice", image(1))
    assert store.source("alice", digest).read_bytes() == image(1)
    for other in ("bob", ""):
        with pytest.raises(NoPreviewError, match="send it again"):
            store.source(other, digest)
        assert store.preview(other, digest, ANY) is None


def test_what_nobody_looks_at_is_removed(clock: Clock, tmp_path: Path) -> None:
    store = PreviewStore(10**6, 100, clock)
    old, new = store.add("", image(1)), store.add("", image(2))
    store.draw("", old, ANY, draw)
    clock.now_s = 60
    store.source("", new)
    clock.now_s = 120
    store.sweep()
    assert store.preview("", old, ANY) is None
    with pytest.raises(NoPreviewError):
        store.source("", old)
    assert store.source("", new).exists()
    assert n_files(tmp_path) == 1


def test_looking_at_a_picture_keeps_its_image(clock: Clock) -> None:
    store = PreviewStore(10**6, 100, clock)
    digest = store.add("", image(1))
    store.draw("", digest, ANY, draw)
    for clock.now_s in (90, 180):
        assert store.preview("", digest, ANY) is not None
    assert store.source("", digest).exists()


def test_a_picture_is_found_by_what_was_asked_and_by_what_it_is(clock: Clock) -> None:
    store = PreviewStore(10**6, 100, clock)
    digest = store.add("", image(1))
    drawn = store.draw("", digest, ANY, draw)
    assert store.preview("", digest, ANY) is store.preview("", digest, Place(0, 0, 0)) is drawn
    assert store.preview("", digest, Place(None, 1, None)) is None


def test_the_ones_not_looked_at_for_longest_make_room(clock: Clock, tmp_path: Path) -> None:
    n_bytes = len(image(1))
    store = PreviewStore(3 * n_bytes + 5, 100, clock)
    first, second, third = (store.add("", image(number)) for number in range(1, 4))
    store.source("", first)
    store.add("", image(4))
    assert store.source("", first).exists()
    with pytest.raises(NoPreviewError):
        store.source("", second)
    assert store.source("", third).exists()
    assert n_files(tmp_path) == 3


def test_pictures_make_room_before_their_image(clock: Clock) -> None:
    store = PreviewStore(2 * PICTURE_BYTES, 100, clock)
    digest = store.add("", image(1))
    store.draw("", digest, ANY, draw)
    store.draw("", digest, Place(None, 1, None), lambda *places: draw_page(1, *places))
    assert store.preview("", digest, Place(0, 0, 0)) is None
    assert store.preview("", digest, Place(0, 1, 0)) is not None
    assert store.source("", digest).exists()


def draw_page(page: int, source: Path, folder: Path) -> Preview:
    drawn = draw(source, folder)
    object.__setattr__(drawn.image, "page", page)
    return drawn


def test_what_is_larger_than_all_the_room_is_refused_and_takes_nobodys(clock: Clock) -> None:
    store = PreviewStore(len(image(1)) + 5, 100, clock)
    digest = store.add("", image(1))
    with pytest.raises(UploadTooLargeError):
        store.add("", image(2) + bytes(10))
    assert store.source("", digest).exists()


def test_images_that_lie_elsewhere_are_never_removed(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.png"
    path.write_bytes(image(1))
    store = PreviewStore(10**6, 100, clock)
    store.refer("", "digest", path)
    drawn = store.draw("", "digest", ANY, draw)
    store.refer("", "digest", path)
    assert store.preview("", "digest", ANY) is drawn
    clock.now_s = 200
    store.sweep()
    assert path.exists()
    assert n_files(tmp_path) == 1


def test_an_image_that_was_removed_elsewhere_can_be_sent_again(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.png"
    path.write_bytes(image(1))
    store = PreviewStore(10**6, 100, clock)
    digest = store.add("", image(1))
    store.close()
    store.refer("", digest, path)
    path.unlink()
    with pytest.raises(NoPreviewError, match="send it again"):
        store.draw("", digest, ANY, draw)
    assert store.add("", image(1)) == digest
    assert store.source("", digest).exists()


def test_a_picture_that_is_drawn_twice_stays_where_it_was(clock: Clock, tmp_path: Path) -> None:
    store = PreviewStore(10**6, 100, clock)
    digest = store.add("", image(1))
    first = store.draw("", digest, ANY, draw)
    assert store.draw("", digest, Place(None, 0, None), draw) is first
    assert first.tile(0, 0, 0) is not None
    assert n_files(tmp_path) == 2


def test_a_full_disk_is_told(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    store = PreviewStore(10**6, 100, clock)
    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(NoRoomError):
        store.add("", image(1))
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_what_cannot_be_drawn_and_at_the_end(clock: Clock, tmp_path: Path) -> None:
    store = PreviewStore(10**6, 100, clock)
    digest = store.add("", image(1))

    def fail(_: Path, folder: Path) -> Any:
        (folder / "half").write_bytes(b"half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        store.draw("", digest, ANY, fail)
    assert n_files(tmp_path) == 1
    store.close()
    assert list(tmp_path.iterdir()) == []
