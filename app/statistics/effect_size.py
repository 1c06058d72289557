"""Effects in standard deviations: Hedges' g and the strictly standardised mean difference (SSMD)."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaln

from app.statistics.distributions import noncentral_t_cdf
from app.statistics.results import LEVEL, Interval

# scipy turns a median absolute deviation into a normal distribution's standard deviation by this.
MAD_TO_SD = 1.482602218505602


def small_sample_factor(degrees_of_freedom: float) -> float:
    """Hedges' exact correction J of the bias of Cohen's d.

    Examples
    --------
    >>> round(small_sample_factor(4), 4)
    0.7979
    """
    half = degrees_of_freedom / 2
    return math.exp(float(gammaln(half) - gammaln(half - 0.5))) / math.sqrt(half)


def hedges_g(difference: float, pooled_sd: float, degrees_of_freedom: float) -> float:
    """Difference in pooled standard deviations, without the bias of small samples (Hedges 1981)."""
    return float(small_sample_factor(degrees_of_freedom) * difference / pooled_sd)


def hedges_g_interval(g: float, n_treated: int, n_control: int, level: float = LEVEL) -> Interval:
    """Interval of Hedges' g of two independent groups, by inversion of the noncentral t distribution."""
    degrees_of_freedom = n_treated + n_control - 2
    factor = small_sample_factor(degrees_of_freedom)
    scale = math.sqrt(1 / n_treated + 1 / n_control)
    statistic = g / factor / scale

    def noncentrality(probability: float) -> float:
        reach = 10 + abs(statistic)
        return float(
            brentq(
                lambda centre: noncentral_t_cdf(statistic, degrees_of_freedom, centre) - probability,
                statistic - 5 * reach,
                statistic + 5 * reach,
                xtol=1e-8,
            )
        )

    low, high = noncentrality((1 + level) / 2), noncentrality((1 - level) / 2)
    return Interval(low * scale * factor, high * scale * factor)


def ssmd(treated: NDArray[np.float64], control: NDArray[np.float64], robust: bool = False) -> float | None:
    """Strictly standardised mean difference of two independent groups (Zhang 2007, doi 10.1016/j.ygeno.2007.04.001).

    Parameters
    ----------
    treated, control
        `(N,)` and `(M,)` values of wells.
    robust
        Medians and median absolute deviations (times 1.4826) instead of means and standard deviations.

    Returns
    -------
    float or None
        None where neither group varies, or one of them has fewer than two wells.

    Examples
    --------
    >>> ssmd(np.array([1.0, 3.0]), np.array([11.0, 13.0]))
    -5.0
    """
    if min(treated.size, control.size) < 2:
        return None
    (centre_treated, sd_treated), (centre_control, sd_control) = (
        centre_and_deviation(values, robust) for values in (treated, control)
    )
    deviation = math.hypot(sd_treated, sd_control)
    return (centre_treated - centre_control) / deviation if deviation > 0 else None


def centre_and_deviation(values: NDArray[np.float64], robust: bool = False) -> tuple[float, float]:
    """Mean and standard deviation of two or more values, or, robustly, median and 1.4826 median absolute deviations."""
    if robust:
        centre = float(np.median(values))
        return centre, MAD_TO_SD * float(np.median(np.abs(values - centre)))
    return float(values.mean()), standard_deviation(values)


def standard_deviation(values: NDArray[np.float64]) -> float:
    """Of a sample of two or more; exactly 0 where all values are equal, whatever their mean's rounding does.

    Examples
    --------
    >>> standard_deviation(np.full(3, 0.1))
    0.0
    """
    return float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0
