"""A service in a process of its own, and what it takes of the machine."""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

READY_S = 300
STOPPED_S = 60
SERVE = (sys.executable, "-m", "app.cli", "serve")


@dataclass(frozen=True)
class Service:
    """A service that listens on the loopback.

    Attributes
    ----------
    ready_s
        How long it took to start.
    temporary
        The folder for its temporary files, which is its alone.
    log
        The lines that it has written.
    """

    name: str
    url: str
    pid: int
    ready_s: float
    temporary: Path
    log: list[str]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def resident_bytes(self) -> int:
        """Memory of the process that answers; its decoders have bounds of their own."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        """CPU time that it and the processes below it have used, those that ended among them."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._pids()]
        return sum(sum(map(int, stat[11:15])) for stat in stats) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self) -> int:
        """Most memory that each of its processes has held so far, all together."""
        status = [Path(f"/proc/{pid}/status").read_text() for pid in self._pids()]
        return sum(int(match[1]) << 10 for one in status if (match := re.search(r"VmHWM:\s*(\d+)", one)))

    def _pids(self) -> list[int]:
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid in pids if _group(pid) == self.pid]

    def n_descriptors(self) -> int:
        """Open files, pipes and connections."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def n_threads(self) -> int:
        """Threads of the process that answers."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def n_temporary_files(self) -> int:
        """Files, folders left out."""
        return sum(path.is_file() for path in self.temporary.rglob("*"))


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


@contextmanager
def running(name: str = "karyometer", command: Sequence[str] = SERVE, /, **settings: object) -> Iterator[Service]:
    """A service on the CPU, until the end: ours, or another that tells where it runs as ours does.

    Settings are named as in `app.settings.Settings`.
    """
    with tempfile.TemporaryDirectory() as folder:
        variables = {f"KARYOMETER_{setting.upper()}": str(value) for setting, value in settings.items()}
        start = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603
            command,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"KARYOMETER_PORT": "0", "KARYOMETER_DEVICE": "cpu", "TMPDIR": folder} | variables,
            start_new_session=True,
        )
        said = cast("IO[str]", process.stderr)
        reader: threading.Thread | None = None
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
            ready_s = time.perf_counter() - start
            reader = threading.Thread(target=log.extend, args=[said], daemon=True)
            reader.start()
            yield Service(name, match[1], process.pid, ready_s, Path(folder), log)
        finally:
            killer.cancel()
            process.terminate()
            process.wait(STOPPED_S)
            if reader:
                reader.join()
            said.close()
