"""Images and results in a folder, each named by the SHA-256 of what is in it."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from types import TracebackType
from typing import Self

from app.errors import NoRoomError, UnreadableImageError
from app.export.atomic import sync_folder

# What must be left for the database and for results of images that are here already.
RESERVE_BYTES = 256 * 2**20
_FULL = (
    "The disk for experiments is full; delete experiments that are no longer needed, or let the service's operator "
    "make room."
)


class FileStore:
    """Files that never change; a name is there only when all of its file is on the disk.

    Parameters
    ----------
    folder
        Made if it is missing. Workers on other machines share it.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> files = FileStore(Path(folder.name))
    >>> digest = files.add(b"pixels")
    >>> files.path(digest).read_bytes()
    b'pixels'
    >>> folder.cleanup()
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unfinished = folder / "unfinished"
        self._unfinished.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the file of a digest is, if it is there."""
        return self.folder / digest[:2] / digest

    def has(self, digest: str) -> bool:
        """Whether the file is there."""
        return self.path(digest).exists()

    def add(self, content: bytes) -> str:
        """Keep some bytes; their digest.

        Raises
        ------
        NoRoomError
            They cannot be written.
        """
        with self.incoming() as incoming:
            incoming.file.write(content)
            return incoming.keep()

    def refer(self, path: Path) -> str:
        """Keep a link to a file that lies elsewhere, instead of a copy; its digest."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        place = self.path(digest)
        if not self.has(digest):
            place.parent.mkdir(exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(path.resolve())
        return digest

    def read(self, digest: str) -> bytes:
        """The bytes of a file.

        Raises
        ------
        UnreadableImageError
            They are no longer those that were kept.
        """
        try:
            content = self.path(digest).read_bytes()
        except OSError as exc:
            raise UnreadableImageError("The file is no longer where it was; add it again.") from exc
        if hashlib.sha256(content).hexdigest() != digest:
            raise UnreadableImageError("The file has changed since it was added; add it again.")
        return content

    def incoming(self) -> "IncomingFile":
        """A file to write; a context that removes what is not kept.

        Raises
        ------
        NoRoomError
            The disk is full; raised at its end.
        """
        return IncomingFile(self, self._unfinished)

    def check_room(self, n_bytes: int) -> None:
        """Refuse what the disk has no room for.

        Raises
        ------
        NoRoomError
            It has less than that, and what running images need.
        """
        if shutil.disk_usage(self.folder).free < n_bytes + RESERVE_BYTES:
            raise NoRoomError(_FULL)

    def remove(self, digests: Iterable[str]) -> None:
        """Remove files; those that are not there are no matter."""
        for digest in digests:
            self.path(digest).unlink(missing_ok=True)

    def remove_unfinished(self) -> None:
        """Remove what was cut off; only while nothing is being added."""
        for path in self._unfinished.iterdir():
            path.unlink(missing_ok=True)


class IncomingFile:
    """A file on its way in; see `FileStore.incoming`.

    Attributes
    ----------
    file
        To be written to.
    """

    def __init__(self, files: FileStore, folder: Path) -> None:
        self._files = files
        number, name = mkstemp(dir=folder)
        self._path = Path(name)
        self.file = os.fdopen(number, "w+b")

    def keep(self) -> str:
        """Put it in its place, on the disk for good; its digest."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.seek(0)
        digest = hashlib.file_digest(self.file, "sha256").hexdigest()
        place = self._files.path(digest)
        place.parent.mkdir(exist_ok=True)
        self._path.replace(place)
        sync_folder(place.parent)
        sync_folder(place.parent.parent)
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self.file.close()
        self._path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError(_FULL) from error
