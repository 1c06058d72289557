"""At which scale the network sees an image, so that its nuclei are as wide there as those that it learned from.

The network is best where nuclei are about `IDEAL_DIAMETER_PX` wide, and nearly as good from `NARROWEST_PX` to
`WIDEST_PX`. What is wider falls to pieces, what is narrower vanishes. So small copies of the image are looked at first,
which cost little. Where they agree that nuclei are too wide, a copy in which they are not is segmented; where those
that are found at full size are too narrow, an enlarged one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from app.engine.view import View
from app.errors import OptionError
from app.inference.model_card import Calibration
from app.options import LARGEST_SCALE, SMALLEST_SCALE, SegmentationOptions
from app.reading.stack import PixelSize

IDEAL_DIAMETER_PX = 24.0
NARROWEST_PX, WIDEST_PX = 12.0, 40.0
COARSE_SCALES = (1 / 16, 1 / 8, 1 / 4)
CHECK_SCALE = 1 / 2
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
