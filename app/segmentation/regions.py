"""The pixels of every nucleus, side by side, so that all nuclei are measured at once."""

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.segmentation.neighbours import BESIDE, COLUMNS, ROWS, dilatable

# What a border pixel adds to the perimeter, by which of its neighbours are border pixels too.
_PERIMETER = np.zeros(50)
_PERIMETER[[5, 7, 15, 17, 25, 27]] = 1
_PERIMETER[[21, 33]] = np.sqrt(2)
_PERIMETER[[13, 23]] = (1 + np.sqrt(2)) / 2


class Regions:
    """The nuclei 1..N of a label image; what a method answers are N numbers, float64 unless it says otherwise.

    Parameters
    ----------
    labels
        `(H, W)`, 0 is background, nuclei are 1..N.

    Attributes
    ----------
    n
        Number of nuclei.
    area_px
        Pixels of each, int64.

    Examples
    --------
    >>> regions = Regions(np.array([[1, 1, 0, 2]], np.int32))
    >>> regions.area_px, regions.sum(regions.values_of(np.array([[5, 6, 7, 8]])))
    (array([2, 1]), array([11.,  8.]))
    """

    def __init__(self, labels: NDArray[np.int32]) -> None:
        self._labels = labels
        self.n = int(labels.max(initial=0))
        pixels = np.flatnonzero(labels > 0)
        # Of so few values a stable sort is a radix sort.
        number = labels.ravel()[pixels].astype(np.min_scalar_type(self.n))
        order = np.argsort(number, kind="stable")
        self._pixels, self._number = pixels[order], number[order]
        self.area_px = np.bincount(self._number, minlength=self.n + 1)[1:]
        self._starts = np.cumsum(self.area_px) - self.area_px
        rows = self._pixels // labels.shape[1]
        self._rows, self._columns = rows.astype(np.float64), (self._pixels - rows * labels.shape[1]).astype(np.float64)

    def values_of(self, channel: NDArray[Any]) -> NDArray[Any]:
        """The pixels of an image `(H, W)` or `(H, W, C)`, nucleus by nucleus, as the other methods take them."""
        return channel.reshape(self._labels.size, *channel.shape[2:])[self._pixels]

    def sum(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Sum."""
        return np.add.reduceat(values, self._starts, dtype=np.float64) if self.n else np.zeros(0)

    def mean(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Mean."""
        return self.sum(values) / self.area_px

    def min(self, values: NDArray[Any]) -> NDArray[Any]:
        """Smallest value, of the values' type."""
        return np.minimum.reduceat(values, self._starts) if self.n else values[:0]

    def max(self, values: NDArray[Any]) -> NDArray[Any]:
        """Largest value, of the values' type."""
        return np.maximum.reduceat(values, self._starts) if self.n else values[:0]

    def std(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Standard deviation, of all pixels and not of a sample."""
        return np.sqrt(self.mean(np.square(values - np.repeat(self.mean(values), self.area_px))))

    def median(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Median."""
        return medians(values, self._number, self.area_px)

    def bounding_box(self) -> tuple[NDArray[np.int64], ...]:
        """First row and column, and those past the last, int64."""
        low, high = ([extreme(axis) for axis in (self._rows, self._columns)] for extreme in (self.min, self.max))
        return tuple(edge.astype(np.int64) for edge in (*low, high[0] + 1, high[1] + 1))

    def centroid(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Row and column."""
        return self.mean(self._rows), self.mean(self._columns)

    def inertia(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Variance of the columns, covariance, variance of the rows: the inertia tensor, each pixel a point."""
        # Counted from each nucleus's first row and column: far from them squares lose their last digits.
        rows, columns = (axis - np.repeat(self.min(axis), self.area_px) for axis in (self._rows, self._columns))
        row, column = self.mean(rows), self.mean(columns)
        return (
            self.mean(columns * columns) - column * column,
            self.mean(rows * columns) - row * column,
            self.mean(rows * rows) - row * row,
        )

    def perimeter(self) -> NDArray[np.float64]:
        """Length of the outline (Benkrid, Crookes & Benkrid 2000), as scikit-image's `perimeter`."""
        padded = np.pad(dilatable(self._labels), 1)
        is_inside = (cv2.erode(padded, BESIDE) == padded) & (cv2.dilate(padded, BESIDE) == padded)
        pixels = np.flatnonzero((padded > 0) & ~is_inside)
        border = np.zeros(padded.size, np.int32)
        own = border[pixels] = padded.ravel()[pixels].astype(np.int32)
        # One for the pixel itself, two for each beside it, ten for each at its corners.
        weights = np.array([1, 2, 10])[np.abs(ROWS) + np.abs(COLUMNS)]
        kind = np.zeros(pixels.size, np.int64)
        for weight, step in zip(weights, ROWS * padded.shape[1] + COLUMNS):
            kind += weight * (border[pixels + step] == own)
        # Without nuclei bincount would give whole numbers.
        return np.bincount(own, _PERIMETER[kind], self.n + 1)[1:].astype(np.float64)

    def convex_area(self) -> NDArray[np.float64]:
        """Pixels whose middles lie in the convex hull of all pixels' middles, counted by Pick's theorem (1899)."""
        if not self.n:
            return np.zeros(0)
        # Nothing between the first and the last pixel of a row can be on the hull.
        rows, columns = (axis.astype(np.int32) for axis in (self._rows, self._columns))
        first = np.flatnonzero(np.diff(rows, prepend=-1) | np.diff(self._number, prepend=0))
        last = np.append(first[1:], rows.size) - 1
        ends = np.stack([first, last], axis=1)
        points = np.stack([columns[ends], rows[ends]], axis=2)
        stops = np.searchsorted(self._number[first], np.arange(1, self.n + 2))
        hulls = [cv2.convexHull(points[start:stop].reshape(-1, 2))[:, 0] for start, stop in pairwise(stops)]
        corners = np.concatenate(hulls, dtype=np.int64)
        ends_of_hulls = np.cumsum([len(hull) for hull in hulls])
        starts = np.append(0, ends_of_hulls[:-1])
        before = np.arange(-1, len(corners) - 1)
        before[starts] = ends_of_hulls - 1
        edges = corners - corners[before]
        on_edge = np.add.reduceat(np.gcd(edges[:, 0], edges[:, 1]), starts)
        # The shoelace formula.
        doubled = corners[:, 0] * corners[before, 1] - corners[:, 1] * corners[before, 0]
        return (np.abs(np.add.reduceat(doubled, starts)) + on_edge) / 2 + 1


def medians(values: NDArray[Any], number: NDArray[Any], n_values: NDArray[np.int64]) -> NDArray[np.float64]:
    """Medians of the values of each number 1..N, of which there are `n_values`, at least one."""
    ordered = values[np.lexsort((values, number))]
    stops = np.cumsum(n_values)
    middles = stops - n_values + (n_values - 1) // 2, stops - n_values + n_values // 2
    low, high = (ordered[middle].astype(np.float64) for middle in middles)
    found: NDArray[np.float64] = low + (high - low) / 2
    return found
