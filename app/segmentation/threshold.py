"""Foreground probability to a mask."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

ThresholdRule = Literal["mean", "otsu"]


def threshold_value(probability: NDArray[np.float32], threshold: ThresholdRule | float) -> float:
    """The probability at or above which a pixel is nucleus.

    Parameters
    ----------
    probability
        `(H, W)`, in [0, 1].
    threshold
        A number, or a rule: `mean` is the image's own mean probability; `otsu` divides the probabilities into two
        classes (Otsu 1979), and is 1 where there is only one class.

    Examples
    --------
    >>> threshold_value(np.array([[0.0, 0.5, 1.0]], np.float32), "mean")
    0.5
    """
    if threshold == "mean":
        return float(probability.mean(dtype=np.float64))
    if threshold == "otsu":
        if np.ptp(probability) == 0:
            return 1.0
        # threshold_otsu names the last value of the lower class.
        return float(np.nextafter(np.float32(threshold_otsu(probability)), np.float32(2)))
    return threshold


def apply_threshold(probability: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Mask `(H, W)` of the pixels whose probability is at or above the threshold."""
    # Compared as float32, so that a mean equal to every pixel's value includes them.
    return probability >= np.float32(threshold)
