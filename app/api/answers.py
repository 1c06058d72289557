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
from app.engine.result import Evaluation, PlaneResult
from app.export.formats import FILE_FORMATS, FileFormat
from app.export.outlines import outline
from app.measurement.measure import Table


class JsonResponse(JSONResponse):
    """What is measured, as JSON; what is not a number becomes null."""

    def render(self, content: Any) -> bytes:
        """Ten times as fast as Python's own encoder, for which every other request would wait."""
        return orjson.dumps(content)


def image_info(upload: Upload, plane: PlaneResult) -> dict[str, Any]:
    """The fields of `ImageInfo`."""
    image = plane.image
    return {
        "filename": upload.filename,
        "sha256": hashlib.sha256(upload.image).hexdigest(),
        "height_px": image.height,
        "width_px": image.width,
        "n_channels": image.n_channels,
        "n_pages": image.n_pages,
        "n_scenes": image.n_scenes,
        "channel": image.channel,
        "channel_names": image.channel_names,
        "page": image.page,
        "dtype": image.dtype,
        "axes": image.axes,
        **plane.sides_um,
    }


def included(plane: PlaneResult, name: Include) -> Any:
    """What a JSON answer holds under one of the names of `include`."""
    if name == "nuclei":
        # Most of an answer: encoded here, where the time of encoding is taken.
        return orjson.Fragment(orjson.dumps(nuclei_rows(plane.nuclei)))
    return polygons(plane.labels) if name == "polygons" else encoded_file(plane, name)


def encoded_file(plane: PlaneResult, file_format: FileFormat) -> dict[str, str]:
    """The fields of `EncodedFile`."""
    kind = FILE_FORMATS[file_format]
    return {"media_type": kind.media_type, "data": base64.b64encode(kind.encode(plane)).decode()}


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


def warnings(plane: PlaneResult, evaluation: Evaluation | None = None) -> list[dict[str, str]]:
    """The fields of each `ImageWarning`: the image's, and those of the mask that it was scored against."""
    of_mask = evaluation.mask_warnings if evaluation else ()
    return [warning._asdict() for warning in (*plane.warnings, *of_mask)]


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


def provenance(plane: PlaneResult, **timing_ms: float) -> dict[str, Any]:
    """The fields of `Provenance`; `timing_ms` is that of stages after the plane."""
    return plane.provenance | {"timing_ms": plane.timing_ms | timing_ms}
