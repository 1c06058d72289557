import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.errors import TableError
from app.statistics.b_score import b_scores
from app.statistics.plate_quality import modified_z, outliers, too_few_nuclei, z_prime
from app.statistics.positions import at_edge, plate_grid, plate_shape, position_effects, well_positions
from tests.statistics import published

WELLS_96 = [f"{row}{column:02}" for row in "ABCDEFGH" for column in range(1, 13)]
SEEDS = st.integers(0, 2**32 - 1)


def plate(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1000, 50, 96)


def spread_conditions(seed: int = 0) -> list[str]:
    ordered = ["DMSO"] * 48 + ["drug"] * 24 + ["other"] * 24
    return [ordered[index] for index in np.random.default_rng(seed).permutation(96)]


@given(SEEDS, st.floats(1e-3, 1e4), st.floats(-1e3, 1e3), st.booleans())
def test_z_prime_has_no_unit_and_no_direction(seed: int, factor: float, offset: float, robust: bool) -> None:
    negative, positive = np.random.default_rng(seed).normal([[100], [20]], 5, (2, 8))
    found = z_prime(negative, positive, robust)
    assert found is not None
    assert found < 1
    assert z_prime(negative * factor + offset, positive * factor + offset, robust) == pytest.approx(found, abs=1e-6)
    assert z_prime(positive, negative, robust) == pytest.approx(found)


def test_z_prime_without_deviation_distance_or_wells_is_none() -> None:
    same = np.array([5.0, 5, 5])
    assert z_prime(same, 2 * same) is None
    assert z_prime(np.array([4.0, 6]), np.array([3.0, 7])) is None
    assert z_prime(np.array([4.0]), np.array([3.0, 7])) is None
    # A drug that kills everything does not vary, and separates well.
    assert z_prime(np.array([95.0, 100, 105]), np.zeros(3)) == pytest.approx(1 - 15 / 100)


def test_robust_z_prime_bears_an_outlier() -> None:
    negative, positive = np.random.default_rng(0).normal([[100], [20]], 3, (2, 12))
    negative[0] = 1000
    plain, robust = z_prime(negative, positive), z_prime(negative, positive, robust=True)
    assert plain is not None
    assert robust is not None
    assert plain < 0 < 0.5 < robust


def test_the_edge_of_a_real_plate() -> None:
    # The guide's means at the edge and inside of DMSO wells on four plates.
    edge = at_edge(published.LINCS_DMSO_WELLS)
    for dmso, outside, inside in zip(published.LINCS_DMSO, (2586, 2400, 2572, 2639), (2706, 2682, 2792, 2853)):
        assert dmso[edge].mean() == pytest.approx(outside, abs=0.5)
        assert dmso[~edge].mean() == pytest.approx(inside, abs=0.5)
    found = position_effects(published.LINCS_DMSO[3], published.LINCS_DMSO_WELLS, ["DMSO"] * 24, (16, 24))
    assert found.edge_difference == pytest.approx(2638.857 - 2852.706, abs=0.01)
    assert found.edge_p_value is not None
    assert found.edge_p_value < 0.02
    assert "edge_effect" in {warning.code for warning in found.warnings}


def test_an_edge_effect_is_found_and_measured() -> None:
    edge = at_edge(WELLS_96)
    found = position_effects(plate() - 80 * edge, WELLS_96, spread_conditions())
    assert found.edge_difference == pytest.approx(-80, abs=25)
    assert found.warnings[0].code == "edge_effect"
    assert "below" in found.warnings[0].message


def test_the_edge_of_one_condition_is_tested_as_by_students_t() -> None:
    values, edge = plate(), at_edge(WELLS_96)
    found = position_effects(values, WELLS_96, ["DMSO"] * 96)
    assert found.edge_p_value == pytest.approx(stats.ttest_ind(values[edge], values[~edge]).pvalue)
    assert found.edge_difference == pytest.approx(values[edge].mean() - values[~edge].mean())


def test_a_gradient_is_found_and_measured() -> None:
    rows, columns = well_positions(WELLS_96).T
    found = position_effects(plate() + 100 * columns / 11 - 60 * rows / 7, WELLS_96, spread_conditions())
    assert found.column_gradient == pytest.approx(100, abs=40)
    assert found.row_gradient == pytest.approx(-60, abs=40)
    assert [warning.code for warning in found.warnings] == ["gradient"]


def test_conditions_are_no_positions() -> None:
    conditions = spread_conditions()
    effects = np.array([{"DMSO": 0, "drug": -400, "other": 300}[condition] for condition in conditions])
    plain, treated = (position_effects(plate() + add, WELLS_96, conditions) for add in (0, effects))
    assert treated.edge_difference == pytest.approx(plain.edge_difference)
    assert treated.edge_p_value == pytest.approx(plain.edge_p_value)


def test_false_alarms_of_positions() -> None:
    found = [position_effects(plate(seed), WELLS_96, spread_conditions(seed)) for seed in range(100)]
    assert sum(one.edge_p_value is not None and one.edge_p_value < 0.05 for one in found) <= 12
    assert sum(one.gradient_p_value is not None and one.gradient_p_value < 0.05 for one in found) <= 12


def test_positions_that_are_the_conditions_cannot_be_tested() -> None:
    edge = at_edge(WELLS_96)
    found = position_effects(plate(), WELLS_96, np.where(edge, "DMSO", "drug").tolist())
    assert found.edge_p_value is None
    assert found.gradient_p_value is not None
    nothing = position_effects(plate()[:3], WELLS_96[:3], ["a", "b", "c"])
    assert [warning.code for warning in nothing.warnings] == ["positions_not_testable"]


@pytest.mark.parametrize(("step", "p_value"), [(0.0, 1.0), (50.0, 0.0)])
def test_positions_of_wells_without_any_noise(step: float, p_value: float) -> None:
    found = position_effects(np.where(at_edge(WELLS_96), 1000 + step, 1000.0), WELLS_96, ["DMSO"] * 96)
    assert found.edge_p_value == p_value
    assert found.edge_difference == pytest.approx(step, abs=1e-6)


@given(st.integers(0, 31), st.integers(0, 47))
def test_every_well_has_its_position(row: int, column: int) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    name = letters[row] if row < 26 else "A" + letters[row - 26]
    assert well_positions([f"{name}{column + 1}", f" {name.lower()}{column + 1:03} "]).tolist() == [[row, column]] * 2
    shape = plate_shape(well_positions([f"{name}{column + 1}"]))
    assert row < shape[0]
    assert column < shape[1]


@pytest.mark.parametrize("name", ["", "A", "12", "A0", "A-1", "AG1", "BA1", "image.tif", "A100"])
def test_what_is_no_well_is_refused(name: str) -> None:
    with pytest.raises(TableError, match="not the name of a well"):
        well_positions([name])


def test_plates_larger_than_any_are_refused() -> None:
    with pytest.raises(TableError, match="at most 32 and 48"):
        plate_shape(well_positions(["A49"]))


def test_b_scores_take_rows_and_columns_out() -> None:
    rows, columns = well_positions(WELLS_96).T
    values = plate() + 100 * rows - 30 * columns
    values[40] -= 500
    found = b_scores(plate_grid(values, WELLS_96))
    assert np.argmin(found.scores) == 40
    assert found.scores.ravel()[40] < -5
    assert np.diff(found.row) == pytest.approx(np.full(7, 100), abs=60)
    rebuilt = found.plate + found.row[:, None] + found.column
    left = plate_grid(values, WELLS_96) - rebuilt
    assert left / (1.482602 * np.median(np.abs(left))) == pytest.approx(found.scores, rel=1e-5)
    # Never silent.
    assert [warning.code for warning in found.warnings] == ["b_scores"]


def test_b_scores_bear_missing_wells() -> None:
    grid = plate_grid(plate(), WELLS_96)
    grid[0], grid[3, 4] = np.nan, np.nan
    found = b_scores(grid)
    assert (np.isnan(found.scores) == np.isnan(grid)).all()
    assert np.isfinite(found.row).all()


def test_b_scores_that_cannot_be() -> None:
    with pytest.raises(TableError, match="three rows"):
        b_scores(np.ones((2, 12)))
    with pytest.raises(TableError, match="hardly vary"):
        b_scores(np.add.outer(np.arange(8.0), np.arange(12.0)))


@given(SEEDS, st.floats(0.1, 100), st.floats(-100, 100))
def test_distances_from_the_rest_have_no_unit(seed: int, factor: float, offset: float) -> None:
    values = np.random.default_rng(seed).normal(size=20)
    assert modified_z(values * factor + offset) == pytest.approx(modified_z(values), abs=1e-6)


def test_wells_unlike_the_rest_are_named() -> None:
    values = plate()
    values[[3, 50]] = 0
    (said,) = outliers(values, WELLS_96, "focus")
    assert said.code == "unlike_the_rest"
    assert "A04 and E03 are unlike" in said.message
    assert outliers(np.full(12, 3.0), WELLS_96[:12], "focus") == ()
    mostly_equal = np.array([5.0] * 11 + [900])
    assert "A12 is unlike" in outliers(mostly_equal, WELLS_96[:12], "focus")[0].message
    assert modified_z(mostly_equal)[-1] == pytest.approx(895 / (math.sqrt(math.pi / 2) * 895 / 12))
    # Three wells have no rest.
    assert outliers(np.array([100.0, 101, 1000]), WELLS_96[:3], "focus") == ()


def test_plates_without_outliers_name_hardly_ever_one() -> None:
    assert sum(bool(outliers(plate(seed), WELLS_96, "focus")) for seed in range(200)) <= 4


def test_wells_with_too_few_nuclei_are_named() -> None:
    (said,) = too_few_nuclei(np.arange(96.0), WELLS_96)
    assert said.code == "too_few_nuclei"
    assert said.message.startswith("A01, A02, A03, A04, A05, A06, A07, A08 and 42 more have fewer than 50 nuclei")
    assert too_few_nuclei(np.full(3, 50.0), WELLS_96[:3]) == ()
