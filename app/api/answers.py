"""Results of the pipeline to the bodies that `schemas` describes."""

import base64
import hashlib
from dataclasses import asdict
from typing import Any

from app import __version__
from app.api.dependencies import Upload
from app.api.schemas import MEDIA_TYPES, Format
from app.segmentation.encode import encode_csv, encode_labels, encode_mask, encode_overlay
from app.segmentation.measure import Table
from app.segmentation.model_card import ModelCard
from app.segmentation.options import SegmentationOptions
from app.segmentation.pipeline import Evaluation, Segmentation


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
        "dtype": str(decoded.image.dtype),
        "axes": decoded.axes,
        "pixel_size_um": segmentation.options.pixel_size_um,
    }


def encode(segmentation: Segmentation, file_format: Format) -> bytes:
    """One of the files that an answer can be."""
    match file_format:
        case "mask":
            return encode_mask(segmentation.labels)
        case "labels":
            return encode_labels(segmentation.labels)
        case "overlay":
            return encode_overlay(segmentation.normalised, segmentation.labels)
        case "csv":
            return encode_csv(segmentation.nuclei)
    raise AssertionError(file_format)


def encoded_file(segmentation: Segmentation, file_format: Format) -> dict[str, str]:
    """The fields of `EncodedFile`."""
    data = base64.b64encode(encode(segmentation, file_format)).decode()
    return {"media_type": MEDIA_TYPES[file_format], "data": data}


def nuclei_rows(table: Table) -> list[dict[str, Any]]:
    """One `Nucleus` a row of the table; what is not known becomes null."""
    columns = {name: values.tolist() for name, values in table.items()}
    box = ("bbox_row_min_px", "bbox_col_min_px", "bbox_row_max_px", "bbox_col_max_px")
    boxes = list(zip(*(columns.pop(name) for name in box), strict=True))
    rows = zip(*columns.values(), strict=True)
    return [
        {name: None if value != value else value for name, value in zip(columns, row, strict=True)} | {"bbox_px": bbox}
        for row, bbox in zip(rows, boxes, strict=True)
    ]


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


def provenance(segmentation: Segmentation, card: ModelCard, **timing_ms: float) -> dict[str, Any]:
    """The fields of `Provenance`; `timing_ms` is that of stages after the segmentation."""
    options = segmentation.options.model_dump(include=set(SegmentationOptions.model_fields))
    applied = {"threshold_applied": segmentation.threshold, "min_area_px_applied": segmentation.min_area_px}
    return {
        "karyometer": __version__,
        "model": {"name": card.name, "version": card.version, "sha256": card.sha256},
        "options": options | applied,
        "timing_ms": segmentation.timing_ms | timing_ms,
    }
