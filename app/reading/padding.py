"""Which pixels of an image were never imaged: what stitching and registering programs put around and between tiles."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from app.reading.percentiles import Distribution

# From a corner on, so much of an edge has one value. Smaller images have no padding.
_EDGE_PX = 16
# Of the smallest rectangle around what was imaged: what a mere border leaves of its value inside, and the most that
# may be missing of a mosaic.
_LARGEST_SEAM_PART = 0.01
_LEAST_MISSING_PART = 0.005
_LARGEST_MISSING_PART = 0.5
# So many times what a quarter of what was imaged spans, the background mostly.
_LEAST_GAP = 2.0
# Of the padding, what lies at the left and right ends of rows; saturated nuclei lie elsewhere.
_LEAST_PART_AT_ENDS = 0.9
# What is narrower is no padding; beyond the image there is enough of it.
_SQUARE = np.ones((3, 3), np.uint8)
_RING_PX = 3


@dataclass(frozen=True)
class Padding:
    """Pixels that hold no light.

    Attributes
    ----------
    value
        Theirs, in all channels.
    part
        Of all pixels.
    content
        Rows and columns of the smallest rectangle around all other pixels.
    """

    value: float
    part: float
    content: tuple[slice, slice]

    def covers(self, image: NDArray[Any]) -> NDArray[np.bool_]:
        """Which pixels of an image, or of a part of one, `(H, W)` or `(H, W, C)`, are padding; bool `(H, W)`."""
        return _equal(image, self.value)


class PaddingSearch:
    """Looks for padding of a value in an image `(H, W)` or `(H, W, C)` that is seen some rows at a time."""

    def __init__(self, value: float) -> None:
        self._value = value
        self._n_pixels = 0
        self._n_at_ends = 0
        self._rows: list[NDArray[np.bool_]] = []
        self._columns = np.zeros(1, bool)

    def covers(self, image: NDArray[Any]) -> NDArray[np.bool_]:
        """Which pixels of a part of the image have the value, bool `(H, W)`."""
        return _equal(image, self._value)

    def look(self, rows: NDArray[Any]) -> Self:
        """Take the next rows, `(N, W)` or `(N, W, C)`, into account."""
        is_padding = self.covers(rows)
        is_full = np.asarray(is_padding.all(axis=1))
        at_ends = is_padding.argmin(axis=1) + is_padding[:, ::-1].argmin(axis=1)
        self._n_at_ends += int(np.where(is_full, is_padding.shape[1], at_ends).sum())
        self._n_pixels += int(np.count_nonzero(is_padding))
        self._rows.append(~is_full)
        self._columns = self._columns | ~is_padding.all(axis=0)
        return self

    def found(self, distribution: Distribution) -> tuple[Padding | None, Distribution]:
        """The padding, if there is any, and how the values of the other pixels are distributed.

        A border around a rectangle is padding. So is what is missing of a mosaic or of a turned image: a value that the
        background of the rest cannot have, mostly at the ends of rows.

        Parameters
        ----------
        distribution
            Of all pixels and channels.
        """
        rows, columns = np.flatnonzero(np.concatenate(self._rows)), np.flatnonzero(self._columns)
        n_all = self._columns.size * sum(band.size for band in self._rows)
        if not rows.size:
            return None, distribution
        content = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        n_inside = (content[0].stop - content[0].start) * (content[1].stop - content[1].start)
        missing_part = 1 - (n_all - self._n_pixels) / n_inside
        rest = distribution.without(self._value, self._n_pixels * (distribution.n_values // n_all))
        is_border = n_inside < n_all and missing_part < _LARGEST_SEAM_PART
        is_missing = (
            _LEAST_MISSING_PART < missing_part < _LARGEST_MISSING_PART
            and self._n_at_ends >= _LEAST_PART_AT_ENDS * self._n_pixels
            and _is_apart(self._value, rest)
        )
        if rest.lowest < rest.highest and (is_border or is_missing):
            return Padding(self._value, self._n_pixels / n_all, content), rest
        return None, distribution


def at_edge(image: NDArray[Any], padding: Padding | None) -> NDArray[np.bool_]:
    """Which pixels lie at the edge of what was imaged: those at the image's edge, and those beside padding.

    Parameters
    ----------
    image
        `(H, W)` or `(H, W, C)`; of a part of one the answer is right where three pixels more are shown around, or where
        the whole ends.
    padding
        Of the whole image. What only has its value, and is less than three pixels wide, is none.

    Returns
    -------
    ndarray of bool, shape (H, W)
    """
    outside = np.zeros(image.shape[:2], bool) if padding is None else padding.covers(image)
    ringed = np.pad(outside, _RING_PX, constant_values=True).view(np.uint8)
    thick = cv2.morphologyEx(ringed, cv2.MORPH_OPEN, _SQUARE)
    beside = cv2.dilate(thick, _SQUARE)[_RING_PX:-_RING_PX, _RING_PX:-_RING_PX]
    return np.asarray(beside, bool)


def find_padding(image: NDArray[Any], distribution: Distribution) -> tuple[Padding | None, Distribution]:
    """The padding of an image `(H, W)` or `(H, W, C)`, if any, and how its other pixels are distributed."""
    search = padding_search(image.shape[:2], lambda rows, columns: image[rows, columns])
    return search.look(image).found(distribution) if search else (None, distribution)


def padding_search(size_px: tuple[int, ...], look: Callable[[slice, slice], NDArray[Any]]) -> PaddingSearch | None:
    """A search for the value that most edges have at an image's corners, by a look at them; None where none has one."""
    if min(size_px) < _EDGE_PX:
        return None
    values = []
    for axis, across in ((0, 1), (1, 0)):
        for start, edge in product((0, size_px[axis] - _EDGE_PX), (0, size_px[across] - 1)):
            window = slice(start, start + _EDGE_PX), slice(edge, edge + 1)
            pixels = look(window[axis], window[across])
            if (pixels == pixels.flat[0]).all():
                values.append(pixels.flat[0].item())
    return PaddingSearch(max(values, key=values.count)) if values else None


def _is_apart(value: float, rest: Distribution) -> bool:
    """Whether a value cannot be the background of the others.

    What was imaged has a background of its own, many pixels of much the same value. Where a program has set the
    background to 0, all others are nuclei, which differ.
    """
    low, quarter, median, high = rest.percentiles((1, 25, 50, 99.8))
    if value < low:
        return bool(low - value > _LEAST_GAP * (quarter - low))
    return bool(value > high and median - low < high - median)


def _equal(image: NDArray[Any], value: float) -> NDArray[np.bool_]:
    is_value: NDArray[np.bool_] = image == value
    return is_value if image.ndim == 2 else np.asarray(is_value.all(axis=2))
