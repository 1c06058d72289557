"""A result as what JSON can hold, with the API's names."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine.result import PlaneResult
from app.errors import FormatError
from app.evaluation.matching import pairs
from app.export.outlines import outline
from app.measurement.measure import Table
from app.segmentation.split import keep_only

# From which overlap on a nucleus counts as found, and how many polygons an answer holds.
_MATCHED_IOU = 0.5
_MOST_MISSES = 100_000


def image_info(plane: PlaneResult, sha256: str) -> dict[str, Any]:
    """What was read, as the API tells it."""
    image = plane.image
    return {
        "filename": plane.filename,
        "sha256": sha256,
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


def polygons(labels: NDArray[np.int32]) -> list[list[list[list[float]]]]:
    """The rings of each nucleus in (row, column), 0-based at the middle of the first pixel as all coordinates are."""
    return [[(ring[:, ::-1] - 0.5).tolist() for ring in rings] for rings in outline(labels)]


def matches(truth: NDArray[np.int32], labels: NDArray[np.int32]) -> dict[str, Any]:
    """Which nuclei of `labels` are true, which are invented, and the polygons of those of `truth` that were missed.

    Raises
    ------
    FormatError
        Too many were missed to be drawn.
    """
    found = pairs(truth, labels, _MATCHED_IOU)
    is_missed, is_invented = (np.ones(int(some.max(initial=0)) + 1, bool) for some in (truth, labels))
    is_missed[found.truth] = is_missed[0] = is_invented[found.label] = is_invented[0] = False
    if (n_missed := np.count_nonzero(is_missed)) > _MOST_MISSES:
        raise FormatError(f"matches holds {_MOST_MISSES} missed nuclei, and {n_missed} were missed; crop the image.")
    return {
        "thresh": _MATCHED_IOU,
        "hits": [{"label": label, "iou": iou} for label, iou in zip(found.label.tolist(), found.iou.tolist())],
        "inventions": np.flatnonzero(is_invented).tolist(),
        "misses": [{"polygon": rings} for rings in polygons(keep_only(truth, is_missed[1:]))],
    }


def nuclei_rows(table: Table) -> list[dict[str, Any]]:
    """One `Nucleus` a row of the table."""
    columns = {name: values.tolist() for name, values in table.items()}
    box = ("bbox_row_min_px", "bbox_col_min_px", "bbox_row_max_px", "bbox_col_max_px")
    boxes = list(zip(*(columns.pop(name) for name in box), strict=True))
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True), bbox_px=bbox) for row, bbox in zip(rows, boxes, strict=True)]
