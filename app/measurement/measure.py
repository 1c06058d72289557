"""Labels to a table with one row a nucleus."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.special import expit, logit

from app.inference.model_card import Confidence
from app.inference.predictions import Predictions
from app.measurement.intensities import Background, intensities, subtract_background
from app.measurement.intensities import background as background_of
from app.measurement.regions import Regions
from app.reading.padding import Padding, at_edge
from app.reading.stack import PixelSize

Table = dict[str, NDArray[Any]]

_EDGES = ("bbox_row_min_px", "bbox_col_min_px", "bbox_row_max_px", "bbox_col_max_px")
_LENGTHS = ("perimeter", "equivalent_diameter", "axis_major", "axis_minor")
# Axes that differ by less, as a part of the longer one, differ by rounding.
_ROUNDING = 1e-12
# Probabilities closer to 0 or 1 than this say no more.
_CERTAINTY = 1e-4


class Measurements(NamedTuple):
    """What is measured in an image.

    Attributes
    ----------
    nuclei
        One row a nucleus.
    background
        See `app.measurement.intensities.background`.
    """

    nuclei: Table
    background: Background


def measure(
    labels: NDArray[np.int32],
    image: NDArray[Any],
    channels: NDArray[Any],
    predictions: Predictions | None,
    confidence: Confidence,
    pixel_size: PixelSize | None,
    padding: Padding | None = None,
) -> Measurements:
    """Measure every nucleus as scikit-image's `regionprops` does, but all at once.

    `docs/measurements.md` says what each column is, and how it differs from other programs'.

    Parameters
    ----------
    labels
        `(H, W)`, 0 is background, nuclei are 1..N.
    image
        What was segmented, `(H, W)` or colour `(H, W, 3)`.
    channels
        All channels of the file, `(H, W, C)`.
    predictions, confidence
        What the network said, and how it becomes each nucleus's `confidence`; NaN without it.
    pixel_size
        Without it the columns in micrometres are NaN. With it they, the orientation, the eccentricity and the
        circularity are those of the nucleus and not of its pixels, which may be longer than wide.
    padding
        What of the image was never imaged, and is no background.

    Returns
    -------
    Measurements
        Columns of N values each, rows in the order of the labels. Boxes are half-open. Intensities are in the image's
        own units, in colour those of the mean over channels; where there are several channels each follows with its
        number, as in `intensity_mean_c0`.
    """
    background = background_of(labels, image, channels, padding)
    border = at_edge(image, padding)
    part = measure_part(labels, image, channels, predictions, confidence, pixel_size, padding, border)
    return Measurements(complete(part, background, pixel_size), background)


def measure_part(
    labels: NDArray[np.int32],
    image: NDArray[Any],
    channels: NDArray[Any],
    predictions: Predictions | None,
    confidence: Confidence,
    pixel_size: PixelSize | None,
    padding: Padding | None,
    border: NDArray[np.bool_],
) -> Table:
    """What a part of an image says of its nuclei, for `complete`; right of those that have `SURROUNDINGS_PX` around.

    Parameters and columns are those of `measure`, places are those in the part; `border`, `(H, W)`, is where the part
    has the edge of what was imaged (see `app.reading.padding.at_edge`). What only the whole image says is NaN.
    """
    regions = Regions(labels)
    table = _shapes(regions, pixel_size)
    table |= intensities(regions, labels, image, channels, padding)
    unknown = np.full(regions.n, np.nan)
    table["confidence"] = unknown if predictions is None else confidences(regions, predictions, confidence)
    table["touches_border"] = np.bincount(labels[border], minlength=regions.n + 1)[1:] > 0
    return table


def complete(table: Table, background: Background, pixel_size: PixelSize | None) -> Table:
    """Add to what parts of an image said what only the whole says; see `measure`.

    Parameters
    ----------
    table
        Rows of `measure_part`, of all parts in the order of the labels, with places in the whole image.
    background
        The background of nuclei that are crowded; see `app.measurement.intensities.background`.
    pixel_size
        As for `measure`.
    """
    table = table | {"label": np.arange(1, len(table["area_px"]) + 1), "nearest_neighbour_px": _nearest(table, 1, 1)}
    if pixel_size is not None:
        side_um = pixel_size.side_um
        nearest_um = table["nearest_neighbour_px"] * side_um if side_um else _nearest(table, *pixel_size)
        table["nearest_neighbour_um"] = nearest_um
    for suffix, median in background.medians.items():
        column = table[f"intensity_background{suffix}"]
        table[f"intensity_background{suffix}"] = np.where(np.isnan(column), median, column)
        subtract_background(table, suffix, table["area_px"])
    return table


def _shapes(regions: Regions, pixel_size: PixelSize | None) -> Table:
    table: Table = {"label": np.arange(1, regions.n + 1), "area_px": regions.area_px}
    table["centroid_row_px"], table["centroid_col_px"] = regions.centroid()
    table |= dict(zip(_EDGES, regions.bounding_box()))
    unknown = np.full(regions.n, np.nan)
    inertia = regions.inertia()
    in_px = _shape(regions, inertia, 1, 1)
    shape = in_px if pixel_size is None else _shape(regions, inertia, *pixel_size)
    in_um = dict.fromkeys(in_px, unknown) if pixel_size is None else shape
    table |= {f"{name}_px": in_px[name] for name in _LENGTHS}
    table["orientation_rad"], table["eccentricity"] = shape["orientation"], shape["eccentricity"]
    table["solidity"] = regions.area_px / regions.convex_area()
    table["circularity"] = shape["circularity"]
    table |= {"nearest_neighbour_px": unknown, "area_um2": in_um["area"]}
    return table | {f"{name}_um": in_um[name] for name in _LENGTHS} | {"nearest_neighbour_um": unknown}


def _shape(regions: Regions, inertia: tuple[NDArray[np.float64], ...], row: float, column: float) -> Table:
    """What depends on how far one row or column lies from the next."""
    shape: Table = {"area": regions.area_px * (row * column), "perimeter": regions.perimeter(row, column)}
    shape["equivalent_diameter"] = np.sqrt(4 / np.pi * shape["area"])
    # The ellipse with the same inertia: its axes are four times the roots of the tensor's eigenvalues.
    columns, both, rows = inertia[0] * column**2, inertia[1] * (row * column), inertia[2] * row**2
    mean, half_gap = (columns + rows) / 2, np.hypot((columns - rows) / 2, both)
    major, minor = mean + half_gap, np.maximum(mean - half_gap, 0)
    shape["axis_major"], shape["axis_minor"] = 4 * np.sqrt(major), 4 * np.sqrt(minor)
    angle = np.arctan2(2 * both, rows - columns) / 2
    shape["orientation"] = np.where(half_gap > _ROUNDING * major, angle, np.pi / 4)
    shape["eccentricity"] = np.sqrt(1 - np.divide(minor, major, out=np.ones(regions.n), where=major > 0))
    with np.errstate(divide="ignore"):
        shape["circularity"] = np.minimum(4 * np.pi * shape["area"] / np.square(shape["perimeter"]), 1)
    return shape


def _nearest(table: Table, row: float, column: float) -> NDArray[np.float64]:
    """From each centroid to the one nearest to it, NaN where there is but one."""
    centroids = np.column_stack([table["centroid_row_px"] * row, table["centroid_col_px"] * column])
    if len(centroids) < 2:
        return np.full(len(centroids), np.nan)
    # The nearest of all is the nucleus itself.
    distances: NDArray[np.float64] = KDTree(centroids).query(centroids, k=2)[0][:, 1]
    return distances


def confidences(regions: Regions, predictions: Predictions, model: Confidence) -> NDArray[np.float64]:
    """How likely each nucleus is a true one, `(N,)` in [0, 1]: a logistic model (Platt 1999) of its features."""
    slopes = (model.probability_slope, model.distance_slope)
    likely: NDArray[np.float64] = expit(model.intercept + confidence_features(regions, predictions) @ slopes)
    return likely


def confidence_features(regions: Regions, predictions: Predictions) -> NDArray[np.float64]:
    """What tells true nuclei from invented ones.

    Returns
    -------
    ndarray of float64, shape (N, 2)
        Log-odds of the mean probability over the nucleus, and its highest inner distance (0 where that is not known).
    """
    mean_probability = regions.mean(regions.values_of(predictions.probability))
    highest = (
        np.zeros(regions.n) if predictions.distance is None else regions.max(regions.values_of(predictions.distance))
    )
    return np.stack([logit(np.clip(mean_probability, _CERTAINTY, 1 - _CERTAINTY)), highest], axis=1)
