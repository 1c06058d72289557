import csv
import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from app.experiments.reports.compare import compare_tables
from app.statistics.effects import EffectOptions, effects
from tests.api.test_effects import as_csv
from tests.statistics.test_effects import growing, one_plate, screen, several_curves

COUNTS = "Metadata_Well,Image_Count_Nuclei\nA1,100\nA2,101\nA3,108\nB1,80\nB2,85\nB3,90\n"
LAYOUT = "well,condition,control\n" + "".join(
    f"{well},{name}\n"
    for well, name in zip(("A1", "A2", "A3", "B1", "B2", "B3"), ["DMSO,negative"] * 3 + ["drug,"] * 3)
)
COMMAND_FILES = {"effects.json", "report.html", "figures", "tables"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "counts.csv").write_text(COUNTS)
    (tmp_path / "layout.csv").write_text(LAYOUT)
    return tmp_path


def compare(files: Path, *more: str, layout: bool = True) -> int:
    of_layout = ["--layout", str(files / "layout.csv")] if layout else []
    return main(["compare", str(files / "counts.csv"), *of_layout, "--output", str(files / "out"), *more])


def test_the_command_prints_the_answer_and_writes_it(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(files) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("drug changed the number of nuclei: -17.5 %")
    assert lines[1].startswith("Changes smaller than")
    assert lines[3].split() == ["endpoint", "treatment", "n", "mean", "control", "change", "p"]
    assert lines[4].split()[:4] == ["count", "drug", "3/3", "85"]
    output = files / "out"
    assert {path.name for path in output.iterdir() if not path.name.startswith(".")} == COMMAND_FILES
    answer = json.loads((output / "effects.json").read_text())
    table = one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])
    assert answer["effects"]["endpoints"][0]["comparisons"] == effects(table).as_dict()["endpoints"][0]["comparisons"]
    assert set(answer["provenance"]["files"]) == {"counts.csv", "layout.csv"}
    assert (output / "figures" / "replicates.png").read_bytes().startswith(b"\x89PNG")
    with (output / "tables" / "comparisons.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["condition"], row["difference"], row["endpoint"]) == ("drug", "-18.0", "count")
    assert "drug changed" in (output / "report.html").read_text()


def test_the_answer_in_json(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(files, "--json") == 0
    assert json.loads(capsys.readouterr().out)["control"] == ["DMSO"]


def test_a_positive_control_can_be_named(files: Path) -> None:
    found = compare_tables(files / "counts.csv", files / "layout.csv", files / "out", EffectOptions(), positive="drug")
    assert found.effects is not None
    (separation,) = found.effects.endpoints[0].plates[0].separations
    assert (separation.condition, separation.n_positive) == ("drug", 3)


def test_without_conditions_there_is_a_report_without_effects(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(files, layout=False) == 1
    assert "no column 'condition'" in capsys.readouterr().out
    assert "no column &#39;condition&#39;" in (files / "out" / "report.html").read_text()
    assert {path.name for path in (files / "out" / "tables").iterdir()} == {"measurements.csv"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--positive", "water"], "No row has the condition 'water'"),
        (["--layout", "nowhere.csv"], "nowhere.csv cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_told(
    files: Path, caplog: pytest.LogCaptureFixture, more: list[str], said: str
) -> None:
    assert compare(files, *more) == 2
    assert said in caplog.text


def test_a_folder_with_other_results_is_left_alone(files: Path, caplog: pytest.LogCaptureFixture) -> None:
    (files / "out").mkdir()
    (files / "out" / "mine.txt").touch()
    assert compare(files) == 2
    assert "not empty" in caplog.text


def test_a_disk_that_is_full_is_told(files: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.experiments.reports.compare.write_rows", full)
    assert compare(files) == 2
    assert "No space left on device" in caplog.text


def test_a_table_of_our_own_needs_no_layout(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text(as_csv(one_plate(DMSO=[100.0, 101, 108], drug=[80.0, 85, 90])))
    assert compare(tmp_path, layout=False) == 0


def test_b_scores_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "counts.csv").write_text(as_csv(screen()))
    assert compare(tmp_path, "--normalise", "b_score", layout=False) == 0
    assert "Values are B-scores" in capsys.readouterr().out
    answer = json.loads((tmp_path / "out" / "effects.json").read_bytes())
    assert answer["effects"]["normalise"] == answer["provenance"]["options"]["normalise"] == "b_score"


def test_growth_rates_are_a_table_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text(as_csv(growing()))
    assert compare(tmp_path, layout=False) == 0
    with (tmp_path / "out" / "tables" / "growth_rates.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["gr50"]) == pytest.approx(0.0774608, abs=2e-7)


def test_curves_are_compared_in_a_table_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text(as_csv(several_curves({"a": 1.0, "b": 3.0})))
    assert compare(tmp_path, layout=False) == 0
    with (tmp_path / "out" / "tables" / "ec50_ratios.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["endpoint"], row["condition"], row["reference"]) == ("count", "b", "a")
    assert float(row["ratio_interval_low"]) < 3 < float(row["ratio_interval_high"])
