"""Dask distributed behind a thin port: it runs jobs in other processes, and is asked for nothing else."""

import logging
import queue
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import dask
from distributed import Client, Future, KilledWorker, LocalCluster, WorkerPlugin, get_worker

from app.engine.engine import Engine
from app.experiments.worker import ClusterLostError, Ended, Job, Outcome, Worker, leave_the_processor_to_requests
from app.machine import available_cores
from app.settings import Settings
from app.start import open_engine
from app.temporary import temporary_folder

logger = logging.getLogger(__name__)
# It tells of each connection.
logging.getLogger("distributed").setLevel(logging.WARNING)

# One is measured, and another lies beside it, so that no worker waits for the coordinator.
_AHEAD = 2
_NAME = "karyometer"
_CONNECT_S = 30
_FETCH_S = 5
_LOOK_S = 0.5
_REPLACED_S = 60
_CONFIGURATION = {
    # Dask's processes may not have children of their own by default, and decoders are such.
    "distributed.worker.daemon": False,
    "distributed.scheduler.allowed-failures": 0,
    # It would show other users of the machine what is done.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


@dataclass
class _Begun:
    job: Job
    worker: str
    is_alone: bool
    future: Future[Outcome] = field(repr=False)


class Cluster:
    """Workers of one thread, each with the engine of the settings.

    Parameters
    ----------
    settings
        A scheduler's address in them is that of a cluster that is there already; else processes of this machine are
        started, and end with this one.

    Raises
    ------
    ClusterLostError
        The scheduler does not answer, or no worker can load the model.
    """

    def __init__(self, settings: Settings) -> None:
        # Dask adds to the lists that it is given.
        dask.config.set(deepcopy(_CONFIGURATION))
        self._begun: dict[str, _Begun] = {}
        self._ended: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
        self._workers: list[str] = []
        self._looked = 0.0
        self._n_own = 0 if settings.dask_scheduler else settings.experiment_workers or available_cores()
        self._complete = time.monotonic()
        self._held = ExitStack()
        try:
            self._client = self._held.enter_context(self._connect(settings))
            is_own = settings.dask_scheduler is None
            # Workers elsewhere have settings of their own.
            self._client.register_plugin(_EnginePlugin(settings if is_own else None), name=_NAME)
            self._look()
        except Exception as exc:
            self.close()
            raise ClusterLostError(str(exc)) from exc

    def _connect(self, settings: Settings) -> Client:
        address: Any = settings.dask_scheduler
        if address is None:
            address = self._held.enter_context(
                LocalCluster(
                    n_workers=self._n_own,
                    threads_per_worker=1,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    memory_limit=0,
                )
            )
        return Client(address, timeout=_CONNECT_S, set_as_default=False)

    @property
    def keys(self) -> set[str]:
        """Of the results that are worked on."""
        return {begun.job.key for begun in self._begun.values()}

    def room(self) -> int:
        """How many jobs may be begun."""
        return sum(max(0, _AHEAD - n_begun) for n_begun in self._load().values())

    @property
    def has_idle_worker(self) -> bool:
        """Whether a worker has nothing to do, so that a suspect job can have it for itself."""
        return 0 in self._load().values()

    def submit(self, job: Job, *, is_suspect: bool) -> bool:
        """Begin a job; whether there was room for it. A suspect one has a worker for itself."""
        load = self._load()
        worker = min(load, key=lambda address: load[address], default=None)
        if worker is None or load[worker] >= (1 if is_suspect else _AHEAD):
            return False
        key = f"{_NAME}-{job.image_id}-{job.attempt}-{time.monotonic_ns()}"
        future = self._client.submit(_measure, job, key=key, workers=[worker], pure=False)
        self._begun[key] = _Begun(job, worker, is_suspect, future)
        future.add_done_callback(self._ended.put)
        return True

    def wait(self, seconds: float) -> list[Ended]:
        """Jobs that have ended; of those that end within some time at least the first.

        Raises
        ------
        ClusterLostError
            The scheduler does not answer.
        """
        ended = self._outcomes(seconds)
        if time.monotonic() > self._looked + _LOOK_S:
            there = self._look()
            if {begun.worker for begun in self._begun.values()} - there:
                # Of those that died the scheduler tells; others have left in order, as when a cluster shrinks.
                ended += self._outcomes(_LOOK_S)
                gone = {begun.worker for begun in self._begun.values()} - there
                ended += [one for worker in gone for one in self._lost(worker, has_died=False)]
        return ended

    def _outcomes(self, seconds: float) -> list[Ended]:
        """What has ended, and what does within some time."""
        ended = []
        with suppress(queue.Empty):
            ended += self._outcome(self._ended.get(timeout=seconds))
            while True:
                ended += self._outcome(self._ended.get_nowait())
        return ended

    def close(self) -> None:
        """Begin nothing new; what is worked on is lost."""
        with suppress(Exception):
            self._held.close()

    def _load(self) -> dict[str, int]:
        """How much each worker has to do; one with a suspect job has enough."""
        load = dict.fromkeys(self._workers, 0)
        for begun in self._begun.values():
            if begun.worker in load:
                load[begun.worker] += _AHEAD if begun.is_alone else 1
        return load

    def _look(self) -> set[str]:
        """See which workers there are, and which of them take jobs."""
        try:
            there: dict[str, bool] = self._client.run_on_scheduler(_seen_workers)
        except Exception as exc:
            raise ClusterLostError(str(exc)) from exc
        self._workers = [address for address, is_ready in there.items() if is_ready]
        self._looked = time.monotonic()
        if len(self._workers) >= self._n_own:
            self._complete = self._looked
        elif self._looked > self._complete + _REPLACED_S:
            # Dask begins a process again that has died, but not always.
            raise ClusterLostError("A worker has ended and was not replaced.")
        return set(there)

    def _outcome(self, future: Future[Outcome]) -> list[Ended]:
        key = str(future.key)
        begun = self._begun.get(key)
        if begun is None:
            return []
        if future.status == "finished":
            try:
                outcome = future.result(timeout=_FETCH_S)
            except Exception:
                # It lay on a worker that has gone since.
                return self._lost(begun.worker, has_died=False)
            del self._begun[key]
            return [Ended(begun.job, outcome)]
        error = future.exception(timeout=_FETCH_S) if future.status == "error" else None
        if error is None or isinstance(error, KilledWorker):
            return self._lost(begun.worker, has_died=error is not None)
        if isinstance(error, ClusterLostError):
            raise error
        del self._begun[key]
        logger.error("%r", begun.job.image, exc_info=error)
        return [Ended(begun.job, Outcome.of_mistake(error))]

    def _lost(self, worker: str, *, has_died: bool) -> list[Ended]:
        """What a worker was to do that has gone: where it died, it was measuring the first of its jobs."""
        lost = {key: begun for key, begun in self._begun.items() if begun.worker == worker}
        self._workers = [address for address in self._workers if address != worker]
        for key, begun in lost.items():
            del self._begun[key]
            with suppress(Exception):
                begun.future.cancel()
        return [Ended(begun.job, None, has_died and number == 0) for number, begun in enumerate(lost.values())]


class _EnginePlugin(WorkerPlugin):
    """Loads the engine when a worker starts."""

    def __init__(self, settings: Settings | None) -> None:
        self._settings = settings

    def setup(self, worker: Any) -> None:
        leave_the_processor_to_requests()
        cv2.setNumThreads(1)
        settings = self._settings or Settings.from_environment()
        self.worker = Worker(partial(_opened, settings), settings.data / "files")

    def teardown(self, worker: Any) -> None:
        self.worker.close()


@contextmanager
def _opened(settings: Settings) -> Iterator[Engine]:
    """The engine of a worker; what a killed one leaves behind is removed when the next begins."""
    with temporary_folder(), open_engine(settings, n_decoders=1, n_threads=1) as engine:
        yield engine


def _measure(job: Job) -> Outcome:
    plugin: Any = get_worker().plugins.get(_NAME)
    if plugin is None:
        raise ClusterLostError("A worker has no engine: its scheduler was started anew since this service was there.")
    outcome: Outcome = plugin.worker.measure(job)
    return outcome


def _seen_workers(dask_scheduler: Any) -> dict[str, bool]:
    """Addresses of all workers, and whether each takes jobs."""
    # A scheduler that is set up otherwise would try an image again by itself.
    dask_scheduler.allowed_failures = 0
    return {address: one.status.name == "running" for address, one in dask_scheduler.workers.items()}
