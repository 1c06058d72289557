"""One folder for all temporary files of a process, which the next start removes if this process could not."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import current_process, forkserver
from pathlib import Path
from typing import Any

from app.errors import SettingsError

NO_TEMPORARY_FOLDER = "No folder for temporary files can be written to; set TMPDIR to one that can, and has room."
PREFIX = "karyometer-"
# Locked as long as the folder's process lives.
_LOCK_NAME = "owner.lock"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that `tempfile`, and with it `multiprocessing`, uses meanwhile.

    Folders that killed processes of the same user have left are removed before.

    Raises
    ------
    SettingsError
        No folder for temporary files can be written to.
    """
    before = tempfile.tempdir
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    except OSError as exc:
        raise SettingsError(NO_TEMPORARY_FOLDER) from exc
    for other in folder.parent.glob(f"{PREFIX}*"):
        # Others may not let us look, and yet others remove it at the same time.
        with suppress(OSError):
            _remove_if_abandoned(other, folder.stat().st_uid)
    # Named when it is locked, so that nobody ever sees it unlocked.
    new = folder / f".{_LOCK_NAME}"
    with new.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new.rename(folder / _LOCK_NAME)
        tempfile.tempdir = str(folder)
        # `multiprocessing` would make a folder of its own in it, and miss that at the end.
        of_process: dict[str, Any] = current_process()._config  # type: ignore[attr-defined]
        of_before = of_process.get("tempdir")
        of_process["tempdir"] = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir, of_process["tempdir"] = before, of_before
            _end_forkserver(folder)
            shutil.rmtree(folder, ignore_errors=True)


def _end_forkserver(folder: Path) -> None:
    """End the server that `multiprocessing` keeps, if its socket lies in the folder; who needs one starts another."""
    server: Any = forkserver._forkserver
    address = server._forkserver_address
    if isinstance(address, str) and Path(address).is_relative_to(folder):
        server._stop()


def _remove_if_abandoned(folder: Path, user: int) -> None:
    if folder.is_symlink() or folder.stat().st_uid != user:
        return
    with (folder / _LOCK_NAME).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
