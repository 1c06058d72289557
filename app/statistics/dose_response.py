"""From responses at several doses to EC50, slope and plateaus, with what the doses do not tell said."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from app.errors import TableError
from app.statistics.curve_checks import (
    f_test_p_value,
    identification_warnings,
    lack_of_fit_p_value,
    shape_warnings,
)
from app.statistics.curve_result import DoseResponse
from app.statistics.curves import END, LOG_SLOPE, N_SHAPE, LogLogistic, Values
from app.statistics.least_squares import Fit, fit
from app.statistics.power import ALPHA
from app.statistics.results import Interval, StatisticsWarning

# Fewer doses above 0 than that, and four parameters describe anything.
FEWEST_DOSES = 4
# What is still a number after exp.
_LARGEST_LOG = 700.0


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
        lack_of_fit_p_value=lack_of_fit_p_value(dose, response - shifts, found),
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
    return replace(fitted, warnings=(*shape_warnings(dose, response - shifts, effect), *_warnings(fitted)))


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
        identification_warnings(
            outermost,
            fitted.ec50,
            fitted.ec50_interval,
            fitted.slope_interval,
            (low, high),
            has_control=bool((fitted.curve.dose == 0).any()) or fitted.curve.start is not None,
        )
    )
