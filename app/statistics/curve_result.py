"""A fitted dose-response curve: its numbers, and their errors and intervals on demand."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from app.statistics.curves import END, LOG_DOSE, LOG_SLOPE, SLOPE_GRID, SLOPE_LIMITS, START, LogLogistic, Values
from app.statistics.distributions import Student
from app.statistics.least_squares import Errors, Fit, profile_interval, smallest
from app.statistics.power import ALPHA
from app.statistics.results import LEVEL, Interval, StatisticsWarning

Parameter = Literal["lower", "upper", "slope"]
# How far beyond the doses an interval of a dose is searched: a million times.
_REACH = math.log(1e6)


@dataclass(frozen=True, eq=False)
class DoseResponse:
    """A fitted four-parameter log-logistic curve (drc's LL.4).

    Attributes
    ----------
    lower, upper
        The plateaus, in the response's unit.
    slope
        At the EC50, on the natural logarithm of the dose: above 0 where the response falls. None where the response
        does not depend on the dose.
    ec50
        The dose halfway between the plateaus, in the doses' unit; None where the response does not depend on the dose,
        and a million times beyond the doses.
    ec50_interval, slope_interval
        Profile intervals of 95 %; an end that the doses do not bound is None, and both where the response does not
        depend on the dose.
    effect_p_value
        p of a response that does not depend on the dose (F test against a constant).
    lack_of_fit_p_value
        p of a curve that fits (F test against the means of the doses); None without repeated doses.
    residual_deviation
        Standard deviation of the responses around the curve.
    n_responses, n_doses
        What it was fitted to; dose 0 counts as one.
    plate_shifts
        Of each plate, in the order of their names, that sum to 0; empty for one plate.
    warnings
        What the doses do not tell.
    """

    lower: float
    upper: float
    slope: float | None
    ec50: float | None
    ec50_interval: Interval
    slope_interval: Interval
    effect_p_value: float
    lack_of_fit_p_value: float | None
    residual_deviation: float
    n_responses: int
    n_doses: int
    plate_shifts: dict[str, float]
    warnings: tuple[StatisticsWarning, ...]
    curve: LogLogistic
    fit: Fit

    def effective_dose(self, percent: float = 50.0) -> float | None:
        """The dose with `percent` (above 0, below 100) of the effect: ED10, ED50, ED90.

        None where the response does not depend on the dose, and a million times beyond the doses.
        """
        low, high = self._reach()
        if not self.depends_on_dose or not low < self._log_effective_dose(percent) < high:
            return None
        return math.exp(self._log_effective_dose(percent))

    def effective_dose_error(self, percent: float = 50.0, errors: Errors = "hessian") -> float | None:
        """Standard error of an effective dose, in the dose's unit.

        `hessian` takes the second derivatives of the residual sum of squares, as drc does; `jacobian` J'J, as scipy's
        `curve_fit` and R's `nls` do.
        """
        dose = self.effective_dose(percent)
        if dose is None:
            return None
        gradient = np.zeros(self.fit.parameters.size)
        gradient[self.curve.index(LOG_DOSE)] = 1.0
        gradient[self.curve.index(LOG_SLOPE)] = -_logit(percent) / math.exp(self._shape(LOG_SLOPE))
        error = self.fit.standard_error(gradient, errors)
        return None if error is None else dose * error

    def effective_dose_interval(self, percent: float = 50.0, level: float = LEVEL) -> Interval:
        """Profile interval of an effective dose; an end is None where the doses do not bound it."""
        if not self.depends_on_dose:
            return Interval(None, None)

        def sum_of_squares(log_dose: float) -> float:
            def of_slopes(log_slopes: Values) -> Values:
                return self.curve.sum_of_squares(
                    self.fit.response, np.full(log_slopes.size, log_dose), log_slopes, percent
                )

            return smallest(of_slopes, SLOPE_GRID)

        return _exponential(
            profile_interval(self.fit, sum_of_squares, self._log_effective_dose(percent), self._reach(), level)
        )

    def wald_interval(self, percent: float = 50.0, level: float = LEVEL, errors: Errors = "hessian") -> Interval | None:
        """Interval of an effective dose that is symmetric around it, by its standard error, as drc's `delta`."""
        dose, error = self.effective_dose(percent), self.effective_dose_error(percent, errors)
        if dose is None or error is None:
            return None
        half = Student(self.fit.degrees_of_freedom).critical(level) * error
        return Interval(dose - half, dose + half)

    def standard_error(self, parameter: Parameter, errors: Errors = "hessian") -> float | None:
        """Standard error of a plateau or the slope; None where it is known or not determined."""
        position = self._position(parameter)
        if position < 0:
            return None
        gradient = np.zeros(self.fit.parameters.size)
        gradient[position] = math.exp(self._shape(LOG_SLOPE)) if parameter == "slope" else 1.0
        return self.fit.standard_error(gradient, errors)

    def parameter_interval(self, parameter: Parameter, level: float = LEVEL) -> Interval:
        """Profile interval of a plateau or the slope; an end is None where the doses do not bound it."""
        position = self._position(parameter)
        if position < 0:
            known = self._shape(START)
            return Interval(known, known)
        if parameter == "slope":
            return self._slope_interval(level)
        spread = 1e4 * max(float(np.ptp(self.fit.response)), abs(self.upper - self.lower))
        plateau = float(self.fit.parameters[position])
        return self.fit.profile_interval(position, (plateau - spread, plateau + spread), level)

    def _slope_interval(self, level: float) -> Interval:
        log_doses = self.curve.log_dose_grid(_REACH)

        def sum_of_squares(log_slope: float) -> float:
            def of_doses(doses: Values) -> Values:
                return self.curve.sum_of_squares(self.fit.response, doses, np.full(doses.size, log_slope))

            return smallest(of_doses, log_doses)

        steepness = _exponential(
            profile_interval(self.fit, sum_of_squares, self._shape(LOG_SLOPE), SLOPE_LIMITS, level)
        )
        return steepness if self.falls else Interval(_negative(steepness.high), _negative(steepness.low))

    def predict(self, dose: Values) -> Values:
        """Responses `(M,)` at doses `(M,)`, between the plates."""
        return np.real(self.curve.at(dose).model()(self.fit.parameters))

    def band(self, dose: Values, level: float = LEVEL) -> tuple[Values, Values] | None:
        """Pointwise interval of the curve at doses `(M,)` (delta method); None where not all is determined."""
        covariance = self.fit.covariance("jacobian")
        if covariance is None:
            return None
        gradients = replace(self.fit, model=self.curve.at(dose).model()).jacobian()
        error = np.sqrt(np.einsum("mi,ij,mj->m", gradients, covariance, gradients))
        half = Student(self.fit.degrees_of_freedom).critical(level) * error
        return self.predict(dose) - half, self.predict(dose) + half

    def _reach(self) -> tuple[float, float]:
        """Logarithms between which doses are spoken of."""
        doses = self.curve.dose[self.curve.dose > 0]
        return math.log(doses.min()) - _REACH, math.log(doses.max()) + _REACH

    @property
    def depends_on_dose(self) -> bool:
        """Whether the response depends on the dose at all, at the level of 0.05."""
        return self.effect_p_value <= ALPHA

    @property
    def falls(self) -> bool:
        """Whether the response falls with the dose."""
        return self._shape(START) >= self._shape(END)

    def _shape(self, parameter: int) -> float:
        if parameter == START and self.curve.start is not None:
            return self.curve.start
        return float(self.fit.parameters[self.curve.index(parameter)])

    def _position(self, parameter: Parameter) -> int:
        if parameter == "slope":
            return self.curve.index(LOG_SLOPE)
        return self.curve.index(START if (parameter == "upper") == self.falls else END)

    def _log_effective_dose(self, percent: float) -> float:
        return self._shape(LOG_DOSE) + _logit(percent) / math.exp(self._shape(LOG_SLOPE))


def _logit(percent: float) -> float:
    return math.log(percent / (100 - percent))


def _exponential(interval: Interval) -> Interval:
    return Interval(*(None if end is None else math.exp(end) for end in interval))


def _negative(end: float | None) -> float | None:
    return None if end is None else -end
