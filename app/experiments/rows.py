"""Rows of the database as what they stand for."""

import json
import time
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from app.errors import NoSuchError
from app.experiments.database import experiments, images, results
from app.experiments.experiment import Experiment, Image
from app.experiments.stored import StoredResult
from app.experiments.worker import Maker
from app.options import SegmentationOptions

_NO_EXPERIMENT = "There is no such experiment; GET /experiments lists yours."
_PLACES = (
    images.c.plate,
    func.length(images.c.well),
    images.c.well,
    func.length(images.c.site),
    images.c.site,
    func.length(images.c.plane),
    images.c.plane,
    images.c.image,
)


def find_experiment(connection: Connection, experiment_id: str, owner: str | None = None) -> Experiment:
    """The row of one experiment, of that owner if one is given; see `app.experiments.store.Store.experiment`."""
    row = connection.execute(select(experiments).where(experiments.c.id == experiment_id)).one_or_none()
    if row is None or owner not in (None, row.owner):
        raise NoSuchError(_NO_EXPERIMENT)
    return as_experiment(row)


def as_experiment(row: Row[Any]) -> Experiment:
    """An experiment of its row."""
    columns = dict(row._mapping)
    maker = Maker(**{name: columns.pop(name) for name in Maker.__dataclass_fields__})
    kept = {name: value for name, value in columns.items() if name in Experiment.__dataclass_fields__}
    kept |= {
        "options": SegmentationOptions.model_validate_json(row.options),
        "problem": row.problem and json.loads(row.problem),
        "notes": json.loads(row.notes),
    }
    return Experiment(maker=maker, **kept)


def change(connection: Connection, experiment_id: str, **values: Any) -> None:
    """Change an experiment, and note when."""
    mine = experiments.c.id == experiment_id
    if not connection.execute(update(experiments).where(mine).values(values | {"changed": time.time()})).rowcount:
        raise NoSuchError(_NO_EXPERIMENT)


def revise(connection: Connection, experiment_id: str, **values: Any) -> None:
    """Change an experiment so that its images must be planned anew."""
    change(connection, experiment_id, revision=experiments.c.revision + 1, **values)


def images_with_results() -> Select[Any]:
    """Images, and the results of those that are done, in the order of plate, well, site and plane."""
    of_results = [column for column in results.c if column.name != "key"]
    is_done = (results.c.key == images.c.key) & (images.c.state == "done")
    return select(*images.c, *of_results).select_from(images.outerjoin(results, is_done)).order_by(*_PLACES)


def as_image(row: Row[Any]) -> Image:
    """An image of a row of `images_with_results`."""
    return Image(
        **{name: getattr(row, name) for name in ("id", "image", "plate", "well", "site", "plane", "key", "state")},
        channels=tuple(map(tuple, json.loads(row.channels))),
        digests=tuple(json.loads(row.digests)),
        attempt=row.attempt,
        error_code=row.error_code,
        error=row.error,
        result=as_result(row) if row.labels_sha256 else None,
    )


def as_result(row: Row[Any]) -> StoredResult:
    """A result of its row."""
    return StoredResult(
        labels_sha256=row.labels_sha256,
        nuclei_sha256=row.nuclei_sha256,
        count=row._mapping["count"],
        n_pixels=row.n_pixels,
        columns=tuple(json.loads(row.nuclei_columns)),
        record=json.loads(row.record),
    )
