"""Published answers, and those of the field's programs, to the digits that they are given with."""

import numpy as np
import pytest
from scipy.stats import dunnett, ttest_ind

from app.statistics.compare import compare, compare_in_blocks, compare_with_control
from app.statistics.curve_result import Parameter
from app.statistics.dose_response import fit_curve
from app.statistics.effect_size import ssmd
from app.statistics.growth_rate import growth_rate, growth_rate_metrics
from app.statistics.least_squares import Errors, fit
from app.statistics.permutation import permutation_test
from app.statistics.plate_quality import z_prime
from app.statistics.power import detectable_effect
from tests.statistics import published


def within_last_digit(digits: str) -> object:
    """A printed number, and all that are rounded to it."""
    places = len(digits.partition(".")[2])
    return pytest.approx(float(digits), abs=0.51 * 10**-places, rel=0)


def test_ryegrass_is_fitted_as_by_drc() -> None:
    # drm(rootl ~ conc, fct = LL.4()), summary() and ED(..., interval = "delta") of R's drc.
    curve = fit_curve(*published.as_doses_and_responses(published.RYEGRASS))
    # drc's estimates carry its optimiser's error in the last digit.
    assert curve.slope == pytest.approx(2.98222, abs=1e-5)
    assert curve.lower == within_last_digit("0.48141")
    assert curve.upper == within_last_digit("7.79296")
    for percent, dose, error in (
        (10, "1.46371", "0.18677"),
        (50, "3.05795", "0.18573"),
        (90, "6.38864", "0.84510"),
    ):
        assert curve.effective_dose(percent) == pytest.approx(float(dose), abs=2e-5)
        assert curve.effective_dose_error(percent) == within_last_digit(error)
    interval = curve.wald_interval()
    assert interval is not None
    assert interval.low == pytest.approx(2.67053, abs=1e-5)
    assert interval.high == pytest.approx(3.44538, abs=1e-5)


def test_both_standard_errors_of_ryegrass() -> None:
    # drc takes the full Hessian, R's nls and scipy's curve_fit take J'J.
    curve = fit_curve(*published.as_doses_and_responses(published.RYEGRASS))
    kinds: tuple[tuple[Errors, tuple[str, ...]], ...] = (
        ("hessian", ("0.465068", "0.212193", "0.188568", "0.185731")),
        ("jacobian", ("0.458429", "0.209506", "0.189733", "0.185829")),
    )
    parameters: tuple[Parameter, ...] = ("slope", "lower", "upper")
    for errors, printed in kinds:
        found = [curve.standard_error(name, errors) for name in parameters]
        for number, digits in zip([*found, curve.effective_dose_error(50, errors)], printed, strict=True):
            assert number == pytest.approx(float(digits), abs=1.5e-6), errors


def test_superplots_are_paired_by_replicate() -> None:
    # Lord et al. 2020; lmerTest with replicate and replicate x treatment gives the same.
    paired = compare_in_blocks({"drug": published.SUPERPLOTS_DRUG}, published.SUPERPLOTS_CONTROL)["drug"]
    assert paired.difference.statistic == within_last_digit("-8.174076")
    assert paired.p_value == within_last_digit("0.0146388")
    interval = paired.difference.confidence_interval()
    assert interval is not None
    assert interval.low == within_last_digit("-15.2439")
    assert interval.high == within_last_digit("-4.7301")
    assert paired.n_treated == 3
    assert compare(published.SUPERPLOTS_DRUG, published.SUPERPLOTS_CONTROL).p_value == within_last_digit("0.2695144")


def test_dunnetts_own_example() -> None:
    # Statistics of Dunnett 1955, p of R's multcomp, whose integration is random in the last digits.
    compared = compare_with_control(published.DUNNETT_GROUPS, published.DUNNETT_CONTROL)
    for label, statistic, p_value, low, high in (
        ("A", "0.857032", 0.62010, "-1.2564", "2.5564"),
        ("B", "3.693752", 0.00583, "0.8396", "4.4164"),
    ):
        found = compared[label]
        interval = found.difference.confidence_interval()
        assert interval is not None
        assert found.difference.statistic == within_last_digit(statistic)
        assert found.p_value == pytest.approx(p_value, abs=1e-5)
        assert interval.low == pytest.approx(float(low), abs=2e-4)
        assert interval.high == pytest.approx(float(high), abs=2e-4)
    theirs = dunnett(*published.DUNNETT_GROUPS.values(), control=published.DUNNETT_CONTROL, rng=1).pvalue
    assert [found.p_value for found in compared.values()] == pytest.approx(theirs, abs=5e-4)


def test_rat43_is_nists() -> None:
    # NIST StRD, nonlinear regression, level of difficulty: higher; certified values and both of its starts.
    time = np.arange(1.0, 16)

    def richards(b: np.ndarray) -> np.ndarray:
        weight: np.ndarray = b[0] / (1 + np.exp(b[1] - b[2] * time)) ** (1 / b[3])
        return weight

    for start in ([100.0, 10, 1, 1], [700.0, 5, 0.75, 1.3]):
        found = fit(richards, published.RAT43, [np.array(start)])
        certified = (6.9964151270e02, 5.2771253025e00, 7.5962938329e-01, 1.2792483859e00)
        assert found.parameters == pytest.approx(certified, rel=1e-6)
        assert found.residual_sum_of_squares == pytest.approx(8.7864049080e03, rel=1e-9)
        covariance = found.covariance("jacobian")
        assert covariance is not None
        deviations = (1.6302297817e01, 2.0828735829e00, 1.9566123451e-01, 6.8761936385e-01)
        assert np.sqrt(np.diag(covariance)) == pytest.approx(deviations, rel=1e-5)


def test_growth_rate_metrics_are_those_of_gr_metrics() -> None:
    gr = growth_rate(published.GR_COUNTS, published.GR_CONTROL, published.GR_TIME_ZERO)
    found = growth_rate_metrics(published.GR_DOSES, gr)
    # Its optimiser stops a little early: R's and Python's versions differ from the seventh digit on.
    assert found.gr50 == pytest.approx(0.0774608, abs=2e-7)
    assert found.gec50 == within_last_digit("0.0816314")
    assert found.gr_inf == pytest.approx(-0.0263167, abs=1e-6)
    assert found.hill == pytest.approx(0.978139, abs=6e-6)
    assert found.gr_max == within_last_digit("-0.00640568")
    assert found.gr_aoc == within_last_digit("0.55555325")


@pytest.mark.parametrize(
    ("rows", "ec50", "error", "low", "high", "slope", "lower", "upper", "z"),
    [
        ("BCD", "35.485", "1.350", "32.71", "38.26", "2.183", "591", "10531", "0.9116"),
        ("EFG", "3.5929", "0.1493", "3.286", "3.900", "1.6205", "589", "8815", "0.9144"),
    ],
)
def test_real_counts_of_two_drugs(
    rows: str, ec50: str, error: str, low: str, high: str, slope: str, lower: str, upper: str, z: str
) -> None:
    doses, counts = published.cellpyability(rows)
    curve = fit_curve(doses, counts)
    interval = curve.wald_interval()
    assert interval is not None
    assert curve.ec50 == within_last_digit(ec50)
    assert curve.effective_dose_error() == within_last_digit(error)
    assert interval.low == within_last_digit(low)
    assert interval.high == within_last_digit(high)
    assert curve.slope == within_last_digit(slope)
    assert curve.lower == within_last_digit(lower)
    assert curve.upper == within_last_digit(upper)
    assert z_prime(counts[doses == 0], counts[doses == doses.max()]) == within_last_digit(z)
    assert curve.warnings == ()


def test_real_plates_separate_their_controls() -> None:
    z_primes = [z_prime(*plate) for plate in zip(published.LINCS_DMSO, published.LINCS_POSITIVE)]
    assert z_primes == [within_last_digit(digits) for digits in ("0.7157", "0.6518", "0.7137", "0.7654")]
    ssmds = [ssmd(positive, dmso) for dmso, positive in zip(published.LINCS_DMSO, published.LINCS_POSITIVE)]
    assert ssmds == [within_last_digit(digits) for digits in ("-11.415", "-9.249", "-11.701", "-14.959")]


@pytest.mark.parametrize(
    ("compound", "ec50", "error"), [("BRD-K68747584", "0.0648", "0.0084"), ("BRD-K70401845", "1.104", "0.466")]
)
def test_real_compounds_on_four_plates(compound: str, ec50: str, error: str) -> None:
    curve = fit_curve(*published.lincs_relative(compound))
    assert curve.ec50 == within_last_digit(ec50)
    assert curve.effective_dose_error() == within_last_digit(error)


def test_a_steep_part_without_doses_is_not_identified() -> None:
    # As a published set whose slope is 14.7 +- 50.5.
    doses = np.repeat([0.0, 0.1, 1, 10, 100], 4)
    noise = np.random.default_rng(0).normal(0, 3, doses.size)
    curve = fit_curve(doses, np.where(doses >= 10, 10, 100) + noise)
    assert "slope_not_identified" in {warning.code for warning in curve.warnings}
    assert curve.slope_interval.low is not None
    assert curve.slope_interval.high is None
    # Anywhere between the doses on both sides of the step.
    assert curve.ec50_interval.low == pytest.approx(1, rel=0.1)
    assert curve.ec50_interval.high == pytest.approx(10, rel=0.1)


def test_power_of_laboratory_sizes() -> None:
    for n, deviations, percent in ((3, "3.07", "24.6"), (4, "2.38", "19.0"), (6, "1.80", "14.4"), (8, "1.51", "12.1")):
        assert detectable_effect(n, n) == within_last_digit(deviations)
        assert 8 * detectable_effect(n, n) == within_last_digit(percent)
    assert detectable_effect(12, 12) == within_last_digit("1.20")
    assert 8 * detectable_effect(12, 12) == within_last_digit("9.6")


def test_where_rank_tests_cannot_reach_the_level() -> None:
    for n, smallest in ((3, "0.100"), (4, "0.029"), (6, "0.002")):
        apart = permutation_test(np.arange(100.0, 100 + n), np.arange(float(n)), ranks=True)
        assert apart.smallest_p_value == within_last_digit(smallest)
        assert apart.p_value == (None if n == 3 else apart.smallest_p_value)
    # Gone after a correction for two doses.
    assert permutation_test(np.arange(100.0, 104), np.arange(4.0), ranks=True, n_comparisons=2).p_value is None


def test_welchs_interval_covers_where_a_bootstrap_does_not() -> None:
    # At n = 3 percentile and BCa intervals of nominally 95 % cover in 79 %.
    drawn = np.random.default_rng(0).normal(size=(1000, 2, 3))
    covers = 0
    for treated, control in drawn:
        interval = compare(treated, control).difference.confidence_interval()
        assert interval is not None
        assert interval.low is not None
        assert interval.high is not None
        covers += interval.low <= 0 <= interval.high
    assert 930 <= covers <= 980
    assert compare(*drawn[0]).p_value == pytest.approx(ttest_ind(*drawn[0], equal_var=False).pvalue)
