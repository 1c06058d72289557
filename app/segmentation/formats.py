"""The files that a segmentation can become."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from app.errors import FormatError
from app.segmentation.encode import encode_csv, encode_labels, encode_mask, encode_overlay, encode_parquet
from app.segmentation.measure import Table
from app.segmentation.outlines import encode_coco, encode_geojson, encode_rois
from app.segmentation.pipeline import Segmentation

FileFormat = Literal["mask", "labels", "overlay", "csv", "parquet", "geojson", "rois", "coco"]


class _Kind(NamedTuple):
    """`ending` is that of a file beside others of the same image."""

    media_type: str
    ending: str
    encode: Callable[[Segmentation], bytes]


FILE_FORMATS: dict[FileFormat, _Kind] = {
    "mask": _Kind("image/png", ".mask.png", lambda found: encode_mask(found.labels)),
    "labels": _Kind("image/tiff", ".labels.tif", lambda found: encode_labels(found.labels, found.provenance)),
    "overlay": _Kind(
        "image/png",
        ".overlay.png",
        lambda found: encode_overlay(found.normalised, found.labels, found.nuclei if found.options.numbered else None),
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


def encode(pages: Sequence[Segmentation], file_format: FileFormat) -> bytes:
    """One file of a segmentation; of all pages of a stack the tables get a column `page`, and the labels pages.

    Raises
    ------
    FormatError
        The format cannot hold the nuclei.
    """
    first = pages[0]
    if first.options.page != "all":
        return FILE_FORMATS[file_format].encode(first)
    # Which page it was is no part of how all came to be.
    provenance = first.provenance | {"options": first.provenance["options"] | {"page_applied": "all"}}
    match file_format:
        case "csv":
            return encode_csv(_with_pages(pages))
        case "parquet":
            return encode_parquet(_with_pages(pages), provenance)
        case "labels":
            return encode_labels(np.stack([page.labels for page in pages]), provenance)
    raise FormatError(f"{file_format} holds one page; ask for json, csv, parquet or labels, or choose a page.")


def _with_pages(pages: Sequence[Segmentation]) -> Table:
    numbers = np.repeat(np.arange(len(pages)), [page.count for page in pages])
    return {"page": numbers} | {name: np.concatenate([page.nuclei[name] for page in pages]) for name in pages[0].nuclei}
