import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from app.statistics.compare import Comparison, compare, compare_in_blocks, compare_with_control
from app.statistics.distributions import Dunnett, Student
from app.statistics.effect_size import hedges_g_interval, small_sample_factor, ssmd
from app.statistics.effects import adjust
from app.statistics.results import Estimate, Interval

SEEDS = st.integers(0, 2**32 - 1)


def groups_of(seed: int, *sizes: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.lognormal(4, 0.2, size) for size in sizes]


def codes(comparison: Comparison) -> set[str]:
    return {warning.code for warning in comparison.warnings}


def interval_of(estimate: Estimate | None, level: float = 0.95) -> Interval:
    assert estimate is not None
    interval = estimate.confidence_interval(level)
    assert interval is not None
    return interval


@given(SEEDS, st.integers(3, 9), st.integers(3, 9))
def test_two_groups_are_compared_as_by_scipy(seed: int, n: int, n_control: int) -> None:
    treated, control = groups_of(seed, n, n_control)
    found = compare(treated, control)
    theirs = stats.ttest_ind(treated, control, equal_var=False)
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert interval_of(found.difference) == pytest.approx(tuple(theirs.confidence_interval()))
    on_logs = stats.ttest_ind(np.log(treated), np.log(control), equal_var=False).confidence_interval()
    assert interval_of(found.ratio) == pytest.approx((math.exp(on_logs.low), math.exp(on_logs.high)))


@given(SEEDS, st.integers(3, 9))
def test_pairs_are_compared_as_by_scipy(seed: int, n: int) -> None:
    treated, control = groups_of(seed, n, n)
    found = compare_in_blocks({"drug": treated}, control)["drug"]
    theirs = stats.ttest_rel(treated, control)
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert interval_of(found.difference) == pytest.approx(tuple(theirs.confidence_interval()))
    assert found.ssmd == pytest.approx((treated - control).mean() / (treated - control).std(ddof=1))
    assert found.hedges_g_interval() is None


@settings(max_examples=30)
@given(SEEDS, st.floats(1e-3, 1e6))
def test_the_unit_does_not_matter(seed: int, factor: float) -> None:
    first, second, control = groups_of(seed, 4, 3, 5)
    ours = compare_with_control({"a": first, "b": second}, control)
    scaled = compare_with_control({"a": first * factor, "b": second * factor}, control * factor)
    for one, other in zip(ours.values(), scaled.values()):
        assert other.p_value == pytest.approx(one.p_value, rel=1e-6)
        assert other.difference.value == pytest.approx(one.difference.value * factor)
        assert interval_of(other.ratio) == pytest.approx(interval_of(one.ratio))
        assert other.hedges_g == pytest.approx(one.hedges_g)
        assert other.ssmd == pytest.approx(one.ssmd)


@given(SEEDS)
def test_exchanging_two_groups_turns_the_effect_around(seed: int) -> None:
    treated, control = groups_of(seed, 4, 6)
    ours, turned = compare(treated, control), compare(control, treated)
    assert turned.p_value == pytest.approx(ours.p_value)
    assert turned.difference.value == pytest.approx(-ours.difference.value)
    low, high = interval_of(ours.difference)
    assert interval_of(turned.difference) == pytest.approx((-high, -low))  # type: ignore[operator]
    low, high = interval_of(ours.ratio)
    assert interval_of(turned.ratio) == pytest.approx((1 / high, 1 / low))  # type: ignore[operator]
    assert turned.hedges_g == pytest.approx(-ours.hedges_g)  # type: ignore[operator]


@settings(max_examples=30)
@given(SEEDS)
def test_neither_the_order_of_groups_nor_of_replicates_matters(seed: int) -> None:
    first, second, control = groups_of(seed, 4, 3, 5)
    ours = compare_with_control({"a": first, "b": second}, control)
    turned = compare_with_control({"b": second[::-1], "a": first[::-1]}, control[::-1])
    for label in "ab":
        assert turned[label].p_value == pytest.approx(ours[label].p_value)
        assert interval_of(turned[label].difference) == pytest.approx(interval_of(ours[label].difference))


@given(SEEDS)
def test_equal_groups_do_not_differ(seed: int) -> None:
    (values,) = groups_of(seed, 5)
    for found in (compare(values, values), compare_with_control({"a": values, "b": values}, values)["a"]):
        assert found.difference.value == 0
        assert found.p_value == pytest.approx(1)
        assert found.ratio is not None
        assert found.ratio.value == pytest.approx(1)
        assert (found.hedges_g, found.ssmd) == (0, 0)


@settings(max_examples=10)
@given(SEEDS, st.integers(2, 5))
def test_p_of_dunnett_is_scipys(seed: int, n_groups: int) -> None:
    *treated, control = groups_of(seed, *[4] * n_groups, 6)
    found = compare_with_control({str(index): values for index, values in enumerate(treated)}, control)
    theirs = stats.dunnett(*treated, control=control, rng=0)
    assert [one.p_value for one in found.values()] == pytest.approx(theirs.pvalue, abs=2e-3)
    assert [one.difference.statistic for one in found.values()] == pytest.approx(theirs.statistic)


@given(st.integers(1, 500), st.floats(0, 60))
def test_one_comparison_of_dunnett_is_students(degrees_of_freedom: int, statistic: float) -> None:
    one = Dunnett(degrees_of_freedom, (0.7,))
    student = Student(degrees_of_freedom)
    assert one.p_value(statistic) == pytest.approx(student.p_value(statistic), abs=1e-9, rel=1e-5)
    assert one.critical(0.95) == pytest.approx(student.critical(0.95), rel=1e-5)


def test_p_of_dunnett_is_never_0_and_never_above_bonferronis() -> None:
    loadings = (0.6, 0.7, 0.8)
    for statistic in (0.0, 1.0, 5.0, 20.0, 100.0):
        p_value = Dunnett(12, loadings).p_value(statistic)
        assert 0 < p_value <= Student(12, 3).p_value(statistic) + 1e-12
    # Far out, where 1 minus the rest is rounding, the bound is the answer.
    assert Dunnett(12, loadings).p_value(100.0) == pytest.approx(Student(12, 3).p_value(100.0), rel=1e-6)


def test_five_doses_that_do_nothing_are_a_false_alarm_in_five_of_a_hundred() -> None:
    generator = np.random.default_rng(0)
    n_false = 0
    for _ in range(60):
        *treated, control = generator.normal(100, 8, (6, 3))
        found = compare_with_control({str(index): one for index, one in enumerate(treated)}, control)
        p_values = [one.p_value for one in found.values() if one.p_value is not None]
        assert len(p_values) == 5
        n_false += min(p_values) < 0.05
    assert n_false <= 8


def test_blocks_take_the_plates_out() -> None:
    plates = np.array([0.0, 50, 100, 200])
    noise = np.random.default_rng(0).normal(0, 1, (3, 4))
    first, second, control = plates + noise + np.array([[-20], [0], [0]]) + 1000
    found = compare_in_blocks({"a": first, "b": second}, control)
    assert found["a"].method == "Dunnett's test in blocks"
    assert found["a"].p_value is not None
    assert found["a"].p_value < 1e-4
    free = compare_with_control({"a": first, "b": second}, control)["a"].p_value
    assert free is not None
    assert free > 0.5
    # A two-way analysis of variance, by hand.
    table = np.stack([first, second, control])
    left = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    error = math.sqrt((left**2).sum() / 6 * 2 / 4)
    assert found["a"].difference.standard_error == pytest.approx(error)
    assert found["a"].difference.reference == Dunnett(6, (0.5**0.5,) * 2)


def test_a_block_that_lacks_a_group_leaves_pairs() -> None:
    control = np.array([100.0, 120, 140, 160])
    groups = {
        "a": control - [10, 12, 9, 11],
        "b": np.array([90.0, 108, 131, np.nan]),
        "c": np.array([90, 100, np.nan, np.nan]),
    }
    found = compare_in_blocks(groups, control)
    assert found["a"].method == found["b"].method == "paired t test, Bonferroni's correction"
    assert (found["a"].n_treated, found["b"].n_treated, found["c"].n_treated) == (4, 3, 2)
    theirs = stats.ttest_rel(groups["b"][:3], control[:3])
    assert found["b"].p_value == pytest.approx(2 * theirs.pvalue)
    assert interval_of(found["b"].difference) == pytest.approx(tuple(theirs.confidence_interval(0.975)))
    assert codes(found["c"]) == {"too_few_replicates"}
    assert found["c"].p_value is None
    assert found["c"].method == "estimates only"


@pytest.mark.parametrize("sizes", [(2, 5), (5, 2), (1, 1)])
def test_below_three_replicates_there_are_estimates_but_no_p(sizes: tuple[int, int]) -> None:
    treated, control = groups_of(0, *sizes)
    found = compare(treated, control)
    assert codes(found) == {"too_few_replicates"}
    assert found.difference.value == pytest.approx(treated.mean() - control.mean())
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(np.exp(np.log(treated).mean() - np.log(control).mean()))
    assert found.p_value is None
    assert found.difference.confidence_interval() is None
    assert found.ratio.confidence_interval() is None
    assert found.hedges_g_interval() is None
    # What the next experiment needs can be told from any two replicates of a group.
    assert (found.power is None) == (sizes == (1, 1))


def test_power_is_that_of_one_comparison_of_the_family() -> None:
    first, second, control = groups_of(0, 4, 4, 4)
    alone, family = compare(first, control).power, compare_with_control({"a": first, "b": second}, control)["a"].power
    assert alone is not None
    assert family is not None
    assert (alone.alpha, family.alpha) == (0.05, 0.025)
    assert family.detectable_difference > alone.detectable_difference


def test_a_group_with_two_replicates_is_not_in_the_family() -> None:
    first, second, control = groups_of(0, 4, 2, 4)
    found = compare_with_control({"a": first, "b": second}, control)
    assert found["a"].method == "Welch's t test"
    assert found["a"].p_value == compare(first, control).p_value
    assert found["b"].p_value is None


@pytest.mark.parametrize("value", [0.1, 7.0, 1e9])
def test_replicates_that_do_not_vary_have_no_p(value: float) -> None:
    same, other = np.full(3, value), np.full(4, 3 * value)
    for found in (
        compare(same, other),
        compare_with_control({"a": same, "b": other}, same)["b"],
        compare_in_blocks({"a": same}, 2 * same)["a"],
        compare_in_blocks({"a": same, "b": 3 * same}, 2 * same)["a"],
        # Rounding is no variation.
        compare_in_blocks({"a": np.array([0.1, 0.2, 0.3]) + value}, np.array([0.1, 0.2, 0.3]) + 2 * value)["a"],
    ):
        assert "zero_variance" in codes(found)
        assert found.p_value is None


def test_counts_of_0_have_a_difference_but_no_ratio() -> None:
    found = compare(np.array([0.0, 2, 1]), np.array([100.0, 110, 90]))
    assert codes(found) == {"ratio_needs_positive"}
    assert found.ratio is None
    assert found.p_value is not None
    assert found.p_value < 0.01
    family = compare_with_control(
        {"dead": np.array([0.0, 2, 1]), "alive": np.array([95.0, 99, 120])}, np.array([100.0, 110, 90])
    )
    assert family["dead"].ratio is None
    assert family["alive"].ratio is not None
    assert family["alive"].ratio.confidence_interval() is not None


def test_unequal_variances_are_told() -> None:
    generator = np.random.default_rng(0)
    calm = generator.normal(100, 1, (2, 6))
    wild = {"a": calm[0], "b": generator.normal(100, 60, 6)}
    assert "unequal_variances" in codes(compare_with_control(wild, calm[1])["a"])
    assert codes(compare_with_control({"a": calm[0], "b": calm[0] + 5}, calm[1])["a"]) == set()


def test_an_interval_widens_with_its_level() -> None:
    found = compare(*groups_of(1, 4, 4)).difference
    narrow, wide = interval_of(found, 0.8), interval_of(found, 0.99)
    assert wide.low < narrow.low < found.value < narrow.high < wide.high  # type: ignore[operator]
    assert Estimate(1.0).statistic is None


def test_hedges_g() -> None:
    # Hedges' correction for 4 and 12 degrees of freedom; his approximation 1 - 3 / (4 df - 1) is near.
    assert small_sample_factor(4) == pytest.approx(1 - 3 / 15, abs=0.003)
    assert small_sample_factor(12) == pytest.approx(1 - 3 / 47, abs=0.0005)
    treated, control = np.array([3.0, 4, 5]), np.array([1.0, 2, 3])
    assert compare(treated, control).hedges_g == pytest.approx(2 * small_sample_factor(4))


@given(st.floats(-8, 8), st.integers(3, 20), st.integers(3, 20))
def test_the_interval_of_hedges_g_inverts_the_noncentral_t(g: float, n: int, n_control: int) -> None:
    interval = hedges_g_interval(g, n, n_control)
    degrees_of_freedom = n + n_control - 2
    scale = math.sqrt(1 / n + 1 / n_control) * small_sample_factor(degrees_of_freedom)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < g < interval.high
    for end, probability in ((interval.low, 0.975), (interval.high, 0.025)):
        assert stats.nct.cdf(g / scale, degrees_of_freedom, end / scale) == pytest.approx(probability, abs=1e-4)


def test_ssmd_of_wells_without_variation_or_company_is_none() -> None:
    assert ssmd(np.array([1.0, 1]), np.array([2.0, 2])) is None
    assert ssmd(np.array([1.0]), np.array([2.0, 3])) is None
    robust = ssmd(np.array([10.0, 11, 12, 1000]), np.array([20.0, 21, 22, 23]), robust=True)
    assert robust == pytest.approx((11.5 - 21.5) / (1.4826 * math.sqrt(2)), rel=1e-4)


@given(st.lists(st.none() | st.floats(0, 1), max_size=12))
def test_corrections(p_values: list[float | None]) -> None:
    given_ones = [p for p in p_values if p is not None]
    holm = adjust(p_values)
    assert [p is None for p in holm] == [p is None for p in p_values]
    ours = [p for p in holm if p is not None]
    assert all(p <= q <= min(1, p * len(given_ones)) + 1e-15 for p, q in zip(given_ones, ours))
    if given_ones:
        found = [p for p in adjust(p_values, "benjamini-hochberg") if p is not None]
        assert found == pytest.approx(stats.false_discovery_control(given_ones))
        assert min(ours) == pytest.approx(min(1, min(given_ones) * len(given_ones)))


def test_holm_steps_down() -> None:
    # Holm 1979's procedure by hand.
    assert adjust([0.01, 0.02, 0.03, 0.5]) == pytest.approx([0.04, 0.06, 0.06, 0.5])
