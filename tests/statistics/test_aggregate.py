import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.statistics.aggregate import group_index, mean_of, of_replicates, of_wells, relative_to_control
from app.statistics.gates import CellCycleGates, PositiveGate, cell_cycle_gates, condensed_gate


def nuclei(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "area_px": generator.normal(400, 60, n),
        "intensity_mean": generator.normal(100, 10, n),
        "intensity_mean_c1": generator.normal(50, 10, n),
        "intensity_integrated": generator.normal(40_000, 4_000, n),
    }


def dna(n: int, g1: float = 1e5, seed: int = 0) -> np.ndarray:
    """Integrated intensities of nuclei of which 60 % are in G1 and 25 % in G2."""
    generator = np.random.default_rng(seed)
    phase = generator.random(n)
    content = np.where(phase < 0.6, 1, np.where(phase < 0.85, 2, 1 + generator.random(n)))
    return g1 * content * generator.lognormal(0, 0.08, n)


def test_no_level_is_skipped() -> None:
    # A well with one crowded and one sparse image; the crowded one must not decide.
    images = {"count": np.array([98.0, 2]), "area_median_px": np.array([100.0, 300])}
    wells = of_wells(images, np.array([0, 0]), 1)
    assert wells["area_median_px"] == pytest.approx([200])
    assert (wells["count"], wells["n_images"], wells["count_per_image"]) == (100, 2, 50)
    # Two wells of a replicate, one with more images.
    images = {"count": np.array([10.0, 10, 10, 40]), "area_median_px": np.array([1.0, 1, 1, 3])}
    wells = of_wells(images, np.array([0, 0, 0, 1]), 2)
    replicates = of_replicates(wells, np.array([0, 0]), 1)
    assert replicates["area_median_px"] == pytest.approx([2])
    assert replicates["count"] == pytest.approx([35])
    assert replicates["count_per_image"] == pytest.approx([25])


def test_images_that_failed_are_no_zeros() -> None:
    images = {"count": np.array([10.0, np.nan, 30]), "area_median_px": np.array([5.0, np.nan, np.nan])}
    wells = of_wells(images, np.array([0, 0, 1]), 3)
    assert wells["n_images"].tolist() == [1, 1, 0]
    assert wells["count"][:2].tolist() == [10, 30]
    assert wells["area_median_px"][0] == 5
    assert np.isnan(wells["area_median_px"][1:]).all()


def test_relative_to_the_plates_own_control() -> None:
    values = np.array([50.0, 100, 120, 30, 60, 7])
    plates = np.array([0, 0, 0, 1, 1, 2])
    control = np.array([False, True, True, False, True, False])
    found = relative_to_control(values, plates, control)
    assert found[:5] == pytest.approx([50 / 110, 100 / 110, 120 / 110, 0.5, 1])
    assert np.isnan(found[5])
    assert np.isnan(relative_to_control(np.array([5.0, 0]), np.array([0, 0]), np.array([False, True]))).all()


def test_groups_are_numbered_as_they_come() -> None:
    keys, index = group_index(["b", "a", "b"])
    assert keys == [("b",), ("a",)]
    assert index.tolist() == [0, 1, 0]
    assert mean_of(np.array([True, False, True]), index, 2).tolist() == [1, 0]


def test_condensed_nuclei_are_small_and_bright() -> None:
    table = nuclei(1000)
    gate = condensed_gate(table)
    assert gate is not None
    assert gate.area_below_px == pytest.approx(400 - 2 * 60, abs=15)
    assert gate.intensity_above == pytest.approx(100 + 2 * 10, abs=3)
    dying = {"area_px": np.array([200.0, 200, 400]), "intensity_mean": np.array([150.0, 100, 150])}
    assert gate.holds(dying).tolist() == [True, False, False]
    assert condensed_gate(nuclei(49)) is None


def test_positive_nuclei_lie_above_the_threshold() -> None:
    assert PositiveGate("marker", 2.0).holds({"marker": np.array([1.0, 2, 3])}).tolist() == [False, False, True]


def test_the_peaks_of_the_cell_cycle_are_found() -> None:
    gates = cell_cycle_gates({"intensity_integrated": dna(5000)})
    assert gates is not None
    assert gates.g1 == pytest.approx(1e5, rel=0.05)
    assert gates.g2 == pytest.approx(2e5, rel=0.05)
    phases = gates.phases({"intensity_integrated": dna(2000, seed=1)})
    assert phases["g1"].mean() == pytest.approx(0.63, abs=0.05)
    assert phases["g2"].mean() == pytest.approx(0.29, abs=0.05)


@given(st.floats(1e-2, 1e6))
def test_the_cell_cycle_has_no_unit(factor: float) -> None:
    plain, scaled = (cell_cycle_gates({"intensity_integrated": dna(3000) * by}) for by in (1, factor))
    assert plain is not None
    assert scaled is not None
    assert scaled.g1 == pytest.approx(plain.g1 * factor, rel=0.05)
    assert scaled.g2 / scaled.g1 == pytest.approx(plain.g2 / plain.g1, rel=0.07)


@pytest.mark.parametrize(
    "content",
    [
        dna(200),
        np.random.default_rng(0).lognormal(11, 0.5, 5000),
        np.random.default_rng(0).lognormal(11, 0.08, 5000),
        np.random.default_rng(0).uniform(1e5, 2e5, 5000),
        np.full(500, 1e5),
        np.full(500, np.nan),
    ],
    ids=["few", "broad", "one peak", "no peak", "all equal", "nothing"],
)
def test_a_histogram_that_does_not_allow_it_has_no_gates(content: np.ndarray) -> None:
    assert cell_cycle_gates({"intensity_integrated": content}) is None


def test_gates_do_not_overlap() -> None:
    phases = CellCycleGates(1.0, 2.0).phases({"intensity_integrated": np.linspace(0, 4, 101)})
    assert not (phases["g1"] & phases["g2"]).any()
