"""Labels to a table with one row a nucleus."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.special import expit, logit

from app.segmentation.maps import Maps
from app.segmentation.model_card import Confidence
from app.segmentation.neighbours import AROUND, BESIDE, dilatable
from app.segmentation.regions import Regions, medians

Table = dict[str, NDArray[Any]]

_EDGES = ("bbox_row_min_px", "bbox_col_min_px", "bbox_row_max_px", "bbox_col_max_px")
_LENGTHS = ("perimeter", "equivalent_diameter", "axis_major", "axis_minor", "nearest_neighbour")
# Blur and an outline that is a pixel off let some of a nucleus's light reach so far.
BACKGROUND_GAP_PX = 2
BACKGROUND_WIDTH_PX = 5
# As far as a neighbour can lie that decides what is around a nucleus.
SURROUNDINGS_PX = 2 * (BACKGROUND_GAP_PX + BACKGROUND_WIDTH_PX)
# Axes that differ by less, as a part of the longer one, differ by rounding.
_ROUNDING = 1e-12
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
    """Measure every nucleus as scikit-image's `regionprops` does, but all at once.

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
        most 1. `solidity` is the part of the pixels in the convex hull. `nearest_neighbour` is the distance between
        centroids, NaN where there is but one nucleus. Intensities are in the image's own units, in colour those of the
        mean over channels; where there are several channels each follows with its number, as in `intensity_mean_c0`.
        `intensity_background` is the median around the nucleus, `BACKGROUND_GAP_PX` away and `BACKGROUND_WIDTH_PX`
        wide, or that of all background where others crowd it; `intensity_integrated` is the sum of what lies above it.
    """
    table = measure_part(labels, image, channels, maps, confidence)
    return complete(table, labels.shape, background_of(labels, image, channels), pixel_size_um)


def background_of(labels: NDArray[Any], image: NDArray[Any], channels: NDArray[Any]) -> Callable[[str], float]:
    """The median of all background, NaN where there is none, by the suffix of `measurable`."""

    def background(suffix: str) -> float:
        outside = measurable(image, channels)[suffix][labels == 0]
        return float(np.median(_grey(outside))) if outside.size else np.nan

    return background


def measure_part(
    labels: NDArray[np.int32], image: NDArray[Any], channels: NDArray[Any], maps: Maps, confidence: Confidence
) -> Table:
    """What a part of an image says of its nuclei, for `complete`; right of those that have `SURROUNDINGS_PX` around.

    Parameters and columns are those of `measure`, places are those in the part. What only the whole image says is NaN.
    """
    regions = Regions(labels)
    table = _shapes(regions)
    unknown = np.full(regions.n, np.nan)
    table |= dict.fromkeys(("nearest_neighbour_px", "area_um2", *(f"{name}_um" for name in _LENGTHS)), unknown)
    table |= _intensities(regions, labels, image, channels)
    table["confidence"] = confidences(regions, maps, confidence)
    return table


def complete(
    table: Table, size_px: tuple[int, ...], background: Callable[[str], float], pixel_size_um: float | None
) -> Table:
    """Add to what parts of an image said what only the whole says; see `measure`.

    Parameters
    ----------
    table
        Rows of `measure_part`, of all parts in the order of the labels, with places in the whole image.
    size_px
        Height and width.
    background
        The median of all background, by the suffix of `measurable`; asked for nuclei that are crowded.
    pixel_size_um
        As for `measure`.
    """
    table = table | {
        "label": np.arange(1, len(table["area_px"]) + 1),
        "nearest_neighbour_px": _nearest_neighbour(table),
    }
    scale_um = np.nan if pixel_size_um is None else pixel_size_um
    table["area_um2"] = table["area_px"] * scale_um**2
    table |= {f"{name}_um": table[f"{name}_px"] * scale_um for name in _LENGTHS}
    for name in [name for name in table if name.startswith("intensity_background")]:
        crowded = np.isnan(table[name])
        if crowded.any():
            suffix = name.removeprefix("intensity_background")
            table[name] = np.where(crowded, background(suffix), table[name])
            above = table[f"intensity_mean{suffix}"] - table[name]
            table[f"intensity_integrated{suffix}"] = above * table["area_px"]
    height, width = size_px
    table["touches_border"] = (
        (table["bbox_row_min_px"] == 0)
        | (table["bbox_col_min_px"] == 0)
        | (table["bbox_row_max_px"] == height)
        | (table["bbox_col_max_px"] == width)
    )
    return table


def measurable(image: NDArray[Any], channels: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What intensities are measured of, by the suffix of their columns."""
    numbered = {f"_c{number}": channels[..., number] for number in range(channels.shape[2])}
    return {"": image} | (numbered if len(numbered) > 1 else {})


def _shapes(regions: Regions) -> Table:
    table: Table = {"label": np.arange(1, regions.n + 1), "area_px": regions.area_px}
    table["centroid_row_px"], table["centroid_col_px"] = regions.centroid()
    table |= dict(zip(_EDGES, regions.bounding_box()))
    table["perimeter_px"] = regions.perimeter()
    table["equivalent_diameter_px"] = np.sqrt(4 * regions.area_px / np.pi)
    # The ellipse with the same inertia: its axes are four times the roots of the tensor's eigenvalues.
    columns, both, rows = regions.inertia()
    mean, half_gap = (columns + rows) / 2, np.hypot((columns - rows) / 2, both)
    major, minor = mean + half_gap, np.maximum(mean - half_gap, 0)
    table["axis_major_px"], table["axis_minor_px"] = 4 * np.sqrt(major), 4 * np.sqrt(minor)
    angle = np.arctan2(2 * both, rows - columns) / 2
    table["orientation_rad"] = np.where(half_gap > _ROUNDING * major, angle, np.pi / 4)
    table["eccentricity"] = np.sqrt(1 - np.divide(minor, major, out=np.ones(regions.n), where=major > 0))
    table["solidity"] = regions.area_px / regions.convex_area()
    with np.errstate(divide="ignore"):
        table["circularity"] = np.minimum(4 * np.pi * table["area_px"] / np.square(table["perimeter_px"]), 1)
    return table


def _nearest_neighbour(table: Table) -> NDArray[np.float64]:
    centroids = np.column_stack([table["centroid_row_px"], table["centroid_col_px"]])
    if len(centroids) < 2:
        return np.full(len(centroids), np.nan)
    # The nearest of all is the nucleus itself.
    distances: NDArray[np.float64] = KDTree(centroids).query(centroids, k=2)[0][:, 1]
    return distances


def _intensities(regions: Regions, labels: NDArray[np.int32], image: NDArray[Any], channels: NDArray[Any]) -> Table:
    around = _Surroundings(labels)
    table: Table = {}
    for suffix, channel in measurable(image, channels).items():
        values = _grey(regions.values_of(channel))
        background = around.median(channel)
        mean = regions.mean(values)
        table |= {
            f"intensity_mean{suffix}": mean,
            f"intensity_median{suffix}": regions.median(values),
            f"intensity_min{suffix}": regions.min(values).astype(np.float64),
            f"intensity_max{suffix}": regions.max(values).astype(np.float64),
            f"intensity_std{suffix}": regions.std(values),
            f"intensity_background{suffix}": background,
            f"intensity_integrated{suffix}": (mean - background) * regions.area_px,
        }
    return table


def _grey(pixels: NDArray[Any]) -> NDArray[Any]:
    """Pixels `(N,)` as they are, colours `(N, 3)` as the mean over channels."""
    return pixels if pixels.ndim == 1 else pixels.mean(axis=1)


class _Surroundings:
    """The pixels around each nucleus, where no other one is nearer; of two that come together the later has it.

    Distances are octagonal (Rosenfeld & Pfaltz 1968): steps to the side, and each second time across.
    """

    def __init__(self, labels: NDArray[np.int32]) -> None:
        self._labels = labels
        n = int(labels.max(initial=0))
        grown = near = dilatable(labels)
        for distance_px in range(1, BACKGROUND_GAP_PX + BACKGROUND_WIDTH_PX + 1):
            around = BESIDE if distance_px % 2 else AROUND
            grown = grown + cv2.dilate(grown, around) * (grown == 0)
            if distance_px == BACKGROUND_GAP_PX:
                near = grown
        self._pixels = np.flatnonzero((grown > 0) & (near == 0))
        # Of whole numbers that are so small lexsort's stable sort is a radix sort.
        self._number = grown.ravel()[self._pixels].astype(np.min_scalar_type(n))
        self._n_pixels = np.bincount(self._number, minlength=n + 1)[1:]

    def median(self, channel: NDArray[Any]) -> NDArray[np.float64]:
        """Of each nucleus's surroundings, NaN where there are none."""
        known = self._n_pixels > 0
        background = np.full(known.size, np.nan)
        values = channel.reshape(self._labels.size, *channel.shape[2:])
        background[known] = medians(_grey(values[self._pixels]), self._number, self._n_pixels[known])
        return background


def confidences(regions: Regions, maps: Maps, model: Confidence) -> NDArray[np.float64]:
    """How likely each nucleus is a true one, `(N,)` in [0, 1]: a logistic model (Platt 1999) of its features."""
    slopes = (model.probability_slope, model.distance_slope)
    likely: NDArray[np.float64] = expit(model.intercept + confidence_features(regions, maps) @ slopes)
    return likely


def confidence_features(regions: Regions, maps: Maps) -> NDArray[np.float64]:
    """What tells true nuclei from invented ones.

    Returns
    -------
    ndarray of float64, shape (N, 2)
        Log-odds of the mean probability over the nucleus, and its highest inner distance (0 where that is not known).
    """
    mean_probability = regions.mean(regions.values_of(maps.probability))
    highest = np.zeros(regions.n) if maps.distance is None else regions.max(regions.values_of(maps.distance))
    return np.stack([logit(np.clip(mean_probability, _CERTAINTY, 1 - _CERTAINTY)), highest], axis=1)


def summarise(table: Table, n_pixels: int, pixel_size_um: float | None) -> dict[str, Any]:
    """The areas of all nuclei of an image of so many pixels, and how densely they lie.

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
        q25, median, q75 = np.quantile(areas, (0.25, 0.5, 0.75))
        spread = areas.mean(), median, areas.std(), areas.min(), areas.max(), q25, q75
        # As in scipy.stats, which checks for longer than it computes.
        mad = np.median(np.abs(areas - median))
        statistics = dict(zip(_STATISTICS, map(float, (*spread, mad)), strict=True))
    area_mm2 = None if pixel_size_um is None else n_pixels * (pixel_size_um / 1000) ** 2
    return {
        "count": len(areas),
        "area_px": statistics,
        "foreground_fraction": float(areas.sum() / n_pixels),
        "density_per_mm2": None if area_mm2 is None else len(areas) / area_mm2,
    }


_STATISTICS = ("mean", "median", "std", "min", "max", "q25", "q75", "mad")
