import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.watch.files import ChangedError, Settling, Stamp, UnreadableError, list_files, read_unchanged

NAMES = ("a.tif", "b.tif")
looks = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.dictionaries(
            st.sampled_from([Path(name) for name in NAMES]), st.builds(Stamp, st.integers(0, 2), st.integers(0, 1))
        ),
    ),
    max_size=12,
)


@given(looks, st.integers(0, 5))
def test_settled_is_what_was_the_same_at_each_look_for_long_enough(
    looks: list[tuple[int, dict[Path, Stamp]]], settle_s: int
) -> None:
    settling = Settling(settle_s)
    past: list[tuple[int, dict[Path, Stamp]]] = []
    now = 0
    for after_s, stamps in looks:
        now += after_s
        past.append((now, stamps))
        expected = set()
        for path, stamp in stamps.items():
            since = now
            for moment, earlier in reversed(past):
                if earlier.get(path) != stamp:
                    break
                since = moment
            if now - since >= settle_s:
                expected.add(path)
        assert set(settling.look(stamps, now)) == expected


def test_listed_are_images_and_what_says_something_of_them(tmp_path: Path) -> None:
    for name in ("A01.tif", "day 1/B02.PNG", "Index.xml", "notes.txt", ".part.tif", ".hidden/C03.tif", "Thumbs.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"12")
    (tmp_path / "plate.zarr" / "A").mkdir(parents=True)
    (tmp_path / "plate.zarr" / "A" / "x.tif").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "loop.tif").symlink_to("loop.tif")
    (tmp_path / "gone.tif").symlink_to("nowhere.tif")
    listing = list_files(tmp_path)
    names = {str(path.relative_to(tmp_path)): stamp.n_bytes for path, stamp in listing.stamps.items()}
    assert names == {"A01.tif": 2, "day 1/B02.PNG": 2, "Index.xml": 2}
    assert {path.name for path in listing.unreadable} == {"plate.zarr", "loop.tif"}
    assert ".zarr.zip" in listing.unreadable[tmp_path / "plate.zarr"]


def test_a_folder_that_is_away_is_an_error_and_one_below_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError):
        list_files(tmp_path / "share")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list_files(tmp_path).unreadable == {tmp_path / "locked": "It cannot be read: Permission denied."}


def test_the_last_bytes_of_a_file_come_only_if_it_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    content = bytes(range(256)) * 10_000
    path.write_bytes(content)
    stamp = Stamp.of(path.stat())
    digest = hashlib.sha256()
    assert b"".join(read_unchanged(path, stamp, digest)) == content
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()

    chunks = read_unchanged(path, stamp, hashlib.sha256())
    assert len(next(chunks)) + len(next(chunks)) < len(content)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(ChangedError):
        next(chunks)
    path.unlink()
    with pytest.raises(ChangedError):
        list(read_unchanged(path, stamp, hashlib.sha256()))


def test_what_is_empty_or_no_file_cannot_be_sent(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="empty"):
        list(read_unchanged(tmp_path / "a.tif", Stamp(0, 0), hashlib.sha256()))
    with pytest.raises(UnreadableError, match="cannot be read: Is a directory"):
        list(read_unchanged(tmp_path, Stamp(1, 0), hashlib.sha256()))
