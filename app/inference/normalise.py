"""Image to the network's input: three channels, the image's own percentiles at 0 and 1."""

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.reading.brightness import largest_ordinary
from app.reading.memmap import Window
from app.reading.padding import Padding, find_padding
from app.reading.percentiles import Distribution


class Limits(NamedTuple):
    """How an image is stretched.

    Attributes
    ----------
    low, high
        What becomes 0 and 1.
    has_outliers
        Whether more than the percentile leaves out is brighter.
    padding
        What was never imaged and becomes the median.
    median
        That of the rest, stretched.
    """

    low: np.float32
    high: np.float32
    has_outliers: bool
    padding: Padding | None
    median: np.float32

    def content(self, size_px: tuple[int, ...]) -> tuple[slice, slice]:
        """Rows and columns of an image of this height and width beyond which all is padding."""
        return self.padding.content if self.padding else (slice(0, size_px[0]), slice(0, size_px[1]))


def normalise(image: NDArray[Any], low_percentile: float, high_percentile: float) -> NDArray[np.float32]:
    """Stretch an image between two percentiles of the whole image; see `limits`.

    The percentiles are taken over all channels together, so that a stain keeps its colour. Grey becomes three equal
    channels. A constant image becomes 0.

    Parameters
    ----------
    image
        `(H, W)` or `(H, W, 3)`, any real type.
    low_percentile, high_percentile
        The percentiles that become 0 and 1; what lies beyond them is clipped.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        Values in [0, 1], not to be written to.

    Examples
    --------
    >>> normalise(np.array([[10, 20, 30]], np.uint16), 0, 100)[0, :, 0]
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return stretch(image, limits_of(image, low_percentile, high_percentile))


def limits_of(image: NDArray[Any], low_percentile: float, high_percentile: float) -> Limits:
    """The limits of an image in memory; see `normalise`."""
    padding, distribution = find_padding(image, Distribution.of(image))
    return limits(distribution, padding, low_percentile, high_percentile)


def limits(
    distribution: Distribution, padding: Padding | None, low_percentile: float, high_percentile: float
) -> Limits:
    """The limits for all pixels of an image, whose values without its padding are distributed like this.

    Where the percentiles are equal, minimum and maximum take their place. What is much brighter than the rest of the
    foreground does not set the range; see `app.reading.brightness.largest_ordinary`.
    """
    low, median, high = distribution.percentiles((low_percentile, 50, high_percentile))
    if not np.float32(high) > np.float32(low):
        # Nuclei that cover less than the percentiles leave out are still contrast.
        low, high = distribution.percentiles((0, 100))
    brightest = largest_ordinary(distribution)
    has_outliers = bool(high > brightest)
    high = min(high, brightest)
    relative = (median - low) / (high - low) if high > low else 0
    return Limits(np.float32(low), np.float32(high), has_outliers, padding, np.float32(np.clip(relative, 0, 1)))


def stretch(image: NDArray[Any], limits: Limits) -> NDArray[np.float32]:
    """An image, or a part of one, within its limits; see `normalise`."""
    if limits.high > limits.low:
        stretched = image.astype(np.float32)
        stretched -= limits.low
        stretched /= limits.high - limits.low
        np.clip(stretched, 0, 1, out=stretched)
    else:
        stretched = np.zeros(image.shape, np.float32)
    if limits.padding is not None:
        stretched[limits.padding.covers(image)] = limits.median
    if limits.has_outliers:
        # Hot pixels lie alone.
        stretched = np.where(stretched < 1, stretched, cv2.medianBlur(stretched, 3))
    # Three channels at the expense of one.
    return stretched if image.ndim == 3 else np.broadcast_to(stretched[..., np.newaxis], (*image.shape, 3))


def stretch_window(look: Callable[[Window], NDArray[Any]], limits: Limits, window: Window) -> NDArray[np.float32]:
    """A window of an image, of which `look` gives parts, as it is in the whole stretched image.

    What becomes of a hot pixel depends on those beside it, outside of the window too.
    """
    rows, columns = (slice(max(0, part.start - 1), part.stop + 1) for part in window)
    inner_rows, inner_columns = (
        slice(part.start - around.start, part.stop - around.start) for part, around in zip(window, (rows, columns))
    )
    return stretch(look((rows, columns)), limits)[inner_rows, inner_columns]
