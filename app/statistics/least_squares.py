"""Nonlinear least squares with both kinds of standard errors and with profile intervals.

Models are plain functions of their parameters that also take complex ones: the derivatives come from a complex step
(Squire and Trapp 1998), which is exact to rounding, so that no model needs derivatives written by hand.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, least_squares

from app.statistics.distributions import Student, f_test
from app.statistics.results import LEVEL, Interval

Values = NDArray[np.float64]
# From parameters `(P,)` to predicted responses `(N,)`, real or complex as the parameters are.
Model = Callable[[NDArray[Any]], NDArray[Any]]
# `hessian`: second derivatives of the residual sum of squares, as R's drc; `jacobian`: J'J, as R's nls and scipy's
# curve_fit.
Errors = Literal["hessian", "jacobian"]

_STEP = 1e-30
_TOLERANCE = 1e-15
# An interval's end is where the residual sum of squares reaches a threshold: nothing finer can be seen there.
_REFIT_TOLERANCE = 1e-8
# A fit that still moves has parameters on which hardly anything depends.
_MOST_STEPS = 100
# Steps that double reach from a thousandth of a parameter's scale to any limit.
_FIRST_STEP = 1e-3
# Of logarithms.
_FIRST_DISTANCE = 0.05
_ZOOMS, _ZOOM_POINTS = 3, 17
# A part of the sum of squares below which residuals are rounding.
_ROUNDING = 1e-20


@dataclass(frozen=True, eq=False)
class Fit:
    """Parameters of the smallest residual sum of squares.

    Attributes
    ----------
    parameters
        `(P,)` estimates.
    residual_sum_of_squares, degrees_of_freedom
        Of the residuals.
    """

    model: Model
    response: Values
    parameters: Values
    residual_sum_of_squares: float
    degrees_of_freedom: int

    @property
    def residual_variance(self) -> float:
        """Residual sum of squares a degree of freedom; 0 where none is left."""
        return self.residual_sum_of_squares / self.degrees_of_freedom if self.degrees_of_freedom > 0 else 0.0

    def jacobian(self) -> Values:
        """`(N, P)` derivatives of the predicted responses."""
        return _jacobian(self.model, self.parameters)

    def covariance(self, errors: Errors = "hessian") -> Values | None:
        """`(P, P)` covariance of the parameters; None where the data do not determine all of them."""
        if self.degrees_of_freedom <= 0:
            return None
        jacobian = self.jacobian()
        information = jacobian.T @ jacobian
        if errors == "hessian":
            information = information + self._curvature()
        scale = np.sqrt(np.abs(np.diag(information)))
        if not (scale > 0).all():
            return None
        scaled = information / np.outer(scale, scale)
        eigenvalues = np.linalg.eigvalsh(scaled)
        if eigenvalues[0] < 1e-12 * eigenvalues[-1]:
            return None
        covariance: Values = self.residual_variance * np.linalg.inv(scaled) / np.outer(scale, scale)
        return covariance

    def standard_error(self, gradient: Values, errors: Errors = "hessian") -> float | None:
        """Standard error of a function of the parameters that has this `(P,)` gradient (delta method)."""
        covariance = self.covariance(errors)
        return None if covariance is None else math.sqrt(max(float(gradient @ covariance @ gradient), 0.0))

    def profile_interval(self, index: int, limits: tuple[float, float], level: float = LEVEL) -> Interval:
        """Values of one parameter that the data do not rule out, the others refitted (Bates and Watts 1988, chapter 6).

        Parameters
        ----------
        index
            Of the parameter.
        limits
            An end that is not reached before these is None: the data do not bound the parameter there.
        level
            Of the interval.
        """
        if self.degrees_of_freedom <= 0:
            return Interval(None, None)
        if not limits[0] < self.parameters[index] < limits[1]:
            return Interval(None, None)
        return Interval(*(self._profile_end(index, limit, level) for limit in limits))

    def _profile_end(self, index: int, limit: float, level: float) -> float | None:
        estimate = float(self.parameters[index])
        known = {0.0: np.delete(self.parameters, index)}

        def sum_of_squares(distance: float) -> float:
            value = estimate + math.copysign(distance, limit - estimate)
            nearest = known[min(known, key=lambda at: abs(at - distance))]
            found = fit(
                lambda free: self.model(_insert(free, index, value)), self.response, [nearest], _REFIT_TOLERANCE
            )
            known[distance] = found.parameters
            return found.residual_sum_of_squares

        distance = distance_to(self.threshold(level), sum_of_squares, self._first_step(index), abs(limit - estimate))
        return None if distance is None else estimate + math.copysign(distance, limit - estimate)

    def threshold(self, level: float = LEVEL) -> float:
        """The residual sum of squares up to which the data do not rule out a value of one parameter."""
        return (
            self.residual_sum_of_squares
            + self.residual_variance * Student(self.degrees_of_freedom).critical(level) ** 2
        )

    def _first_step(self, index: int) -> float:
        standard_error = self.standard_error(np.eye(self.parameters.size)[index], "jacobian")
        return standard_error or max(abs(float(self.parameters[index])), 1.0) * _FIRST_STEP

    def _curvature(self) -> Values:
        """What the second derivatives of the model add to J'J, `(P, P)`."""
        residuals = np.real(self.model(self.parameters)) - self.response
        columns = []
        for index, parameter in enumerate(self.parameters):
            step = 1e-5 * max(abs(float(parameter)), 1e-2)
            ahead, behind = (
                _jacobian(self.model, _insert(np.delete(self.parameters, index), index, parameter + sign * step))
                for sign in (1, -1)
            )
            columns.append((ahead - behind).T @ residuals / (2 * step))
        curvature = np.stack(columns)
        return (curvature + curvature.T) / 2


def fit(model: Model, response: Values, starts: Iterable[Values], tolerance: float = _TOLERANCE) -> Fit:
    """The best of the fits that begin at `starts`, by Levenberg and Marquardt's method.

    Parameters
    ----------
    model
        From parameters `(P,)` to predicted responses `(N,)`, N at least P; analytic, so that complex parameters work.
    response
        `(N,)` observed.
    starts
        One or more `(P,)`.
    tolerance
        Relative change of the residual sum of squares, or of the parameters, that ends a fit.
    """
    fits = [
        least_squares(
            lambda parameters: np.real(model(parameters)) - response,
            start,
            jac=lambda parameters: _jacobian(model, parameters),
            method="lm",
            x_scale="jac",
            xtol=tolerance,
            ftol=tolerance,
            gtol=tolerance,
            max_nfev=_MOST_STEPS,
        )
        for start in starts
    ]
    best = min(fits, key=lambda found: float(found.cost))
    return Fit(model, response, best.x, 2 * float(best.cost), response.size - best.x.size)


def profile_interval(
    fit: Fit, sum_of_squares: Callable[[float], float], estimate: float, limits: tuple[float, float], level: float
) -> Interval:
    """The values whose profile, `sum_of_squares`, stays below the threshold; an end past the limits is None.

    An estimate past the limits is searched from there, so that it still has an end on the other side.
    """
    estimate = min(max(estimate, limits[0]), limits[1])
    ends = []
    for limit, sign in zip(limits, (-1, 1)):
        distance = distance_to(
            fit.threshold(level),
            lambda away, sign=sign: sum_of_squares(estimate + sign * away),  # type: ignore[misc]
            _FIRST_DISTANCE,
            abs(limit - estimate),
        )
        ends.append(None if distance is None else estimate + sign * distance)
    return Interval(*ends)


def smallest(function: Callable[[Values], Values], grid: Values) -> float:
    """The smallest value of a function of one number, by a grid and ever finer ones around its best place."""
    step = float(grid[1] - grid[0])
    values = function(grid)
    for _ in range(_ZOOMS):
        best = grid[values.argmin()]
        grid = np.linspace(best - step, best + step, _ZOOM_POINTS)
        step = 2 * step / (_ZOOM_POINTS - 1)
        values = function(grid)
    return float(values.min())


def distance_to(
    threshold: float, sum_of_squares: Callable[[float], float], first: float, furthest: float
) -> float | None:
    """How far from an estimate its profile reaches a threshold; None where it does not up to `furthest`.

    Parameters
    ----------
    threshold
        See `Fit.threshold`.
    sum_of_squares
        The profile: the smallest residual sum of squares at a distance from the estimate.
    first
        The first distance to look at; it is doubled until the threshold is passed.
    furthest
        The last one.
    """
    known = {0.0: -math.inf}

    def excess(distance: float) -> float:
        # Looked up and not computed again: refits from other starts differ a little.
        if distance not in known:
            known[distance] = sum_of_squares(distance) - threshold
        return known[distance]

    if furthest == 0:
        return None
    near, far = 0.0, min(first, furthest)
    while excess(far) < 0:
        if far >= furthest:
            return None
        near, far = far, min(2 * far, furthest)
    known[0.0] = min(-abs(excess(far)), -1e-300)
    return float(brentq(excess, near, far, xtol=1e-7, rtol=1e-7))


def _insert(free: NDArray[Any], index: int, value: float) -> NDArray[Any]:
    return np.concatenate([free[:index], [value], free[index:]])


def _jacobian(model: Model, parameters: Values) -> Values:
    steps = parameters.astype(np.complex128)[:, None] + 1j * _STEP * np.eye(parameters.size)
    return np.stack([np.imag(model(steps[:, index])) / _STEP for index in range(parameters.size)], axis=1)


def f_test_p_value(simpler_sum_of_squares: float, n_simpler: int, found: Fit) -> float:
    """Give p of a simpler description, nested in the fit, that leaves no more over than chance does."""
    gained = max(simpler_sum_of_squares - found.residual_sum_of_squares, 0.0)
    n_gained = found.parameters.size - n_simpler
    if gained <= _ROUNDING * float(found.response @ found.response):
        return 1.0
    if found.residual_variance == 0:
        return 0.0
    return f_test(gained / n_gained / found.residual_variance, n_gained, found.degrees_of_freedom)
