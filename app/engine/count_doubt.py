"""Whether the count of an image may be far off, by what the answer itself tells."""

from typing import NamedTuple

import numpy as np

from app.inference.model_card import Calibration, CountDoubt
from app.measurement.measure import Table
from app.reading.warnings import COUNT_UNCERTAIN, ImageWarning

# By so large a part of the true number a count is off that is called far off.
MOST_OFF = 0.25
_UNKNOWN = 0.5
# Nothing is less unlike than this; the logarithm needs a limit.
_LEAST_UNLIKE = 0.1


class CountSignals(NamedTuple):
    """What an answer tells of its own count; each is larger where counts are more often wrong.

    Attributes
    ----------
    unsure
        Mean over the nuclei of 1 less their confidence: the part of them that is expected to be false.
    spread
        Standard deviation of the nuclei's diameters as a part of their mean: crumbs and clumps differ in size.
    unlikeness
        Logarithm of the OOD score; 0 of a network that does not say.
    scales_disagree
        1 where another scale has another count, else 0.
    """

    unsure: float
    spread: float
    unlikeness: float
    scales_disagree: float


def count_signals(nuclei: Table, do_scales_disagree: bool, ood_score: float | None) -> CountSignals:
    """The signals of an answer. Where there are no nuclei, nothing is known of their confidence: it is a half.

    Examples
    --------
    >>> nuclei = {"confidence": np.array([0.9, 0.7]), "equivalent_diameter_px": np.array([10.0, 10.0])}
    >>> [round(signal, 3) for signal in count_signals(nuclei, True, 1.0)]
    [0.2, 0.0, 0.0, 1.0]
    """
    diameters_px = nuclei["equivalent_diameter_px"]
    return CountSignals(
        unsure=float(1 - nuclei["confidence"].mean()) if diameters_px.size else _UNKNOWN,
        spread=float(diameters_px.std() / diameters_px.mean()) if diameters_px.size else 0.0,
        unlikeness=0.0 if ood_score is None else float(np.log(max(ood_score, _LEAST_UNLIKE))),
        scales_disagree=float(do_scales_disagree),
    )


def doubt(signals: CountSignals, model: CountDoubt) -> float:
    """Log-odds of the count being far off, right ones and wrong ones being equally many."""
    weighed: list[float] = [getattr(model, name) * signal for name, signal in signals._asdict().items()]
    return model.intercept + sum(weighed)


def count_warnings(signals: CountSignals, calibration: Calibration) -> list[ImageWarning]:
    """Whether a count is doubted more than the card allows; nothing of a card that does not say."""
    model = calibration.count_doubt
    return [COUNT_UNCERTAIN] if model is not None and doubt(signals, model) > model.largest else []
