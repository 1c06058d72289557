"""Stands in for Dask where it does not matter: jobs are done here, and workers die when they are told to."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np

from app.engine.engine import Engine
from app.experiments.database import Database
from app.experiments.files import FileStore
from app.experiments.run import Coordinator
from app.experiments.store import Store
from app.experiments.worker import Ended, Job, Maker, Worker
from app.options import SegmentationOptions
from tests import fakes
from tests.synthetic import discs, picture, tiff


class InlineCluster:
    """One worker in this process, with the port of `app.experiments.cluster.Cluster`.

    Attributes
    ----------
    deadly
        Images that kill their worker.
    measured
        Keys of what it was asked for, with whether only the table was to be made.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._worker = Worker(lambda: nullcontext(engine), folder)
        self._begun: deque[tuple[Job, bool]] = deque()
        self.deadly: set[str] = set()
        self.measured: list[tuple[str, bool]] = []

    @property
    def keys(self) -> set[str]:
        """See `Cluster`."""
        return {job.key for job, _ in self._begun}

    def room(self) -> int:
        """See `Cluster`."""
        return 0 if any(is_alone for _, is_alone in self._begun) else 2 - len(self._begun)

    @property
    def has_idle_worker(self) -> bool:
        """See `Cluster`."""
        return not self._begun

    def submit(self, job: Job, *, is_suspect: bool) -> bool:
        """See `Cluster`."""
        if self.room() < 1 or (is_suspect and self._begun):
            return False
        self._begun.append((job, is_suspect))
        return True

    def wait(self, seconds: float) -> list[Ended]:
        """Measure the first, and lose all where it kills."""
        if not self._begun:
            return []
        if self._begun[0][0].image in self.deadly:
            lost = [Ended(job, None, number == 0) for number, (job, _) in enumerate(self._begun)]
            self._begun.clear()
            return lost
        job, _ = self._begun.popleft()
        self.measured.append((job.image, job.known is not None))
        return [Ended(job, self._worker.measure(job))]

    def close(self) -> None:
        """Nothing is held."""


class Room:
    """A store, and a coordinator that takes its turns when it is told to."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.engine = fakes.engine()
        self.maker = Maker.of(self.engine.model)
        self.files = FileStore(folder / "files")
        self.store = Store(Database(url or f"sqlite:///{folder / 'k.sqlite'}", folder), self.files)
        self.cluster = InlineCluster(self.engine, folder / "files")
        self.coordinator = self.begin()

    def begin(self) -> Coordinator:
        """A coordinator that has just started."""
        return Coordinator(self.store, self.maker, lambda: self.cluster)  # type: ignore[arg-type, return-value]

    def make(self, nuclear_channel: str | None = "w1", **choices: object) -> str:
        """A new experiment."""
        options = SegmentationOptions.model_validate(choices)
        return self.store.create("", "plate", options, self.maker, nuclear_channel=nuclear_channel)[0]

    def add(self, experiment_id: str, **images: bytes) -> None:
        """Add images; `A01_w1` is called `p_A01_s1_w1.tif`."""
        for place, data in images.items():
            well, channel = place.split("_")
            self.store.add_file(experiment_id, f"p_{well}_s1_{channel}.tif", self.files.add(data), len(data))

    def run(self, experiment_id: str, turns: int = 200) -> None:
        """Take turns until it is done."""
        for _ in range(turns):
            self.coordinator.turn()
            counts = self.store.progress(experiment_id).n_images
            if not counts["waiting"] and not counts["running"]:
                return
        raise AssertionError("The images are not done.")


def nuclei(count: int, size: int = 64, brightness: float = 1.0) -> bytes:
    """A TIFF with so many separate nuclei."""
    circles = [(12 + 20 * (number // 3), 12 + 20 * (number % 3), 5) for number in range(count)]
    return tiff((picture(discs((size, size), *circles)) * brightness).astype(np.uint8))


@contextmanager
def opened(folder: Path, url: str | None = None) -> Iterator[Room]:
    """A room that is closed at the end."""
    room = Room(folder, url)
    yield room
    room.store.database.close()
