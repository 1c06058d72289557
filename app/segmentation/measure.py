"""Labels to a table with one row a nucleus."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops_table

Table = dict[str, NDArray[Any]]

# Our column names, in the table's order, and scikit-image's; lengths and areas are in pixels.
_PROPERTIES = {
    "label": "label",
    "area_px": "area",
    "centroid_row_px": "centroid-0",
    "centroid_col_px": "centroid-1",
    "bbox_row_min_px": "bbox-0",
    "bbox_col_min_px": "bbox-1",
    "bbox_row_max_px": "bbox-2",
    "bbox_col_max_px": "bbox-3",
    "perimeter_px": "perimeter",
    "equivalent_diameter_px": "equivalent_diameter_area",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
}
_WHOLE_NUMBERS = {"label", "area_px"} | {name for name in _PROPERTIES if name.startswith("bbox")}


def measure(
    labels: NDArray[np.int32],
    image: NDArray[Any],
    probability: NDArray[np.float32],
    pixel_size_um: float | None,
) -> Table:
    """Measure every nucleus with scikit-image's `regionprops`.

    Parameters
    ----------
    labels
        `(H, W)`, 0 is background, nuclei are 1..N.
    image
        The image as uploaded, `(H, W)` or `(H, W, 3)`; intensities are in its own units, colours as the mean over
        channels.
    probability
        `(H, W)`; its mean over a nucleus is the nucleus's `confidence`.
    pixel_size_um
        Edge length of a pixel; without it `area_um2` is NaN.

    Returns
    -------
    Table
        Columns of N values each, rows in the order of the labels. Boxes are half-open.
    """
    grey = image if image.ndim == 2 else image.mean(axis=2)
    measured = regionprops_table(
        labels,
        np.dstack([grey, probability]),
        properties=sorted({theirs.partition("-")[0] for theirs in _PROPERTIES.values()} | {"intensity_mean"}),
    )
    table: Table = {name: measured[theirs] for name, theirs in _PROPERTIES.items()}
    table = {name: values.astype(np.int64) if name in _WHOLE_NUMBERS else values for name, values in table.items()}
    height, width = labels.shape
    return table | {
        "area_um2": table["area_px"] * (np.nan if pixel_size_um is None else pixel_size_um**2),
        "intensity_mean": measured["intensity_mean-0"],
        "confidence": measured["intensity_mean-1"],
        "touches_border": (
            (table["bbox_row_min_px"] == 0)
            | (table["bbox_col_min_px"] == 0)
            | (table["bbox_row_max_px"] == height)
            | (table["bbox_col_max_px"] == width)
        ),
    }


def summarise(table: Table, labels: NDArray[np.int32]) -> dict[str, Any]:
    """Mean, median, standard deviation, minimum and maximum of the areas, and the part of the image that is nucleus.

    Returns
    -------
    dict
        `area_px` with `mean`, `median`, `std`, `min`, `max` (None without nuclei); `foreground_fraction` in [0, 1].
    """
    areas = table["area_px"]
    return {
        "area_px": {
            name: float(getattr(np, name)(areas)) if areas.size else None
            for name in ("mean", "median", "std", "min", "max")
        },
        "foreground_fraction": float(np.count_nonzero(labels) / labels.size),
    }
