"""What an image is to those who read it by parts: in memory, on disk, or enlarged from a smaller one as it is read."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.inference.predictions import Predictions
from app.inference.resampling import Resampling
from app.reading.memmap import Window
from app.segmentation.split import SMOOTHING_REACH_PX, smooth_distance


class Readable(Protocol):
    """An image `(H, W)` or `(H, W, C)` in memory or on disk, of which parts are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns first."""
        ...

    def __getitem__(self, window: Window, /) -> NDArray[Any]:
        """A part."""
        ...


class Canvas(Readable, Protocol):
    """One whose parts are written, too."""

    def __setitem__(self, window: Window, values: NDArray[Any], /) -> None:
        """Write a part."""
        ...


class CanvasPredictions(NamedTuple):
    """As `app.inference.predictions.Predictions`, of which parts are read."""

    probability: Readable
    distance: Readable | None

    def window(self, window: Window) -> Predictions:
        """The predictions of a part."""
        return Predictions(self.probability[window], None if self.distance is None else self.distance[window])


class AtFullSize:
    """What was predicted of a smaller copy `(h, w)`, as `app.inference.resampling.at_full_size` shows it, by parts.

    Parameters
    ----------
    stored
        The copy's predictions.
    size_px
        Height and width of the image.
    content
        What of it was copied; outside is 0.
    is_distance
        Whether they are distances, which are smoothed before.
    """

    def __init__(self, stored: Readable, size_px: tuple[int, int], content: Window, is_distance: bool) -> None:
        self.shape: tuple[int, ...] = size_px
        self._stored = stored
        self._content = content
        self._margin_px = SMOOTHING_REACH_PX if is_distance else 0
        self._resampling = Resampling.between(stored.shape, tuple(side.stop - side.start for side in content))

    def __getitem__(self, window: Window) -> NDArray[np.float32]:
        """A part."""
        rows, columns = (
            slice(max(part.start, side.start) - side.start, min(part.stop, side.stop) - side.start)
            for part, side in zip(window, self._content, strict=True)
        )
        canvas = np.zeros([part.stop - part.start for part in window], np.float32)
        if rows.start < rows.stop and columns.start < columns.stop:
            first_row, first_column = (
                side.start + along.start - part.start
                for part, side, along in zip(window, self._content, (rows, columns), strict=True)
            )
            values = self._copied((rows, columns))
            canvas[first_row : first_row + len(values), first_column : first_column + values.shape[1]] = values
        return canvas

    def _copied(self, window: Window) -> NDArray[np.float32]:
        """A part of the content."""
        source, resampling = self._resampling.part(window)
        if not self._margin_px:
            return resampling.apply(self._stored[source])
        rows, columns = (slice(max(0, side.start - self._margin_px), side.stop + self._margin_px) for side in source)
        smooth = smooth_distance(self._stored[rows, columns])
        return resampling.apply(
            smooth[
                source[0].start - rows.start : source[0].stop - rows.start,
                source[1].start - columns.start : source[1].stop - columns.start,
            ]
        )
