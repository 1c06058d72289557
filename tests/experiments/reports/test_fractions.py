from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.experiments.experiment import Exclusion
from app.experiments.reports.compare import Compared
from app.experiments.reports.conclusion import conclude
from app.experiments.reports.fractions import FRACTIONS, _gates
from app.experiments.tables import Tables
from app.statistics.effects import EffectOptions
from tests.experiments.inline import Room, opened
from tests.synthetic import tiff

LAYOUT = "well,condition,control\n" + "".join(
    f"{row}{column:02},{name}\n" for row, name in (("A", "DMSO,negative"), ("B", "drug,")) for column in (1, 2, 3)
)


def drawn(radii: Sequence[float], brightness: Sequence[float], spacing: int = 16, n_columns: int = 12) -> bytes:
    """A TIFF with a disc for each radius and brightness."""
    n_rows = -(-len(radii) // n_columns)
    image = np.zeros((max(64, n_rows * spacing), n_columns * spacing), np.uint8)
    rows, columns = np.indices(image.shape)
    for number, (radius, bright) in enumerate(zip(radii, brightness, strict=True)):
        row, column = (spacing * (place + 0.5) for place in divmod(number, n_columns))
        image[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = round(bright)
    return tiff(image)


def plate(room: Room, treated_positive: int = 6, treated_condensed: int = 4) -> str:
    """Wells of 20 nuclei; of those of the drug some are positive in the second channel, and others condensed."""
    made = room.make()
    room.store.set_layout(made, room.files.add(LAYOUT.encode()), "layout.csv", None)
    for row, n_positive, n_condensed in (("A", 2, 0), ("B", treated_positive, treated_condensed)):
        for column in (1, 2, 3):
            plain = 20 - n_condensed
            dna = drawn([6.0] * plain + [4.0] * n_condensed, [150.0] * plain + [220.0] * n_condensed)
            marker = drawn([6.0] * 20, [90.0 + column] * n_positive + [20.0] * (20 - n_positive))
            room.add(made, **{f"{row}{column:02}_w1": dna, f"{row}{column:02}_w2": marker})
    room.run(made)
    return made


def concluded(room: Room, made: str, *endpoints: str, **options: Any) -> Compared:
    return conclude(Tables(room.store, room.store.experiment(made)), EffectOptions(endpoints, **options))


@pytest.fixture
def room(tmp_path: Path) -> Any:
    with opened(tmp_path) as room:
        yield room


def test_positive_and_condensed_nuclei_of_a_plate(room: Room) -> None:
    marker = {"marker": "intensity_mean_c1", "marker_threshold": 50.0}
    found = concluded(room, plate(room), "positive_fraction", "condensed_fraction", **marker)
    assert found.effects is not None, found.why_no_effects
    positive, condensed = (endpoint.comparisons[0] for endpoint in found.effects.endpoints)
    assert (positive.mean_control, positive.mean_treated) == pytest.approx((0.1, 0.3))
    assert (condensed.mean_control, condensed.mean_treated) == pytest.approx((0.0, 0.2))
    assert (positive.n_treated, positive.n_control) == (3, 3)
    assert found.wells["positive_fraction"] == pytest.approx([0.1] * 3 + [0.3] * 3)


def test_dark_nuclei_are_not_told_to_be_condensed() -> None:
    nuclei = {name: np.full(60, 100.0) for name in ("area_px", "intensity_mean", "intensity_integrated")}
    assert "condensed_fraction" in _gates([nuclei], None)
    assert "condensed_fraction" not in _gates([nuclei | {"intensity_integrated": np.full(60, -100.0)}], None)


def test_dna_content_that_shows_no_phases_is_null_and_told(room: Room) -> None:
    found = concluded(room, plate(room), "count", "g1_fraction")
    assert found.effects is not None
    count, g1 = found.effects.endpoints
    assert count.comparisons
    assert g1.comparisons == ()
    assert "cell_cycle_not_told" in {warning.code for warning in found.effects.warnings}


def test_shares_of_g1_and_g2(room: Room) -> None:
    rng = np.random.default_rng(0)
    made = room.make()
    room.store.set_layout(made, room.files.add(LAYOUT.encode()), "layout.csv", None)
    for row, n_g2 in (("A", 36), ("B", 72)):
        for column in (1, 2, 3):
            radii = [4.0] * (120 - n_g2) + [5.66] * n_g2
            room.add(made, **{f"{row}{column:02}_w1": drawn(radii, rng.normal(180, 12, 120).tolist())})
    room.run(made)
    found = concluded(room, made, "g1_fraction", "g2_fraction")
    assert found.effects is not None, found.why_no_effects
    g1, g2 = (endpoint.comparisons[0] for endpoint in found.effects.endpoints)
    assert (g1.mean_control, g1.mean_treated) == pytest.approx((0.7, 0.4), abs=0.05)
    assert (g2.mean_control, g2.mean_treated) == pytest.approx((0.3, 0.6), abs=0.05)


def test_counts_at_time_0_come_with_the_layout(room: Room) -> None:
    made = room.make()
    layout = ["well,condition,dose,dose_unit,control,time0_count", "A01,DMSO,0,uM,negative,"]
    room.add(made, A01_w1=drawn([6.0] * 20, [150.0] * 20))
    for column, count in enumerate((19, 17, 12, 8, 6, 6), 2):
        layout.append(f"A{column:02},drug,{10.0 ** (column - 5):g},uM,,5")
        room.add(made, **{f"A{column:02}_w1": drawn([6.0] * count, [150.0] * count)})
    room.store.set_layout(made, room.files.add("\n".join(layout).encode()), "layout.csv", None)
    room.run(made)
    found = concluded(room, made, "count")
    assert found.effects is not None, found.why_no_effects
    (rate,) = found.effects.endpoints[0].growth_rates
    assert rate.gr_max == pytest.approx(2 ** (np.log2(6 / 5) / np.log2(20 / 5)) - 1)
    assert 0.01 < rate.gr50 < 1  # type: ignore[operator]


def test_excluded_images_count_for_nothing(room: Room) -> None:
    made = plate(room)
    room.store.exclude(made, Exclusion(None, "B01", None, "scratched", 0.0))
    found = concluded(room, made, "condensed_fraction")
    assert found.effects is not None
    assert found.effects.endpoints[0].comparisons[0].n_treated == 2


@pytest.mark.parametrize(
    ("endpoints", "options", "said"),
    [
        (("positive_fraction",), {}, "belong together"),
        (("positive_fraction",), {"marker": "intensity_mean_c1"}, "belong together"),
        (("count",), {"marker": "intensity_mean_c1", "marker_threshold": 1.0}, "belong together"),
        (("positive_fraction",), {"marker": "gfp", "marker_threshold": 1.0}, "no column 'gfp' for the marker"),
        (("positive_fraction",), {"marker": "area_px", "marker_threshold": float("nan")}, "not a number"),
        (FRACTIONS[1:], {"control": "water"}, "No row has the condition 'water'"),
    ],
)
def test_what_cannot_be_told_is_refused(room: Room, endpoints: Any, options: Any, said: str) -> None:
    found = concluded(room, plate(room), *endpoints, **options)
    assert found.effects is None
    assert said in str(found.why_no_effects)
