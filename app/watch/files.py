"""Files of an instrument: which there are, which have stopped growing, and what is in them."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from app.experiments.intake import is_wanted

_CHUNK_BYTES = 2**20
_STORE_ENDING = ".zarr"


class Stamp(NamedTuple):
    """What tells that a file has changed."""

    n_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Of what the file system says."""
        return cls(status.st_size, status.st_mtime_ns)


class ChangedError(Exception):
    """The file is no longer as it was."""


class UnreadableError(Exception):
    """The file or folder cannot be sent as it is; the message is a sentence."""


class Listing(NamedTuple):
    """What is below a folder: files with their stamps, and what cannot be sent with the reason."""

    stamps: dict[Path, Stamp]
    unreadable: dict[Path, str]


def list_files(folder: Path) -> Listing:
    """Images below a folder, and files that say something of images; hidden and other ones are left out.

    Raises
    ------
    OSError
        The folder cannot be read, as when a network drive is away.
    """
    listing = Listing({}, {})

    def cannot(exc: OSError) -> None:
        if Path(exc.filename) == folder:
            raise exc
        listing.unreadable[Path(exc.filename)] = f"It cannot be read: {exc.strerror}."

    for root, folders, names in os.walk(folder, onerror=cannot):
        for store in [name for name in folders if name.lower().endswith(_STORE_ENDING)]:
            folders.remove(store)
            listing.unreadable[Path(root, store)] = "It is a folder; pack it into a file that ends in .zarr.zip."
        for path in (Path(root, name) for name in names):
            if is_wanted(path.relative_to(folder).as_posix()):
                _look(path, listing)
    return listing


def _look(path: Path, listing: Listing) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    except OSError as exc:
        listing.unreadable[path] = f"It cannot be read: {exc.strerror}."
        return
    if stat.S_ISREG(status.st_mode):
        listing.stamps[path] = Stamp.of(status)


def read_unchanged(path: Path, stamp: Stamp, digest: "hashlib._Hash") -> Iterator[bytes]:
    """The bytes of a file in parts, of which the last comes only if the file is still as it was.

    Raises
    ------
    ChangedError
        It is not.
    UnreadableError
        It is empty or cannot be read.
    """
    if not stamp.n_bytes:
        raise UnreadableError("It is empty.")
    return _chunks(path, stamp, digest)


def _chunks(path: Path, stamp: Stamp, digest: "hashlib._Hash") -> Iterator[bytes]:
    n_left = stamp.n_bytes
    try:
        with path.open("rb") as file:
            while n_left:
                chunk = file.read(min(_CHUNK_BYTES, n_left))
                n_left -= len(chunk)
                if not chunk or (not n_left and Stamp.of(os.fstat(file.fileno())) != stamp):
                    raise ChangedError
                digest.update(chunk)
                yield chunk
    except FileNotFoundError as exc:
        raise ChangedError from exc
    except OSError as exc:
        raise UnreadableError(f"It cannot be read: {exc.strerror}.") from exc


class Settling:
    """Which files have stopped growing: size and time were the same at each look for a while.

    Parameters
    ----------
    settle_s
        How long.

    Examples
    --------
    >>> settling = Settling(5)
    >>> image = Path("a.tif")
    >>> [len(settling.look({image: Stamp(n_bytes, 0)}, now)) for n_bytes, now in ((1, 0), (2, 4), (2, 8), (2, 9))]
    [0, 0, 0, 1]
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._since: dict[Path, tuple[Stamp, float]] = {}

    def look(self, stamps: Mapping[Path, Stamp], now: float) -> list[Path]:
        """Look at all files; those that have settled, in their order."""
        last = self._since
        self._since = {
            path: last[path] if path in last and last[path][0] == stamp else (stamp, now)
            for path, stamp in stamps.items()
        }
        return [path for path, (_, since) in self._since.items() if now - since >= self._settle_s]

    def forget(self, path: Path) -> None:
        """Wait for a file anew."""
        self._since.pop(path, None)
