"""At which scale the network sees an image, so that its nuclei are as wide there as those that it learned from.

The network is best where nuclei are about `IDEAL_DIAMETER_PX` wide, and nearly as good from `NARROWEST_PX` to
`WIDEST_PX`. What is wider falls to pieces, what is narrower vanishes. So small copies of the image are looked at first,
which cost little. Where they agree that nuclei are too wide, a copy in which they are not is segmented; where those
that are found at full size are too narrow, an enlarged one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from app.errors import OptionError
from app.inference.model_card import Calibration
from app.inference.predictions import Predictions
from app.inference.resampling import predict_copy, scaled_size
from app.inference.tiling import TILE_PX
from app.measurement.measure import confidences
from app.measurement.regions import Regions
from app.options import LARGEST_SCALE, SMALLEST_SCALE, SegmentationOptions
from app.reading.memmap import Window
from app.reading.stack import PixelSize
from app.segmentation.neighbours import AROUND
from app.segmentation.split import select, split
from app.segmentation.threshold import apply_threshold

IDEAL_DIAMETER_PX = 24.0
NARROWEST_PX, WIDEST_PX = 12.0, 40.0
COARSE_SCALES = (1 / 16, 1 / 8, 1 / 4)
CHECK_SCALE = 1 / 2
# A copy with smaller sides shows no nucleus.
_SHORTEST_SIDE_PX = 32
# A copy where nuclei are narrower says nothing of their size, and single ones are lost where they are narrower still.
SEEN_PX = 10.0
LOST_PX = 6.0
# Two copies agree whose typical diameters differ by less, where the larger one is not surer of its nuclei by more.
_SAME_DIAMETER = 1.3
_SURER = 0.1
# So large a part of all nuclei may be too narrow for the scale at which the others are best.
_MOST_LOST = 1 / 3
# Where nuclei found at full size are less sure on average, their count is checked at half of it.
_DOUBTFUL = 0.8
# Counts that are farther apart disagree.
_SAME_COUNT = 1.25
_FEWEST_APART = 3
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


@dataclass(frozen=True, eq=False)
class _Found:
    """What several views of an image show at one scale."""

    diameters_px: NDArray[np.float64]
    confidence: NDArray[np.float64]

    @property
    def typical_px(self) -> float:
        """The diameter above and below which nuclei cover the same area; 0 where there are none."""
        if not self.diameters_px.size:
            return 0.0
        diameters_px = np.sort(self.diameters_px)
        covered = np.cumsum(np.square(diameters_px))
        return float(diameters_px[np.searchsorted(covered, covered[-1] / 2)])

    @property
    def mean_confidence(self) -> float:
        """By area."""
        areas = np.square(self.diameters_px)
        return float(np.average(self.confidence, weights=areas)) if areas.size else 0.0

    def count(self, from_px: float) -> int:
        """How many are at least so wide."""
        return int(np.count_nonzero(self.diameters_px >= from_px))


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
    labels = select(labels, calibration.min_area_px, exclude_border=False)
    return labels, confidences(Regions(labels), predictions, calibration.confidence)


@dataclass(frozen=True)
class Choice:
    """A scale, and whether another one would have found a different number of nuclei."""

    scale: float
    is_uncertain: bool = False


def asked_scale(options: SegmentationOptions, pixel: PixelSize | None) -> float | None:
    """The scale that the options say; None of `auto`.

    Raises
    ------
    OptionError
        A diameter in micrometres is given, and the size of a pixel is not known.
    """
    if options.diameter_um is not None and pixel is None:
        raise OptionError(
            "diameter_um needs the size of a pixel, which the file does not tell; give pixel_size_um too, or "
            "diameter_px instead."
        )
    if options.diameter_um is not None and pixel is not None:
        return scale_of(options.diameter_um / sqrt(pixel.row_um * pixel.col_um))
    if options.diameter_px is not None:
        return scale_of(options.diameter_px)
    return None if options.scale == "auto" else options.scale


def claimed_scale(options: SegmentationOptions) -> float:
    """The scale as far as it is known before the image is; else 1."""
    side_um = options.pixel_size_um
    if options.diameter_um is not None and side_um is None:
        return 1.0
    return asked_scale(options, None if side_um is None else PixelSize(side_um, side_um)) or 1.0


def scale_of(diameter_px: float) -> float:
    """At which scale nuclei so wide are best: 1 as long as they are not too narrow or too wide for it.

    Examples
    --------
    >>> scale_of(12), scale_of(96), scale_of(8)
    (1.0, 0.25, 3.0)
    """
    if NARROWEST_PX <= diameter_px <= WIDEST_PX:
        return 1.0
    return min(LARGEST_SCALE, max(SMALLEST_SCALE, IDEAL_DIAMETER_PX / diameter_px))


def calibration_at(calibration: Calibration, scale: float) -> Calibration:
    """As it is for predictions that were made at a scale: the smallest nucleus is as small in the network's eyes."""
    return calibration.model_copy(update={"min_area_px": round(calibration.min_area_px / scale**2)})


def choose_scale(views: Sequence[View], largest: float = LARGEST_SCALE) -> Choice:
    """The scale at which an image's nuclei are best, by some views of it.

    Parameters
    ----------
    views
        The image, or windows of it.
    largest
        No scale above 1 is larger.
    """
    seen: dict[float, _Found] = {}

    def look(scale: float) -> _Found:
        nuclei = [view.nuclei(scale) for view in views]
        seen[scale] = _Found(
            np.concatenate([one.diameters_px for one in nuclei]), np.concatenate([one.confidence for one in nuclei])
        )
        return seen[scale]

    for scale in COARSE_SCALES:
        coarse = look(scale)
    scale = 1.0
    if coarse.typical_px > WIDEST_PX:
        look(CHECK_SCALE)
        agreed = _agreed(seen)
        smaller = scale_of(seen[agreed].typical_px) if agreed else 1.0
        if smaller < 1 and agreed:
            n_lost = sum(view.count_beside(CHECK_SCALE, agreed, LOST_PX / smaller) for view in views)
            keeps = n_lost <= _MOST_LOST * (n_lost + seen[agreed].count(0))
            # Of nuclei that are hardly too wide the image itself is surer, and it loses none of the narrow ones.
            if keeps and seen[agreed].mean_confidence >= look(1.0).mean_confidence:
                scale = smaller
    if scale == 1:
        full = look(1.0)
        larger = scale_of(full.typical_px or IDEAL_DIAMETER_PX)
        scale = max(1.0, min(larger, largest))
        if scale == 1 and full.mean_confidence < _DOUBTFUL:
            look(CHECK_SCALE)
    if scale not in seen:
        look(scale)
    return Choice(scale, _disagree(seen, scale))


def _agreed(seen: dict[float, _Found]) -> float | None:
    """The copy that shows the same typical diameter as the next smaller one, while no larger one is much surer."""
    copies = sorted(seen.items())
    for (scale, coarse), (finer_scale, fine) in pairwise(copies):
        if coarse.typical_px * scale < SEEN_PX or not fine.typical_px:
            continue
        is_same = 1 / _SAME_DIAMETER < coarse.typical_px / fine.typical_px < _SAME_DIAMETER
        surest = max(found.mean_confidence for larger, found in copies if larger >= finer_scale)
        if is_same and max(fine.mean_confidence - coarse.mean_confidence, surest - fine.mean_confidence) <= _SURER:
            return finer_scale
    return None


def _disagree(seen: dict[float, _Found], scale: float) -> bool:
    """Whether the copy nearest in scale, of those that show the nuclei, has another number of them."""
    others = [other for other in seen if other != scale and seen[scale].typical_px * other >= SEEN_PX]
    if not others:
        return False
    other = min(others, key=lambda one: abs(np.log(one / scale)))
    from_px = LOST_PX / min(scale, other)
    fewer, more = sorted((seen[scale].count(from_px), seen[other].count(from_px)))
    return more > _SAME_COUNT * fewer and more - fewer >= _FEWEST_APART


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
