import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.statistics.distributions import noncentral_t_cdf
from app.statistics.power import detectable_effect, power_note, power_of_t, replicates_needed


@given(st.floats(-30, 60), st.integers(1, 800), st.floats(-8, 8))
def test_the_noncentral_t_is_scipys_where_scipy_answers(value: float, degrees_of_freedom: int, centre: float) -> None:
    ours = noncentral_t_cdf(value, degrees_of_freedom, centre)
    theirs = stats.nct.cdf(value, degrees_of_freedom, centre)
    assert 0 <= ours <= 1 + 1e-12
    assert np.isnan(theirs) or ours == pytest.approx(theirs, abs=1e-6)


def test_the_noncentral_t_answers_where_scipy_does_not() -> None:
    assert np.isnan(stats.nct.cdf(-2.5, 4, 10))
    assert noncentral_t_cdf(-2.5, 4, 10) == pytest.approx(0, abs=1e-12)


def test_power_is_the_share_of_experiments_that_find() -> None:
    generator = np.random.default_rng(0)
    treated, control = generator.normal(0, 1, (2, 4000, 4)) + np.array([2.0, 0])[:, None, None]
    found = stats.ttest_ind(treated, control, axis=1).pvalue < 0.05
    assert power_of_t(2.0, 4, 4) == pytest.approx(found.mean(), abs=0.02)
    paired = stats.ttest_1samp(treated[:, :3], 0, axis=1).pvalue < 0.05
    assert power_of_t(2.0, 3, None) == pytest.approx(paired.mean(), abs=0.02)


@given(st.floats(0.1, 5), st.booleans())
def test_so_many_replicates_are_enough_and_one_less_is_not(effect: float, paired: bool) -> None:
    needed = replicates_needed(effect, paired)
    assert needed is not None
    assert needed >= 3
    assert power_of_t(effect, needed, None if paired else needed) >= 0.8
    if needed > 3:
        assert power_of_t(effect, needed - 1, None if paired else needed - 1) < 0.8


@given(st.integers(2, 30), st.integers(2, 30))
def test_more_replicates_detect_less(n: int, n_control: int) -> None:
    assert detectable_effect(n + 1, n_control) < detectable_effect(n, n_control)
    assert detectable_effect(n, n_control) == pytest.approx(detectable_effect(n_control, n))
    assert power_of_t(detectable_effect(n, n_control), n, n_control) == pytest.approx(0.8)


def test_the_note_of_an_answer() -> None:
    note = power_note(8, 100, 3, 3)
    assert note.detectable_percent == pytest.approx(24.6, abs=0.05)
    assert note.replicates_for_ten_percent == 12
    assert power_note(8, 100, 3, 3, alpha=0.01).detectable_difference > note.detectable_difference
    # Of a logarithm, or a growth rate, ten percent of the control mean nothing.
    without = power_note(8, 0, 3, 3)
    assert (without.detectable_percent, without.replicates_for_ten_percent) == (None, None)
    assert power_note(1e6, 100, 3, 3).replicates_for_ten_percent is None
