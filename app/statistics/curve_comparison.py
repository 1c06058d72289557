"""Two dose-response curves: how many times less of one drug does as much, or one cell line needs."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import TableError
from app.statistics.curve_result import DoseResponse
from app.statistics.curves import LOG_DOSE
from app.statistics.least_squares import Fit, f_test_p_value, fit
from app.statistics.power import ALPHA
from app.statistics.results import LEVEL, Interval, StatisticsWarning

# How far from the estimate the ratio's interval is searched: a million times.
_REACH = math.log(1e6)


@dataclass(frozen=True, eq=False)
class CurveComparison:
    """The first curve's EC50 over the second's (drc's relative potency), with one residual variance for both.

    Attributes
    ----------
    ratio
        EC50 of the first over that of the second: above 1 where the second needs less.
    p_value
        p of equal EC50 (F test).
    shape_p_value
        p of equal plateaus and slopes; where it is small the ratio holds at half of each effect, not at others.
    warnings
        What should be known before the ratio is used, beside the warnings of the two curves.
    """

    ratio: float
    p_value: float
    shape_p_value: float
    warnings: tuple[StatisticsWarning, ...]
    fit: Fit
    position: int

    def ratio_interval(self, level: float = LEVEL) -> Interval:
        """Profile interval of the ratio; an end is None where the doses do not bound it."""
        at = math.log(self.ratio)
        interval = self.fit.profile_interval(self.position, (at - _REACH, at + _REACH), level)
        return Interval(*(None if end is None else math.exp(end) for end in interval))


def compare_curves(first: DoseResponse, second: DoseResponse) -> CurveComparison:
    """Compare two curves of one endpoint whose doses have one unit.

    Raises
    ------
    TableError
        One of the responses does not depend on its dose.
    """
    if first.ec50 is None or second.ec50 is None:
        raise TableError("One of the two responses does not depend on the dose, so that there is no ratio of EC50.")
    n_first = first.fit.parameters.size
    of_first, of_second = first.curve.index(LOG_DOSE), n_first + second.curve.index(LOG_DOSE)

    def apart(parameters: NDArray[Any]) -> NDArray[Any]:
        """Both curves; the first's log EC50 is given as the log of the ratio."""
        shifted = parameters + parameters[of_second] * np.eye(parameters.size)[of_first]
        return np.concatenate([first.fit.model(shifted[:n_first]), second.fit.model(shifted[n_first:])])

    parameters = np.concatenate([first.fit.parameters, second.fit.parameters])
    parameters[of_first] -= parameters[of_second]
    response = np.concatenate([first.fit.response, second.fit.response])
    joint = fit(apart, response, [parameters])
    equal = fit(lambda free: apart(np.insert(free, of_first, 0.0)), response, [np.delete(joint.parameters, of_first)])
    return CurveComparison(
        ratio=math.exp(float(joint.parameters[of_first])),
        p_value=f_test_p_value(equal.residual_sum_of_squares, joint.parameters.size - 1, joint),
        shape_p_value=(shape_p_value := _shape_p_value(first, second, joint)),
        warnings=_warnings(shape_p_value),
        fit=joint,
        position=of_first,
    )


def _shape_p_value(first: DoseResponse, second: DoseResponse, joint: Fit) -> float:
    """F test of curves that differ in their EC50, and the shifts of their plates, alone."""
    n_first, n_second = first.fit.parameters.size, second.fit.parameters.size
    n_shape = first.curve.index(LOG_DOSE) + 2
    if n_shape != second.curve.index(LOG_DOSE) + 2:
        raise TableError("One curve's start is known and the other's is not; fit both in the same way to compare them.")
    at = first.curve.index(LOG_DOSE)

    def parallel(parameters: NDArray[Any]) -> NDArray[Any]:
        shape, other_log_dose = parameters[:n_shape], parameters[n_shape]
        shifts = parameters[n_shape + 1 :]
        other = np.concatenate([shape[:at], [other_log_dose], shape[at + 1 :]])
        return np.concatenate(
            [
                first.fit.model(np.concatenate([shape, shifts[: n_first - n_shape]])),
                second.fit.model(np.concatenate([other, shifts[n_first - n_shape :]])),
            ]
        )

    starts = [
        np.concatenate(
            [
                one.fit.parameters[:n_shape],
                [second.fit.parameters[at]],
                first.fit.parameters[n_shape:],
                second.fit.parameters[n_shape:],
            ]
        )
        for one in (first, second)
    ]
    for start in starts:
        start[at] = first.fit.parameters[at]
    found = fit(parallel, joint.response, starts)
    return f_test_p_value(found.residual_sum_of_squares, n_first + n_second - n_shape + 1, joint)


def _warnings(shape_p_value: float) -> tuple[StatisticsWarning, ...]:
    if shape_p_value > ALPHA:
        return ()
    said = (
        f"The curves differ in plateaus or slope (p {shape_p_value:.2g}): the ratio holds halfway of each curve's "
        "effect, and is another at other effects."
    )
    return (StatisticsWarning("curves_not_parallel", said),)
