"""The four-parameter log-logistic curve, in the form in which it is fitted."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.statistics.least_squares import Model

Values = NDArray[np.float64]
# Where the parameters of a curve lie; those of plates follow.
START, END, LOG_DOSE, LOG_SLOPE = range(4)
N_SHAPE = 4
# exp of more overflows.
_LARGEST_EXPONENT = 500.0
_STEEPEST = 50.0
_ROUNDING = 1e-9
_MOST_GRID_DOSES = 400
# The slopes that are told apart: below the first a response hardly turns within any range of doses, the last is a step.
SLOPE_LIMITS = (math.log(1e-2), math.log(1e2))
SLOPE_GRID = np.linspace(*SLOPE_LIMITS, 47)


@dataclass(frozen=True, eq=False)
class LogLogistic:
    """Responses at doses: `start` at dose 0, `end` at an endless dose, and in between a logistic of the log dose.

    Fitting the logarithms of dose and slope keeps both positive, and `start` and `end` cannot change places.

    Attributes
    ----------
    dose
        `(N,)`, 0 or above.
    shifts
        `(N, K)` design of K shifts of plates, K = plates - 1.
    start
        Known response at dose 0; None if it is estimated.
    """

    dose: Values
    shifts: Values
    start: float | None = None

    def model(self, percent: float = 50.0) -> Model:
        """The predicted responses, where the third parameter is the log of the dose with `percent` of the effect."""

        def predict(parameters: NDArray[Any]) -> NDArray[Any]:
            start, end, log_effective, log_slope = self._shape(parameters)
            share = self._share(log_effective, log_slope, percent)[self._levels[1]]
            response = start + (end - start) * share
            shifted: NDArray[Any] = response + self.shifts @ parameters[N_SHAPE - self._n_known :]
            return shifted

        return predict

    def index(self, parameter: int) -> int:
        """Where a parameter lies among those that are fitted."""
        return parameter - self._n_known

    def at(self, dose: Values) -> "LogLogistic":
        """The same curve at other doses, between the plates."""
        return LogLogistic(dose, np.zeros((dose.size, self.shifts.shape[1])), self.start)

    def sum_of_squares(self, response: Values, log_dose: Values, log_slope: Values, percent: float = 50.0) -> Values:
        """The smallest residual sums of squares, `(K,)`, at K given doses of effect and slopes.

        The other parameters are linear then: a regression on the share of the effect, in closed form.
        """
        share = self._share(log_dose[:, None], log_slope[:, None], percent).T
        basis, of_levels = self._basis, self._levels_beside_basis
        left = response - (self.start or 0.0)
        left = left - basis @ (basis.T @ left)
        explained, scale = (left @ of_levels) @ share, ((of_levels.T @ of_levels @ share) * share).sum(axis=0)
        gained = np.divide(explained**2, scale, out=np.zeros_like(scale), where=scale > 1e-12)
        remaining: Values = np.maximum(left @ left - gained, 0.0)
        return remaining

    def begin(self, response: Values) -> Values:
        """Parameters to begin a fit with: the best of a grid of doses and slopes."""
        log_doses = self.log_dose_grid(0.0)
        doses, slopes = (grid.ravel() for grid in np.meshgrid(log_doses, SLOPE_GRID))
        sums = self.sum_of_squares(response, doses, slopes)
        # A step between two doses fits anywhere between them, and rounding would choose: the middle is taken.
        fitting = np.flatnonzero(sums <= sums.min() * (1 + _ROUNDING))
        best = int(fitting[fitting.size // 2])
        share = self._share(doses[best : best + 1], slopes[best : best + 1], 50.0)[self._levels[1]]
        known = [share] if self.start is not None else [1 - share, share]
        offset = 0.0 if self.start is None else self.start * (1 - share)
        linear = np.linalg.lstsq(np.column_stack([*known, self.shifts]), response - offset)[0]
        n_levels = len(known)
        return np.concatenate([linear[:n_levels], [doses[best], slopes[best]], linear[n_levels:]])

    def log_dose_grid(self, beyond: float) -> Values:
        """Log doses from `beyond` below the lowest to `beyond` above the highest, several between neighbours."""
        doses = np.log(np.unique(self.dose[self.dose > 0]))
        step = min(float(np.diff(doses).min()) / 4, 0.25)
        n = min(int((doses[-1] - doses[0] + 2 * beyond) / step) + 2, _MOST_GRID_DOSES)
        return np.linspace(doses[0] - beyond, doses[-1] + beyond, n)

    def _share(self, log_effective: NDArray[Any], log_slope: NDArray[Any], percent: float) -> NDArray[Any]:
        """The part of the effect that each of the L different doses has, `(L,)` or `(K, L)`."""
        doses = self._levels[0]
        log_dose = np.log(np.where(doses > 0, doses, 1.0))
        slope = np.exp(_clipped(log_slope, _STEEPEST))
        exponent = -slope * (log_dose - log_effective) - math.log(percent / (100 - percent))
        share: NDArray[Any] = np.where(doses > 0, 1 / (1 + np.exp(_clipped(exponent, _LARGEST_EXPONENT))), 0.0)
        return share

    @cached_property
    def _levels(self) -> tuple[Values, NDArray[np.intp]]:
        """The different doses, and which one each response has."""
        doses, dose_of = np.unique(self.dose, return_inverse=True)
        return doses, dose_of

    @cached_property
    def _basis(self) -> Values:
        """Orthonormal columns of what is linear beside the effect: the start, if it is not known, and the plates."""
        others = self.shifts if self.start is not None else np.column_stack([np.ones(self.dose.size), self.shifts])
        basis: Values = np.linalg.qr(others)[0]
        return basis

    @cached_property
    def _levels_beside_basis(self) -> Values:
        """`(N, L)`: which of the different doses each response has, without what the basis explains."""
        doses, dose_of = self._levels
        member = (dose_of[:, None] == np.arange(doses.size)).astype(np.float64)
        beside: Values = member - self._basis @ (self._basis.T @ member)
        return beside

    @property
    def _n_known(self) -> int:
        return 0 if self.start is None else 1

    def _shape(self, parameters: NDArray[Any]) -> NDArray[Any]:
        shape = parameters[: N_SHAPE - self._n_known]
        return shape if self.start is None else np.concatenate([[self.start], shape])


def _clipped(values: NDArray[Any], largest: float) -> NDArray[Any]:
    """Values with real parts of at most `largest` in size; imaginary parts carry the derivative and stay."""
    real: NDArray[Any] = np.clip(np.real(values), -largest, largest)
    return real + 1j * np.imag(values) if np.iscomplexobj(values) else real
