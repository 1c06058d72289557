"""Arrays on disk, for images that are too large for the memory."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from app.errors import NoRoomError

Window = tuple[slice, slice]


class MemmapArray:
    """An array in a file of its own, of zeros at first; what is read is a copy, so that nothing else stays in memory.

    Parameters
    ----------
    path
        A file that is made.
    shape
        Rows, columns and, if there are any, channels.
    dtype
        The values' type.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     array = MemmapArray(Path(folder, "array"), (3, 4), np.uint8)
    ...     array[1:2, 2:4] = np.array([[5, 6]], np.uint8)
    ...     array[0:2, 1:3]
    array([[0, 0],
           [0, 5]], dtype=uint8)
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.path = path
        self.shape = shape
        self.dtype = np.dtype(dtype)
        with path.open("wb") as file:
            file.truncate(int(np.prod(shape)) * self.dtype.itemsize)

    def __getitem__(self, window: Window) -> NDArray[Any]:
        """A copy of some rows and columns, which may end beyond the array."""
        # Mapped for the moment only: pages that stay mapped count as memory of this process.
        return np.array(np.memmap(self.path, self.dtype, "r", shape=self.shape)[window])

    def __setitem__(self, window: Window, values: NDArray[Any]) -> None:
        """Write some rows and columns."""
        rows, columns = (range(length)[part] for part, length in zip(window, self.shape))
        lines = np.ascontiguousarray(values, self.dtype)
        # Written and not mapped: where the disk is full, a write fails, while a mapping kills the process.
        with self.path.open("r+b") as file:
            if len(columns) == self.shape[1]:
                file.seek(rows.start * lines[:1].nbytes)
                file.write(lines.data)
                return
            pixel_bytes = int(np.prod(self.shape[2:])) * self.dtype.itemsize
            for row, line in zip(rows, lines):
                file.seek((row * self.shape[1] + columns.start) * pixel_bytes)
                file.write(line.data)


@contextmanager
def disk_full_told() -> Iterator[None]:
    """Tell of a full disk what to do.

    Raises
    ------
    NoRoomError
        It is full.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        raise NoRoomError(
            "There is no room for the image's temporary files, which take as much as its pixels and 12 bytes a pixel "
            "more; crop it, or set TMPDIR to a folder that has room."
        ) from exc
