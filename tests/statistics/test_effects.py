import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from app.errors import TableError
from app.statistics import normalise, table_curves
from app.statistics.curve_result import DoseResponse
from app.statistics.dose_response import fit_curve
from app.statistics.effects import EffectOptions, Test, adjust, effects
from app.statistics.schema import ConditionEffect, EndpointEffects
from app.statistics.table_curves import fitted_curve
from app.statistics.well_table import well_table
from tests.statistics import published

Table = dict[str, list[Any]]


def table_of(rows: list[dict[str, Any]]) -> Table:
    return {name: [row.get(name, "") for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}


def one_plate(**groups: list[float]) -> Table:
    """A plate with a row of wells for each group; `DMSO` is the negative control."""
    rows = [
        {
            "well": f"{letter}{column}",
            "condition": name,
            "control": "negative" if name == "DMSO" else "",
            "count": count,
        }
        for letter, (name, counts) in zip("ABCDEFGH", groups.items())
        for column, count in enumerate(counts, 1)
    ]
    return table_of(rows)


def several_plates(n_plates: int = 4, n_wells: int = 1, drug: float = -20.0, **more: float) -> Table:
    generator = np.random.default_rng(0)
    rows = []
    for plate in range(n_plates):
        for letter, (name, effect) in zip("ABCDEFGH", {"DMSO": 0.0, "drug": drug, **more}.items()):
            for column in range(1, n_wells + 1):
                count = 200 + 50 * plate + effect + generator.normal(0, 2)
                control = "negative" if name == "DMSO" else ""
                well = {"plate": f"P{plate + 1}", "well": f"{letter}{column}"}
                rows.append({**well, "condition": name, "control": control, "count": count})
    return table_of(rows)


def lincs() -> Table:
    rows = []
    for index, plate in enumerate(published.LINCS_PLATES):
        for well, count in zip(published.LINCS_DMSO_WELLS, published.LINCS_DMSO[index]):
            rows.append({"plate": plate, "well": well, "condition": "DMSO", "control": "negative", "count": count})
        for well, count in zip(published.LINCS_POSITIVE_WELLS, published.LINCS_POSITIVE[index]):
            known = {"condition": "BRD-K50691590", "dose": 20, "dose_unit": "uM", "control": "positive"}
            rows.append({"plate": plate, "well": well, **known, "count": count})
        for letter, (name, plates) in zip("EG", published.LINCS_COMPOUNDS.items()):
            for column, (dose, count) in enumerate(zip(published.LINCS_UM, plates[index]), 1):
                known = {"condition": name, "dose": dose, "dose_unit": "uM"}
                rows.append({"plate": plate, "well": f"{letter}{column:02}", **known, "count": count})
    return table_of(rows)


def cellpyability_rows() -> list[dict[str, Any]]:
    """A row a well; the rows of the plate are the replicates."""
    return [
        {"well": f"{row}{column}", "replicate": row, "dose": dose, "dose_unit": "nM", "count": count}
        for row, counts in published.CELLPYABILITY.items()
        for column, (dose, count) in enumerate(zip(published.CELLPYABILITY_NM, counts), 2)
    ]


def first_endpoint(table: Table, **options: Any) -> EndpointEffects:
    return effects(table, EffectOptions(**options)).endpoints[0]


def only_effect(table: Table, **options: Any) -> ConditionEffect:
    (effect,) = first_endpoint(table, **options).comparisons
    return effect


def codes(answer: Any) -> set[str]:
    return {warning.code for warning in answer.warnings}


def test_two_groups_on_a_plate() -> None:
    treated, control = [80.0, 85, 90, 79], [100.0, 101, 108]
    effect = only_effect(one_plate(DMSO=control, drug=treated))
    theirs = stats.ttest_ind(treated, control, equal_var=False)
    assert (effect.n_treated, effect.n_control, effect.replicate, effect.block) == (4, 3, "well", None)
    assert effect.test == "Welch's t test"
    assert effect.p_value == effect.p_adjusted == pytest.approx(theirs.pvalue)
    assert effect.degrees_of_freedom == pytest.approx(theirs.df)
    assert effect.difference == pytest.approx(83.5 - 103)
    assert effect.difference_interval == pytest.approx(tuple(theirs.confidence_interval()))
    assert effect.dose is None
    assert effect.warnings == ()


def test_no_change_falls_below_all_that_there_is() -> None:
    killed = {"DMSO": [100.0, 130.0, 70.0], "drug": [4.0, 0.0, 2.0]}
    effect = only_effect(one_plate(**killed))
    low, high = effect.change_percent_interval or (None, None)
    assert low == -100
    assert high is not None
    assert -98 < high < 0
    assert effect.difference_interval is not None
    assert effect.difference_interval.low is not None
    assert effect.difference_interval.low < -effect.mean_control
    # What can be below 0 can.
    below = only_effect(one_plate(**{**killed, "drug": [4.0, -4.0, 2.0]})).change_percent_interval
    assert below is not None
    assert below.low is not None
    assert below.low < -100


def test_every_answer_has_a_power_note() -> None:
    effect = only_effect(one_plate(DMSO=[92.0, 100, 108], drug=[92.0, 100, 108]))
    assert effect.power is not None
    assert effect.power.detectable_percent == pytest.approx(24.6, abs=0.05)
    assert effect.power.replicates_for_ten_percent == 12


def test_several_conditions_share_a_control_by_dunnett() -> None:
    table = one_plate(DMSO=list(published.DUNNETT_CONTROL), **{k: list(v) for k, v in published.DUNNETT_GROUPS.items()})
    found = first_endpoint(table).comparisons
    assert [effect.test for effect in found] == ["Dunnett's test"] * 2
    assert [effect.p_value for effect in found] == pytest.approx([0.62010, 0.00583], abs=1e-5)
    assert [effect.condition for effect in found] == ["A", "B"]


def test_superplots_replicates_on_plates_are_paired() -> None:
    rows = []
    for plate, (control, drug) in enumerate(zip(published.SUPERPLOTS_CONTROL, published.SUPERPLOTS_DRUG)):
        rows.append({"plate": plate, "well": "A1", "condition": "control", "control": "negative", "speed": control})
        rows.append({"plate": plate, "well": "B1", "condition": "drug", "speed": drug})
    effect = only_effect(table_of(rows), endpoints=("speed",))
    assert effect.p_value == pytest.approx(0.0146388, abs=1e-7)
    assert (effect.n_treated, effect.replicate, effect.block, effect.test) == (3, "plate", "plate", "paired t test")
    # On one plate only the option says that replicates are shared days.
    moved = ((row, f"{row['well'][0]}{row['plate'] + 1}") for row in rows)
    on_one = table_of([{**row, "plate": 1, "well": well, "replicate": row["plate"]} for row, well in moved])
    assert only_effect(on_one, endpoints=("speed",)).p_value == pytest.approx(0.2695144, abs=1e-7)
    paired = only_effect(on_one, endpoints=("speed",), block="replicate")
    assert paired.p_value == pytest.approx(0.0146388, abs=1e-7)


def test_the_lincs_plates() -> None:
    answer = first_endpoint(lincs())
    assert [plate.separations[0].z_prime for plate in answer.plates] == pytest.approx(
        [0.7157, 0.6518, 0.7137, 0.7654], abs=5e-5
    )
    assert [plate.separations[0].ssmd for plate in answer.plates] == pytest.approx(
        [-11.415, -9.249, -11.701, -14.959], abs=5e-4
    )
    assert [plate.control_edge_mean for plate in answer.plates] == pytest.approx([2586, 2400, 2572, 2639], abs=0.5)
    assert [plate.control_inside_mean for plate in answer.plates] == pytest.approx([2706, 2682, 2792, 2853], abs=0.5)
    first, second = answer.curves
    assert (first.condition, first.dose_unit, first.n_plates, first.relative_to_control) == (
        "BRD-K68747584",
        "uM",
        4,
        True,
    )
    assert (first.ec50, first.effective_doses[1].standard_error_hessian) == pytest.approx((0.0648, 0.0084), abs=5e-5)
    assert (second.ec50, second.effective_doses[1].standard_error_hessian) == pytest.approx((1.104, 0.466), abs=5e-4)
    assert {(effect.n_treated, effect.replicate, effect.test) for effect in answer.comparisons} == {
        (4, "plate", "Dunnett's test in blocks")
    }
    by_condition = {effect.condition: effect for effect in answer.comparisons}
    assert codes(by_condition["BRD-K50691590"]) == {"replicates_averaged"}


def test_doses_of_cellpyability_with_their_own_dose_0() -> None:
    rows = [{**row, "condition": "one" if row["replicate"] in "BCD" else "two"} for row in cellpyability_rows()]
    whole = effects(table_of(rows))
    assert codes(whole) == {"control_assumed"}
    first, second = whole.endpoints[0].curves
    assert first.ec50 == pytest.approx(35.485, abs=5e-4)
    assert second.ec50 == pytest.approx(3.5929, abs=5e-5)
    assert not first.relative_to_control
    assert {effect.n_control for effect in whole.endpoints[0].comparisons} == {3}
    controls = {effect.condition: effect.mean_control for effect in whole.endpoints[0].comparisons}
    assert controls == pytest.approx({"one": (10322 + 10731 + 10649) / 3, "two": (8928 + 8655 + 8632) / 3})


def test_the_ratio_of_the_ec50_of_two_cell_lines() -> None:
    rows = [{**row, "condition": "one" if row["replicate"] in "BCD" else "two"} for row in cellpyability_rows()]
    (ratio,) = effects(table_of(rows)).endpoints[0].ec50_ratios
    assert (ratio.condition, ratio.reference, ratio.dose_unit) == ("two", "one", "nM")
    assert ratio.ratio == pytest.approx(3.59291 / 35.4853, rel=1e-4)
    low, high = ratio.ratio_interval
    assert low is not None
    assert high is not None
    assert 0.08 < low < ratio.ratio < high < 0.12
    assert ratio.p_value == ratio.p_adjusted < 1e-20
    assert codes(ratio) == {"curves_not_parallel"}


def several_curves(ec50: dict[str, float], **more: Any) -> Table:
    """Four replicates of seven doses of each drug and twelve controls; `more` is the unit of some drugs' doses."""
    rng = np.random.default_rng(5)
    rows: list[dict[str, Any]] = [
        {"well": f"A{column}", "condition": "DMSO", "control": "negative", "count": 100 + rng.normal(0, 3)}
        for column in range(1, 13)
    ]
    for index, (name, middle) in enumerate(ec50.items()):
        for number, dose in enumerate(np.repeat([0.03, 0.1, 0.3, 1, 3, 10, 30], 4)):
            count = 10 + 90 / (1 + dose / middle) + rng.normal(0, 3)
            known = {"condition": name, "dose": float(dose), "dose_unit": more.get(name, "uM"), "control": ""}
            rows.append({"well": f"{'BCDEFGH'[index]}{number + 1}", **known, "count": count})
    return table_of(rows)


def test_few_curves_are_compared_in_pairs_and_many_with_the_positive_control() -> None:
    three = first_endpoint(several_curves({"a": 1.0, "b": 3.0, "c": 1.0})).ec50_ratios
    assert [(one.condition, one.reference) for one in three] == [("b", "a"), ("c", "a"), ("c", "b")]
    assert [one.ratio for one in three[:2]] == pytest.approx([3, 1], rel=0.3)
    assert [one.p_adjusted for one in three] == adjust([one.p_value for one in three])
    assert three[0].p_adjusted < 1e-6 < three[1].p_value
    ratios = first_endpoint(with_positive(several_curves(dict.fromkeys("abcde", 1.0)), "c")).ec50_ratios
    assert [(one.condition, one.reference) for one in ratios] == [(name, "c") for name in "abde"]


def with_positive(table: Table, condition: str) -> Table:
    marks = zip(table["condition"], table["control"])
    return table | {"control": ["positive" if name == condition else mark for name, mark in marks]}


def test_many_curves_without_a_positive_control_are_not_compared() -> None:
    answer = first_endpoint(several_curves(dict.fromkeys("abcde", 1.0)))
    assert answer.ec50_ratios == ()
    (told,) = [warning for warning in answer.warnings if warning.code == "curves_not_compared"]
    assert told.message.startswith("The EC50 of 5 curves were not compared, because none is that of a positive control")


def test_the_ratios_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_curves, "_MOST_RATIOS", 2)
    answer = first_endpoint(with_positive(several_curves(dict.fromkeys("abcde", 1.0)), "a"))
    assert len(answer.ec50_ratios) == 2
    (told,) = [warning for warning in answer.warnings if warning.code == "curves_not_compared"]
    assert "2 of 4 curves" in told.message


def test_curves_in_different_units_are_not_compared() -> None:
    answer = first_endpoint(several_curves({"a": 1.0, "b": 1.0, "flat": 1e9}, b="nM"))
    assert [curve.ec50 is None for curve in answer.curves] == [False, False, True]
    assert answer.ec50_ratios == ()
    (told,) = [warning for warning in answer.warnings if warning.code == "curves_not_compared"]
    assert "b and a" in told.message
    assert "flat" not in told.message


def screen(places: dict[str, list[int]] | None = None, shift: float = -30.0) -> Table:
    """A plate of 96 wells with gradients along rows and columns, in which most wells, the controls, do nothing."""
    rng = np.random.default_rng(2)
    treated = places or {"drug": [13, 29, 41, 58, 66, 87], "idle": [15, 33, 44, 53, 75, 80]}
    of_well = {number: name for name, numbers in treated.items() for number in numbers}
    rows = []
    for number in range(96):
        row, column = divmod(number, 12)
        name = of_well.get(number, "DMSO")
        count = 200 + 12 * row - 6 * column + rng.normal(0, 5) + (shift if name == "drug" else 0)
        control = "negative" if name == "DMSO" else ""
        rows.append({"well": f"{'ABCDEFGH'[row]}{column + 1}", "condition": name, "control": control, "count": count})
    return table_of(rows)


def test_b_scores_are_compared_and_told() -> None:
    plain, scored = effects(screen()), effects(screen(), EffectOptions(normalise="b_score"))
    assert (plain.normalise, scored.normalise) == ("none", "b_score")
    assert codes(scored) == {"b_scores"}
    drug, idle = scored.endpoints[0].comparisons
    assert drug.difference == pytest.approx(-30 / 5, abs=2.5)
    assert drug.p_value < 1e-6 < 0.05 < idle.p_value  # type: ignore[operator]
    assert plain.endpoints[0].comparisons[0].p_value > 100 * drug.p_value  # type: ignore[operator]
    # 0 is not nothing, so that neither ratios nor percents say anything.
    assert (drug.ratio, drug.change_percent, drug.power.detectable_percent) == (None, None, None)  # type: ignore[union-attr]
    assert "ratio_needs_positive" not in codes(drug)
    (plate,) = scored.endpoints[0].plates
    assert plate.control_cv_percent is None
    assert "too_few_nuclei" not in codes(plate)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({"drug": list(range(0, 96, 12))}, "whole rows or columns"),
        ({"drug": [number for number in range(96) if number % 7 in (1, 4)]}, "of its wells are active"),
        ({"drug": [5], "idle": list(range(6, 90)), "other": [90, 91, 92, 94]}, "it has 7 negative"),
    ],
)
def test_b_scores_that_mislead_are_told(
    places: dict[str, list[int]], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalise, "_FEWEST_CONTROLS", 8)
    told = {one.code: one.message for one in effects(screen(places, -100), EffectOptions(normalise="b_score")).warnings}
    assert said in told["b_scores_misleading"]


def test_curves_of_b_scores_of_several_plates_are_not_divided_by_their_controls() -> None:
    table = screen()
    table["dose"] = [0.0] * 96
    for number, well in enumerate([13, 29, 41, 58, 66, 87, 15, 33, 44, 53]):
        table["condition"][well], table["dose"][well] = "drug", float(10 ** (number // 2))
        table["count"][well] -= 12 * (number // 2)
    both = {name: [*column, *column] for name, column in table.items()} | {"plate": ["P1"] * 96 + ["P2"] * 96}
    (curve,) = first_endpoint(both, normalise="b_score").curves
    assert not curve.relative_to_control
    assert curve.lower < -5 < curve.upper
    assert first_endpoint(both).curves[0].relative_to_control


def test_b_scores_that_cannot_be_are_refused() -> None:
    with pytest.raises(TableError, match="count: B-scores need wells in three rows"):
        effects(one_plate(DMSO=[1.0, 2, 3], drug=[4.0, 5, 6]), EffectOptions(normalise="b_score"))
    table = screen()
    table["well"] = [f"dish {number}" for number in range(96)]
    with pytest.raises(TableError, match="not the name of a well"):
        effects(table, EffectOptions(normalise="b_score"))


def growing(control: float = published.GR_CONTROL, time_zero: Any = published.GR_TIME_ZERO) -> Table:
    """The example of GR metrics, with one control and one well a dose."""
    rows: list[dict[str, Any]] = [{"well": "A1", "condition": "DMSO", "control": "negative", "count": control}]
    for number, (dose, count) in enumerate(zip(published.GR_DOSES, published.GR_COUNTS), 1):
        known = {"condition": "drug A", "dose": dose, "dose_unit": "uM", "control": "", "count": count}
        rows.append({"well": f"B{number}", **known, "time0_count": time_zero})
    return table_of(rows)


def test_growth_rates_of_a_table_are_those_of_gr_metrics() -> None:
    (found,) = first_endpoint(growing()).growth_rates
    assert (found.condition, found.dose_unit, found.n_responses) == ("drug A", "uM", 9)
    assert found.gr50 == pytest.approx(0.0774608, abs=2e-7)
    assert found.gec50 == pytest.approx(0.0816314, abs=1e-7)
    assert found.gr_inf == pytest.approx(-0.0263167, abs=1e-6)
    assert found.gr_max == pytest.approx(-0.00640568, abs=1e-7)
    low, high = found.gec50_interval
    assert low < found.gec50 < high  # type: ignore[operator]


def test_each_well_grows_as_the_controls_of_its_plate() -> None:
    # The second plate holds twice the nuclei, at every time.
    one, two = growing(), growing(2 * published.GR_CONTROL, 2 * published.GR_TIME_ZERO)
    two["count"] = [count if name == "DMSO" else 2 * count for count, name in zip(two["count"], two["condition"])]
    both = {name: [*one[name], *two[name]] for name in one} | {"plate": ["P1"] * 10 + ["P2"] * 10}
    (found,) = first_endpoint(both).growth_rates
    assert found.n_responses == 18
    assert found.gr50 == pytest.approx(0.0774608, abs=1e-6)


def test_growth_rates_need_growth_and_counts_at_time_0() -> None:
    still = first_endpoint(growing(control=500.0))
    assert still.growth_rates == ()
    (told,) = [warning for warning in still.warnings if warning.code == "growth_rate_not_told"]
    assert "drug A has no GR metrics: The control hardly grew" in told.message
    unknown = first_endpoint(growing(time_zero=None))
    assert unknown.growth_rates == ()
    assert "growth_rate_not_told" not in codes(unknown)
    table = growing() | {"area": growing()["count"]}
    assert first_endpoint(table, endpoints=("area",)).growth_rates == ()


def test_images_of_one_well_are_not_replicates() -> None:
    rows = [
        {"well": well, "condition": name, "control": control, "replicate": image, "count": count + image}
        for well, name, control, count in (("A1", "DMSO", "negative", 100), ("B1", "drug", "", 80))
        for image in (1, 2, 3)
    ]
    whole = effects(table_of(rows))
    (effect,) = whole.endpoints[0].comparisons
    assert codes(whole) == {"pseudo_replication"}
    assert (effect.n_treated, effect.n_control, effect.p_value) == (1, 1, None)
    assert effect.difference == pytest.approx(-20)
    assert codes(effect) == {"too_few_replicates"}


def test_rows_of_a_well_are_averaged_and_that_is_told() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    twice = {name: column * 2 for name, column in table.items()}
    twice["count"] = table["count"] + [count + 10 for count in table["count"]]
    whole = effects(twice)
    assert codes(whole) == {"rows_averaged"}
    assert whole.endpoints[0].comparisons[0].p_value == pytest.approx(only_effect(table).p_value)
    assert whole.n_wells == 6


def test_one_replicate_has_an_estimate_but_no_p() -> None:
    effect = only_effect(one_plate(DMSO=[100.0, 101, 108], drug=[80.0]))
    assert (effect.p_value, effect.p_adjusted, effect.difference_interval) == (None, None, None)
    assert effect.difference == pytest.approx(-23)
    assert codes(effect) == {"too_few_replicates"}
    assert effect.power is not None


def test_two_plates_are_two_replicates() -> None:
    table = several_plates(n_plates=2, n_wells=6)
    effect = only_effect(table)
    assert (effect.n_treated, effect.p_value, effect.replicate) == (2, None, "plate")
    assert codes(effect) == {"too_few_replicates", "replicates_averaged"}
    by_well = only_effect(table, replicate="well")
    assert (by_well.n_treated, by_well.block) == (12, None)


def test_plates_that_repeat_are_the_replicates() -> None:
    effect = only_effect(several_plates(n_wells=3))
    assert (effect.n_treated, effect.block, effect.test) == (4, "plate", "paired t test")
    assert effect.p_value is not None
    assert effect.p_value < 0.01
    assert codes(effect) == {"replicates_averaged"}
    ignored = only_effect(several_plates(n_wells=3), block="none")
    assert ignored.n_treated == 12
    assert ignored.p_value is not None
    assert ignored.p_value > effect.p_value


def test_days_of_several_plates_are_the_replicates() -> None:
    table = several_plates(n_plates=6)
    table["replicate"] = [f"day {(int(plate[1]) + 1) // 2}" for plate in table["plate"]]
    effect = only_effect(table)
    assert (effect.n_treated, effect.replicate, effect.block) == (3, "replicate", "replicate")
    named = {**table, "day": table["replicate"]}
    del named["replicate"]
    assert only_effect(named, replicate="day").p_value == pytest.approx(effect.p_value)
    assert only_effect(named, block="day").p_value == pytest.approx(effect.p_value)


def test_replicates_within_one_plate_are_means_of_their_wells() -> None:
    table = one_plate(DMSO=[100.0, 102, 108, 110, 90, 92], drug=[80.0, 82, 90, 92, 70, 72])
    table["replicate"] = [1, 1, 2, 2, 3, 3] * 2
    effect = only_effect(table)
    assert (effect.n_treated, effect.replicate) == (3, "replicate")
    assert effect.p_value == pytest.approx(stats.ttest_ind([81, 91, 71], [101, 109, 91], equal_var=False).pvalue)
    # Controls without a replicate are each their own.
    table["replicate"][:6] = [""] * 6
    assert only_effect(table).n_control == 6


def test_a_treatment_on_a_plate_of_its_own_is_confounded() -> None:
    table = several_plates(n_plates=2, n_wells=4)
    alone = {
        name: [
            value
            for value, plate, condition in zip(column, table["plate"], table["condition"])
            if (plate == "P1") == (condition == "DMSO")
        ]
        for name, column in table.items()
    }
    effect = only_effect(alone)
    assert codes(effect) == {"confounded_with_plate"}
    assert effect.p_value is None
    assert effect.difference == pytest.approx(30, abs=4)


def test_a_condition_is_compared_on_the_plates_that_hold_its_control() -> None:
    table = several_plates(n_plates=3, n_wells=4)
    keep = [not (plate == "P3" and condition == "DMSO") for plate, condition in zip(table["plate"], table["condition"])]
    effect = only_effect({name: [v for v, kept in zip(column, keep) if kept] for name, column in table.items()})
    assert "plate_without_control" in codes(effect)
    assert effect.n_treated == 2


def test_conditions_on_plates_of_their_own_are_compared_there() -> None:
    # A library: each compound on one plate, controls on all.
    rows = []
    for plate, name in enumerate(("one", "two")):
        for column, count in enumerate((100.0, 103, 106), 1):
            untreated = count * (1 + plate)
            rows.append(
                {"plate": plate, "well": f"A{column}", "condition": "DMSO", "control": "negative", "count": untreated}
            )
            rows.append({"plate": plate, "well": f"B{column}", "condition": name, "count": 0.8 * untreated})
    first, second = first_endpoint(table_of(rows)).comparisons
    assert (first.test, second.test) == ("Welch's t test",) * 2
    assert first.p_value == pytest.approx(second.p_value)
    assert first.mean_control == 103
    assert second.mean_control == 206


def test_a_missing_well_is_told() -> None:
    table = several_plates(other=-5.0)
    wells = zip(table["plate"], table["condition"])
    keep = [not (plate == "P2" and condition == "other") for plate, condition in wells]
    lost = {name: [v for v, kept in zip(column, keep) if kept] for name, column in table.items()}
    answer = first_endpoint(lost)
    assert codes(answer) == {"missing_wells"}
    assert "other" in answer.warnings[0].message
    assert {effect.condition: effect.n_treated for effect in answer.comparisons} == {"drug": 4, "other": 3}
    assert {effect.test for effect in answer.comparisons} == {"paired t test, Bonferroni's correction"}


@pytest.mark.parametrize("gap", ["", None, "NA", float("nan")])
def test_a_well_without_a_value_is_left_out_and_told(gap: Any) -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90, 0])
    table["count"][-1] = gap
    answer = first_endpoint(table)
    assert codes(answer) == {"missing_wells"}
    assert answer.comparisons[0].n_treated == 3


def test_a_condition_without_any_value_is_named() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90], lost=["", "", ""])  # type: ignore[list-item]
    answer = first_endpoint(table)
    assert "not_compared" in codes(answer)
    assert [effect.condition for effect in answer.comparisons] == ["drug"]


def test_wells_that_do_not_vary() -> None:
    effect = only_effect(one_plate(DMSO=[100.0] * 3, drug=[80.0] * 3))
    assert codes(effect) == {"zero_variance"}
    assert effect.p_value is None
    assert effect.ratio == pytest.approx(0.8)


def test_counts_of_0() -> None:
    answer = first_endpoint(one_plate(DMSO=[100.0, 101, 108], drug=[0.0, 0, 1]))
    assert answer.comparisons[0].ratio is None
    assert codes(answer.comparisons[0]) == {"ratio_needs_positive"}
    assert answer.comparisons[0].p_value is not None
    assert "too_few_nuclei" in codes(answer.plates[0])


def test_endpoints_are_corrected_for() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[95.0, 96, 99])
    table["area"] = [400.0, 410, 405, 300, 310, 305]
    count, area = effects(table, EffectOptions(endpoints=("count", "area"))).endpoints
    p_count, p_area = count.comparisons[0].p_value, area.comparisons[0].p_value
    assert p_count is not None
    assert p_area is not None
    assert p_area < p_count
    assert area.comparisons[0].p_adjusted == pytest.approx(2 * p_area)
    assert count.comparisons[0].p_adjusted == pytest.approx(p_count)
    rates = effects(table, EffectOptions(endpoints=("count", "area"), correction="benjamini-hochberg")).endpoints
    assert rates[1].comparisons[0].p_adjusted == pytest.approx(2 * p_area)


def test_rank_tests_only_where_they_can_reach_the_level() -> None:
    small = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    effect = only_effect(small, test="rank")
    assert (effect.p_value, effect.p_adjusted, effect.test) == (None, None, "Mann-Whitney test")
    assert codes(effect) == {"level_out_of_reach"}
    assert effect.difference_interval is not None
    control, drug = [100.0, 101, 108, 95, 99], [80.0, 85, 90, 79, 97]
    large = only_effect(one_plate(DMSO=control, drug=drug), test="rank")
    assert large.p_value == pytest.approx(stats.mannwhitneyu(drug, control, method="exact").pvalue)
    paired = only_effect(several_plates(n_plates=6), test="permutation")
    assert (paired.test, paired.p_value) == ("sign-flip test", pytest.approx(2 / 64))
    assert only_effect(one_plate(DMSO=[1.0, 2], drug=[3.0, 4]), test="rank").test == "estimates only"


def test_a_rank_test_of_two_doses_needs_more_replicates() -> None:
    control, drug = [100.0, 101, 108, 99], [80.0, 85, 90, 79]
    assert only_effect(one_plate(DMSO=control, drug=drug), test="rank").p_value == pytest.approx(2 / 70)
    both = first_endpoint(one_plate(DMSO=control, drug=drug, other=drug), test="rank").comparisons
    assert [effect.p_value for effect in both] == [None, None]


def test_a_number_of_the_plate_does_not_merge_its_wells_on_a_curve() -> None:
    table = lincs()
    table["replicate"] = [published.LINCS_PLATES.index(plate) for plate in table["plate"]]
    assert [curve.n_responses for curve in first_endpoint(table).curves] == [120, 120]


def test_doses_of_two_units_are_refused() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    table["dose"] = [0, 0, 0, 1, 1, 10]
    table["dose_unit"] = ["", "", "", "uM", "uM", "nM"]
    with pytest.raises(TableError, match="'drug' has doses in nM and in uM"):
        effects(table)
    table["dose_unit"] = [""] * 6
    assert "dose_unit_missing" in codes(effects(table))


def test_conditions_may_have_units_of_their_own() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90], other=[80.0, 85, 90])
    table["dose"] = [0] * 3 + [1] * 3 + [2] * 3
    table["dose_unit"] = [""] * 3 + ["uM"] * 3 + ["mg/ml"] * 3
    whole = effects(table)
    assert codes(whole) == {"dose_units_differ"}
    assert [effect.dose_unit for effect in whole.endpoints[0].comparisons] == ["uM", "mg/ml"]


def test_too_few_doses_for_a_curve_are_told() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90, 60, 61, 66])
    table["dose"] = [""] * 3 + [1] * 3 + [10] * 3
    table["dose_unit"] = [""] * 3 + ["uM"] * 6
    answer = first_endpoint(table)
    assert answer.curves == ()
    assert codes(answer) == {"too_few_doses"}
    assert [effect.dose for effect in answer.comparisons] == [1, 10]


def test_without_a_control_nothing_is_compared() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    del table["control"]
    with pytest.raises(TableError, match="which wells are untreated"):
        effects(table)
    assert only_effect(table, control="DMSO").p_value is not None
    with pytest.raises(TableError, match="No row has the condition 'vehicle'"):
        effects(table, EffectOptions(control="vehicle"))
    with pytest.raises(TableError, match="All wells are controls"):
        effects(one_plate(DMSO=[100.0, 101, 108]))


def changed(name: str, value: Any, row: int = 5) -> Table:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    table[name] = [*table.get(name, [""] * 6)]
    table[name][row] = value
    return table


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (changed("count", "many"), "Row 6 of column 'count' holds 'many'"),
        (changed("count", "inf"), "Row 6 of column 'count' holds inf, which is no measurement"),
        (changed("count", "1e-200"), "holds 1e-200"),
        (changed("dose", "-1"), "below 0"),
        (changed("dose", "high"), "Row 6 of column 'dose'"),
        (changed("well", ""), "Row 6 has no well"),
        (changed("condition", " "), "Row 6 has no condition"),
        (changed("control", "maybe"), "it takes 'negative', 'positive'"),
        (changed("well", "A1"), "Well A1 has rows with different condition"),
        ({"well": ["A1"], "count": [1]}, "no column 'condition'"),
        ({"condition": ["a"], "count": [1]}, "neither a column 'well' nor 'image'"),
        ({"condition": ["a"], "well": ["A1"]}, "no column 'count'; it has 'condition', 'well'"),
        ({"condition": ["a", "b"], "well": ["A1"], "count": [1]}, "different lengths"),
        ({"condition": [], "well": [], "count": []}, "no rows"),
    ],
)
def test_tables_that_are_refused(table: Table, said: str) -> None:
    with pytest.raises(TableError, match=said):
        effects(table)


def test_an_endpoint_must_be_named() -> None:
    with pytest.raises(TableError, match="No endpoint"):
        effects(one_plate(DMSO=[1.0], drug=[2.0]), EffectOptions(endpoints=()))
    # Any column can be asked for, if it is there.
    assert only_effect(one_plate(DMSO=[1.0], drug=[2.0]), block="condition").p_value is None
    with pytest.raises(TableError, match="no column 'day'"):
        effects(one_plate(DMSO=[1.0], drug=[2.0]), EffectOptions(block="day"))


def test_blocks_that_nothing_shares() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    table["day"] = [1, 2, 3, 4, 5, 6]
    effect = only_effect(table, block="day")
    assert codes(effect) == {"blocks_not_shared"}
    assert effect.p_value is None


def test_images_stand_for_wells_where_there_are_none() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    table["image"] = [f"field_{well}.tif" for well in table.pop("well")]
    answer = first_endpoint(table)
    assert answer.comparisons[0].n_treated == 3
    assert "positions_unknown" in codes(answer.plates[0])


def test_text_is_read_as_numbers() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    as_text = {name: [str(value) for value in column] for name, column in table.items()}
    assert effects(as_text) == effects(table)


def test_plates_without_a_positive_control_say_so() -> None:
    plate = first_endpoint(one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])).plates[0]
    assert plate.separations == ()
    assert "no_positive_control" in codes(plate)
    assert plate.control_cv_percent == pytest.approx(100 * np.std([100, 101, 108], ddof=1) / 103)


def test_the_fit_behind_a_curve_can_be_plotted() -> None:
    wells = well_table(lincs(), ["count"])
    curve = fitted_curve(wells, wells.endpoints["count"], "BRD-K68747584")
    assert curve.ec50 == pytest.approx(fit_curve(*published.lincs_relative("BRD-K68747584")).ec50, rel=1e-5)


def test_a_curve_is_told_in_points_with_the_band_that_is_plotted() -> None:
    wells = well_table(lincs(), ["count"])
    fitted = fitted_curve(wells, wells.endpoints["count"], "BRD-K68747584")
    points = first_endpoint(lincs()).curves[0].points
    doses = np.array([point.dose for point in points])
    assert (doses[0], doses[-1]) == pytest.approx(
        (fitted.curve.dose[fitted.curve.dose > 0].min(), fitted.curve.dose.max())
    )
    assert np.ptp(np.diff(np.log(doses))) == pytest.approx(0, abs=1e-9)
    assert [point.response for point in points] == pytest.approx(fitted.predict(doses))
    band = fitted.band(doses)
    assert band is not None
    assert [point.interval for point in points] == [pytest.approx(one) for one in zip(*band)]
    assert (band[0] < fitted.predict(doses)).all()
    assert (fitted.predict(doses) < band[1]).all()


def test_a_curve_whose_band_is_not_determined_has_points_without_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DoseResponse, "band", lambda *_: None)
    points = first_endpoint(lincs()).curves[0].points
    assert all(point.interval is None and math.isfinite(point.response) for point in points)


def test_replicates_of_several_wells_are_one_point_of_a_curve() -> None:
    rows = [{**row, "condition": "drug"} for row in cellpyability_rows() if row["replicate"] in "BCD"]
    (plain,) = first_endpoint(table_of(rows)).curves
    below = str.maketrans("BCD", "EFG")
    again = [{**row, "well": row["well"].translate(below)} for row in rows]
    (averaged,) = first_endpoint(table_of(rows + again)).curves
    assert (plain.n_responses, averaged.n_responses) == (30, 30)
    assert averaged.ec50 == pytest.approx(plain.ec50)


def test_the_answer_is_plain_json() -> None:
    plain = effects(lincs()).as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["version"] == 1
    assert plain["control"] == ["DMSO"]
    effect = plain["endpoints"][0]["comparisons"][0]
    assert set(effect["difference_interval"]) == {"low", "high"}
    (warning,) = (one["warnings"][0] for one in plain["endpoints"][0]["comparisons"] if one["warnings"])
    assert set(warning) == {"code", "message"}


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    table = several_plates(n_wells=2, other=5.0)
    order = np.random.default_rng(seed).permutation(len(table["well"]))
    shuffled = {name: [column[row] for row in order] for name, column in table.items()}
    for ours, theirs in zip(first_endpoint(table).comparisons, first_endpoint(shuffled).comparisons, strict=True):
        assert theirs.condition == ours.condition
        assert theirs.p_value == pytest.approx(ours.p_value)
        assert theirs.difference == pytest.approx(ours.difference)


def test_a_positive_control_of_one_well_has_no_z_prime() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0])
    table["control"][-1] = "Positive"
    (plate,) = first_endpoint(table).plates
    assert plate.separations[0].z_prime is None
    assert plate.separations[0].n_positive == 1
    assert "controls_not_separable" in codes(plate)
    assert "no_positive_control" not in codes(plate)


def test_wells_as_replicates_are_compared_with_the_controls_of_their_plates() -> None:
    table = several_plates(n_plates=3, n_wells=3, other=-5.0)
    wells = zip(table["plate"], table["condition"])
    keep = [(plate, condition) not in {("P1", "other"), ("P3", "drug")} for plate, condition in wells]
    part = {name: [v for v, kept in zip(column, keep) if kept] for name, column in table.items()}
    drug, other = first_endpoint(part, replicate="well").comparisons
    assert (drug.n_treated, drug.n_control) == (other.n_treated, other.n_control) == (6, 6)
    assert drug.mean_control == pytest.approx(225, abs=3)
    assert other.mean_control == pytest.approx(275, abs=3)


ROWS = st.fixed_dictionaries(
    {
        "plate": st.sampled_from(["", "1", "2"]),
        "well": st.sampled_from(["A1", "A2", "B1", "B2", "C3", "H12", "field 7"]),
        "condition": st.sampled_from(["DMSO", "a", "b"]),
        "dose": st.sampled_from(["", "0", "1", "2", "5", "10", "1e30", "1e-300"]),
        "dose_unit": st.sampled_from(["", "uM"]),
        "replicate": st.sampled_from(["", "1", "2", "3"]),
        "control": st.sampled_from(["", "negative", "positive"]),
        "count": st.sampled_from(["", "0", "5", "7.5", "6", "-3", "1e150", "1e-300", "1000"]),
    }
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(ROWS, min_size=1, max_size=16, unique_by=lambda row: (row["plate"], row["well"])),
    st.sampled_from([None, "well", "plate", "replicate", "dose"]),
    st.sampled_from([None, "none", "plate", "replicate", "condition"]),
    st.sampled_from(["t", "rank", "permutation"]),
)
def test_any_table_is_answered_or_refused(
    rows: list[dict[str, str]], replicate: str | None, block: str | None, test: Test
) -> None:
    options = EffectOptions(replicate=replicate, block=block, test=test)
    try:
        answer = effects(table_of(rows), options)
    except TableError:
        return
    assert answer.n_wells == len(rows)
    assert set(answer.plates) == {row["plate"] for row in rows}
    assert json.loads(json.dumps(answer.as_dict(), allow_nan=False)) == answer.as_dict()
    for one in answer.endpoints[0].comparisons:
        assert one.p_value is None or 0 <= one.p_value <= 1
        if one.difference_interval is not None:
            low, high = one.difference_interval
            assert low is None or high is None or low <= one.difference <= high
