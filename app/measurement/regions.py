"""The pixels of every nucleus, side by side, so that all nuclei are measured at once."""

from functools import cached_property
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.segmentation.neighbours import BESIDE, COLUMNS, ROWS, dilatable

# A border pixel's kind counts its neighbours on the border: two for each beside it, ten for each at its corners, one
# for itself, and _ALONG_ROW for each beside it in its row.
_ALONG_ROW = 50
_STRAIGHT, _DIAGONAL, _MIXED = [5, 7, 15, 17, 25, 27], [21, 33], [13, 23]
_WEIGHTS = (np.array([1, 2, 10])[np.abs(ROWS) + np.abs(COLUMNS)] + _ALONG_ROW * ((ROWS == 0) & (COLUMNS != 0))).astype(
    np.uint8
)
_ROUNDING_PX = 1e-8


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
        """The pixels of an image `(H, W)`, nucleus by nucleus, as the other methods take them."""
        return channel.reshape(-1).take(self._pixels)

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

    def perimeter(self, row: float = 1, column: float = 1) -> NDArray[np.float64]:
        """Length of the outline (Benkrid, Crookes & Benkrid 2000), as scikit-image's `perimeter`.

        Parameters
        ----------
        row, column
            How far one row lies from the next, and one column.
        """
        own, kind = self._border
        # Without nuclei bincount would give whole numbers.
        return np.bincount(own, _step_lengths(row, column)[kind], self.n + 1)[1:].astype(np.float64)

    @cached_property
    def _border(self) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Of each pixel on a nucleus's border that nucleus, and the pixel's kind."""
        padded = np.pad(dilatable(self._labels), 1)
        is_inside = (cv2.erode(padded, BESIDE) == padded) & (cv2.dilate(padded, BESIDE) == padded)
        pixels = np.flatnonzero((padded > 0) & ~is_inside)
        border = np.zeros(padded.size, padded.dtype)
        own = border[pixels] = padded.ravel()[pixels]
        # Small numbers, which are soon added up.
        kind = np.zeros(pixels.size, np.uint8)
        for weight, step in zip(_WEIGHTS, ROWS * padded.shape[1] + COLUMNS):
            kind += weight * (border.take(pixels + step) == own)
        return own.astype(np.int32), kind

    def convex_area(self) -> NDArray[np.float64]:
        """Pixels whose middles lie in or on the convex hull of the middles of all pixels' edges.

        As scikit-image's `area_convex`, for sides of up to a million pixels.
        """
        if not self.n:
            return np.zeros(0)
        # Nothing between the first and the last pixel of a row can be on the hull.
        rows, columns = self._rows.astype(np.int32), self._columns.astype(np.int32)
        is_next = (rows[1:] != rows[:-1]) | (self._number[1:] != self._number[:-1])
        first = np.append(0, np.flatnonzero(is_next) + 1)
        last = np.append(first[1:], rows.size) - 1
        points = np.stack([columns[first], rows[first], columns[last], rows[last]], axis=1).reshape(-1, 2)
        bounds = np.searchsorted(self._number[first], np.arange(1, self.n + 2))
        hulls = [cv2.convexHull(points[start:stop]) for start, stop in pairwise((2 * bounds).tolist())]
        corners = np.concatenate(hulls).reshape(-1, 2)
        n_corners = np.array([len(hull) for hull in hulls])
        stops = np.cumsum(n_corners)
        before = np.arange(-1, len(corners) - 1)
        before[stops - n_corners] = stops - 1
        # Hulls run with the hands of a clock: down on the right, where the last pixels of the rows are, and up again.
        step = corners[:, 1] - corners[before, 1]
        top, bottom = points[2 * bounds[:-1] + 1], points[2 * bounds[1:] - 2]
        height = bottom[:, 1] - top[:, 1] + 1
        # All rows of all hulls, one behind the other.
        starts = np.cumsum(height) - height
        row = corners[:, 1] + np.repeat(starts - top[:, 1], n_corners)
        sides = [(top, starts, step > 0, 1), (bottom, starts + height - 1, step < 0, -1)]
        reached = [
            _beside_rows(np.append(row[is_side], ends), sign * np.append(corners[is_side, 0], place[:, 0]), starts)
            for place, ends, is_side, sign in sides
        ]
        return np.add.reduceat(reached[0] + reached[1] + 1, starts)


def _beside_rows(row: NDArray[np.int64], column: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The last column in each row whose middle lies in or on a hull that is given by its corners on one side.

    Parameters
    ----------
    row, column
        Corners of the hull of pixels' middles, all hulls' rows being one behind the other.
    starts
        Where each hull's rows begin.
    """
    order = np.argsort(row)
    row = row[order]
    edge = np.interp(np.arange(row[-1] + 1), row, column[order])
    # The edges' middles lie half a column farther, or half a row, where the hull may reach farther.
    between = (edge[1:] + edge[:-1]) / 2
    between[starts[1:] - 1] = -np.inf
    farthest = edge + 0.5
    np.maximum(farthest[1:], between, out=farthest[1:])
    np.maximum(farthest[:-1], between, out=farthest[:-1])
    # Places between columns are never so close to them.
    return np.floor(farthest + _ROUNDING_PX)


def _step_lengths(row: float, column: float) -> NDArray[np.float64]:
    """What a border pixel adds to the perimeter, by its kind: half of the two steps that the outline takes there."""
    n_along_row = np.arange(3)[:, np.newaxis]
    n_beside = np.maximum((np.arange(_ALONG_ROW) - 1) % 10 // 2, 1)
    straight = (n_along_row * column + (n_beside - n_along_row) * row) / n_beside
    diagonal = np.hypot(row, column)
    lengths = np.zeros((3, _ALONG_ROW))
    lengths[:, _STRAIGHT] = straight[:, _STRAIGHT]
    lengths[:, _DIAGONAL] = diagonal
    lengths[:, _MIXED] = (straight[:, _MIXED] + diagonal) / 2
    return lengths.ravel()


def medians(values: NDArray[Any], number: NDArray[Any], n_values: NDArray[np.int64]) -> NDArray[np.float64]:
    """Medians of the values of each number 1..N, of which there are `n_values`, at least one."""
    if values.dtype.kind == "u" and max(values.itemsize, number.itemsize) <= 2:
        # Both fit into one number, and one sort of these is faster.
        ordered = np.sort(number.astype(np.uint32) << 16 | values) & 0xFFFF
    else:
        ordered = values[np.lexsort((values, number))]
    stops = np.cumsum(n_values)
    middles = stops - n_values + (n_values - 1) // 2, stops - n_values + n_values // 2
    low, high = (ordered[middle].astype(np.float64) for middle in middles)
    found: NDArray[np.float64] = low + (high - low) / 2
    return found
