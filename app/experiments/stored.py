"""One image's result in the store: its labels and its table as files, all else as a record."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from pyarrow import parquet

from app.engine.result import PlaneResult, Result
from app.experiments.files import FileStore
from app.export.description import image_info
from app.export.encode import encode_parquet
from app.export.formats import write
from app.measurement.measure import Table
from app.options import SegmentationOptions


@dataclass(frozen=True)
class StoredResult:
    """What the database keeps of a result.

    Attributes
    ----------
    labels_sha256, nuclei_sha256
        Its files: a TIFF of the labels, and a Parquet table with one row a nucleus.
    count, n_pixels
        Number of nuclei, and height times width.
    columns
        Of the table.
    record
        `image`, `summary`, `warnings` and `provenance`, as `POST /segment` answers them.
    """

    labels_sha256: str
    nuclei_sha256: str
    count: int
    n_pixels: int
    columns: tuple[str, ...]
    record: dict[str, Any]


def store(result: Result, sha256: str, files: FileStore) -> StoredResult:
    """Keep the result of one plane, whose image has that digest."""
    plane = result.planes[0]
    with files.incoming() as incoming:
        write(result, "labels", incoming.file)
        labels = incoming.keep()
    return stored(plane, labels, sha256, files, plane.provenance)


def stored(
    plane: PlaneResult, labels_sha256: str, sha256: str, files: FileStore, provenance: dict[str, Any]
) -> StoredResult:
    """Keep the table of a plane whose labels are kept already; `provenance` is theirs."""
    return StoredResult(
        labels_sha256=labels_sha256,
        nuclei_sha256=files.add(encode_parquet(plane.nuclei, provenance)),
        count=plane.count,
        n_pixels=plane.n_pixels,
        columns=tuple(plane.nuclei),
        record={
            "image": image_info(plane, sha256),
            "summary": plane.summary,
            "warnings": [warning._asdict() for warning in plane.warnings],
            "provenance": provenance,
        },
    )


def read_labels(files: FileStore, sha256: str) -> NDArray[np.int32]:
    """The labels of a result, int32 `(H, W)`."""
    labels: NDArray[Any] = tifffile.imread(io.BytesIO(files.read(sha256)))
    return labels.astype(np.int32)


def read_nuclei(files: FileStore, sha256: str, columns: Sequence[str] | None = None) -> Table:
    """The table of a result, or those of some columns that it has."""
    table = parquet.read_table(io.BytesIO(files.read(sha256)), columns=columns)
    return {name: np.asarray(column.to_numpy()) for name, column in zip(table.column_names, table.columns)}


@dataclass(frozen=True)
class StoredPlane:
    """A stored result, read when it is asked for; see `app.export.formats.Measured`."""

    files: FileStore
    result: StoredResult
    filename: str | None
    options: SegmentationOptions
    normalised: NDArray[np.float32] | None = None

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """See `read_labels`."""
        return read_labels(self.files, self.result.labels_sha256)

    @cached_property
    def nuclei(self) -> Table:
        """See `read_nuclei`."""
        return read_nuclei(self.files, self.result.nuclei_sha256)

    @property
    def provenance(self) -> dict[str, Any]:
        """How it came to be."""
        provenance: dict[str, Any] = self.result.record["provenance"]
        return provenance


def labels_key(sha256: str, options: SegmentationOptions, maker: Mapping[str, str]) -> str:
    """Of the labels: a digest of the image's bytes, the options, and which model and version found them."""
    return _digest([sha256, options.model_dump_json(), dict(sorted(maker.items()))])


def result_key(labels: str, channels: Sequence[tuple[str, str]]) -> str:
    """Of a result: a digest of the labels' key, and of the names and digests of the further channels measured."""
    return _digest([labels, [list(channel) for channel in channels]])


def _digest(decisive: Any) -> str:
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()
