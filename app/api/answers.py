"""Results of the pipeline to the bodies that `schemas` describes."""

import base64
import hashlib
from dataclasses import asdict
from typing import Any

import numpy as np
import orjson
from fastapi.responses import JSONResponse
from numpy.typing import NDArray

from app.api.dependencies import Upload
from app.api.schemas import Include
from app.segmentation.findings import Evaluation
from app.segmentation.formats import FILE_FORMATS, FileFormat
from app.segmentation.measure import Table
from app.segmentation.outlines import outline
from app.segmentation.pipeline import Segmentation


class JsonResponse(JSONResponse):
    """What is measured, as JSON; what is not a number becomes null."""

    def render(self, content: Any) -> bytes:
        """Ten times as fast as Python's own encoder, for which every other request would wait."""
        return orjson.dumps(content)


def image_info(upload: Upload, segmentation: Segmentation) -> dict[str, Any]:
    """The fields of `ImageInfo`."""
    decoded = segmentation.decoded
    height, width = decoded.image.shape[:2]
    return {
        "filename": upload.filename,
        "sha256": hashlib.sha256(upload.image).hexdigest(),
        "height_px": height,
        "width_px": width,
        "n_channels": decoded.n_channels,
        "n_pages": decoded.n_pages,
        "channel": decoded.channel,
        "channel_names": decoded.channel_names,
        "page": decoded.page,
        "dtype": str(decoded.image.dtype),
        "axes": decoded.axes,
        "pixel_size_um": segmentation.pixel_size_um,
    }


def included(segmentation: Segmentation, name: Include) -> Any:
    """What a JSON answer holds under one of the names of `include`."""
    if name == "nuclei":
        # Most of an answer: encoded here, where the time of encoding is taken.
        return orjson.Fragment(orjson.dumps(nuclei_rows(segmentation.nuclei)))
    return polygons(segmentation.labels) if name == "polygons" else encoded_file(segmentation, name)


def encoded_file(segmentation: Segmentation, file_format: FileFormat) -> dict[str, str]:
    """The fields of `EncodedFile`."""
    kind = FILE_FORMATS[file_format]
    return {"media_type": kind.media_type, "data": base64.b64encode(kind.encode(segmentation)).decode()}


def polygons(labels: NDArray[np.int32]) -> list[list[list[list[float]]]]:
    """The rings of each nucleus in (row, column), 0-based at the middle of the first pixel as all coordinates are."""
    return [[(ring[:, ::-1] - 0.5).tolist() for ring in rings] for rings in outline(labels)]


def nuclei_rows(table: Table) -> list[dict[str, Any]]:
    """One `Nucleus` a row of the table."""
    columns = {name: values.tolist() for name, values in table.items()}
    box = ("bbox_row_min_px", "bbox_col_min_px", "bbox_row_max_px", "bbox_col_max_px")
    boxes = list(zip(*(columns.pop(name) for name in box), strict=True))
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True), bbox_px=bbox) for row, bbox in zip(rows, boxes, strict=True)]


def warnings(segmentation: Segmentation) -> list[dict[str, str]]:
    """The fields of each `Caution`."""
    return [caveat._asdict() for caveat in segmentation.caveats]


def scores(evaluation: Evaluation) -> dict[str, Any]:
    """The fields of `Scores`."""
    return asdict(evaluation.pixels) | {
        "count_predicted": evaluation.count_predicted,
        "count_true": evaluation.count_true,
        "count_error": evaluation.count_predicted - evaluation.count_true,
        "mask_kind": evaluation.mask_kind,
        "matching": [asdict(matching) for matching in evaluation.matching],
        "average_precision": evaluation.average_precision,
    }


def provenance(segmentation: Segmentation, **timing_ms: float) -> dict[str, Any]:
    """The fields of `Provenance`; `timing_ms` is that of stages after the segmentation."""
    return segmentation.provenance | {"timing_ms": segmentation.timing_ms | timing_ms}
