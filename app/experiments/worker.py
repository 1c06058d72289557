"""What a worker does: one image of an experiment, from its files to its stored result."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from app import __version__
from app.engine.engine import Engine
from app.errors import KaryometerError
from app.experiments.files import FileStore
from app.experiments.stored import StoredResult, read_labels, read_nuclei, store, stored
from app.inference.load import Model
from app.options import SegmentationOptions

logger = logging.getLogger(__name__)

# Of the processor requests have far more than experiments.
_NICE = 15


@dataclass(frozen=True)
class Maker:
    """What makes results: an experiment's are all of one.

    Attributes
    ----------
    model, karyometer
        Names and versions.
    model_sha256
        See `app.inference.model_card.ModelCard.results_sha256`.
    dtype
        In what numbers the network computes.
    """

    model: str
    model_sha256: str
    dtype: str
    karyometer: str

    @classmethod
    def of(cls, model: Model) -> "Maker":
        """Of a loaded model and this version."""
        card = model.card
        return cls(f"{card.name}/{card.version}", card.results_sha256, model.predictor.dtype, __version__)


@dataclass(frozen=True)
class Job:
    """One image to measure.

    Attributes
    ----------
    image_id, attempt
        Of the database; a result counts only for the attempt that it was made in.
    key, labels_key
        Of the result, and of its labels; see `app.experiments.stored`.
    image, sha256
        Its name, and its file in the store.
    channels
        Names and files of further channels.
    options
        How, as JSON.
    maker
        What must make it.
    known
        An earlier result with other channels, whose labels are right for this one.
    """

    image_id: int
    attempt: int
    key: str
    labels_key: str
    image: str
    sha256: str
    channels: tuple[tuple[str, str], ...]
    options: str
    maker: Maker
    known: StoredResult | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a result, or an error's code and sentence."""

    result: StoredResult | None
    error_code: str | None = None
    error: str | None = None

    @classmethod
    def of_mistake(cls, exc: BaseException) -> "Outcome":
        """Of what nobody foresaw."""
        said = f"Karyometer made an error ({type(exc).__name__}); please report what its worker wrote."
        return cls(None, "internal_error", said)


class ClusterLostError(Exception):
    """The scheduler does not answer; all jobs that were begun are lost."""


class Ended(NamedTuple):
    """A job that is no longer worked on: its outcome, or None if its worker went; that may be the job's doing."""

    job: Job
    outcome: Outcome | None
    is_suspect: bool = False


class Worker:
    """The engine of a worker's process and the folder that all share.

    Parameters
    ----------
    open_engine
        A context whose value is the engine.
    folder
        Of the file store.
    """

    def __init__(self, open_engine: Callable[[], Any], folder: Path) -> None:
        self._held = ExitStack()
        self._engine: Engine = self._held.enter_context(open_engine())
        self._files = FileStore(folder)

    def close(self) -> None:
        """Let the engine go."""
        self._held.close()

    def measure(self, job: Job) -> Outcome:
        """Measure one image; whatever is wrong with it is its outcome."""
        try:
            return Outcome(self._result(job))
        except KaryometerError as exc:
            return Outcome(None, exc.code, str(exc))
        except MemoryError:
            return Outcome(None, "image_too_large", "The image needs more memory than there is; crop it.")
        except Exception as exc:
            # As in the service, what nobody foresaw ends one image's work and not that of all others.
            logger.exception("%r", job.image)
            return Outcome.of_mistake(exc)

    def _result(self, job: Job) -> StoredResult:
        if Maker.of(self._engine.model) != job.maker:
            raise KaryometerError(
                f"The worker has another model or version than {job.maker.model} of {job.maker.karyometer}; start it "
                "with the service's."
            )
        options = SegmentationOptions.model_validate_json(job.options)
        image = self._files.read(job.sha256)
        channels = [(name, self._files.read(digest)) for name, digest in job.channels]
        name = Path(job.image).name
        if job.known is None:
            with self._engine.segment(image, options, name, channels=channels) as result:
                return store(result, job.sha256, self._files)
        known = job.known
        plane = self._engine.measure(image, read_labels(self._files, known.labels_sha256), options, name, channels)
        # What the network said stays.
        plane.nuclei["confidence"] = np.asarray(read_nuclei(self._files, known.nuclei_sha256)["confidence"])
        again = stored(plane, known.labels_sha256, job.sha256, self._files, known.record["provenance"])
        told = [*known.record["warnings"], *again.record["warnings"]]
        return replace(again, record=again.record | {"warnings": list({each["code"]: each for each in told}.values())})


def leave_the_processor_to_requests() -> None:
    """Give this process what others leave of the processor."""
    if sys.platform != "win32":
        os.nice(_NICE)
