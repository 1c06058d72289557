"""Files on their way into an experiment: what they may be called, and what is in a zip of them."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, Literal, NamedTuple

from app.errors import KaryometerError, OptionError, UnreadableImageError, UploadTooLargeError
from app.experiments.layouts.fields import is_sidecar
from app.experiments.store import Store
from app.reading.result_name import result_name
from app.reading.sources import IMAGE_ENDINGS

_MOST_ENTRIES = 100_000
_LONGEST_NAME = 500
_CHUNK_BYTES = 2**20
_ENCRYPTED = 1


class Fate(NamedTuple):
    """What became of a file: added now, there already, left out as no image, or refused with a code and a sentence."""

    name: str
    state: Literal["added", "there_already", "left_out", "refused"]
    code: str | None = None
    reason: str | None = None


def clean_name(name: str) -> str:
    r"""What a file is called in an experiment: with folders, so that every program can take it.

    Raises
    ------
    OptionError
        It is no name of a file below a folder.

    Examples
    --------
    >>> clean_name("plate 1\\A01_s1.tif"), clean_name("=A1.tif")
    ('plate 1/A01_s1.tif', './=A1.tif')
    """
    path = PurePosixPath(name.replace("\\", "/"))
    is_usable = 0 < len(name) <= _LONGEST_NAME and path.name and not path.is_absolute() and ".." not in path.parts
    if not is_usable or not name.isprintable():
        raise OptionError(
            f"A file cannot be called {name[:_LONGEST_NAME]!r}; give a name of 1 to {_LONGEST_NAME} characters, with "
            "folders before it if you like, but without `..` and control characters."
        )
    return result_name(str(path))


def is_wanted(name: str) -> bool:
    """Whether a file that nobody named by itself is an image, or says something of images."""
    path = PurePosixPath(name.replace("\\", "/"))
    is_hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in path.parts)
    return not is_hidden and (name.lower().endswith(IMAGE_ENDINGS) or is_sidecar(name))


def add_bytes(store: Store, experiment_id: str, name: str, file: BinaryIO, max_bytes: int) -> Fate:
    """Add one file from where it is read; what is wrong with it is its fate.

    Raises
    ------
    NoSuchError, ConflictError
        The experiment has gone, or takes no files.
    NoRoomError
        The disk is full.
    """
    store.check_open(experiment_id)
    try:
        name = clean_name(name)
        with store.files.incoming() as incoming:
            n_bytes = 0
            while chunk := file.read(_CHUNK_BYTES):
                n_bytes += len(chunk)
                if n_bytes > max_bytes:
                    raise UploadTooLargeError(f"It has more than {max_bytes} bytes; crop or compress it.")
                incoming.file.write(chunk)
            digest = incoming.keep()
        is_new = store.add_file(experiment_id, name, digest, n_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        return Fate(name, "refused", UnreadableImageError.code, "It is damaged within the zip; pack it anew.")
    except KaryometerError as exc:
        if exc.code == "no_room":
            raise
        return Fate(name, "refused", exc.code, str(exc))
    return Fate(name, "added" if is_new else "there_already")


def add_zip(store: Store, experiment_id: str, file: BinaryIO, max_bytes: int, max_file_bytes: int) -> Iterator[Fate]:
    """Add the images of a zip, and what says something of them; other files, and zips within it, are left out.

    Parameters
    ----------
    file
        Of which any part can be read.
    max_bytes, max_file_bytes
        What all files may have together, and each.

    Raises
    ------
    UnreadableImageError
        It is no zip that can be read.
    UploadTooLargeError
        It has more files or bytes than it may.
    """
    with _opened(file) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        claimed = sum(entry.file_size for entry in entries)
        if len(entries) > _MOST_ENTRIES or claimed > max_bytes:
            raise UploadTooLargeError(
                f"The zip has {len(entries)} files of {claimed} bytes in all, and may have {_MOST_ENTRIES} and "
                f"{max_bytes}; send several zips."
            )
        for entry in entries:
            if not is_wanted(entry.filename):
                yield Fate(entry.filename, "left_out")
            elif entry.flag_bits & _ENCRYPTED:
                yield Fate(entry.filename, "refused", UnreadableImageError.code, "It is encrypted; pack it without.")
            else:
                yield _entry(store, experiment_id, archive, entry, max_file_bytes)


def _entry(store: Store, experiment_id: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, max_bytes: int) -> Fate:
    try:
        with archive.open(entry) as content:
            return add_bytes(store, experiment_id, entry.filename, content, max_bytes)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, NotImplementedError, OSError):
        return Fate(entry.filename, "refused", UnreadableImageError.code, "It is damaged within the zip; pack it anew.")


def _opened(file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as exc:
        raise UnreadableImageError("The zip is damaged; pack it anew.") from exc
