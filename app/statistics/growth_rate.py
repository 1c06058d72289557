"""Growth-rate inhibition (GR): effects of a drug on counts, freed from how fast the cells divide.

Hafner et al. 2016, doi 10.1038/nmeth.3853.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import TableError
from app.statistics.curve_result import DoseResponse
from app.statistics.dose_response import fit_curve
from app.statistics.results import Interval, StatisticsWarning

Values = NDArray[np.float64]
# Below this growth the division that GR is made of blows up: a tenth of a doubling.
_LEAST_DOUBLINGS = 0.1


@dataclass(frozen=True, eq=False)
class GrowthRateMetrics:
    """What a GR curve says; 1 is growth as in the control, 0 no growth, below 0 death.

    Attributes
    ----------
    gr50
        The dose at which the growth rate is halved, GR = 0.5; None where the curve does not get there.
    gec50, gec50_interval
        The dose halfway between 1 and `gr_inf`, and its profile interval.
    gr_inf
        GR at an endless dose.
    gr_max
        The lower of GR at the two highest doses.
    gr_aoc
        Area over the curve, from 0 where nothing changes, on the log dose, divided by the range of the doses.
    hill
        The curve's slope.
    curve
        The fit, of three parameters: at dose 0 GR is 1.
    warnings
        What the doses do not tell.
    """

    gr50: float | None
    gec50: float | None
    gec50_interval: Interval
    gr_inf: float
    gr_max: float
    gr_aoc: float
    hill: float | None
    curve: DoseResponse
    warnings: tuple[StatisticsWarning, ...]


def growth_rate(count: Values, control: Values | float, time_zero: Values | float) -> Values:
    """GR values, 2^(log2(count / time_zero) / log2(control / time_zero)) - 1.

    Parameters
    ----------
    count
        `(N,)` nuclei of treated wells at the end; 0 gives -1.
    control, time_zero
        Nuclei of untreated wells at the end, and of wells when the treatment began: means, or one a treated well.

    Raises
    ------
    TableError
        The control grew by less than a tenth of a doubling, or a count is below 0 or not a number.

    Examples
    --------
    >>> growth_rate(np.array([400.0, 200.0, 100.0, 0.0]), 400.0, 100.0)
    array([ 1.        ,  0.41421356,  0.        , -1.        ])
    """
    counts, controls, zeros = np.broadcast_arrays(np.asarray(count, np.float64), control, time_zero)
    if not ((counts >= 0).all() and (controls > 0).all() and (zeros > 0).all()):
        raise TableError("GR needs counts of 0 or more, and counts above 0 of the control and at time 0.")
    doublings = np.log2(controls / zeros)
    if not (doublings >= _LEAST_DOUBLINGS).all():
        raise TableError("The control hardly grew, or shrank, since time 0; a growth rate cannot be compared with its.")
    with np.errstate(divide="ignore"):
        rates: Values = 2 ** (np.log2(counts / zeros) / doublings) - 1
    return rates


def growth_rate_metrics(dose: Values, gr: Values) -> GrowthRateMetrics:
    """The metrics of GR values.

    Parameters
    ----------
    dose
        `(N,)` in one unit; dose 0 may be left out, GR is 1 there.
    gr
        `(N,)`, one a replicate.
    """
    curve = fit_curve(dose, gr, start=1.0)
    doses = np.unique(dose[dose > 0])
    means = np.array([gr[dose == one].mean() for one in doses])
    gr_inf = curve.lower if curve.falls else curve.upper
    area = np.trapezoid(1 - means, np.log10(doses)) / np.log10(doses[-1] / doses[0])
    return GrowthRateMetrics(
        gr50=_gr50(curve, gr_inf),
        gec50=curve.ec50,
        gec50_interval=curve.ec50_interval,
        gr_inf=gr_inf,
        gr_max=float(means[-2:].min()),
        gr_aoc=float(area),
        hill=None if curve.slope is None else abs(curve.slope),
        curve=curve,
        warnings=curve.warnings,
    )


def _gr50(curve: DoseResponse, gr_inf: float) -> float | None:
    if curve.ec50 is None or curve.slope is None or gr_inf >= 0.5:
        return None
    return curve.ec50 * math.pow(0.5 / (0.5 - gr_inf), 1 / abs(curve.slope))
