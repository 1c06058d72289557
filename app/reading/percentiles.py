"""How the values of whole images are distributed: percentiles and parts, fast."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Distribution:
    """All values of an image, without their places.

    Attributes
    ----------
    values
        From the lowest to the highest.
    up_to
        How many pixels have this value or one before it, int64.
    """

    values: NDArray[Any]
    up_to: NDArray[np.int64]

    @classmethod
    def of(cls, image: NDArray[Any]) -> Self:
        """Of an array of any shape but empty, any real type; 8 and 16 bits are counted, not sorted."""
        if image.dtype.kind == "u" and image.dtype.itemsize <= 2:
            return cls.counted(np.bincount(image.ravel()))
        return cls(np.sort(image, axis=None), np.arange(1, image.size + 1))

    @classmethod
    def counted(cls, counts: NDArray[np.int64]) -> Self:
        """Of whole numbers from 0, of which there are so many each."""
        values = np.flatnonzero(counts)
        return cls(values, np.cumsum(counts[values]))

    @property
    def lowest(self) -> float:
        """The smallest value."""
        return float(self.values[0])

    @property
    def highest(self) -> float:
        """The largest value."""
        return float(self.values[-1])

    @property
    def n_values(self) -> int:
        """How many there are, pixels times channels."""
        return int(self.up_to[-1])

    def percentiles(self, wanted: tuple[float, ...]) -> NDArray[np.float64]:
        """From 0 to 100, as `numpy.percentile` has them.

        Examples
        --------
        >>> Distribution.counted(np.array([2, 0, 1])).percentiles((50, 75))
        array([0., 1.])
        """
        place = np.array(wanted) / 100 * (self.n_values - 1)
        ranks = np.floor(place), np.ceil(place)
        # In its own type NumPy would interpolate past the largest value of int16.
        low, high = (self.values[np.searchsorted(self.up_to, rank, side="right")].astype(np.float64) for rank in ranks)
        found: NDArray[np.float64] = low + (high - low) * (place - ranks[0])
        return found

    def percent_up_to(self, value: float) -> float:
        """How many percent of the pixels are no brighter.

        Examples
        --------
        >>> Distribution.counted(np.array([2, 0, 1, 1])).percent_up_to(1.5)
        50.0
        """
        n_values = int(np.searchsorted(self.values, value, side="right"))
        return float(100 * self.up_to[n_values - 1] / self.n_values) if n_values else 0.0

    def next_to(self, value: float) -> float:
        """The next larger value that occurs; the largest has none but itself."""
        place = int(np.searchsorted(self.values, value, side="right"))
        return float(self.values[min(place, self.values.size - 1)])

    def without(self, value: float, n: int) -> Self:
        """The same without `n` of the pixels that have a value."""
        counts = np.diff(self.up_to, prepend=0)
        # What was counted stands once, what was sorted as often as it occurs.
        first = int(np.searchsorted(self.values, value))
        if counts[first] >= n:
            counts[first] -= n
        else:
            counts[first : first + n] = 0
        is_left = counts > 0
        return type(self)(self.values[is_left], np.cumsum(counts[is_left]))


def percentiles(image: NDArray[Any], wanted: tuple[float, ...]) -> NDArray[np.float64]:
    """Percentiles of all values of an image together; see `Distribution`.

    Examples
    --------
    >>> percentiles(np.array([0, 10, 20, 60], np.uint8), (0, 50, 100))
    array([ 0., 15., 60.])
    """
    return Distribution.of(image).percentiles(wanted)


def counted_percentiles(counts: NDArray[np.int64], wanted: tuple[float, ...]) -> NDArray[np.float64]:
    """Percentiles of whole numbers from 0, of which there are so many each; see `Distribution`."""
    return Distribution.counted(counts).percentiles(wanted)
