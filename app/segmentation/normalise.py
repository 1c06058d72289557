"""Image to the network's input: three channels, the image's own percentiles at 0 and 1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.segmentation.percentiles import percentiles


def normalise(image: NDArray[Any], low_percentile: float, high_percentile: float) -> NDArray[np.float32]:
    """Stretch an image between two percentiles of the whole image.

    The percentiles are taken over all channels together, so that a stain keeps its colour. Grey becomes three equal
    channels. Where the percentiles are equal, minimum and maximum take their place; a constant image becomes 0.

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
    low, high = percentiles(image, (low_percentile, high_percentile))
    return stretch(image, *limits(low, high, image.min(), image.max()))


def limits(low: float, high: float, lowest: float, highest: float) -> tuple[np.float32, np.float32]:
    """What becomes 0 and 1 of an image of these percentiles and these extremes; see `normalise`."""
    if np.float32(high) > np.float32(low):
        return np.float32(low), np.float32(high)
    # Nuclei that cover less than the percentiles leave out are still contrast.
    return np.float32(lowest), np.float32(highest)


def stretch(image: NDArray[Any], low: np.float32, high: np.float32) -> NDArray[np.float32]:
    """An image, or a part of one, with what lies from `low` to `high` in [0, 1]; see `normalise`."""
    if high > low:
        stretched = image.astype(np.float32)
        stretched -= low
        stretched /= high - low
        np.clip(stretched, 0, 1, out=stretched)
    else:
        stretched = np.zeros(image.shape, np.float32)
    # Three channels at the expense of one.
    return stretched if image.ndim == 3 else np.broadcast_to(stretched[..., np.newaxis], (*image.shape, 3))
