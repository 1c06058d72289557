"""A folder that one run writes into at a time."""

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import OutputError

LOCK_NAME = ".karyometer.lock"
# Of file systems that know no locks, such as some network drives.
_NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL))


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder for this run; the lock ends with the process, however that ends.

    Its file stays, because two runs could hold two locks if it were removed between them.

    Raises
    ------
    OutputError
        Another run holds it.
    OSError
        The folder cannot be written to.
    """
    with (folder / LOCK_NAME).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise OutputError(
                f"Another run of karyometer is writing to {folder}; wait until it has ended, or name another folder."
            ) from exc
        except OSError as exc:
            if exc.errno not in _NO_LOCKS:
                raise
        yield
