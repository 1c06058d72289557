"""The real service in a process of its own, and what it takes of the machine."""

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

READY_S = 180
STOPPED_S = 60


@dataclass(frozen=True)
class Service:
    """A service that listens on the loopback.

    Attributes
    ----------
    temporary
        The folder for its temporary files, which is its alone.
    log
        The lines that it has written.
    """

    url: str
    pid: int
    temporary: Path
    log: list[str]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def resident_bytes(self) -> int:
        """Memory of the process that answers; its decoders have bounds of their own."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def n_descriptors(self) -> int:
        """Open files, pipes and connections."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def n_threads(self) -> int:
        """Threads of the process that answers."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def n_temporary_files(self) -> int:
        """Files, folders left out."""
        return sum(path.is_file() for path in self.temporary.rglob("*"))


@contextmanager
def running(**settings: object) -> Iterator[Service]:
    """A service with the shipped model on the CPU, until the end; settings are named as in `app.settings.Settings`."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {f"KARYOMETER_{name.upper()}": str(value) for name, value in settings.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"KARYOMETER_PORT": "0", "KARYOMETER_DEVICE": "cpu", "TMPDIR": folder} | variables,
        )
        said = cast("IO[str]", process.stderr)
        killer = threading.Timer(READY_S, process.kill)
        killer.start()
        log: list[str] = []
        try:
            for line in said:
                log.append(line)
                if match := re.search(r"running on (http://[\w.:]+)", line):
                    break
            else:
                raise RuntimeError(f"The service did not start: {''.join(log)}")
            killer.cancel()
            threading.Thread(target=log.extend, args=[said], daemon=True).start()
            yield Service(match[1], process.pid, Path(folder), log)
        finally:
            killer.cancel()
            process.terminate()
            process.wait(STOPPED_S)
