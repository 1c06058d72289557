"""The coordinator: it alone gives images to workers, and writes down what became of them."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.experiments.database import Coordination
from app.experiments.plan import plan
from app.experiments.store import Store
from app.experiments.work import Work
from app.experiments.worker import Maker

if TYPE_CHECKING:
    from app.experiments.cluster import Cluster

logger = logging.getLogger(__name__)

# Without work for so long the workers end, and their memory is free.
IDLE_S = 60.0
_TURN_S = 0.25
_AGAIN_S = 5.0
_SWEEP_S = 3600.0
_DAY_S = 86_400.0


class Coordinator:
    """Measures the images of all experiments, in a thread of its own, while it holds the right to.

    Any number of services may share a database: the coordinator of one works, and those of the others wait for the
    right that its death would leave to them.

    Parameters
    ----------
    store
        Of all experiments.
    maker
        The model and version that the workers have.
    start_cluster
        Makes the workers; called when there is something to do.
    keep_days
        After so long without a change an experiment is deleted.
    """

    def __init__(
        self, store: Store, maker: Maker, start_cluster: "Callable[[], Cluster]", keep_days: float | None = None
    ) -> None:
        self._store = store
        self._work = Work(store.database, store.files)
        self._maker = maker
        self._start_cluster = start_cluster
        self._keep_days = keep_days
        self._cluster: Cluster | None = None
        self._turns: deque[str] = deque()
        self._last_work = self._last_sweep = 0.0
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="coordinator", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop; what is being measured will be measured anew."""
        self._has_ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._has_ended.is_set():
            held = None
            try:
                held = self._store.database.try_to_coordinate()
                if held is not None:
                    self._coordinate(held)
            # Broad, because this thread has no other door: what nobody foresaw must not end all experiments.
            except Exception:
                logger.exception("Experiments stand still; they are tried again in %g s.", _AGAIN_S)
            finally:
                self._end_cluster()
                if held is not None:
                    held.close()
            self._has_ended.wait(_AGAIN_S)

    def _coordinate(self, held: Coordination) -> None:
        self._work.give_back_all()
        while not self._has_ended.is_set() and held.is_held():
            if not self.turn():
                self._has_ended.wait(_TURN_S)

    def turn(self) -> bool:
        """Do what there is to do now; whether there was anything."""
        for experiment_id in self._work.unplanned():
            plan(self._store, experiment_id)
        self._sweep()
        runnable = self._work.runnable(self._maker)
        if runnable and self._cluster is None:
            self._cluster = self._start_cluster()
            self._last_work = time.monotonic()
        if self._cluster is None:
            return False
        self._begin(self._cluster, runnable)
        n_busy = len(self._cluster.keys)
        self._end(self._cluster)
        if n_busy or runnable:
            self._last_work = time.monotonic()
        elif time.monotonic() > self._last_work + IDLE_S:
            self._end_cluster()
        return True

    def _begin(self, cluster: "Cluster", runnable: list[str]) -> None:
        """Give the workers images of all experiments in turn."""
        self._turns = deque([one for one in self._turns if one in runnable])
        self._turns.extend(one for one in runnable if one not in self._turns)
        while self._turns and (room := cluster.room()):
            experiment_id = self._turns.popleft()
            limit = max(1, room // (len(self._turns) + 1))
            claimed = self._work.claim(experiment_id, limit, cluster.keys, takes_suspects=cluster.has_idle_worker)
            if claimed:
                self._turns.append(experiment_id)
            refused = [job for job, is_suspect in claimed if not cluster.submit(job, is_suspect=is_suspect)]
            for job in refused:
                self._work.give_back(job, has_died=False)
            if refused:
                return

    def _end(self, cluster: "Cluster") -> None:
        for job, outcome, is_suspect in cluster.wait(_TURN_S):
            if outcome is None:
                self._work.give_back(job, has_died=is_suspect)
            else:
                self._work.finish(job, outcome)

    def _sweep(self) -> None:
        """Delete what is kept no longer."""
        now = time.time()
        if self._keep_days is None or now < self._last_sweep + _SWEEP_S:
            return
        self._last_sweep = now
        for experiment_id in self._work.expired(now - self._keep_days * _DAY_S):
            logger.info("The experiment %s has not changed for %g days and is deleted.", experiment_id, self._keep_days)
            self._store.delete(experiment_id)

    def _end_cluster(self) -> None:
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None
