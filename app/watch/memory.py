"""What was sent to which experiment, for a program that goes on after a restart."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from app.errors import OutputError
from app.watch.files import Stamp

TAKEN = (200, 201, 204)
CONFLICT = 409


class Sent(NamedTuple):
    """A file that the service has answered for good: as it was then, and the answer's status."""

    stamp: Stamp
    sha256: str
    status: int


class Memory:
    """A file to which lines are added.

    A line that is lost with the machine costs nothing: its file is sent again, and the service has it already.

    Parameters
    ----------
    path
        Made if it is missing, with its folder.

    Attributes
    ----------
    about
        What is known of the experiment.
    sent
        Files by their path.

    Raises
    ------
    OutputError
        It cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.about: dict[str, str] = {}
        self.sent: dict[Path, Sent] = {}
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for line in path.read_bytes().splitlines() if path.exists() else ():
                self._read(line)
            # The last line may have been cut off.
            self._append(b"\n")
        except OSError as exc:
            raise self._error(exc) from exc

    def keep(self, **about: str) -> None:
        """Remember something of the experiment."""
        self.about |= about
        self._write({"about": about})

    def keep_sent(self, path: Path, sent: Sent) -> None:
        """Remember a file."""
        self.sent[path] = sent
        self._write({"path": str(path)} | sent._asdict())

    def is_answered(self, path: Path, stamp: Stamp) -> bool:
        """Whether the service has taken or refused the file as it is now."""
        return path in self.sent and self.sent[path].stamp == stamp

    def is_taken(self, path: Path, stamp: Stamp) -> bool:
        """Whether the service has the file as it is now."""
        return self.is_answered(path, stamp) and self.sent[path].status in TAKEN

    def _read(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except ValueError:
            return
        if "about" in row:
            self.about |= row["about"]
        # What was refused for another reason than its name is tried again after a start.
        elif row["status"] in (*TAKEN, CONFLICT):
            self.sent[Path(row["path"])] = Sent(Stamp(*row["stamp"]), row["sha256"], row["status"])

    def _write(self, row: dict[str, Any]) -> None:
        try:
            self._append(json.dumps(row).encode() + b"\n")
        except OSError as exc:
            raise self._error(exc) from exc

    def _append(self, line: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _error(self, exc: OSError) -> OutputError:
        return OutputError(
            f"What was sent cannot be remembered in {self._path}: {exc.strerror}. Set XDG_STATE_HOME to a folder that "
            "can be written to."
        )


def memory_path(server: str, folder: Path, experiment: str) -> Path:
    """Where is remembered what of a folder was sent to an experiment, which is given by its ID or name."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    identity = json.dumps([server, os.fspath(folder.resolve()), experiment]).encode()
    return state / "karyometer" / f"watch-{hashlib.sha256(identity).hexdigest()[:16]}.jsonl"
