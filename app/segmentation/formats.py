"""The files that a segmentation can become."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from app.segmentation.encode import encode_csv, encode_labels, encode_mask, encode_overlay, encode_parquet
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
    "overlay": _Kind("image/png", ".overlay.png", lambda found: encode_overlay(found.normalised, found.labels)),
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
