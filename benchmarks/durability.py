"""Kills the service, its workers and the scheduler at random while an experiment runs, and counts what is lost.

`python -m benchmarks.durability --images 1000 --kills 200` fails where an image is lost, doubled, or measured otherwise
than without kills, and writes what it found into `docs/robustness.md`.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx2
import numpy as np
import psutil

from benchmarks.report import fill, table
from tests.synthetic import discs, picture, tiff
from training.arguments import command_line

SEED = 0
_POISONED = ("poison1_B01_s1_w1.tif", "poison1_B02_s1_w1.tif")
_SIDE_PX = 96
_PLATE = {"name": "plate", "nuclear_channel": "w1"}
# Until so much of the kills images are sent.
_SENT = 0.3
_START_S = 180
_END_S = 3600
_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Outcome(NamedTuple):
    """What became of all images.

    Attributes
    ----------
    lost, doubled
        Images without a result, and with two.
    set_aside
        Those that killed their workers.
    nuclei
        The table.
    """

    lost: int
    doubled: int
    set_aside: tuple[str, ...]
    nuclei: bytes
    n_killed: dict[str, int]
    seconds: float


def plate(n_images: int, n_poisoned: int = 0) -> Iterator[tuple[str, bytes]]:
    """Images, each another one, with names of one plate's wells and sites; some poisoned ones among them."""
    generator = np.random.default_rng(SEED)
    for number in range(n_images):
        circles = [(*generator.uniform(10, _SIDE_PX - 10, 2), generator.uniform(4, 9)) for _ in range(8)]
        image = picture(discs((_SIDE_PX, _SIDE_PX), *circles)) // 2
        noisy = (image + generator.integers(0, 20, image.shape)).astype(np.uint8)
        well, site = divmod(number, 16)
        yield f"plate1_{chr(ord('A') + well // 24)}{well % 24 + 1:02}_s{site + 1}_w1.tif", tiff(noisy)
        if number == n_images // 2:
            # What was measured already would not be measured again.
            yield from ((name, tiff(noisy[:, : -1 - shorter])) for shorter, name in enumerate(_POISONED[:n_poisoned]))


class Processes:
    """The service and, with a scheduler of their own, that and the workers; each is begun again when it has ended."""

    def __init__(
        self,
        folder: Path,
        url: str | None,
        *,
        has_scheduler: bool,
        n_workers: int = 2,
        is_lethal: bool = True,
    ) -> None:
        self._folder = folder
        self._ports = [_free_port() for _ in range(2)]
        self.url = f"http://127.0.0.1:{self._ports[0]}"
        scheduler = f"tcp://127.0.0.1:{self._ports[1]}"
        self._environment = os.environ | {
            "KARYOMETER_DATA": str(folder / "data"),
            "KARYOMETER_PORT": str(self._ports[0]),
            "KARYOMETER_EXPERIMENT_WORKERS": str(n_workers),
            "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        }
        if is_lethal:
            self._environment["DASK_DISTRIBUTED__WORKER__PRELOAD"] = "['benchmarks.lethal']"
        if url:
            self._environment["KARYOMETER_DATABASE_URL"] = url
        self._commands = {"service": [sys.executable, "-m", "app.cli", "serve"]}
        if has_scheduler:
            self._environment["KARYOMETER_DASK_SCHEDULER"] = scheduler
            dask = str(Path(sys.executable).with_name("dask"))
            address = ["--host", "127.0.0.1", "--port", str(self._ports[1])]
            each = ["--nworkers", str(n_workers), "--nthreads", "1"]
            self._commands |= {
                "scheduler": [dask, "scheduler", *address, "--no-dashboard"],
                "workers": [dask, "worker", scheduler, *each, "--no-dashboard"],
            }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.see()

    @property
    def service(self) -> psutil.Process:
        """The service."""
        return psutil.Process(self._running["service"].pid)

    def wait(self, client: httpx2.Client) -> None:
        """Until the service is ready."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            with suppress(httpx2.TransportError):
                if client.get("/health/ready").status_code == 200:
                    return
            time.sleep(0.2)
        raise TimeoutError("The service does not start.")

    def see(self) -> None:
        """Begin again what has ended."""
        for name, command in self._commands.items():
            running = self._running.get(name)
            if running is None or running.poll() is not None:
                with (self._folder / f"{name}.log").open("ab") as log:
                    self._running[name] = subprocess.Popen(  # noqa: S603
                        command, env=self._environment, stdout=log, stderr=log, cwd=Path(__file__).parent.parent
                    )

    def kill(self, kind: str) -> bool:
        """Kill one of a kind; whether there was one."""
        if kind == "worker":
            found = [process for process in self._descendants() if _is_worker(process)]
            if not found:
                return False
            victim = found[np.random.default_rng(time.monotonic_ns()).integers(len(found))]
        else:
            victim = psutil.Process(self._running[kind].pid)
        with suppress(psutil.Error):
            victim.send_signal(signal.SIGKILL)
        if kind != "worker":
            self._running[kind].wait()
        self.see()
        return True

    def _descendants(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for running in self._running.values():
            with suppress(psutil.Error):
                found += psutil.Process(running.pid).children(recursive=True)
        return found

    def close(self) -> None:
        """Kill all."""
        for process in self._descendants():
            with suppress(psutil.Error):
                process.kill()
        for running in self._running.values():
            running.kill()
            running.wait()


def _is_worker(process: psutil.Process) -> bool:
    """Whether it is one of Dask's workers: it has a decoder, and stands back behind requests."""
    try:
        return "multiprocessing.spawn" in " ".join(process.cmdline()) and process.nice() > 0
    except psutil.Error:
        return False


def moments(n_kills: int) -> list[float]:
    """When so many processes are killed, at random."""
    return sorted(np.random.default_rng(SEED).uniform(0, 1, n_kills).tolist())


def run(
    n_images: int,
    kills: Sequence[float],
    folder: Path,
    url: str | None = None,
    kinds: Sequence[str] = ("service", "worker"),
    n_poisoned: int = len(_POISONED),
    n_workers: int = 2,
) -> Outcome:
    """An experiment of so many images, in which processes are killed.

    Parameters
    ----------
    kills
        When, in order: until `_SENT` while images are sent, and then when that part of all is measured.
    kinds
        Of which one, chosen at random, is killed each time.
    """
    generator = np.random.default_rng(SEED)
    start = time.monotonic()
    processes = Processes(folder, url, has_scheduler="scheduler" in kinds, n_workers=n_workers)
    killed: Counter[str] = Counter()
    client = _Client(processes)
    try:
        made = client.ask("POST", "/experiments", json=_PLATE, headers={"Idempotency-Key": "one"}).json()
        path = f"/experiments/{made['id']}"
        images = list(plate(n_images, n_poisoned))
        for number, (name, data) in enumerate(images):
            while killed.total() < len(kills) and kills[killed.total()] < _SENT * (number + 1) / len(images):
                killed.update(_killed(processes, generator, kinds))
            client.ask("PUT", f"{path}/images/{name}", content=data)
        client.ask("POST", f"{path}/close", params={"expected": len(images)})
        deadline = time.monotonic() + _END_S
        while (status := client.ask("GET", path).json())["state"] == "running":
            if time.monotonic() > deadline:
                raise TimeoutError(status)
            n_ended = len(images) - status["images"]["waiting"] - status["images"]["running"]
            while killed.total() < len(kills) and kills[killed.total()] < max(_SENT, n_ended / len(images)):
                killed.update(_killed(processes, generator, kinds))
            processes.see()
            time.sleep(0.1)
        rows = client.ask("GET", f"{path}/images", params={"limit": 10_000}).json()["images"]
        nuclei = client.ask("GET", f"{path}/tables/nuclei").content
    finally:
        client.close()
        processes.close()
    done = Counter(row["image"] for row in rows if row["state"] == "done")
    return Outcome(
        lost=sum(not done[name] for name, _ in images if name not in _POISONED),
        doubled=sum(number > 1 for number in done.values()),
        set_aside=tuple(row["image"] for row in rows if row["state"] == "set_aside"),
        nuclei=nuclei,
        n_killed=dict(killed),
        seconds=time.monotonic() - start,
    )


def _killed(processes: Processes, generator: np.random.Generator, kinds: Sequence[str]) -> list[str]:
    kind = str(generator.choice(kinds))
    time.sleep(float(generator.uniform(0, 0.5)))
    return [kind] if processes.kill(kind) else []


class _Client:
    """Asks again until it is answered, as an instrument does."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._client = httpx2.Client(base_url=processes.url, timeout=60)

    def close(self) -> None:
        """Ask no more."""
        self._client.close()

    def ask(self, method: str, path: str, **what: Any) -> httpx2.Response:
        """The answer, of a service that may die meanwhile."""
        deadline = time.monotonic() + _START_S
        while True:
            try:
                answer = self._client.request(method, path, **what)
                if answer.status_code < 400:
                    return answer
                said = answer.text
                if answer.status_code != 503:
                    raise RuntimeError(f"{method} {path}: {said}")
            except httpx2.TransportError as exc:
                said = str(exc)
            if time.monotonic() > deadline:
                raise TimeoutError(said)
            self._processes.see()
            time.sleep(0.2)


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL that is there meanwhile; Debian's package must be installed."""
    with TemporaryDirectory(prefix="karyometer-postgres-") as name:
        folder, port = Path(name), _free_port()
        as_user: list[str] = []
        if os.geteuid() == 0:
            # It refuses to run as root.
            shutil.chown(folder, "postgres")
            as_user = ["runuser", "-u", "postgres", "--"]
        binaries, data = _POSTGRES[-1], folder / "data"
        _quietly(*as_user, binaries / "initdb", "-D", data, "-A", "trust", "-U", "karyometer")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        control: list[str | Path] = [*as_user, binaries / "pg_ctl", "-D", data, "-w"]
        _quietly(*control, "-o", options, "-l", folder / "log", "start")
        try:
            yield f"postgresql+psycopg://karyometer@127.0.0.1:{port}/postgres"
        finally:
            _quietly(*control, "-m", "immediate", "stop")


def _quietly(*command: str | Path) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)  # noqa: S603


def has_postgres() -> bool:
    """Whether Debian's package is installed."""
    return bool(_POSTGRES)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def main(arguments: list[str] | None = None) -> int:
    """Run it from the command line; 1 where anything was lost, doubled or changed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.durability", description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=200)
    options = parser.parse_args(arguments)
    with ExitStack() as held:
        work = Path(held.enter_context(TemporaryDirectory(prefix="karyometer-durability-")))

        def measured(name: str, n_kills: int, url: str | None, kinds: Sequence[str]) -> Outcome:
            folder = work / name.replace(" ", "-")
            folder.mkdir()
            return run(options.images, moments(n_kills), folder, url, kinds)

        calm = measured("without kills", 0, None, ("service",))
        third = options.kills // 3
        outcomes = {"SQLite": measured("SQLite", third, None, ("service", "worker"))}
        if has_postgres():
            url = held.enter_context(postgres())
            outcomes["PostgreSQL"] = measured("PostgreSQL", third, url, ("service", "worker"))
        rest = options.kills - sum(sum(one.n_killed.values()) for one in outcomes.values())
        everything = ("service", "worker", "scheduler")
        outcomes["a scheduler of its own"] = measured("scheduler", rest, None, everything)
    rows = [
        [
            name,
            *(one.n_killed.get(kind, 0) for kind in everything),
            *(one.lost, one.doubled, len(one.set_aside)),
            "yes" if one.nuclei == calm.nuclei else "no",
            round(one.seconds),
        ]
        for name, one in {"without kills": calm, **outcomes}.items()
    ]
    header = ["", "service", "workers", "scheduler", "lost", "doubled", "set aside", "same tables", "seconds"]
    made = command_line("benchmarks.durability", sys.argv[1:])
    fill("durability", f"Made by `{made}`; two more images kill whoever measures them.\n\n{table(header, rows)}")
    sys.stdout.write(f"{table(header, rows)}\n")
    is_right = all(
        not one.lost and not one.doubled and set(one.set_aside) == set(_POISONED) and one.nuclei == calm.nuclei
        for one in outcomes.values()
    )
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
