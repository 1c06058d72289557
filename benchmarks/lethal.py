"""Makes images named `poison...` kill the worker that measures them; a preload of Dask's workers."""

import os
import signal
from typing import Any

from app.experiments.worker import Job, Outcome, Worker

_measure = Worker.measure


def _measure_or_die(self: Worker, job: Job) -> Outcome:
    if "poison" in job.image:
        os.kill(os.getpid(), signal.SIGKILL)
    return _measure(self, job)


def dask_setup(_: Any) -> None:
    """What Dask calls when the worker starts."""
    Worker.measure = _measure_or_die  # type: ignore[method-assign]
