"""The pixels around a pixel, and labels as OpenCV compares them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# OpenCV's kernels: a pixel with those beside it, and with those at its corners too.
BESIDE = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
AROUND = np.ones((3, 3), np.uint8)
# Where those of `AROUND` lie, row by row.
ROWS, COLUMNS = np.indices((3, 3)).reshape(2, -1) - 1


def dilatable(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels in the smallest type in which OpenCV dilates and erodes them, exact up to 16,777,216 of them.

    Examples
    --------
    >>> dilatable(np.array([[0, 255]])).dtype, dilatable(np.array([[0, 70000]])).dtype
    (dtype('uint8'), dtype('float32'))
    """
    smallest = np.min_scalar_type(labels.max(initial=0))
    return labels.astype(smallest if smallest.itemsize < 4 else np.float32)
