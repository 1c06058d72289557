"""Learns which nuclei are too doubtful to be counted: on the validation images."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from app.options import SegmentationOptions
from training.dataset import DatasetError
from training.evaluate import ImageScores

CANDIDATES = tuple(round(float(step), 2) for step in np.arange(0, 0.51, 0.05))
# Of the images of a kind; a kind that has fewer says little.
FEWEST_IMAGES = 4
# All nuclei, so that their confidences can be looked at.
EVERY_NUCLEUS = SegmentationOptions(min_confidence=0)


def fit_min_confidence(scores: Iterable[tuple[str, ImageScores]]) -> float:
    """The lowest confidence with which counts are least wrong: in the mean over the kinds of images, whatever the sign.

    Parameters
    ----------
    scores
        Of validation images, of which every nucleus was kept, with the name of each one's data set.

    Raises
    ------
    DatasetError
        No kind has `FEWEST_IMAGES`.
    """
    kinds: dict[tuple[str, str], list[ImageScores]] = defaultdict(list)
    for dataset, one in scores:
        kinds[dataset, one.modality].append(one)
    usable = [images for images in kinds.values() if len(images) >= FEWEST_IMAGES]
    if not usable:
        raise DatasetError(f"No kind of validation images has {FEWEST_IMAGES} of them; give more data.")
    return min(CANDIDATES, key=lambda least: (round(float(np.mean([_error(one, least) for one in usable])), 4), least))


def _error(images: list[ImageScores], least: float) -> float:
    """By how large a part of the true number the count of a kind's images is off."""
    n_true = sum(one.matching[0].tp + one.matching[0].fn for one in images)
    n_kept = sum(int(np.count_nonzero(one.confidence >= least)) for one in images if one.confidence is not None)
    return abs(n_kept - n_true) / max(n_true, 1)
