"""What users ask of experiments: the database is the record, and what it refers to lies in the file store."""

import json
import time
import uuid
from dataclasses import asdict

from sqlalchemy import Connection, delete, exists, func, insert, or_, select, update

from app.errors import BusyError, ConflictError, NoSuchError, OptionError
from app.experiments.database import Database, exclusions, experiments, files, images, results
from app.experiments.experiment import IMAGE_STATES, Exclusion, Experiment, ExperimentState, Image, ImageState, Progress
from app.experiments.files import FileStore
from app.experiments.rows import as_experiment, as_image, change, find_experiment, images_with_results, revise
from app.experiments.worker import Maker
from app.options import SegmentationOptions

_RATE_S = 120.0


class Store:
    """All experiments, in transactions; each method is one."""

    def __init__(self, database: Database, files: FileStore) -> None:
        self.database = database
        self.files = files

    def create(
        self,
        owner: str,
        name: str,
        options: SegmentationOptions,
        maker: Maker,
        *,
        nuclear_channel: str | None = None,
        is_started: bool = True,
        idempotency_key: str | None = None,
    ) -> tuple[str, bool]:
        """Make an experiment; its ID, and whether it is new: with the same idempotency key it is made once.

        Raises
        ------
        ConflictError
            The key has made another one.
        """
        now = time.time()
        asked = {"name": name, "options": options.model_dump_json(), "nuclear_channel": nuclear_channel}
        with self.database.write() as connection:
            if idempotency_key is not None:
                same = (experiments.c.owner == owner) & (experiments.c.idempotency_key == idempotency_key)
                if known := connection.execute(select(experiments).where(same)).one_or_none():
                    if any(getattr(known, column) != value for column, value in asked.items()):
                        raise ConflictError("This Idempotency-Key has made another experiment; choose a new one.")
                    return str(known.id), False
            made = uuid.uuid4().hex
            connection.execute(
                insert(experiments).values(
                    id=made,
                    owner=owner,
                    idempotency_key=idempotency_key,
                    created=now,
                    changed=now,
                    is_started=is_started,
                    is_closed=False,
                    is_cancelled=False,
                    is_assumed=False,
                    revision=0,
                    planned=0,
                    notes="{}",
                    **asked,
                    **asdict(maker),
                )
            )
        return made, True

    def experiment(self, experiment_id: str, owner: str | None = None) -> Experiment:
        """One experiment, of that owner if one is given.

        Raises
        ------
        NoSuchError
            There is none, or it is another's.
        """
        with self.database.read() as connection:
            return find_experiment(connection, experiment_id, owner)

    def all_of(self, owner: str, limit: int, offset: int) -> list[Experiment]:
        """An owner's experiments, the newest first."""
        query = select(experiments).where(experiments.c.owner == owner)
        query = query.order_by(experiments.c.created.desc(), experiments.c.id).limit(limit).offset(offset)
        with self.database.read() as connection:
            return [as_experiment(row) for row in connection.execute(query)]

    def check_open(self, experiment_id: str) -> None:
        """Refuse files for an experiment that takes none; see `add_file`."""
        _check_open(self.experiment(experiment_id))

    def check_open_or_known(self, experiment_id: str, name: str) -> None:
        """Refuse a file for an experiment that takes none, unless it has one of that name; see `add_file`."""
        with self.database.read() as connection:
            is_known = exists().where((files.c.experiment == experiment_id) & (files.c.name == name))
            if not connection.scalar(select(is_known)):
                _check_open(find_experiment(connection, experiment_id))

    def add_file(self, experiment_id: str, name: str, sha256: str, n_bytes: int) -> bool:
        """Add a file that is in the file store; whether it is new.

        Raises
        ------
        NoSuchError
            The experiment has gone.
        ConflictError
            It takes no more files, or has another file of that name.
        BusyError
            The file was removed meanwhile, with an experiment that had the same one.
        """
        with self.database.write(adds_file=True) as connection:
            experiment = find_experiment(connection, experiment_id)
            known = connection.scalar(
                select(files.c.sha256).where((files.c.experiment == experiment_id) & (files.c.name == name))
            )
            if known == sha256:
                return False
            if known is not None:
                raise ConflictError(f"The experiment has another file named {name!r}; send this one by another name.")
            _check_open(experiment)
            if not self.files.has(sha256):
                raise BusyError("The file was removed while it was added; send it again.", 1)
            row = {"experiment": experiment_id, "name": name, "sha256": sha256, "n_bytes": n_bytes}
            connection.execute(insert(files).values(row | {"received": time.time()}))
            revise(connection, experiment_id)
        return True

    def set_layout(self, experiment_id: str, sha256: str, name: str | None, dose_unit: str | None = None) -> None:
        """Say which layout in the file store holds, and the unit of doses that have none; see `add_file`."""
        with self.database.write(adds_file=True) as connection:
            if not self.files.has(sha256):
                raise BusyError("The layout was removed while it was added; send it again.", 1)
            revise(connection, experiment_id, layout_sha256=sha256, layout_name=name, dose_unit=dose_unit)

    def set_nuclear_channel(self, experiment_id: str, name: str) -> None:
        """Say which channel holds the nuclei."""
        with self.database.write() as connection:
            revise(connection, experiment_id, nuclear_channel=name)

    def close(self, experiment_id: str, expected: int | None = None) -> None:
        """Take no more files.

        Raises
        ------
        ConflictError
            It has not as many files as are expected.
        """
        with self.database.write() as connection:
            n_files = connection.scalar(select(func.count()).where(files.c.experiment == experiment_id)) or 0
            if expected is not None and n_files != expected:
                raise ConflictError(
                    f"The experiment has {n_files} files, and {expected} were expected; send those that are missing."
                )
            change(connection, experiment_id, is_closed=True)

    def start(self, experiment_id: str) -> None:
        """Begin to measure what was to be started by hand."""
        with self.database.write() as connection:
            change(connection, experiment_id, is_started=True)

    def cancel(self, experiment_id: str) -> None:
        """Measure no more; what is measured stays."""
        with self.database.write() as connection:
            change(connection, experiment_id, is_cancelled=True, is_closed=True)

    def retry(self, experiment_id: str) -> int:
        """Measure the failed images again; how many they are."""
        with self.database.write() as connection:
            change(connection, experiment_id)
            again = update(images).where(
                (images.c.experiment == experiment_id) & images.c.state.in_(("failed", "set_aside"))
            )
            return connection.execute(again.values(state="waiting", n_deaths=0, error_code=None, error=None)).rowcount

    def delete(self, experiment_id: str) -> None:
        """Remove an experiment, and what no other one needs."""
        with self.database.write(removes_files=True) as connection:
            find_experiment(connection, experiment_id)
            digests = set(connection.scalars(select(files.c.sha256).where(files.c.experiment == experiment_id)))
            digests |= set(
                connection.scalars(select(experiments.c.layout_sha256).where(experiments.c.id == experiment_id))
            ) - {None}
            keys = select(images.c.key).where(images.c.experiment == experiment_id)
            of_others = select(images.c.key).where(images.c.experiment != experiment_id)
            orphans = results.c.key.in_(keys) & results.c.key.not_in(of_others)
            for row in connection.execute(select(results.c.labels_sha256, results.c.nuclei_sha256).where(orphans)):
                digests |= set(row)
            connection.execute(delete(results).where(orphans))
            connection.execute(delete(experiments).where(experiments.c.id == experiment_id))
            self.files.remove(digest for digest in digests if not _is_needed(connection, digest))

    def exclude(self, experiment_id: str, exclusion: Exclusion) -> None:
        """Let a well or an image count for nothing; that can be added to, but not taken back.

        Raises
        ------
        NoSuchError
            The experiment has no such well or image.
        OptionError
            It has several plates, and none was named.
        """
        column, name = (images.c.well, exclusion.well) if exclusion.image is None else (images.c.image, exclusion.image)
        query = select(images.c.plate).distinct().where((images.c.experiment == experiment_id) & (column == name))
        with self.database.write() as connection:
            change(connection, experiment_id)
            plates = set(connection.scalars(query))
            if not plates or exclusion.plate not in (None, *plates):
                raise NoSuchError(f"The experiment has no image of {name!r}; GET its images lists them.")
            if exclusion.image is None and exclusion.plate is None and len(plates) > 1:
                raise OptionError(f"Several plates have a well {name!r}; name the plate too.")
            connection.execute(insert(exclusions).values(experiment=experiment_id, **asdict(exclusion)))

    def exclusions(self, experiment_id: str) -> list[Exclusion]:
        """All of an experiment, the oldest first."""
        columns = [column for column in exclusions.c if column.name in Exclusion.__dataclass_fields__]
        query = select(*columns).where(exclusions.c.experiment == experiment_id).order_by(exclusions.c.id)
        with self.database.read() as connection:
            return [Exclusion(**row._mapping) for row in connection.execute(query)]

    def progress(self, experiment_id: str) -> Progress:
        """How far it is."""
        now = time.time()
        mine = images.c.experiment == experiment_id
        with self.database.read() as connection:
            experiment = find_experiment(connection, experiment_id)
            counted = connection.execute(select(images.c.state, func.count()).where(mine).group_by(images.c.state))
            n_images: dict[ImageState, int] = dict.fromkeys(IMAGE_STATES, 0)
            n_images.update({row[0]: row[1] for row in counted})
            n_files = connection.scalar(select(func.count()).where(files.c.experiment == experiment_id)) or 0
            recent = mine & (images.c.finished > now - _RATE_S)
            n_recent, first = connection.execute(select(func.count(), func.min(images.c.finished)).where(recent)).one()
        rate = (n_recent - 1) / max(now - first, 1e-3) if n_recent > 1 else None
        n_left = n_images["waiting"] + n_images["running"]
        return Progress(
            state=_state(experiment, n_images),
            n_files=n_files,
            n_images=n_images,
            images_per_minute=None if rate is None else 60 * rate,
            seconds_left=n_left / rate if rate and n_left else None,
        )

    def images(self, experiment_id: str, limit: int | None = None, offset: int = 0) -> list[Image]:
        """What has become of its images, in the order of plate, well, site and plane."""
        query = images_with_results().where(images.c.experiment == experiment_id)
        query = query.limit(limit).offset(offset)
        with self.database.read() as connection:
            return [as_image(row) for row in connection.execute(query)]

    def image(self, experiment_id: str, name: str) -> Image:
        """What has become of one image.

        Raises
        ------
        NoSuchError
            There is none of that name.
        """
        query = images_with_results().where((images.c.experiment == experiment_id) & (images.c.image == name))
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NoSuchError(f"The experiment has no image {name!r}; GET its images lists them.")
        return as_image(row)

    def nuclei_columns(self, experiment_id: str) -> list[tuple[str, ...]]:
        """The different headers of its images' tables."""
        query = select(results.c.nuclei_columns).join(images, images.c.key == results.c.key).distinct()
        query = query.where((images.c.experiment == experiment_id) & (images.c.state == "done"))
        with self.database.read() as connection:
            return sorted(tuple(json.loads(columns)) for columns in connection.scalars(query))


def _check_open(experiment: Experiment) -> None:
    if experiment.is_closed:
        raise ConflictError("The experiment is closed and takes no more files; make a new one for them.")


def _is_needed(connection: Connection, digest: str) -> bool:
    uses = (
        files.c.sha256 == digest,
        experiments.c.layout_sha256 == digest,
        or_(results.c.labels_sha256 == digest, results.c.nuclei_sha256 == digest),
    )
    return any(connection.scalar(select(exists().where(use))) for use in uses)


def _state(experiment: Experiment, n_images: dict[ImageState, int]) -> ExperimentState:
    if experiment.is_cancelled:
        return "cancelled"
    if not experiment.is_closed:
        return "open"
    if n_images["waiting"] or n_images["running"] or not experiment.is_planned:
        return "running"
    has_errors = n_images["failed"] or n_images["set_aside"] or experiment.problem
    return "done_with_errors" if has_errors else "done"
