import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from app.api import effects as door
from app.api.effects_schema import EffectsResponse
from app.experiments.reports.report_text import answered
from app.statistics.effects import EffectOptions, effects
from tests.client import TestClient
from tests.statistics.test_effects import (
    cellpyability_rows,
    growing,
    lincs,
    one_plate,
    screen,
    several_plates,
    table_of,
)

CONTROL, DRUG = [100.0, 101, 108], [80.0, 85, 90]
Table = Mapping[str, Sequence[Any]]


def as_csv(table: Table, delimiter: str = ",") -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return file.getvalue()


def post(client: TestClient, table: Table | str | bytes, **options: Any) -> Any:
    body = table if isinstance(table, (str, bytes)) else as_csv(table)
    return client.post("/effects", content=body, headers={"Content-Type": "text/csv"}, params=options)


def codes(answer: Any) -> set[str]:
    """All warnings of an answer, wherever they stand."""
    body = answer.json()
    endpoints = body["endpoints"]
    holders = [body, *endpoints, *(one for e in endpoints for one in (*e["comparisons"], *e["curves"], *e["plates"]))]
    return {warning["code"] for holder in holders for warning in holder["warnings"]}


def problem(answer: Any) -> str:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, "unusable_table")
    assert answer.headers["content-type"] == "application/problem+json"
    return str(body["detail"])


def test_the_answer_is_that_of_the_statistics(client: TestClient) -> None:
    table = lincs()
    table["dose"] = [dose or "" for dose in table["dose"]]
    answer = post(client, table)
    assert answer.status_code == 200
    assert answer.json() == answered(effects(table))
    EffectsResponse.model_validate(answer.json())


def test_curves_of_two_cell_lines_are_compared(client: TestClient) -> None:
    rows = [{**row, "condition": "one" if row["replicate"] in "BCD" else "two"} for row in cellpyability_rows()]
    answer = post(client, table_of(rows))
    EffectsResponse.model_validate(answer.json())
    (ratio,) = answer.json()["endpoints"][0]["ec50_ratios"]
    assert ratio["ratio"] == pytest.approx(3.59291 / 35.4853, rel=1e-4)
    assert ratio["ratio_interval"]["low"] < ratio["ratio"] < ratio["ratio_interval"]["high"]
    assert ratio["p_adjusted"] < 1e-20


@pytest.mark.parametrize("name", ["time0_count", "count_time0", "cell_count__time0"])
def test_counts_at_time_0_give_growth_rates(client: TestClient, name: str) -> None:
    table = growing()
    table[name] = ["" if count is None else count for count in table.pop("time0_count")]
    table["dose"] = [dose or "" for dose in table["dose"]]
    answer = post(client, table)
    EffectsResponse.model_validate(answer.json())
    (rate,) = answer.json()["endpoints"][0]["growth_rates"]
    assert rate["gr50"] == pytest.approx(0.0774608, abs=2e-7)
    assert rate["gr_max"] == pytest.approx(-0.00640568, abs=1e-7)


def test_b_scores_are_asked_for(client: TestClient) -> None:
    answer = post(client, screen(), normalise="b_score")
    assert answer.json() == answered(effects(screen(), EffectOptions(normalise="b_score")))
    assert "b_scores" in codes(answer)
    assert "B-scores" in answer.json()["answer"]
    wrong = post(client, screen(), normalise="z_score")
    assert "give none or b_score" in wrong.json()["detail"]


def test_options_are_asked_for_in_the_query(client: TestClient) -> None:
    table = one_plate(DMSO=[*CONTROL, 99.0], drug=[*DRUG, 84.0])
    del table["control"]
    table["area"] = [400, 410, 405, 402, 300, 310, 305, 300]
    options = EffectOptions(("area", "count"), "DMSO", "well", "none", "benjamini-hochberg", "rank")
    answer = post(
        client,
        table,
        endpoint=["area", "count"],
        control="DMSO",
        replicate="well",
        block="none",
        correction="benjamini-hochberg",
        test="rank",
    )
    assert answer.json() == answered(effects(table, options))


@pytest.mark.parametrize("content_type", ["text/csv", "text/tab-separated-values; charset=utf-8", "text/plain", ""])
def test_tables_come_raw_whatever_they_are_called(client: TestClient, content_type: str) -> None:
    table = one_plate(DMSO=CONTROL, drug=DRUG)
    body = as_csv(table, "\t").replace(".", ",").encode("utf-16")
    answer = client.post("/effects", content=body, headers={"Content-Type": content_type})
    assert answer.json() == answered(effects(table))


def test_tables_come_as_a_part(client: TestClient) -> None:
    table = one_plate(DMSO=CONTROL, drug=DRUG)
    answer = client.post("/effects", files={"table": ("counts.csv", as_csv(table))})
    assert answer.json() == answered(effects(table))
    wrong = client.post("/effects", files={"image": ("counts.csv", as_csv(table))})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "unknown_part")
    assert "`table`" in wrong.json()["detail"]


def test_images_as_replicates_of_one_well_are_told(client: TestClient) -> None:
    rows = [
        f"{well},{name},{control},{image},{count + image}"
        for well, name, control, count in (("A1", "DMSO", "negative", 100), ("B1", "drug", "", 80))
        for image in (1, 2, 3)
    ]
    answer = post(client, "\n".join(["well,condition,control,replicate,count", *rows]))
    assert codes(answer) >= {"pseudo_replication", "too_few_replicates"}
    (effect,) = answer.json()["endpoints"][0]["comparisons"]
    assert (effect["n_treated"], effect["p_value"], effect["p_adjusted"]) == (1, None, None)
    assert effect["difference"] == pytest.approx(-20)


def test_one_replicate_has_an_estimate_and_no_p(client: TestClient) -> None:
    answer = post(client, one_plate(DMSO=CONTROL, drug=[80.0]))
    (effect,) = answer.json()["endpoints"][0]["comparisons"]
    assert (effect["p_value"], effect["difference_interval"]) == (None, None)
    assert "too_few_replicates" in codes(answer)


def test_no_control_is_refused(client: TestClient) -> None:
    table = one_plate(DMSO=CONTROL, drug=DRUG)
    table["control"] = [""] * 6
    assert "'control' with 'negative', or name their condition with the option control" in problem(post(client, table))
    assert post(client, table, control="DMSO").status_code == 200
    assert "No row has the condition 'vehicle'" in problem(post(client, table, control="vehicle"))


def test_a_treatment_on_plates_of_its_own_is_confounded(client: TestClient) -> None:
    table = several_plates(n_plates=2, n_wells=4)
    kept = [(plate == "P1") == (name == "DMSO") for plate, name in zip(table["plate"], table["condition"])]
    alone = {name: [value for value, is_kept in zip(column, kept) if is_kept] for name, column in table.items()}
    answer = post(client, alone)
    assert "confounded_with_plate" in codes(answer)
    assert answer.json()["endpoints"][0]["comparisons"][0]["p_value"] is None


def test_two_units_of_a_dose_are_refused(client: TestClient) -> None:
    table = one_plate(DMSO=CONTROL, drug=DRUG)
    table |= {"dose": [0, 0, 0, 1, 1, 10], "dose_unit": ["", "", "", "uM", "uM", "nM"]}
    assert "'drug' has doses in nM and in uM" in problem(post(client, table))


def test_wells_that_do_not_vary_have_no_p(client: TestClient) -> None:
    answer = post(client, one_plate(DMSO=[100.0] * 3, drug=[80.0] * 3))
    assert "zero_variance" in codes(answer)
    assert answer.json()["endpoints"][0]["comparisons"][0]["p_value"] is None


def test_counts_of_0_have_a_difference_and_no_ratio(client: TestClient) -> None:
    answer = post(client, one_plate(DMSO=CONTROL, drug=[0.0, 0, 1]))
    (effect,) = answer.json()["endpoints"][0]["comparisons"]
    assert (effect["ratio"], effect["ratio_interval"]) == (None, None)
    assert effect["p_value"] is not None
    assert codes(answer) >= {"ratio_needs_positive", "too_few_nuclei"}


def test_missing_wells_are_told(client: TestClient) -> None:
    table = one_plate(DMSO=CONTROL, drug=[*DRUG, 0])
    table["count"][-1] = "NaN"
    assert "missing_wells" in codes(post(client, table))
    short = one_plate(DMSO=CONTROL, drug=DRUG, other=DRUG[:2])
    assert "missing_wells" in codes(post(client, short))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "no rows"),
        ("well,condition\nA1,DMSO\n", "no column 'count'"),
        ('well,count\nA1,"1\n', "Line 2 has a quotation mark"),
        (b"PK\x03\x04", "save the sheet as CSV"),
        ("well,condition,control,count\nA1,DMSO,negative,many\n", "Row 1 of column 'count' holds 'many'"),
    ],
)
def test_what_is_no_usable_table_is_refused(client: TestClient, table: str | bytes, said: str) -> None:
    assert said in problem(post(client, table))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"test": "z"}, "Option test does not take 'z'; give t, rank or permutation."),
        ({"correction": "none"}, "give holm or benjamini-hochberg"),
        ({"endpoints": "count"}, "There is no option 'endpoints' here"),
        ({"threshold": "otsu"}, "There is no option 'threshold' here"),
        ({"control": ["a", "b"]}, "more than once"),
    ],
)
def test_wrong_options_are_refused(client: TestClient, options: dict[str, Any], said: str) -> None:
    answer = post(client, one_plate(DMSO=CONTROL, drug=DRUG), **options)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_option")
    assert said in answer.json()["detail"]


def test_an_endpoint_is_named_once(client: TestClient) -> None:
    table = one_plate(DMSO=CONTROL, drug=DRUG)
    assert "named twice" in problem(post(client, table, endpoint=["count", "count"]))


def test_too_much_at_once_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST_COMPARISONS", 3)
    table = one_plate(DMSO=CONTROL, drug=DRUG)
    table["area"] = table["count"]
    assert post(client, table).status_code == 200
    assert "2 conditions and doses and 2 endpoints" in problem(post(client, table, endpoint=["count", "area"]))
    large = "well,condition,control,count\n" + "A1,DMSO,negative,1\n" * 110_000
    answer = post(client, large)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


def test_the_document_shows_the_schema(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/effects"]["post"]
    assert set(operation["requestBody"]["content"]) == {"text/csv", "text/tab-separated-values", "multipart/form-data"}
    schemas = document["components"]["schemas"]
    assert set(schemas["Interval"]["properties"]) == {"low", "high"}
    assert "simultaneous" in schemas["ConditionEffect"]["description"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Effects")


@pytest.mark.parametrize(
    ("option", "column"), [("block", ""), ("replicate", ""), ("replicate", "none"), ("block", "day")]
)
def test_columns_that_are_not_there_are_refused(client: TestClient, option: str, column: str) -> None:
    answer = post(client, one_plate(DMSO=CONTROL, drug=DRUG), **{option: column})
    assert f"no column {column!r}" in problem(answer)
