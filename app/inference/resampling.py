"""Images and predictions at another size: the same to the last bit whether whole or window by window."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from app.inference.predictions import Predictions
from app.reading.memmap import Window
from app.segmentation.split import smooth_distance


class Resampling(NamedTuple):
    """How an array `(h, w)` or `(h, w, C)` becomes one of another height and width.

    Smaller sides take the mean of the pixels below each new one (area averaging), larger ones are interpolated linearly
    between pixel centres.

    Attributes
    ----------
    rows, columns
        Weights, `(new, old)` each.
    """

    rows: sparse.csr_array
    columns: sparse.csr_array

    @classmethod
    def between(cls, size_px: tuple[int, ...], new_size_px: tuple[int, ...]) -> Self:
        """From one height and width to another.

        Examples
        --------
        >>> Resampling.between((2, 4), (1, 2)).apply(np.array([[1, 3, 5, 5], [1, 3, 7, 7]], np.float32))
        array([[2., 6.]], dtype=float32)
        """
        return cls(*(_weights(length, new) for length, new in zip(size_px[:2], new_size_px[:2])))

    def apply(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        """The array at its new size."""
        if array.ndim == 3 and array.strides[2] == 0:
            # Grey that was repeated, at the expense of one channel.
            return np.broadcast_to(self.apply(array[..., 0])[..., np.newaxis], (*self._shape, array.shape[2]))
        height, width, *channels = array.shape
        tall = (self.rows @ array.reshape(height, -1)).reshape(-1, width, *channels)
        turned = np.ascontiguousarray(tall.swapaxes(0, 1))
        wide = (self.columns @ turned.reshape(width, -1)).reshape(-1, *turned.shape[1:])
        return np.ascontiguousarray(wide.swapaxes(0, 1))

    def part(self, window: Window) -> tuple[Window, Self]:
        """For a window of the new array, what of the old one it depends on, and how it is made of that."""
        (rows, row_weights), (columns, column_weights) = (
            _part(weights, along) for weights, along in zip(self, window, strict=True)
        )
        return (rows, columns), self._replace(rows=row_weights, columns=column_weights)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.rows.shape[0], self.columns.shape[0]


def scaled_size(size_px: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Height and width of an image whose sides are multiplied."""
    height, width = (max(1, round(length * scale)) for length in size_px[:2])
    return height, width


def predict_copy(
    predict: Callable[[NDArray[np.float32]], Predictions], image: NDArray[np.float32], scale: float
) -> Predictions:
    """The predictions of an image's copy whose sides are multiplied, at the copy's size."""
    if scale == 1:
        return predict(image)
    return predict(Resampling.between(image.shape, scaled_size(image.shape, scale)).apply(image))


def at_full_size(predictions: Predictions, size_px: tuple[int, ...]) -> Predictions:
    """A copy's predictions at the size of its image, smooth as they are, so that outlines are smooth too.

    Distances of a smaller copy are smoothed before, by its own pixels: interpolation would cut ridges into peaks.
    """
    if predictions.probability.shape == size_px[:2]:
        return predictions
    resampling = Resampling.between(predictions.probability.shape, size_px)
    distance = predictions.distance
    if distance is not None:
        distance = resampling.apply(smooth_distance(distance) if distance.size < np.prod(size_px[:2]) else distance)
    return predictions._replace(probability=resampling.apply(predictions.probability), distance=distance)


def _weights(length: int, new_length: int) -> sparse.csr_array:
    ratio = length / new_length
    if new_length < length:
        edges = np.arange(new_length + 1) * ratio
        first, stop = np.floor(edges[:-1]).astype(int), np.minimum(np.ceil(edges[1:]).astype(int), length)
        n_below = stop - first
        new = np.repeat(np.arange(new_length), n_below)
        old = np.arange(new.size) + np.repeat(first - np.cumsum(n_below) + n_below, n_below)
        weights = (np.minimum(old + 1, edges[new + 1]) - np.maximum(old, edges[new])) / ratio
    else:
        places = np.clip((np.arange(new_length) + 0.5) * ratio - 0.5, 0, length - 1)
        before = np.floor(places).astype(int)
        new = np.repeat(np.arange(new_length), 2)
        old = np.stack([before, np.minimum(before + 1, length - 1)], axis=1).ravel()
        weights = np.stack([1 - (places - before), places - before], axis=1).ravel()
    # Two weights of one pixel, at the edge, are added.
    return sparse.csr_array((weights.astype(np.float32), (new, old)), shape=(new_length, length))


def _part(weights: sparse.csr_array, along: slice) -> tuple[slice, Any]:
    some = weights[along]
    first, stop = int(some.indices.min()), int(some.indices.max()) + 1
    return slice(first, stop), some[:, first:stop]
