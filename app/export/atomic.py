"""Files that are there as a whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its place when all of it is on the disk.

    After an error, a kill or a power cut the old file is there, or none. What is left of an unfinished one is hidden,
    and the next attempt replaces it.

    Parameters
    ----------
    path
        Where it belongs; folders that are missing are made.

    Raises
    ------
    OSError
        It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not longer than other names, which may be as long as the file system allows.
    partial = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        # It is there only where something failed.
        with suppress(OSError):
            partial.unlink()
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Put on the disk which files are in a folder, where the drive can do that; not every network drive can."""
    with suppress(OSError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
