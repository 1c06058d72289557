"""The files that a result can become."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.engine.result import PlaneResult, Result
from app.errors import FormatError
from app.export.encode import encode_csv, encode_labels, encode_mask, encode_overlay, encode_parquet
from app.export.out_of_core import write_csv, write_labels, write_mask
from app.export.outlines import encode_coco, encode_geojson, encode_rois
from app.measurement.measure import Table
from app.options import SegmentationOptions

FileFormat = Literal["mask", "labels", "overlay", "csv", "parquet", "geojson", "rois", "coco"]


class Measured(Protocol):
    """What becomes files: a plane's result in memory, or one that was stored; see `app.engine.result.PlaneResult`."""

    @property
    def filename(self) -> str | None: ...  # noqa: D102
    @property
    def labels(self) -> NDArray[np.int32]: ...  # noqa: D102
    @property
    def normalised(self) -> NDArray[np.float32] | None: ...  # noqa: D102
    @property
    def nuclei(self) -> Table: ...  # noqa: D102
    @property
    def options(self) -> SegmentationOptions: ...  # noqa: D102
    @property
    def provenance(self) -> dict[str, Any]: ...  # noqa: D102


class _Kind(NamedTuple):
    """`ending` is that of a file beside others of the same image."""

    media_type: str
    ending: str
    encode: Callable[[Measured], bytes]


def _overlay(found: Measured) -> bytes:
    if found.normalised is None:
        raise FormatError("Of so large an image there is no overlay; crop it.")
    return encode_overlay(found.normalised, found.labels, found.nuclei if found.options.numbered else None)


FILE_FORMATS: dict[FileFormat, _Kind] = {
    "mask": _Kind("image/png", ".mask.png", lambda found: encode_mask(found.labels)),
    "labels": _Kind("image/tiff", ".labels.tif", lambda found: encode_labels(found.labels, found.provenance)),
    "overlay": _Kind(
        "image/png",
        ".overlay.png",
        _overlay,
    ),
    "csv": _Kind("text/csv", ".csv", lambda found: encode_csv(found.nuclei)),
    "parquet": _Kind(
        "application/vnd.apache.parquet", ".parquet", lambda found: encode_parquet(found.nuclei, found.provenance)
    ),
    "geojson": _Kind(
        "application/geo+json", ".geojson", lambda found: encode_geojson(found.labels, found.nuclei, found.provenance)
    ),
    "rois": _Kind("application/zip", ".rois.zip", lambda found: encode_rois(found.labels, found.provenance)),
    "coco": _Kind(
        "application/json",
        ".coco.json",
        lambda found: encode_coco(found.labels, found.nuclei, found.filename or "", found.provenance),
    ),
}


# What a plane that is not in memory can become.
_OUT_OF_CORE: dict[FileFormat, Callable[[PlaneResult, BinaryIO], None]] = {
    "labels": write_labels,
    "mask": write_mask,
    "csv": write_csv,
}


def needs_whole(formats: Iterable[str]) -> list[str]:
    """Those of some formats that a plane which is not in memory cannot become."""
    return [name for name in formats if name not in _OUT_OF_CORE]


def write(result: Result, file_format: FileFormat, file: BinaryIO) -> None:
    """Write a result as a file; of all planes of a stack the tables get a column `page`, and the labels pages.

    Raises
    ------
    FormatError
        The format cannot hold the nuclei.
    """
    plane = result.planes[0]
    if plane.is_in_memory:
        file.write(encode(result, file_format))
    else:
        _OUT_OF_CORE[file_format](plane, file)


def encode(result: Result, file_format: FileFormat) -> bytes:
    """The file of a result in memory; see `write`."""
    if not result.is_stack:
        return FILE_FORMATS[file_format].encode(result.planes[0])
    # Which plane it was is no part of how all came to be.
    provenance = result.planes[0].provenance
    provenance |= {"options": provenance["options"] | {"page_applied": "all"}}
    match file_format:
        case "csv":
            return encode_csv(_with_planes(result.planes))
        case "parquet":
            return encode_parquet(_with_planes(result.planes), provenance)
        case "labels":
            return encode_labels(np.stack([plane.labels for plane in result.planes]), provenance)
    raise FormatError(f"{file_format} holds one page; ask for json, csv, parquet or labels, or choose a page.")


def _with_planes(planes: Sequence[PlaneResult]) -> Table:
    numbers = np.repeat(np.arange(len(planes)), [plane.count for plane in planes])
    tables = {name: np.concatenate([plane.nuclei[name] for plane in planes]) for name in planes[0].nuclei}
    return {"page": numbers} | tables
