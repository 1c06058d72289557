"""Views of an image: copies at several scales and what is found in them, by which its scale is chosen."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.inference.model_card import Calibration
from app.inference.predictions import Predictions
from app.inference.resampling import predict_copy, scaled_size
from app.inference.tiling import TILE_PX
from app.measurement.measure import confidences
from app.measurement.regions import Regions
from app.reading.memmap import Window
from app.segmentation.neighbours import AROUND
from app.segmentation.split import select, split
from app.segmentation.threshold import apply_threshold

# A copy with smaller sides shows no nucleus.
_SHORTEST_SIDE_PX = 32
# An image is looked at as a whole up to so many pixels. Of a larger one windows are, a quarter of it at most.
WHOLE_VIEW_PX = TILE_PX**2
VIEW_SIDE_PX = 1024
MOST_VIEWS = 8


@dataclass(frozen=True, eq=False)
class Nuclei:
    """What is found in a copy of an image.

    Attributes
    ----------
    labels
        int32, of the copy's size; 0 is background, nuclei are 1..N.
    diameters_px
        Float64 `(N,)`, of circles of the same area, in pixels of the image itself.
    confidence
        Float64 `(N,)`, how likely each is a true one.
    """

    labels: NDArray[np.int32]
    diameters_px: NDArray[np.float64]
    confidence: NDArray[np.float64]


class View:
    """An image, or a window of one, of which copies at several scales are predicted, each once.

    Parameters
    ----------
    predict
        The network.
    image
        float32 `(H, W, 3)`, normalised.
    calibration
        Of the network.
    """

    def __init__(
        self,
        predict: Callable[[NDArray[np.float32]], Predictions],
        image: NDArray[np.float32],
        calibration: Calibration,
    ) -> None:
        self.calibration = calibration
        self.size_px = image.shape[:2]
        self._predict = predict
        self._image = image
        self._predictions: dict[float, Predictions] = {}
        self._nuclei: dict[float, Nuclei] = {}

    def predictions(self, scale: float) -> Predictions:
        """Of the copy at a scale, and of its size."""
        if scale not in self._predictions:
            self._predictions[scale] = predict_copy(self._predict, self._image, scale)
        return self._predictions[scale]

    def nuclei(self, scale: float) -> Nuclei:
        """Those of the copy at a scale."""
        if scale not in self._nuclei:
            self._nuclei[scale] = self._find(scale)
        return self._nuclei[scale]

    def count_beside(self, scale: float, coarse: float, below_px: float) -> int:
        """How many nuclei that are narrower lie beside those of a smaller copy, and not in them as pieces."""
        nuclei = self.nuclei(scale)
        height, width = nuclei.labels.shape
        # Pieces at a nucleus's edge may lie a pixel of the copy beside it.
        around = cv2.dilate((self.nuclei(coarse).labels > 0).astype(np.uint8), AROUND)
        covered = cv2.resize(around, (width, height))
        areas = np.bincount(nuclei.labels.ravel())
        of_covered = np.bincount(nuclei.labels.ravel(), covered.ravel(), areas.size)
        is_beside = of_covered[1:] < areas[1:] / 2
        return int(np.count_nonzero(is_beside & (nuclei.diameters_px < below_px)))

    def has_seen(self, scale: float) -> bool:
        """Whether the copy at a scale was predicted."""
        return scale in self._predictions

    def _find(self, scale: float) -> Nuclei:
        if min(scaled_size(self.size_px, scale)) < _SHORTEST_SIDE_PX and scale < 1:
            return Nuclei(np.zeros(scaled_size(self.size_px, scale), np.int32), np.zeros(0), np.zeros(0))
        predictions = self.predictions(scale)
        labels, confidence = find_sure(predictions, self.calibration)
        diameters_px = np.sqrt(np.bincount(labels.ravel())[1:] * 4 / np.pi) / scale
        return Nuclei(labels, diameters_px, confidence)


def find_sure(predictions: Predictions, calibration: Calibration) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The nuclei in predictions as the model's card wants them found, and how likely each is a true one."""
    mask = apply_threshold(predictions.probability, calibration.threshold)
    labels = split(mask, calibration.marker_depth, predictions.distance)
    labels = select(labels, calibration.min_area_px)
    return labels, confidences(Regions(labels), predictions, calibration.confidence)


def view_windows(size_px: tuple[int, ...], contrast: Callable[[Window], float]) -> list[Window]:
    """What of an image is looked at for its scale: all of it, or of a large one the windows with the most contrast.

    Parameters
    ----------
    size_px
        Height and width first.
    contrast
        Of a window.
    """
    height, width = size_px[:2]
    if height * width <= WHOLE_VIEW_PX:
        return [(slice(0, height), slice(0, width))]
    n_views = min(MOST_VIEWS, max(1, height * width // (4 * VIEW_SIDE_PX**2)))
    # Some four times as many are compared, evenly over the image.
    step_px = max(VIEW_SIDE_PX, int(np.sqrt(height * width / (4 * n_views))))
    windows = [
        (slice(row, min(row + VIEW_SIDE_PX, height)), slice(column, min(column + VIEW_SIDE_PX, width)))
        for row in range(0, max(1, height - VIEW_SIDE_PX // 2), step_px)
        for column in range(0, max(1, width - VIEW_SIDE_PX // 2), step_px)
    ]
    return sorted(windows, key=contrast, reverse=True)[:n_views]
