"""A network's receptive field."""

from typing import Any

import keras
import numpy as np
from keras import tree
from numpy.typing import NDArray

from training.architectures import COARSEST_PX

# More than any network here sees, and a multiple of every stride.
_LENGTH_PX = 8192


def halo_px(network: keras.Model) -> int:
    """The halo: how many pixels beyond a cell of the network's coarsest grid can change the answers inside it.

    It is half of the receptive field without the cell. Followed backwards through the layers, along one axis.

    Examples
    --------
    >>> image = keras.Input((None, None, 3))
    >>> halo_px(keras.Model(image, keras.layers.Conv2D(1, 5, padding="same")(image)))
    2
    """
    first, end = _LENGTH_PX // 2, _LENGTH_PX // 2 + COARSEST_PX
    asked = np.zeros(_LENGTH_PX, bool)
    asked[first:end] = True
    needed = {id(network.output): asked}
    for operation in reversed(network.operations):
        mask = needed.get(id(operation.output))
        if mask is not None:
            for features in tree.flatten(operation.input):
                needed[id(features)] = needed.get(id(features), False) | _needed(operation, mask)
    seen = np.flatnonzero(needed[id(network.input)])
    return int(max(first - seen[0], seen[-1] - (end - 1)))


def _needed(operation: Any, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which places of what goes in the masked places of what comes out depend on."""
    upwards = isinstance(operation, keras.layers.Conv2DTranspose | keras.layers.UpSampling2D)
    if isinstance(operation, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
        size_px, stride = operation.kernel_size[0], operation.strides[0]
    elif isinstance(operation, keras.layers.MaxPooling2D):
        size_px, stride = operation.pool_size[0], operation.strides[0]
    elif isinstance(operation, keras.layers.UpSampling2D):
        size_px = stride = operation.size[0]
    else:
        return mask
    taps = np.arange(size_px) - max(0, size_px - stride) // 2
    places = np.flatnonzero(mask)[:, np.newaxis]
    found = (places - taps)[(places - taps) % stride == 0] // stride if upwards else places * stride + taps
    needed = np.zeros(mask.size // stride if upwards else mask.size * stride, bool)
    needed[found] = True
    return needed
