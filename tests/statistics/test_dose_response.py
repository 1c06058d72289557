import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import TableError
from app.statistics.curve_comparison import compare_curves
from app.statistics.curve_result import DoseResponse
from app.statistics.dose_response import fit_curve
from app.statistics.growth_rate import growth_rate, growth_rate_metrics
from app.statistics.least_squares import distance_to, fit
from tests.statistics import published

DOSES = np.repeat([0.0, 0.03, 0.1, 0.3, 1, 3, 10, 30], 3)
SEEDS = st.integers(0, 2**32 - 1)


def responses(
    doses: np.ndarray = DOSES,
    *,
    ec50: float = 1.0,
    slope: float = 1.2,
    start: float = 100.0,
    end: float = 10.0,
    noise: float = 3.0,
    seed: int = 0,
) -> np.ndarray:
    share = np.where(doses > 0, 1 / (1 + (ec50 / np.where(doses > 0, doses, 1)) ** slope), 0)
    return start + (end - start) * share + np.random.default_rng(seed).normal(0, noise, doses.size)


def codes(curve: DoseResponse) -> list[str]:
    return [warning.code for warning in curve.warnings]


@settings(max_examples=25)
@given(SEEDS, st.floats(1e-3, 1e5), st.floats(1e-2, 1e3))
def test_the_units_do_not_matter(seed: int, dose_factor: float, factor: float) -> None:
    values = responses(seed=seed)
    ours, scaled = fit_curve(DOSES, values), fit_curve(DOSES * dose_factor, values * factor)
    assert ours.ec50 is not None
    assert scaled.ec50 == pytest.approx(ours.ec50 * dose_factor, rel=1e-5)
    assert scaled.slope == pytest.approx(ours.slope, rel=1e-5)
    assert scaled.upper == pytest.approx(ours.upper * factor, rel=1e-5)
    low, high = ours.ec50_interval
    assert scaled.ec50_interval == pytest.approx((low * dose_factor, high * dose_factor), rel=1e-4)  # type: ignore[operator]
    assert codes(scaled) == codes(ours)


@settings(max_examples=15)
@given(SEEDS)
def test_a_curve_upside_down_has_the_same_doses(seed: int) -> None:
    values = responses(seed=seed)
    falling, rising = fit_curve(DOSES, values), fit_curve(DOSES, 110 - values)
    assert falling.slope is not None
    assert falling.slope > 0
    assert rising.slope == pytest.approx(-falling.slope, rel=1e-5)
    assert rising.ec50 == pytest.approx(falling.ec50, rel=1e-5)
    assert (rising.lower, rising.upper) == pytest.approx((110 - falling.upper, 110 - falling.lower), rel=1e-5)
    low, high = falling.slope_interval
    assert rising.slope_interval == pytest.approx((-high, -low), rel=1e-4)  # type: ignore[operator]
    assert rising.standard_error("upper") == pytest.approx(falling.standard_error("lower"), rel=1e-4)


def test_profile_intervals_cover() -> None:
    n_covered = 0
    for seed in range(60):
        low, high = fit_curve(DOSES, responses(noise=8, seed=seed)).ec50_interval
        assert low is not None
        assert high is not None
        n_covered += low <= 1 <= high
    assert n_covered >= 52


def test_a_profile_of_the_plateaus_is_that_of_refits() -> None:
    curve = fit_curve(DOSES, responses())
    for name in ("lower", "upper"):
        interval, error = curve.parameter_interval(name), curve.standard_error(name)
        assert error is not None
        assert interval.low == pytest.approx(getattr(curve, name) - 2.09 * error, rel=0.05)
        assert interval.high == pytest.approx(getattr(curve, name) + 2.09 * error, rel=0.05)


def test_the_profile_in_closed_form_is_that_of_refits() -> None:
    # Of the EC50 and the slope the other parameters are found by a regression and a grid; of any others by refits.
    curve = fit_curve(*published.as_doses_and_responses(published.RYEGRASS))
    by_refits = curve.fit.profile_interval(2, (-14, 17))
    assert curve.ec50_interval == pytest.approx(tuple(math.exp(end) for end in by_refits if end is not None), rel=1e-5)
    slopes = curve.fit.profile_interval(3, (math.log(0.01), math.log(100)))
    assert curve.slope_interval == pytest.approx(tuple(math.exp(end) for end in slopes if end is not None), rel=1e-5)


def test_an_effective_dose_is_where_the_curve_has_that_effect() -> None:
    curve = fit_curve(DOSES, responses())
    for percent in (10.0, 50.0, 90.0):
        dose = curve.effective_dose(percent)
        assert dose is not None
        share = (curve.upper - curve.predict(np.array([dose]))[0]) / (curve.upper - curve.lower)
        assert share == pytest.approx(percent / 100)
        low, high = curve.effective_dose_interval(percent)
        assert low is not None
        assert high is not None
        assert low < dose < high
    assert curve.effective_dose_interval(50, 0.8).low > curve.ec50_interval.low  # type: ignore[operator]


def test_the_band_is_the_curve_and_widens_where_there_are_no_doses() -> None:
    curve = fit_curve(DOSES, responses())
    at = np.array([0.0, 1.0, 1000.0])
    band = curve.band(at)
    assert band is not None
    low, high = band
    assert ((low < curve.predict(at)) & (curve.predict(at) < high)).all()
    # At dose 0 the curve is its start.
    error = curve.standard_error("upper", "jacobian")
    assert error is not None
    assert (high - low)[0] == pytest.approx(2 * 2.086 * error, rel=1e-3)


def test_plates_have_shifts_of_their_own() -> None:
    plate = ["P1", "P2", "P2"] * 8
    shift = np.tile([-60.0, 30, 30], 8)
    plain, shifted = fit_curve(DOSES, responses()), fit_curve(DOSES, responses() + shift, plate=plate)
    assert shifted.ec50 == pytest.approx(plain.ec50, rel=0.05)
    assert shifted.plate_shifts["P1"] == pytest.approx(-45, abs=2)
    assert sum(shifted.plate_shifts.values()) == pytest.approx(0)
    ignored = fit_curve(DOSES, responses() + shift)
    assert ignored.residual_deviation > 5 * shifted.residual_deviation
    assert fit_curve(DOSES, responses(), plate=["P1"] * 24).ec50 == pytest.approx(plain.ec50)


@pytest.mark.parametrize("value", [0.0, 7.0, 0.1])
def test_responses_that_do_not_vary_have_no_ec50(value: float) -> None:
    curve = fit_curve(DOSES, np.full(DOSES.size, value))
    assert codes(curve) == ["no_dose_response"]
    assert curve.effect_p_value == 1


def test_no_effect_has_no_ec50() -> None:
    curve = fit_curve(DOSES, responses(end=100.0))
    assert codes(curve) == ["no_dose_response"]
    assert (curve.ec50, curve.slope, curve.effective_dose(10), curve.effective_dose_error()) == (None,) * 4
    assert curve.effective_dose_interval() == curve.ec50_interval == curve.slope_interval == (None, None)
    assert curve.wald_interval() is None


def test_a_curve_that_goes_on_past_the_doses_has_a_bound_on_one_side() -> None:
    curve = fit_curve(DOSES, responses(ec50=200.0, slope=0.8))
    assert "ec50_not_identified" in codes(curve)
    assert "plateau_not_reached" in codes(curve)
    assert curve.ec50_interval.low is not None
    assert curve.ec50_interval.low > 3
    assert curve.ec50_interval.high is None
    # A million times beyond the doses is not spoken of.
    assert curve.ec50 is None
    assert "ec50_outside_doses" in codes(fit_curve(DOSES, responses(ec50=100.0, slope=2.0, noise=0.3)))
    (said,) = (warning.message for warning in curve.warnings if warning.code == "ec50_not_identified")
    assert "above" in said


def test_a_start_that_no_dose_shows_is_told() -> None:
    treated = DOSES > 0.2
    curve = fit_curve(DOSES[treated], responses()[treated])
    assert "start_not_reached" not in codes(fit_curve(DOSES, responses(ec50=0.1)))
    assert "start_not_reached" in codes(fit_curve(DOSES[treated], responses(ec50=0.5)[treated]))
    assert curve.n_doses == 5


def test_hormesis_is_told() -> None:
    values = responses(ec50=5)
    assert "hormesis" not in codes(fit_curve(DOSES, values))
    raised = values + np.where(DOSES == 0.3, 25, 0)
    curve = fit_curve(DOSES, raised)
    assert "hormesis" in codes(curve)
    assert "0.3" in curve.warnings[0].message
    assert "above" in curve.warnings[0].message
    assert "below" in fit_curve(DOSES, 200 - raised).warnings[0].message


def test_a_response_that_turns_back_is_told() -> None:
    curve = fit_curve(DOSES, responses() + np.where(DOSES == 30, 30, 0))
    assert "not_monotone" in codes(curve)


def test_false_alarms_of_shape_are_rare() -> None:
    alarms = [set(codes(fit_curve(DOSES, responses(seed=seed)))) & {"hormesis", "not_monotone"} for seed in range(60)]
    assert sum(map(bool, alarms)) <= 7


def test_lack_of_fit() -> None:
    good = fit_curve(DOSES, responses()).lack_of_fit_p_value
    bad = fit_curve(DOSES, responses(noise=1) + np.where((DOSES == 0.1) | (DOSES == 3), 15, 0)).lack_of_fit_p_value
    assert good is not None
    assert bad is not None
    assert bad < 0.001 < 0.05 < good
    assert fit_curve(np.arange(9.0), responses(np.arange(9.0))).lack_of_fit_p_value is None


def test_a_perfect_curve_has_an_interval_of_no_width() -> None:
    curve = fit_curve(DOSES, responses(noise=0))
    assert curve.ec50 == pytest.approx(1, rel=1e-6)
    assert curve.ec50_interval == pytest.approx((1, 1), rel=1e-3)
    assert curve.effect_p_value == 0


def test_a_known_start_is_kept() -> None:
    curve = fit_curve(DOSES, responses() / 100, start=1.0)
    assert curve.upper == 1
    assert curve.parameter_interval("upper") == (1, 1)
    assert curve.standard_error("upper") is None
    assert curve.fit.parameters.size == 3


@pytest.mark.parametrize(
    ("doses", "values", "said"),
    [
        ([0, 1, 2, 3, 3, 3], [1, 2, 3, 4, 5, 6], "4 doses above 0, and there are 3"),
        ([1, 2, 3, 4], [1, 2, 3, 4], "more than 4 responses"),
        ([0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, np.nan], "not a number"),
        ([0, 1, 2, 3, 4, -5], [1, 2, 3, 4, 5, 6], "below 0"),
    ],
)
def test_what_makes_no_curve_is_refused(doses: list[float], values: list[float], said: str) -> None:
    with pytest.raises(TableError, match=said):
        fit_curve(np.array(doses, np.float64), np.array(values, np.float64))


@settings(max_examples=5)
@given(SEEDS, st.floats(0.1, 10))
def test_the_ratio_of_two_curves(seed: int, factor: float) -> None:
    first, second = fit_curve(DOSES, responses(seed=seed)), fit_curve(DOSES * factor, responses(seed=seed))
    found = compare_curves(second, first)
    assert found.ratio == pytest.approx(factor, rel=1e-5)
    assert found.shape_p_value == pytest.approx(1)
    assert codes(first) or found.warnings == ()
    turned = compare_curves(first, second)
    assert turned.p_value == pytest.approx(found.p_value, rel=1e-4)
    low, high = found.ratio_interval()
    assert turned.ratio_interval() == pytest.approx((1 / high, 1 / low), rel=1e-3)  # type: ignore[operator]
    assert low < factor < high  # type: ignore[operator]


def test_curves_of_different_shape_and_sensitivity() -> None:
    first = fit_curve(*published.cellpyability("BCD"))
    second = fit_curve(*published.cellpyability("EFG"))
    found = compare_curves(first, second)
    assert found.ratio == pytest.approx(35.4853 / 3.59291, rel=1e-4)
    assert found.p_value < 1e-20
    assert [warning.code for warning in found.warnings] == ["curves_not_parallel"]
    same = compare_curves(fit_curve(DOSES, responses(seed=1)), fit_curve(DOSES, responses(seed=2)))
    assert same.p_value > 0.01
    # p is the level whose interval just leaves 1 out.
    ends = same.ratio_interval(1 - same.p_value)
    assert min(abs(math.log(end)) for end in ends if end is not None) == pytest.approx(0, abs=1e-4)


def test_curves_that_cannot_be_compared() -> None:
    flat, curve = fit_curve(DOSES, responses(end=100.0)), fit_curve(DOSES, responses())
    with pytest.raises(TableError, match="no ratio"):
        compare_curves(flat, curve)
    with pytest.raises(TableError, match="same way"):
        compare_curves(fit_curve(DOSES, responses() / 100, start=1.0), fit_curve(DOSES, responses() / 100))


def test_curves_with_plates_are_compared() -> None:
    plate = ["P1", "P2", "P2"] * 8
    shifted = responses() + np.tile([-60.0, 30, 30], 8)
    found = compare_curves(fit_curve(DOSES, shifted, plate=plate), fit_curve(DOSES * 2, responses(seed=3)))
    assert found.ratio == pytest.approx(0.5, rel=0.2)


def test_growth_rates() -> None:
    assert growth_rate(np.array([800.0, 100, 50, 0]), 800.0, 100.0) == pytest.approx([1, 0, 2 ** (-1 / 3) - 1, -1])
    # A drug that halves the rate of division has GR 0.414 whatever the rate.
    for doublings in (1, 3, 6):
        halved = growth_rate(np.array([100 * 2 ** (doublings / 2)]), 100.0 * 2**doublings, 100.0)
        assert halved == pytest.approx(2**0.5 - 1)


def test_a_growth_rate_that_never_halves_has_no_gr50() -> None:
    found = growth_rate_metrics(DOSES, responses(end=70, noise=1) / 100)
    assert found.gr50 is None
    assert found.gr_inf == pytest.approx(0.7, abs=0.02)
    stimulated = growth_rate_metrics(DOSES, responses(end=150, noise=1) / 100)
    assert stimulated.gr_inf == pytest.approx(1.5, abs=0.05)
    assert stimulated.hill is not None
    assert stimulated.hill > 0
    none = growth_rate_metrics(DOSES, responses(end=100, noise=1) / 100)
    assert (none.gr50, none.gec50, none.hill) == (None, None, None)


@pytest.mark.parametrize(
    ("counts", "control", "zero", "said"), [([-1], 2, 1, "0 or more"), ([1], 2, 0, "above 0"), ([1], 1.01, 1, "hardly")]
)
def test_growth_rates_that_cannot_be(counts: list[float], control: float, zero: float, said: str) -> None:
    with pytest.raises(TableError, match=said):
        growth_rate(np.array(counts, np.float64), control, zero)


def test_errors_that_the_data_do_not_determine_are_none() -> None:
    x = np.arange(6.0)
    redundant = fit(lambda b: (b[0] + b[1]) * x, 2 * x + np.array([0.1, -0.1] * 3), [np.array([1.0, 1])])
    assert redundant.covariance() is None
    assert redundant.standard_error(np.array([1.0, 0])) is None
    unused = fit(lambda b: b[0] * x + 0 * b[1], 2 * x + np.array([0.1, -0.1] * 3), [np.array([1.0, 1])])
    assert unused.covariance() is None
    exact = fit(lambda b: b[0] + b[1] * np.array([0.0, 1]), np.array([1.0, 2]), [np.array([0.0, 0])])
    assert exact.covariance() is None
    assert exact.profile_interval(0, (-10, 10)) == (None, None)
    assert redundant.profile_interval(0, (5, 10)) == (None, None)


def test_how_far_a_profile_goes() -> None:
    assert distance_to(4.0, lambda away: away**2, 0.1, 100) == pytest.approx(2)
    assert distance_to(4.0, lambda away: away**2, 0.1, 1.9) is None
    assert distance_to(4.0, lambda away: away**2, 50, 100) == pytest.approx(2)
