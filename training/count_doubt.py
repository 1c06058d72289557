"""Learns by which signals of an answer a wrong count is known: on validation images, and on images made hard."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from app.engine.count_doubt import MOST_OFF, CountSignals, doubt
from app.engine.engine import Engine
from app.inference.model_card import CountDoubt
from app.options import SegmentationOptions
from training.corruptions import corrupt, corruptions_of
from training.dataset import DatasetError, Sample
from training.empty import empty_image
from training.splits import Splits, samples_of

# Of a few nuclei one or two are many percent; a count that is off by no more is not called wrong.
FEWEST_OFF = 3
# So many of the right counts may be warned of.
MOST_FALSE_ALARMS = 0.05
# Of these, images as a microscope makes them count for so large a part, those made hard for the rest.
USUAL_PART = 0.8
# Each image is made hard in so many ways, drawn for it.
N_CORRUPTIONS = 3
# Of the training images, whose counts are better than any other's, only what was made hard is used, of so many.
N_TRAIN = 60
N_EMPTY, _EMPTY_PX = 30, (256, 256)
# With fewer the rule would say nothing.
LEAST_OF_EACH = 5
_RIDGE = 0.01


@dataclass(frozen=True)
class Judged:
    """An answer to an annotated image.

    Attributes
    ----------
    data
        The data set's name.
    kind
        How the image was made hard, or what it shows instead of nuclei; its modality where it is as it was.
    signals, codes
        What the answer tells, and the codes of its warnings.
    count, count_true
        Nuclei that were counted, and that there are.
    is_as_it_was
        Whether it is an annotated image that was not changed.
    """

    data: str
    kind: str
    signals: CountSignals
    codes: frozenset[str]
    count: int
    count_true: int
    is_as_it_was: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether the count is off by more than a quarter, and by more than `FEWEST_OFF` nuclei."""
        return abs(self.count - self.count_true) > max(MOST_OFF * self.count_true, FEWEST_OFF)


def judge_all(engine: Engine, samples: Sequence[Sample], splits: Splits, every: int = 1) -> list[Judged]:
    """The engine's answers to all images for validation, to these and some for training made hard, and to empty ones.

    What is random depends on the images' order only. Of all of them each Nth is taken.
    """
    val, train = (samples_of(samples, splits, split) for split in ("val", "train"))
    val, train = val[::every], train[:: every * max(1, len(train) // N_TRAIN)]
    judged = []
    for sample in tqdm(val, desc="val", unit="image"):
        image = sample.image()
        truth = sample.labels(image.shape[:2])
        as_it_was = judge(engine, image, truth, sample.tree.name, splits[sample.image_id].modality)
        judged.append(replace(as_it_was, is_as_it_was=True))
    for seed, sample in enumerate(tqdm([*val, *train], desc="made hard", unit="image")):
        judged += judge_hard(engine, sample, np.random.default_rng(seed))
    generator = np.random.default_rng(0)
    for _ in tqdm(range(0, N_EMPTY, every), desc="empty", unit="image"):
        image = (empty_image(_EMPTY_PX, generator) * 255).astype(np.uint8)
        judged.append(judge(engine, image, np.zeros(_EMPTY_PX, np.int32), "none", "empty"))
    return judged


def judge_hard(engine: Engine, sample: Sample, generator: np.random.Generator) -> Iterator[Judged]:
    """The answers to an image made hard in some ways."""
    image = sample.image()
    truth = sample.labels(image.shape[:2])
    known = corruptions_of(image)
    for corruption in generator.choice(known, min(N_CORRUPTIONS, len(known)), replace=False):
        hard, hard_truth = corrupt(image, truth, corruption, generator)
        if hard_truth.any():
            yield judge(engine, hard, hard_truth, sample.tree.name, str(corruption))


def judge(engine: Engine, image: NDArray[Any], truth: NDArray[np.int32], data: str, kind: str) -> Judged:
    """The engine's answer to an image, through all its steps."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, photometric="rgb" if image.ndim == 3 else "minisblack")
    plane = engine.segment(buffer.getvalue(), SegmentationOptions()).planes[0]
    codes = frozenset(warning.code for warning in plane.warnings)
    return Judged(data, kind, plane.count_signals, codes, plane.count, int(truth.max()))


def fit_count_doubt(judged: Sequence[Judged]) -> CountDoubt:
    """The logistic model of a count being wrong, and from which doubt on `MOST_FALSE_ALARMS` of the others are.

    Wrong counts weigh as much as right ones. Kinds of images weigh by the root of their numbers, and so more alike.

    Raises
    ------
    DatasetError
        There are too few wrong counts, or right ones, to learn from.
    """
    n_wrong = sum(one.is_wrong for one in judged)
    if min(n_wrong, len(judged) - n_wrong) < LEAST_OF_EACH:
        raise DatasetError(
            f"Of {len(judged)} images {n_wrong} are counted wrong; at least {LEAST_OF_EACH} must be wrong, and as many "
            "right: give more data."
        )
    signals = np.array([one.signals for one in judged])
    is_wrong = np.array([one.is_wrong for one in judged])
    weights = _weights(judged, is_wrong)
    sign = np.where(is_wrong, 1, -1)
    centre, spread = signals.mean(axis=0), signals.std(axis=0) + 1e-6

    def loss(slopes: NDArray[np.float64]) -> float:
        log_odds = slopes[0] + (signals - centre) / spread @ slopes[1:]
        return float(weights @ np.logaddexp(0, -sign * log_odds) + _RIDGE * np.square(slopes[1:]).sum())

    intercept, *slopes = minimize(loss, np.zeros(signals.shape[1] + 1)).x
    slopes = np.array(slopes) / spread
    fitted = CountDoubt(
        intercept=round(float(intercept - centre @ slopes), 4),
        largest=0.0,
        **{name: round(float(slope), 4) for name, slope in zip(CountSignals._fields, slopes, strict=True)},
    )
    right = [one for one in judged if not one.is_wrong]
    return fitted.model_copy(update={"largest": _largest([doubt(one.signals, fitted) for one in right], right)})


def _weights(judged: Sequence[Judged], is_wrong: NDArray[np.bool_]) -> NDArray[np.float64]:
    n_alike = Counter((one.data, one.kind) for one in judged)
    weights = np.array([n_alike[one.data, one.kind] ** -0.5 for one in judged])
    for of in (is_wrong, ~is_wrong):
        weights[of] /= max(1e-9, 2 * weights[of].sum())
    return weights


def _largest(doubts: Sequence[float], right: Sequence[Judged]) -> float:
    """The doubt that all but `MOST_FALSE_ALARMS` of the right counts stay below."""
    is_usual = np.array([one.is_as_it_was for one in right])
    weights = np.where(is_usual, USUAL_PART / max(1, is_usual.sum()), (1 - USUAL_PART) / max(1, (~is_usual).sum()))
    order = np.argsort(doubts)
    reached = np.cumsum(weights[order]) / weights.sum()
    place = min(int(np.searchsorted(reached, 1 - MOST_FALSE_ALARMS)), order.size - 1)
    return round(float(doubts[order[place]]), 4)
