import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest

from app.experiments.reports.methods import methods
from app.experiments.reports.plots import dose_response
from app.experiments.reports.report import Report
from app.experiments.reports.report_text import all_warnings, answer_sentences
from app.statistics.effects import EffectOptions, effects
from app.statistics.schema import Effects
from tests.statistics.test_effects import (
    cellpyability_rows,
    growing,
    lincs,
    one_plate,
    screen,
    several_plates,
    table_of,
)

HOSTILE = '<script>alert("1")</script>$x_{1}$ & \u4e2d\x00 -->'
Table = dict[str, list[Any]]


def two_groups() -> Table:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    table["area_median_px"] = [400, 410, 405, 300, 310, 305]
    return table


def cellpyability() -> Table:
    return table_of(
        [{**row, "condition": "one" if row["replicate"] in "BCD" else "two"} for row in cellpyability_rows()]
    )


@cache
def lincs_effects() -> Effects:
    return effects(lincs())


def page(table: Table, found: Effects | None = None, why_no_effects: str | None = None, **more: Any) -> str:
    known = {"images": {}, "provenance": {}} | more
    return Report(table, found, why_no_effects).page("An experiment", **known)


def figures(table: Table, found: Effects | None) -> dict[str, bytes]:
    return Report(table, found).figures()


class Elements(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.found.append((tag, dict(attrs)))


def test_the_answer_comes_first() -> None:
    table = two_groups()
    text = page(table, effects(table))
    first = text.index("drug changed the number of nuclei: -17.5 % (95 % interval")
    assert first < text.index("<figure>") < text.index("Welch BL.")
    assert "Changes smaller than" in text


def test_figures_are_files_too() -> None:
    table = two_groups()
    of_table = effects(table)
    found = figures(table, of_table)
    assert set(found) == {
        f"{stem}.{kind}" for stem in ("replicates", "plates", "count-area") for kind in ("svg", "png")
    }
    assert all(data.startswith(b"\x89PNG" if name.endswith("png") else b"<svg") for name, data in found.items())
    assert figures(table, None) == {}
    assert found == figures(table, of_table)


def test_growth_rates_are_drawn() -> None:
    table = growing()
    found = effects(table)
    assert {"growth-rate.svg", "growth-rate.png"} <= set(figures(table, found))
    assert "growth-rate.svg" not in figures(growing(time_zero=None), effects(growing(time_zero=None)))
    drawn = page(table, found)
    assert "Growth rates (GR)" in drawn


def test_curves_are_drawn_with_their_interval() -> None:
    table = cellpyability()
    found = effects(table)
    assert "dose-response.svg" in figures(table, found)
    (_, second) = answer_sentences(found, None)
    assert second.startswith("The EC50 is 35.5 nM for one (95 % interval 32.8 to 38.4) and 3.59 nM for two")


def test_two_curves_are_compared() -> None:
    table = cellpyability()
    found = effects(table)
    text = page(table, found)
    assert "Ratios of EC50" in text
    assert re.search(r"<td>two</td><td>one</td><td>0\.101</td><td>0\.0896 to 0\.114</td><td>&lt; 0\.0001</td>", text)
    assert any(where == "two and one" and told.code == "curves_not_parallel" for where, told in all_warnings(found))
    assert "p was corrected for their number after Holm" in methods(found, "1.0")[0]
    alone = {
        name: [value for value, of in zip(column, table["condition"]) if of == "one"] for name, column in table.items()
    }
    assert "Ratios of EC50" not in page(alone, effects(alone))


@pytest.mark.parametrize(
    ("doses", "ticks"),
    [((1.0, 9.0), [1, 2, 5]), ((0.3, 20.0), [0.5, 1, 2, 5, 10, 20]), ((0.001, 10_000.0), [0.001, 0.1, 10, 1000])],
)
def test_the_doses_can_be_read(doses: tuple[float, float], ticks: list[float]) -> None:
    assert dose_response._ticks(*doses) == pytest.approx(ticks)


def test_a_small_fall_is_no_flat_line() -> None:
    low, high = dose_response._limits(165.0, 190.0)
    assert 155 < low < 165 < 190 < high < 200
    assert dose_response._limits(10.0, 200.0)[0] == 0


def test_several_endpoints_have_figures_each() -> None:
    table = two_groups()
    found = effects(table, EffectOptions(endpoints=("count", "area_median_px")))
    assert {"replicates-1.svg", "replicates-2.svg", "plates-2.png"} <= set(figures(table, found))
    text = page(table, found)
    assert "corrected for 2 endpoints after Holm (1979)" in text
    assert "drug changed the median nuclear area: -24.7 %" in text
    assert "For the number of nuclei, changes smaller than" in text


def test_the_page_needs_nothing_else() -> None:
    text = page(
        lincs(), lincs_effects(), images={"control | treated": b"\x89PNG\r\n"}, provenance={"model": {"name": "fast"}}
    )
    elements = Elements(text).found
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in elements}
    links = [value for _, known in elements for name, value in known.items() if name in ("src", "href", "xlink:href")]
    assert links
    assert all(str(link).startswith(("data:", "#")) for link in links)
    assert not re.search(r"url\((?!#)|@import", text)
    assert not any(name.startswith("on") for _, known in elements for name in known)
    ids = [known["id"] for _, known in elements if "id" in known]
    assert len(ids) == len(set(ids))
    assert "control | treated" in text
    assert "name: fast" in text


def test_hostile_names_are_text() -> None:
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    table["condition"] = [HOSTILE if name == "drug" else name for name in table["condition"]]
    table["plate"] = [HOSTILE] * 6
    table[HOSTILE] = table.pop("count")
    found = effects(table, EffectOptions(endpoints=(HOSTILE,)))
    text = Report(table, found, HOSTILE).page(HOSTILE, {HOSTILE: b""}, {HOSTILE: HOSTILE})
    assert "script" not in {tag for tag, _ in Elements(text).found}
    assert "&lt;script&gt;" in text
    assert all(b"<script" not in data for data in figures(table, found).values())


def test_without_effects_the_page_says_why() -> None:
    table: Table = {"well": ["A1", "A2"], "count": [10, 20], "note": [None, ""]}
    text = page(table, why_no_effects="No layout says what the wells got.")
    assert "No layout says what the wells got." in text
    assert "<td>A2</td><td>20</td>" in text
    assert '<th scope="col">note</th>' not in text
    assert "<figure>" not in text


def test_an_empty_experiment_has_a_page() -> None:
    assert "No effects were asked for" in page({})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            one_plate(DMSO=[100.0, 101, 108], drug=[99.0, 103, 110]),
            "drug did not detectably change the number of nuclei",
        ),
        (
            one_plate(DMSO=[100.0, 101, 108], drug=[80.0]),
            "cannot be tested: drug lies -22.3 % from the control, n = 1 well",
        ),
        (
            one_plate(DMSO=[100.0, 101, 108], a=[99.0, 103, 110], b=[98.0, 103, 110]),
            "None of 2 treatments changed the number of nuclei detectably",
        ),
        (
            one_plate(DMSO=[100.0, 101, 108], a=[9.0, 10, 11], b=[98.0, 103, 110]),
            "Of 2 treatments (conditions and doses) 1",
        ),
        (several_plates(n_wells=3), "n = 4 plates that hold both"),
        (one_plate(DMSO=[0.0, 0, 0], a=[3.0, 4, 5]), "a difference of 4"),
        (one_plate(DMSO=[""] * 3, a=[3.0, 4, 5]), "Nothing could be compared"),  # type: ignore[list-item]
    ],
)
def test_what_the_answer_says(table: Table, said: str) -> None:
    found = effects(table)
    assert said in answer_sentences(found, None)[0]
    assert said in page(table, found)


def test_warnings_are_told_once() -> None:
    text = page(lincs(), lincs_effects())
    assert text.count("(replicates_averaged)") == 1
    assert "BRD-K50691590 20 uM:" in text


def test_warnings_that_differ_by_p_alone_are_one() -> None:
    rows = [
        {"well": f"{row}{column}", "condition": drug, "dose": 10.0**column, "dose_unit": "nM", "count": count}
        for row, drug in zip("AB", ("one", "two"))
        for column, count in enumerate(
            [90.0, 110, 95, 105, 100, 97] if drug == "one" else [99.0, 92, 108, 101, 95, 103]
        )
    ]
    rows += [
        {"well": f"C{column}", "condition": "DMSO", "control": "negative", "count": 95 + column} for column in range(9)
    ]
    text = page(table_of(rows), effects(table_of(rows)))
    assert text.count("(no_dose_response)") == 1
    assert "<strong>curve of one, curve of two:</strong> The response does not depend on the dose, so that" in text


def test_growth_rates_have_a_table() -> None:
    table = growing()
    found = effects(table)
    text = page(table, found)
    assert "<td>drug A</td><td>uM</td><td>0.0775</td><td>0.0816</td>" in text
    assert "Hafner et al. 2016" in text
    del table["time0_count"]
    assert "Growth-rate" not in page(table, effects(table))


def test_b_scores_are_never_silent() -> None:
    table = screen()
    found = effects(table, EffectOptions(normalise="b_score"))
    first, second = answer_sentences(found, None)
    assert "a difference of -" in first
    assert "%" not in first.replace("95 %", "")
    assert first.endswith("Values are B-scores, without the effects of rows and columns.")
    assert second.startswith("Differences smaller than")
    text = page(table, found)
    assert "Number of nuclei (B-scores)" in text
    assert "B-score of the number of nuclei" in text
    assert "(b_scores)" in text
    assert "Brideau et al. 2003" in text
    assert "B-score" not in page(table, effects(table))


def test_the_controls_that_were_asked_for_are_drawn() -> None:
    table = two_groups()
    del table["control"]
    found = effects(table, EffectOptions(control="DMSO"))
    assert "replicates.svg" in figures(table, found)


def test_methods_name_what_was_done() -> None:
    found = lincs_effects()
    text, references = methods(found, "1.0")
    assert "Dunnett's test with blocks taken out" in text
    assert "n counts plates" in text
    assert any(reference.startswith("Ritz C") for reference in references)
    assert any(reference.startswith("Zhang J-H") for reference in references)
    assert not any(reference.startswith("Welch") for reference in references)
    by_column = replace(
        found.endpoints[0], comparisons=tuple(replace(one, replicate="day") for one in found.endpoints[0].comparisons)
    )
    assert "the values of 'day'" in methods(replace(found, endpoints=(by_column,)), "1.0")[0]
