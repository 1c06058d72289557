"""What the coordinator asks of experiments: which images there are, which is next, and what became of it."""

import json
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, insert, select, update

from app.experiments.database import Database, experiments, files, images, results
from app.experiments.experiment import Experiment, PlannedImage
from app.experiments.files import FileStore
from app.experiments.rows import as_result, find_experiment
from app.experiments.worker import Job, Maker, Outcome

# An image whose worker died so often is set aside.
MOST_DEATHS = 3
_BATCH = 500
_UNTOUCHED: dict[str, Any] = {
    "state": "waiting",
    "attempt": 0,
    "n_deaths": 0,
    "error_code": None,
    "error": None,
    "finished": None,
}


class Work:
    """The images that are to be measured, in transactions; each method is one."""

    def __init__(self, database: Database, files: FileStore) -> None:
        self.database = database
        self.files = files

    def unplanned(self) -> list[str]:
        """Experiments whose files have changed since their images were planned."""
        query = select(experiments.c.id).where(experiments.c.revision != experiments.c.planned)
        with self.database.read() as connection:
            return list(connection.scalars(query))

    def file_digests(self, experiment_id: str) -> dict[str, str]:
        """Its files: digests by name."""
        query = select(files.c.name, files.c.sha256).where(files.c.experiment == experiment_id).order_by(files.c.name)
        with self.database.read() as connection:
            return {row.name: row.sha256 for row in connection.execute(query)}

    def plan(
        self,
        experiment_id: str,
        revision: int,
        planned: Sequence[PlannedImage] | None,
        notes: dict[str, Any],
        problem: dict[str, str] | None,
        *,
        is_assumed: bool,
    ) -> None:
        """Let these be an experiment's images, unless they stay as they are; what is measured already stays so."""
        told = {"planned": revision, "notes": json.dumps(notes), "problem": problem and json.dumps(problem)}
        told["is_assumed"] = is_assumed
        with self.database.write() as connection:
            if planned is not None:
                _plan_images(connection, experiment_id, planned)
                _end_known(connection, experiment_id)
            connection.execute(update(experiments).where(experiments.c.id == experiment_id).values(told))

    def runnable(self, maker: Maker) -> list[str]:
        """Experiments that have images to measure with this model and version, the oldest first."""
        waiting = exists().where((images.c.experiment == experiments.c.id) & (images.c.state == "waiting"))
        query = select(experiments.c.id).where(_is_run_by(maker), waiting)
        with self.database.read() as connection:
            return list(connection.scalars(query.order_by(experiments.c.created, experiments.c.id)))

    def claim(
        self, experiment_id: str, limit: int, keys: Collection[str], *, takes_suspects: bool = True
    ) -> list[tuple[Job, bool]]:
        """The next jobs of an experiment, and whether each image has killed a worker before, if such are wanted.

        What has been measured already, for any experiment, is done; what is being measured, whose keys are given,
        waits. A claim is one attempt.
        """
        jobs: list[tuple[Job, bool]] = []
        with self.database.write() as connection:
            experiment = find_experiment(connection, experiment_id)
            mine = (images.c.experiment == experiment_id) & (images.c.state == "waiting")
            _end_known(connection, experiment_id)
            taken = set(keys)
            wanted = mine if takes_suspects else mine & (images.c.n_deaths == 0)
            query = select(images).where(wanted).order_by(images.c.n_deaths, images.c.id).limit(limit + len(taken))
            for row in connection.execute(query).all():
                if len(jobs) == limit:
                    break
                if row.key in taken:
                    continue
                taken.add(row.key)
                begun = {"state": "running", "attempt": row.attempt + 1}
                connection.execute(update(images).where(images.c.id == row.id).values(begun))
                jobs.append((_job(connection, experiment, row), row.n_deaths > 0))
        return jobs

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Keep what a job came to; that of an attempt which is no longer the last one changes nothing."""
        result = outcome.result
        with self.database.write(adds_file=True) as connection:
            mine = (images.c.id == job.image_id) & (images.c.attempt == job.attempt) & (images.c.state == "running")
            state = "done" if result else "failed"
            values = {"state": state, "error_code": outcome.error_code, "error": outcome.error}
            if result and not all(
                self.files.path(one).exists() for one in (result.labels_sha256, result.nuclei_sha256)
            ):
                # Removed meanwhile, with an experiment that had the same ones.
                values = {"state": "waiting"}
            is_current = connection.execute(
                update(images).where(mine).values(values | {"finished": time.time()})
            ).rowcount
            is_known = connection.scalar(select(func.count()).where(results.c.key == job.key))
            if result is None or values["state"] != "done" or not is_current or is_known:
                return
            connection.execute(
                insert(results).values(
                    key=job.key,
                    labels_key=job.labels_key,
                    labels_sha256=result.labels_sha256,
                    nuclei_sha256=result.nuclei_sha256,
                    count=result.count,
                    n_pixels=result.n_pixels,
                    nuclei_columns=json.dumps(result.columns),
                    record=json.dumps(result.record),
                )
            )

    def give_back(self, job: Job, *, has_died: bool) -> None:
        """Let an image wait again whose job came to nothing; one that kills its workers is set aside."""
        with self.database.write() as connection:
            mine = (images.c.id == job.image_id) & (images.c.attempt == job.attempt) & (images.c.state == "running")
            n_deaths = (connection.scalar(select(images.c.n_deaths).where(mine)) or 0) + has_died
            values: dict[str, Any] = {"state": "waiting", "n_deaths": n_deaths}
            if n_deaths >= MOST_DEATHS:
                values |= {
                    "state": "set_aside",
                    "error_code": "worker_died",
                    "error": f"{n_deaths} workers died while they measured this image; check it in an image viewer, "
                    "and see that the machine has memory enough.",
                    "finished": time.time(),
                }
            connection.execute(update(images).where(mine).values(values))

    def give_back_all(self) -> None:
        """Let all images wait again that a coordinator which has gone had begun."""
        with self.database.write() as connection:
            connection.execute(update(images).where(images.c.state == "running").values(state="waiting"))

    def expired(self, before: float) -> list[str]:
        """Experiments in which nothing was changed since a moment."""
        with self.database.read() as connection:
            return list(connection.scalars(select(experiments.c.id).where(experiments.c.changed < before)))

    def n_queued(self, maker: Maker) -> int:
        """How many images wait or are measured that workers with this model and version can measure."""
        mine = (images.c.experiment == experiments.c.id) & images.c.state.in_(("waiting", "running"))
        with self.database.read() as connection:
            return connection.scalar(select(func.count()).where(mine, _is_run_by(maker))) or 0


def _is_run_by(maker: Maker) -> ColumnElement[bool]:
    """Whether an experiment is to be run, with this model and version."""
    same = [getattr(experiments.c, column) == value for column, value in asdict(maker).items()]
    return and_(
        experiments.c.is_started & (experiments.c.is_closed | ~experiments.c.is_assumed),
        ~experiments.c.is_cancelled,
        *same,
    )


def _end_known(connection: Connection, experiment_id: str) -> None:
    """Let those be done whose result is there."""
    waiting = (images.c.experiment == experiment_id) & (images.c.state == "waiting")
    known = exists().where(results.c.key == images.c.key)
    connection.execute(update(images).where(waiting & known).values(state="done", finished=time.time()))


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for first in range(0, len(items), _BATCH):
        yield items[first : first + _BATCH]


def _plan_images(connection: Connection, experiment_id: str, planned: Sequence[PlannedImage]) -> None:
    query = select(images).where(images.c.experiment == experiment_id)
    known = {row.image: row for row in connection.execute(query)}
    now = {one.image: one for one in planned}
    gone = [row.id for name, row in known.items() if name not in now]
    for some in _batches(gone):
        connection.execute(delete(images).where(images.c.id.in_(some)))
    new = []
    for name, one in now.items():
        values = _columns(one)
        row = known.get(name)
        if row is None:
            new.append(values | {"experiment": experiment_id} | _UNTOUCHED)
        elif any(getattr(row, column) != value for column, value in values.items()):
            fresh = _UNTOUCHED | {"attempt": row.attempt} if row.key != one.key else {}
            connection.execute(update(images).where(images.c.id == row.id).values(values | fresh))
    if new:
        connection.execute(insert(images), new)


def _columns(planned: PlannedImage) -> dict[str, Any]:
    return asdict(planned) | {"channels": json.dumps(planned.channels), "digests": json.dumps(planned.digests)}


def _job(connection: Connection, experiment: Experiment, row: Row[Any]) -> Job:
    sha256, *others = json.loads(row.digests)
    names = [name for name, _ in json.loads(row.channels)]
    known = connection.execute(select(results).where(results.c.labels_key == row.labels_key).limit(1)).one_or_none()
    return Job(
        image_id=row.id,
        attempt=row.attempt + 1,
        key=row.key,
        labels_key=row.labels_key,
        image=row.image,
        sha256=sha256,
        channels=tuple(zip(names, others, strict=True)),
        options=experiment.options.model_dump_json(),
        maker=experiment.maker,
        known=None if known is None else as_result(known),
    )
