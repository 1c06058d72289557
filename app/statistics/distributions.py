"""The distributions that estimates are held against: Student's, Fisher's, Dunnett's, and the noncentral t."""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import fdtrc, gammainccinv, gammaincinv, gammaln, ndtr, stdtr, stdtrit, xlogy

# Dunnett's p is exact to 1e-9 with them.
_N_NODES = 96
_SMALLEST = 1e-8
_NODES = np.polynomial.legendre.leggauss(200)


def f_test(statistic: float, n_tested: float, degrees_of_freedom: float) -> float:
    """The p of a ratio of variances (Fisher's F), of which rounding may have made a negative one.

    Examples
    --------
    >>> round(f_test(4.0, 2, 20), 4)
    0.0346
    """
    return float(fdtrc(n_tested, degrees_of_freedom, max(statistic, 0.0)))


@dataclass(frozen=True)
class Student:
    """Student's t distribution, of the largest of several by Bonferroni's bound.

    Attributes
    ----------
    degrees_of_freedom
        Not necessarily a whole number.
    n_comparisons
        Of the family that p and intervals are for.
    """

    degrees_of_freedom: float
    n_comparisons: int = 1

    def p_value(self, statistic: float) -> float:
        """Two-sided p of `statistic`."""
        return min(1.0, float(2 * self.n_comparisons * stdtr(self.degrees_of_freedom, -abs(statistic))))

    def critical(self, level: float) -> float:
        """What the absolute statistic stays below with probability `level`."""
        return float(stdtrit(self.degrees_of_freedom, 1 - (1 - level) / 2 / self.n_comparisons))


@dataclass(frozen=True)
class Dunnett:
    """The distribution of max |t| over comparisons with one control, all with the same pooled standard deviation.

    Computed by Gauss quadrature, so that, unlike with quasi-Monte Carlo integration, the same table always gives the
    same p.

    Attributes
    ----------
    degrees_of_freedom
        Of the pooled standard deviation.
    loadings
        One a comparison: the correlation of two comparisons is the product of theirs. sqrt(n / (n + n_control)) for n
        replicates against n_control.

    References
    ----------
    Dunnett 1955, doi 10.1080/01621459.1955.10501294.

    Examples
    --------
    >>> round(Dunnett(12, (0.5 ** 0.5,) * 3).critical(0.95), 2)
    2.68
    """

    degrees_of_freedom: float
    loadings: tuple[float, ...]

    def p_value(self, statistic: float) -> float:
        """Probability that the largest of the comparisons is at least as far from 0, if no group differs."""
        # Bonferroni's bound is exact where two comparisons so far out would be a coincidence of coincidences.
        bound = Student(self.degrees_of_freedom, len(self.loadings)).p_value(statistic)
        return bound if bound < _SMALLEST else 1 - self.below(abs(statistic))

    def critical(self, level: float) -> float:
        """What all absolute statistics stay below with probability `level`: that of simultaneous intervals."""
        return _critical(self, level)

    def below(self, value: float) -> float:
        """P(all |t| < value).

        Given the control's deviate z and the pooled deviation's factor s, the comparisons are independent.
        """
        z, z_weight = _normal_nodes()
        s, s_weight = deviation_nodes(self.degrees_of_freedom)
        probability = np.ones((s.size, z.size))
        for loading, n_alike in zip(*np.unique(self.loadings, return_counts=True)):
            rest = np.sqrt(1 - loading**2)
            above = (loading * z + value * s[:, None]) / rest
            below = (loading * z - value * s[:, None]) / rest
            probability *= (ndtr(above) - ndtr(below)) ** n_alike
        return min(float(s_weight @ probability @ z_weight), 1.0)


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


@lru_cache(maxsize=256)
def deviation_nodes(degrees_of_freedom: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss nodes and weights, `(200,)` each, of an estimated standard deviation divided by the true one."""
    nodes, weights = _NODES
    half = degrees_of_freedom / 2
    low, high = np.sqrt(gammaincinv(half, 1e-14) / half), np.sqrt(gammainccinv(half, 1e-14) / half)
    at = low + (high - low) * (nodes + 1) / 2
    density = 2 * at * np.exp(xlogy(half - 1, half * at**2) - half * at**2 - gammaln(half)) * half
    return at, (high - low) / 2 * weights * density


@cache
def _normal_nodes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss nodes and weights of a standard normal deviate."""
    nodes, weights = np.polynomial.legendre.leggauss(_N_NODES)
    z = 8.5 * nodes
    return z, 8.5 * weights * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


@lru_cache(maxsize=256)
def _critical(distribution: Dunnett, level: float) -> float:
    # Bonferroni's bound is never below.
    highest = Student(distribution.degrees_of_freedom, len(distribution.loadings)).critical(level)
    return float(brentq(lambda value: distribution.below(value) - level, 0, highest * 1.01, xtol=1e-10))
