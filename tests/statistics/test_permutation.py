import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from app.statistics.permutation import permutation_test

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=25)
@given(SEEDS, st.integers(4, 7), st.integers(4, 7))
def test_ranks_are_mann_whitneys(seed: int, n: int, n_control: int) -> None:
    treated, control = (
        np.random.default_rng(seed).normal(size=13)[:n],
        np.random.default_rng(seed + 1).normal(size=n_control),
    )
    found = permutation_test(treated, control, ranks=True)
    assert found.exact
    assert found.p_value == pytest.approx(stats.mannwhitneyu(treated, control, method="exact").pvalue)


@settings(max_examples=25)
@given(SEEDS, st.integers(6, 9))
def test_signed_ranks_are_wilcoxons(seed: int, n: int) -> None:
    treated, control = np.random.default_rng(seed).normal(size=(2, n))
    found = permutation_test(treated, control, ranks=True, paired=True)
    assert found.p_value == pytest.approx(stats.wilcoxon(treated, control, method="exact").pvalue)


def test_means_are_compared_as_by_scipy() -> None:
    treated, control = np.random.default_rng(0).normal(size=(2, 5))
    theirs = stats.permutation_test((treated, control), lambda x, y: x.mean() - y.mean(), n_resamples=np.inf)
    assert permutation_test(treated, control).p_value == pytest.approx(theirs.pvalue)


def test_many_replicates_are_drawn_always_alike() -> None:
    treated, control = np.random.default_rng(0).normal(size=(2, 20)) + np.array([[0.8], [0]])
    found = permutation_test(treated, control)
    assert not found.exact
    assert found == permutation_test(treated, control)
    assert found.p_value == pytest.approx(stats.ttest_ind(treated, control).pvalue, abs=0.005)
    pairs = permutation_test(treated, control, paired=True)
    assert not pairs.exact
    assert pairs.p_value == pytest.approx(stats.ttest_rel(treated, control).pvalue, abs=0.01)


def test_pairs_need_six() -> None:
    values = np.arange(1.0, 7)
    assert permutation_test(values[:5], np.zeros(5), paired=True).p_value is None
    assert permutation_test(values, np.zeros(6), paired=True).p_value == pytest.approx(2 / 64)


def test_ties_count_as_ties() -> None:
    treated, control = np.array([1.0, 1, 1, 1]), np.array([1.0, 1, 1, 1])
    assert permutation_test(treated, control, ranks=True).p_value == 1
    assert permutation_test(treated, control).p_value == 1
