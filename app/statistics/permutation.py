"""Permutation and rank tests, where the number of replicates lets them reach the level at all."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.statistics.power import ALPHA

Values = NDArray[np.float64]
# Up to here every arrangement is looked at; past it this many are drawn, always the same ones.
_MOST_ARRANGEMENTS = 50_000
_SEED = 0


@dataclass(frozen=True)
class PermutationTest:
    """Result of a permutation test.

    Attributes
    ----------
    p_value
        Two-sided; None where no data of this size could reach the level.
    smallest_p_value
        The smallest p that so many replicates can give, before any correction.
    exact
        Whether every arrangement was looked at; else 50,000 random ones.
    """

    p_value: float | None
    smallest_p_value: float
    exact: bool


def permutation_test(
    treated: Values,
    control: Values,
    *,
    ranks: bool = False,
    paired: bool = False,
    alpha: float = ALPHA,
    n_comparisons: int = 1,
) -> PermutationTest:
    """Compare two groups by rearranging their replicates.

    Parameters
    ----------
    treated, control
        `(N,)` and `(M,)` replicates; of pairs of equal length.
    ranks
        Compare ranks instead of means: the exact Mann-Whitney test, of pairs Wilcoxon's signed-rank test, right with
        ties too.
    paired
        Exchange within pairs only.
    alpha, n_comparisons
        p is None where the smallest possible one, times the number of comparisons, is above alpha.

    Examples
    --------
    >>> permutation_test(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]), ranks=True)
    PermutationTest(p_value=None, smallest_p_value=0.1, exact=True)
    """
    n_arrangements = 2**treated.size if paired else math.comb(treated.size + control.size, treated.size)
    smallest = min(1.0, 2 / n_arrangements)
    exact = n_arrangements <= _MOST_ARRANGEMENTS
    if smallest * n_comparisons > alpha:
        return PermutationTest(None, smallest, exact)
    statistics = _of_pairs(treated - control, ranks, exact) if paired else _of_groups(treated, control, ranks, exact)
    observed, rearranged = np.abs(statistics[0]), np.abs(statistics[1:])
    # What differs by rounding only is equal.
    as_far = int((rearranged >= observed * (1 - 1e-12)).sum())
    p_value = as_far / n_arrangements if exact else (as_far + 1) / (_MOST_ARRANGEMENTS + 1)
    return PermutationTest(p_value, smallest, exact)


def _of_groups(treated: Values, control: Values, ranks: bool, exact: bool) -> Values:
    """The treated group's sum, from its expectation: the observed one, then those of the arrangements."""
    joined = np.concatenate([treated, control])
    values = _ranked(joined) if ranks else joined
    centred = values - values.mean()
    n, n_all = treated.size, values.size
    if exact:
        chosen = np.fromiter(_flat(combinations(range(n_all), n)), np.intp).reshape(-1, n)
    else:
        generator = np.random.default_rng(_SEED)
        chosen = np.argsort(generator.random((_MOST_ARRANGEMENTS, n_all)), axis=1)[:, :n]
    return np.concatenate([[centred[:n].sum()], centred[chosen].sum(axis=1)])


def _ranked(values: Values) -> Values:
    """Their ranks, ties in the middle."""
    # Each start would wait for it.
    from scipy.stats import rankdata

    ranks: Values = rankdata(values)
    return ranks


def _of_pairs(differences: Values, ranks: bool, exact: bool) -> Values:
    """The sum of the signed differences: the observed one, then those with signs exchanged."""
    values = np.sign(differences) * _ranked(np.abs(differences)) if ranks else differences
    n = values.size
    if exact:
        signs = np.fromiter(_flat(product((-1.0, 1.0), repeat=n)), np.float64).reshape(-1, n)
    else:
        signs = np.random.default_rng(_SEED).choice([-1.0, 1.0], (_MOST_ARRANGEMENTS, n))
    return np.concatenate([[values.sum()], signs @ values])


def _flat(tuples: Iterator[tuple[Any, ...]]) -> Iterator[Any]:
    return (value for chosen in tuples for value in chosen)
