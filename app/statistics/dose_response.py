"""From responses at several doses to EC50, slope and plateaus, with what the doses do not tell said."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from app.errors import TableError
from app.statistics.curve_result import DoseResponse
from app.statistics.curves import END, LOG_SLOPE, N_SHAPE, LogLogistic, Values
from app.statistics.distributions import Student, f_test
from app.statistics.least_squares import Fit, f_test_p_value, fit
from app.statistics.power import ALPHA
from app.statistics.results import Interval, StatisticsWarning

# Fewer doses above 0 than that, and four parameters describe anything.
FEWEST_DOSES = 4
# What is still a number after exp.
_LARGEST_LOG = 700.0
# The part of the effect that the outermost doses should show at least, or at most.
_PLATEAU_REACHED = 0.8
# Fewer degrees of freedom within doses, and no dose stands out for sure.
_FEWEST_WITHIN = 3


def fit_curve(
    dose: Values, response: Values, *, plate: Sequence[str] | None = None, start: float | None = None
) -> DoseResponse:
    """Fit a four-parameter log-logistic curve by least squares on the logarithm of the EC50.

    Parameters
    ----------
    dose
        `(N,)` doses in one unit; controls are dose 0.
    response
        `(N,)`, one a replicate.
    plate
        `(N,)` names: each plate then has a shift of its own. Where plates differ by a factor, divide by their controls
        first.
    start
        The response at dose 0, where it is known: then three parameters are fitted.

    Raises
    ------
    TableError
        Fewer than four doses above 0, fewer responses than a curve needs, or values that are no numbers.

    Examples
    --------
    >>> doses = np.array([0, 0.1, 0.3, 1, 3, 10, 30.0])
    >>> curve = fit_curve(doses, 100 / (1 + doses) + np.array([1, -1, 0.5, -0.5, 1, -1, 0.0]))
    >>> round(curve.ec50, 1), curve.warnings
    (1.0, ())
    """
    plates = sorted(set(plate)) if plate is not None else []
    _check(dose, response, n_parameters=N_SHAPE + max(len(plates) - 1, 0))
    curve = LogLogistic(dose, _plate_design(plate or [""] * dose.size, plates or [""]), start)
    found = fit(curve.model(), response, [curve.begin(response)])
    shifts = curve.shifts @ found.parameters[curve.index(N_SHAPE) :]
    effect_p_value = _effect_p_value(curve, found)
    begin = float(found.parameters[0]) if start is None else start
    end, log_slope = (float(found.parameters[curve.index(one)]) for one in (END, LOG_SLOPE))
    slope = math.copysign(math.exp(min(log_slope, _LARGEST_LOG)), begin - end)
    fitted = DoseResponse(
        lower=min(begin, end),
        upper=max(begin, end),
        slope=slope if effect_p_value <= ALPHA else None,
        ec50=None,
        ec50_interval=Interval(None, None),
        slope_interval=Interval(None, None),
        effect_p_value=effect_p_value,
        lack_of_fit_p_value=_lack_of_fit_p_value(dose, response - shifts, found),
        residual_deviation=math.sqrt(found.residual_variance),
        n_responses=response.size,
        n_doses=np.unique(dose).size,
        plate_shifts={name: float(shifts[list(plate or ()).index(name)]) for name in plates},
        warnings=(),
        curve=curve,
        fit=found,
    )
    fitted = replace(
        fitted,
        ec50=fitted.effective_dose(),
        ec50_interval=fitted.effective_dose_interval(),
        slope_interval=fitted.parameter_interval("slope") if fitted.depends_on_dose else Interval(None, None),
    )
    effect = fitted.lower - fitted.upper if fitted.falls else fitted.upper - fitted.lower
    return replace(fitted, warnings=(*_shape_warnings(dose, response - shifts, effect), *_warnings(fitted)))


def _check(dose: Values, response: Values, n_parameters: int) -> None:
    if not (np.isfinite(dose).all() and np.isfinite(response).all()):
        raise TableError("A dose or a response is missing or not a number; leave such wells out of the curve.")
    if (dose < 0).any():
        raise TableError("A dose is below 0; doses are amounts, not their logarithms.")
    n_doses = np.unique(dose[dose > 0]).size
    if n_doses < FEWEST_DOSES:
        raise TableError(
            f"A curve needs {FEWEST_DOSES} doses above 0, and there are {n_doses}; compare the doses instead."
        )
    if dose.size <= n_parameters:
        raise TableError(f"A curve needs more than {n_parameters} responses, and there are {dose.size}.")


def _plate_design(plate: Sequence[str], plates: Sequence[str]) -> Values:
    """`(N, plates - 1)` columns of shifts that sum to 0 over the plates."""
    member = np.array([[name == one for one in plates] for name in plate], np.float64)
    return member[:, :-1] - member[:, -1:]


def _effect_p_value(curve: LogLogistic, found: Fit) -> float:
    """F test against a response that does not depend on the dose, between the plates."""
    design = np.column_stack([np.ones(curve.dose.size), curve.shifts])
    constant = found.response - design @ np.linalg.lstsq(design, found.response)[0]
    return f_test_p_value(float((constant**2).sum()), design.shape[1], found)


def _warnings(fitted: DoseResponse) -> tuple[StatisticsWarning, ...]:
    """What of the curve the doses do not determine."""
    if not fitted.depends_on_dose:
        return (
            StatisticsWarning(
                "no_dose_response",
                f"The response does not depend on the dose (p {fitted.effect_p_value:.2g}), so that there is no EC50.",
            ),
        )
    doses = fitted.curve.dose[fitted.curve.dose > 0]
    outermost = (float(doses.min()), float(doses.max()))
    effects = np.abs(fitted.predict(np.array(outermost)) - (fitted.upper if fitted.falls else fitted.lower))
    low, high = (float(effect) / (fitted.upper - fitted.lower) for effect in effects)
    return tuple(
        _identification_warnings(
            outermost,
            fitted.ec50,
            fitted.ec50_interval,
            fitted.slope_interval,
            (low, high),
            has_control=bool((fitted.curve.dose == 0).any()) or fitted.curve.start is not None,
        )
    )


def _lack_of_fit_p_value(dose: Values, response: Values, found: Fit) -> float | None:
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


def _shape_warnings(dose: Values, response: Values, effect: float) -> Iterator[StatisticsWarning]:
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


def _identification_warnings(
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
