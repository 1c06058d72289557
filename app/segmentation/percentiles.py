"""Percentiles of whole images, fast."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def percentiles(image: NDArray[Any], wanted: tuple[float, ...]) -> NDArray[np.float64]:
    """Percentiles of all values together, as `numpy.percentile` has them; 8 and 16 bits are counted, not sorted.

    Parameters
    ----------
    image
        Any shape but empty, any real type.
    wanted
        From 0 to 100.

    Examples
    --------
    >>> percentiles(np.array([0, 10, 20, 60], np.uint8), (0, 50, 100))
    array([ 0., 15., 60.])
    """
    if image.dtype.kind != "u" or image.dtype.itemsize > 2:
        # In its own type numpy would interpolate past the largest value of int16.
        return np.asarray(np.percentile(image.astype(np.float64), wanted))
    return counted_percentiles(np.bincount(image.ravel()), wanted)


def counted_percentiles(counts: NDArray[np.int64], wanted: tuple[float, ...]) -> NDArray[np.float64]:
    """Percentiles of whole numbers from 0, of which there are so many each.

    Examples
    --------
    >>> counted_percentiles(np.array([2, 0, 1]), (50, 75))
    array([0., 1.])
    """
    up_to = np.cumsum(counts)
    place = np.array(wanted) / 100 * (up_to[-1] - 1)
    low, high = (np.searchsorted(up_to, rank, side="right") for rank in (np.floor(place), np.ceil(place)))
    found: NDArray[np.float64] = low + (high - low) * (place - np.floor(place))
    return found
