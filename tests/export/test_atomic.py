import os
from pathlib import Path

import pytest

from app.export.atomic import atomic_file


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.csv"
    with atomic_file(path) as file:
        file.write(b"half")
        assert not path.exists()

    def interrupted() -> None:
        with atomic_file(path) as file:
            file.write(b"other")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"half"
    assert names(path.parent) == ["results.csv"]


def test_it_is_on_the_disk_before_it_has_its_name_and_its_name_is_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        fsync(descriptor)

    def replaced(self: Path, target: Path) -> Path:
        done.append("name")
        assert self.read_bytes() == b"all"
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    with atomic_file(tmp_path / "results.csv") as file:
        file.write(b"all")
    assert done == ["file", "name", "folder"]


def test_what_a_killed_run_left_is_hidden_and_replaced(tmp_path: Path) -> None:
    writing = atomic_file(tmp_path / "results.csv")
    writing.__enter__()
    (left,) = names(tmp_path)
    assert left.startswith(".")
    with atomic_file(tmp_path / "results.csv") as file:
        file.write(b"all")
    assert names(tmp_path) == ["results.csv"]


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    with atomic_file(tmp_path / ("n" * 255)):
        pass
    with pytest.raises(OSError, match="too long"), atomic_file(tmp_path / ("n" * 256)):
        pass
    assert names(tmp_path) == ["n" * 255]


def test_a_drive_that_cannot_sync_a_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def refusing(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refusing)
    with atomic_file(tmp_path / "results.csv") as file:
        file.write(b"all")
    assert (tmp_path / "results.csv").read_bytes() == b"all"
