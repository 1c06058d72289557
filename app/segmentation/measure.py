"""Labels to a table with one row a nucleus."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from skimage.measure import regionprops_table

from app.segmentation.maps import Maps
from app.segmentation.model_card import Confidence

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
# Probabilities closer to 0 or 1 than this say no more.
_CERTAINTY = 1e-4
_WHOLE_NUMBERS = {"label", "area_px"} | {name for name in _PROPERTIES if name.startswith("bbox")}


def measure(
    labels: NDArray[np.int32],
    image: NDArray[Any],
    maps: Maps,
    confidence: Confidence,
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
    maps, confidence
        What the network said, and how it becomes each nucleus's `confidence`.
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
        grey,
        properties=sorted({theirs.partition("-")[0] for theirs in _PROPERTIES.values()} | {"intensity_mean"}),
    )
    table: Table = {name: measured[theirs] for name, theirs in _PROPERTIES.items()}
    table = {name: values.astype(np.int64) if name in _WHOLE_NUMBERS else values for name, values in table.items()}
    height, width = labels.shape
    return table | {
        "area_um2": table["area_px"] * (np.nan if pixel_size_um is None else pixel_size_um**2),
        "intensity_mean": measured["intensity_mean"],
        "confidence": confidences(labels, maps, confidence),
        "touches_border": (
            (table["bbox_row_min_px"] == 0)
            | (table["bbox_col_min_px"] == 0)
            | (table["bbox_row_max_px"] == height)
            | (table["bbox_col_max_px"] == width)
        ),
    }


def confidences(labels: NDArray[np.int32], maps: Maps, model: Confidence) -> NDArray[np.float64]:
    """How likely each nucleus is a true one, `(N,)` in [0, 1]: a logistic model (Platt 1999) of its features."""
    slopes = (model.probability_slope, model.distance_slope)
    likely: NDArray[np.float64] = expit(model.intercept + confidence_features(labels, maps) @ slopes)
    return likely


def confidence_features(labels: NDArray[np.int32], maps: Maps) -> NDArray[np.float64]:
    """What tells true nuclei from invented ones.

    Returns
    -------
    ndarray of float64, shape (N, 2)
        Log-odds of the mean probability over the nucleus, and its highest inner distance (0 where that is not known).
    """
    n_pixels = np.bincount(labels.ravel())
    sums = np.bincount(labels.ravel(), maps.probability.ravel())
    mean_probability = np.clip(sums[1:] / n_pixels[1:], _CERTAINTY, 1 - _CERTAINTY)
    highest = np.zeros(len(n_pixels), np.float64)
    if maps.distance is not None:
        np.maximum.at(highest, labels.ravel(), maps.distance.ravel())
    return np.stack([logit(mean_probability), highest[1:]], axis=1)


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
