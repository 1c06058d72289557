"""What doses do not tell about a curve, and what a curve does not tell about the doses."""

import math
from collections.abc import Iterator

import numpy as np

from app.statistics.curves import Values
from app.statistics.least_squares import Fit
from app.statistics.power import ALPHA
from app.statistics.results import Interval, StatisticsWarning, Student, f_test

# The part of the effect that the outermost doses should show at least, or at most.
_PLATEAU_REACHED = 0.8
# A part of the sum of squares below which residuals are rounding.
_ROUNDING = 1e-20
# Fewer degrees of freedom within doses, and no dose stands out for sure.
_FEWEST_WITHIN = 3


def f_test_p_value(simpler_sum_of_squares: float, n_simpler: int, found: Fit) -> float:
    """Give p of a simpler description, nested in the fit, that leaves no more over than chance does."""
    gained = max(simpler_sum_of_squares - found.residual_sum_of_squares, 0.0)
    n_gained = found.parameters.size - n_simpler
    if gained <= _ROUNDING * float(found.response @ found.response):
        return 1.0
    if found.residual_variance == 0:
        return 0.0
    return f_test(gained / n_gained / found.residual_variance, n_gained, found.degrees_of_freedom)


def lack_of_fit_p_value(dose: Values, response: Values, found: Fit) -> float | None:
    """Give p of a curve that leaves no more over than the means of the doses do; None where the doses cannot tell."""
    levels, level_of = np.unique(dose, return_inverse=True)
    means = np.bincount(level_of, response) / np.bincount(level_of)
    within = float(((response - means[level_of]) ** 2).sum())
    n_within = dose.size - levels.size - (found.parameters.size - found.response.size + found.degrees_of_freedom)
    n_lacking = found.degrees_of_freedom - n_within
    if n_within < 1 or n_lacking < 1 or within == 0:
        return None
    lacking = max(found.residual_sum_of_squares - within, 0.0)
    return f_test(lacking / n_lacking / (within / n_within), n_lacking, n_within)


def shape_warnings(dose: Values, response: Values, effect: float) -> Iterator[StatisticsWarning]:
    """Doses beyond the control on the side away from the effect (hormesis), and beyond the highest dose.

    Parameters
    ----------
    dose, response
        `(N,)`; responses without the shifts of their plates.
    effect
        From dose 0 to an endless dose, of which only the sign counts.
    """
    levels, level_of, n = np.unique(dose, return_inverse=True, return_counts=True)
    n_within = dose.size - levels.size
    if n_within < _FEWEST_WITHIN:
        return
    means = np.bincount(level_of, response) / n
    deviation = math.sqrt(((response - means[level_of]) ** 2).sum() / n_within)
    if deviation == 0:
        return
    towards = math.copysign(1.0, effect)
    # Each of the doses in between may stand out by chance.
    critical = Student(n_within, 2 * (levels.size - 1)).critical(1 - 2 * ALPHA)
    error = deviation * np.sqrt(1 / n[1:-1] + 1 / n[[0, -1]][:, None])
    against_start, past_end = towards * (means[[0, -1]][:, None] - means[1:-1]) / error * np.array([[1], [-1]])
    side, other = ("above", "below") if effect < 0 else ("below", "above")
    if (against_start > critical).any():
        at = levels[1:-1][against_start.argmax()]
        yield StatisticsWarning(
            "hormesis",
            f"At dose {at:.4g} the response lies {side} that of the lowest dose before it turns: hormesis, which the "
            "curve does not describe. Its doses of effect hold for the turn alone.",
        )
    if (past_end > critical).any():
        at = levels[1:-1][past_end.argmax()]
        yield StatisticsWarning(
            "not_monotone",
            f"At dose {at:.4g} the response lies {other} that of the highest dose: it turns back, which the curve "
            "does not describe. Look at the points before you use its doses of effect.",
        )


def identification_warnings(
    doses: tuple[float, float],
    ec50: float | None,
    ec50_interval: Interval,
    slope_interval: Interval,
    shares: tuple[float, float],
    has_control: bool,
) -> Iterator[StatisticsWarning]:
    """What of a curve the doses do not determine.

    Parameters
    ----------
    doses
        The lowest above 0 and the highest.
    ec50, ec50_interval, slope_interval
        Of the curve, `ec50` None a million times beyond the doses.
    shares
        Of the effect, that the curve shows at the two doses.
    has_control
        Whether the response at dose 0 was measured or is known.
    """
    low, high = doses
    if None in ec50_interval:
        bounds = [f"above {ec50_interval.low:.4g}"] if ec50_interval.low is not None else []
        bounds += [f"below {ec50_interval.high:.4g}"] if ec50_interval.high is not None else []
        said = f"it lies {bounds[0]}" if bounds else "it may lie anywhere"
        yield StatisticsWarning(
            "ec50_not_identified", f"The doses do not determine the EC50: {said}. Add doses around it."
        )
    if ec50 is not None and not low <= ec50 <= high:
        yield StatisticsWarning(
            "ec50_outside_doses",
            f"The EC50, {ec50:.4g}, lies outside the doses, {low:.4g} to {high:.4g}, and is extrapolated. Add "
            "doses there.",
        )
    if None in slope_interval:
        yield StatisticsWarning(
            "slope_not_identified",
            "The doses do not bound the slope on both sides: none, or too few, lie on the steep part of the curve, "
            "and the EC50 may lie anywhere in its interval. Add doses in between.",
        )
    if shares[1] < _PLATEAU_REACHED:
        yield StatisticsWarning(
            "plateau_not_reached",
            f"The highest dose shows {shares[1]:.0%} of the fitted effect; the plateau, and with it the EC50, are "
            "extrapolated. Add higher doses.",
        )
    if not has_control and shares[0] > 1 - _PLATEAU_REACHED:
        yield StatisticsWarning(
            "start_not_reached",
            f"The lowest dose shows {shares[0]:.0%} of the fitted effect already, and there is no control; the curve's "
            "start is extrapolated. Add lower doses or controls.",
        )
