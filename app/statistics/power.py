"""What change an experiment could have seen, and how many replicates a change needs: noncentral t."""

import math
from dataclasses import dataclass

from scipy.optimize import brentq

from app.statistics.distributions import Student, noncentral_t_cdf
from app.statistics.results import FEWEST_REPLICATES

POWER = 0.8
ALPHA = 0.05
# The change that is asked about, as a part of the control's mean.
ASKED_CHANGE = 0.1
_MOST_REPLICATES = 10_000


@dataclass(frozen=True)
class PowerNote:
    """What the experiment could have seen.

    Attributes
    ----------
    standard_deviation
        Of the replicates (of paired designs: of the differences), in the endpoint's unit.
    detectable_difference
        The true difference that would have been found with probability `power`, in the endpoint's unit.
    detectable_percent
        The same in percent of the control's mean; None where that is not above 0.
    replicates_for_ten_percent
        In each group (of paired designs: pairs), to find a change by a tenth of the control's mean with probability
        `power`; None where the control's mean is not above 0, or more than 10,000 were needed.
    power, alpha
        The probabilities of finding a true change, and of a false alarm.
    """

    standard_deviation: float
    detectable_difference: float
    detectable_percent: float | None
    replicates_for_ten_percent: int | None
    power: float = POWER
    alpha: float = ALPHA


def power_of_t(
    effect: float,
    n_treated: int,
    n_control: int | None,
    alpha: float = ALPHA,
    degrees_of_freedom: int | None = None,
) -> float:
    """Power of a two-sided t test.

    Parameters
    ----------
    effect
        True difference in standard deviations: of the replicates, or, of pairs, of the differences.
    n_treated, n_control
        Replicates; `n_control` None means `n_treated` pairs.
    degrees_of_freedom
        Of the standard deviation, where more groups than these two tell it; else those of the two.

    Examples
    --------
    >>> round(power_of_t(3.07, 3, 3), 3)
    0.8
    """
    if n_control is None:
        of_these, noncentrality = n_treated - 1, effect * math.sqrt(n_treated)
    else:
        of_these = n_treated + n_control - 2
        noncentrality = effect / math.sqrt(1 / n_treated + 1 / n_control)
    degrees_of_freedom = degrees_of_freedom or of_these
    critical = Student(degrees_of_freedom).critical(1 - alpha)
    missed = noncentral_t_cdf(critical, degrees_of_freedom, noncentrality)
    return 1 - missed + noncentral_t_cdf(-critical, degrees_of_freedom, noncentrality)


def detectable_effect(
    n_treated: int,
    n_control: int | None,
    power: float = POWER,
    alpha: float = ALPHA,
    degrees_of_freedom: int | None = None,
) -> float:
    """The true difference, in standard deviations, that a two-sided t test finds with probability `power`.

    Parameters are those of `power_of_t`.

    Examples
    --------
    >>> [round(detectable_effect(n, n), 2) for n in (3, 4, 6, 8, 12)]
    [3.07, 2.38, 1.8, 1.51, 1.2]
    """

    def lacking(effect: float) -> float:
        return power - power_of_t(effect, n_treated, n_control, alpha, degrees_of_freedom)

    highest = 1.0
    while lacking(highest) > 0:
        highest *= 2
    return float(brentq(lacking, 0, highest, xtol=1e-8))


def replicates_needed(effect: float, paired: bool = False, power: float = POWER, alpha: float = ALPHA) -> int | None:
    """Replicates in each group (or pairs) with which a true difference of `effect` standard deviations is found.

    None stands for more than 10,000. Fewer than 3 are never advised.

    Examples
    --------
    >>> replicates_needed(1.25)
    12
    """

    def enough(n: int) -> bool:
        return power_of_t(effect, n, None if paired else n, alpha) >= power

    if not enough(_MOST_REPLICATES):
        return None
    low, high = FEWEST_REPLICATES - 1, _MOST_REPLICATES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def power_note(
    standard_deviation: float,
    control_mean: float,
    n_treated: int,
    n_control: int | None,
    alpha: float = ALPHA,
    degrees_of_freedom: int | None = None,
) -> PowerNote:
    """The note that belongs into every answer.

    Parameters
    ----------
    standard_deviation
        Above 0: of the replicates, or, of pairs, of the differences.
    control_mean
        Of the endpoint itself.
    n_treated, n_control
        Replicates, two or more; `n_control` None means `n_treated` pairs.
    alpha
        Of one comparison: divide it by their number where several share a control.
    degrees_of_freedom
        See `power_of_t`.
    """
    effect = detectable_effect(n_treated, n_control, alpha=alpha, degrees_of_freedom=degrees_of_freedom)
    difference = effect * standard_deviation
    percent = needed = None
    if control_mean > 0:
        percent = 100 * difference / control_mean
        needed = replicates_needed(ASKED_CHANGE * control_mean / standard_deviation, n_control is None, alpha=alpha)
    return PowerNote(standard_deviation, difference, percent, needed, alpha=alpha)
