"""Labels to a table with one row a nucleus."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.special import expit, logit
from scipy.stats import median_abs_deviation
from skimage.measure import regionprops_table

from app.segmentation.maps import Maps
from app.segmentation.model_card import Confidence

Table = dict[str, NDArray[Any]]

# Our column names, in the table's order, and scikit-image's; lengths and areas are in pixels.
_SHAPES = {
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
    "axis_major_px": "axis_major_length",
    "axis_minor_px": "axis_minor_length",
    "orientation_rad": "orientation",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
}
_INTENSITIES = ("intensity_mean", "intensity_median", "intensity_min", "intensity_max", "intensity_std")
_LENGTHS = ("perimeter", "equivalent_diameter", "axis_major", "axis_minor", "nearest_neighbour")
_WHOLE_NUMBERS = {"label", "area_px"} | {name for name in _SHAPES if name.startswith("bbox")}
# Blur and an outline that is a pixel off let some of a nucleus's light reach so far.
BACKGROUND_GAP_PX = 2
BACKGROUND_WIDTH_PX = 5
# Probabilities closer to 0 or 1 than this say no more.
_CERTAINTY = 1e-4


def measure(
    labels: NDArray[np.int32],
    image: NDArray[Any],
    channels: NDArray[Any],
    maps: Maps,
    confidence: Confidence,
    pixel_size_um: float | None,
) -> Table:
    """Measure every nucleus, its shape and intensities with scikit-image's `regionprops`.

    Parameters
    ----------
    labels
        `(H, W)`, 0 is background, nuclei are 1..N.
    image
        What was segmented, `(H, W)` or colour `(H, W, 3)`.
    channels
        All channels of the file, `(H, W, C)`.
    maps, confidence
        What the network said, and how it becomes each nucleus's `confidence`.
    pixel_size_um
        Edge length of a pixel; without it the columns in micrometres are NaN.

    Returns
    -------
    Table
        Columns of N values each, rows in the order of the labels. Boxes are half-open. `orientation_rad` is the angle
        between the rows' axis and the longer axis, from -pi/2 to pi/2. `circularity` is 4 pi area / perimeter^2, at
        most 1. `nearest_neighbour` is the distance between centroids, NaN where there is but one nucleus. Intensities
        are in the image's own units, in colour those of the mean over channels; where there are several channels each
        follows with its number, as in `intensity_mean_c0`. `intensity_background` is the median around the nucleus,
        `BACKGROUND_GAP_PX` away and `BACKGROUND_WIDTH_PX` wide, or that of all background where others crowd it;
        `intensity_integrated` is the sum of what lies above it.
    """
    measured = regionprops_table(labels, properties=sorted({theirs.partition("-")[0] for theirs in _SHAPES.values()}))
    table: Table = {
        ours: measured[theirs].astype(np.int64) if ours in _WHOLE_NUMBERS else measured[theirs]
        for ours, theirs in _SHAPES.items()
    }
    with np.errstate(divide="ignore"):
        table["circularity"] = np.minimum(4 * np.pi * table["area_px"] / np.square(table["perimeter_px"]), 1)
    table["nearest_neighbour_px"] = _nearest_neighbour(table)
    scale_um = np.nan if pixel_size_um is None else pixel_size_um
    table["area_um2"] = table["area_px"] * scale_um**2
    table |= {f"{name}_um": table[f"{name}_px"] * scale_um for name in _LENGTHS}
    table |= _intensities(labels, image, channels, table["area_px"])
    height, width = labels.shape
    table["confidence"] = confidences(labels, maps, confidence)
    table["touches_border"] = (
        (table["bbox_row_min_px"] == 0)
        | (table["bbox_col_min_px"] == 0)
        | (table["bbox_row_max_px"] == height)
        | (table["bbox_col_max_px"] == width)
    )
    return table


def _nearest_neighbour(table: Table) -> NDArray[np.float64]:
    centroids = np.column_stack([table["centroid_row_px"], table["centroid_col_px"]])
    if len(centroids) < 2:
        return np.full(len(centroids), np.nan)
    # The nearest of all is the nucleus itself.
    distances: NDArray[np.float64] = KDTree(centroids).query(centroids, k=2)[0][:, 1]
    return distances


def _intensities(
    labels: NDArray[np.int32], image: NDArray[Any], channels: NDArray[Any], area_px: NDArray[np.int64]
) -> Table:
    measurable = {"": image if image.ndim == 2 else image.mean(axis=2)}
    if channels.shape[2] > 1:
        measurable |= {f"_c{number}": channels[..., number] for number in range(channels.shape[2])}
    around = _surroundings(labels)
    table: Table = {}
    for suffix, channel in measurable.items():
        measured = regionprops_table(labels, channel, properties=_INTENSITIES)
        table |= {f"{name}{suffix}": measured[name].astype(np.float64) for name in _INTENSITIES}
        background = _background(labels, channel, around)
        table[f"intensity_background{suffix}"] = background
        table[f"intensity_integrated{suffix}"] = (measured["intensity_mean"] - background) * area_px
    return table


def _surroundings(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """`(H, W)`: each nucleus's number around it, where no other one is nearer."""
    if not labels.any():
        return labels
    gap_px, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    is_around = (gap_px > BACKGROUND_GAP_PX) & (gap_px <= BACKGROUND_GAP_PX + BACKGROUND_WIDTH_PX)
    around: NDArray[np.int32] = np.where(is_around, labels[tuple(nearest)], 0)
    return around


def _background(labels: NDArray[np.int32], channel: NDArray[Any], around: NDArray[np.int32]) -> NDArray[np.float64]:
    n_nuclei = int(labels.max(initial=0))
    everywhere = float(np.median(channel[labels == 0])) if (labels == 0).any() else np.nan
    background = np.full(n_nuclei, everywhere)
    known = np.unique(around[around > 0])
    if known.size:
        background[known - 1] = ndimage.median(channel, around, known)
    return background


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


def summarise(table: Table, labels: NDArray[np.int32], pixel_size_um: float | None) -> dict[str, Any]:
    """The areas of all nuclei, and how densely they lie.

    Returns
    -------
    dict
        `count`; `area_px` with `mean`, `median`, `std`, `min`, `max`, the quartiles `q25` and `q75`, and `mad`, the
        median absolute deviation from the median (None without nuclei); `foreground_fraction` in [0, 1];
        `density_per_mm2` (None without a pixel size).
    """
    areas = table["area_px"]
    statistics: dict[str, float | None] = dict.fromkeys(_STATISTICS)
    if areas.size:
        statistics = {name: float(statistic(areas)) for name, statistic in _STATISTICS.items()}
    area_mm2 = None if pixel_size_um is None else labels.size * (pixel_size_um / 1000) ** 2
    return {
        "count": len(areas),
        "area_px": statistics,
        "foreground_fraction": float(np.count_nonzero(labels) / labels.size),
        "density_per_mm2": None if area_mm2 is None else len(areas) / area_mm2,
    }


_STATISTICS: dict[str, Callable[[NDArray[Any]], Any]] = {
    "mean": np.mean,
    "median": np.median,
    "std": np.std,
    "min": np.min,
    "max": np.max,
    "q25": partial(np.quantile, q=0.25),
    "q75": partial(np.quantile, q=0.75),
    "mad": median_abs_deviation,
}
