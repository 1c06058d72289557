import csv
import io
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from benchmarks import report_size


def test_a_plate_has_its_controls_and_every_dose_three_times() -> None:
    layout, counts = report_size.simulated_plate(384, 240, np.random.default_rng(0))
    rows = list(csv.DictReader(io.StringIO(layout.decode())))
    assert len({row["well"] for row in rows}) == 384
    assert len(counts) == 384 * report_size.N_SITES
    assert 650_000 < sum(counts) < 750_000
    n_controls = sum(row["control"] == "negative" for row in rows)
    assert n_controls >= report_size.N_CONTROLS
    assert sum(row["condition"] == "drug 1" and row["dose"] == "10" for row in rows) == 3


def test_all_tables_and_the_report_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_size, "N_SITES", 1)
    n_nuclei = report_size.prepare(tmp_path, 66, 8)
    cost = report_size.write_report(tmp_path)
    assert cost.n_comparisons == 2 * 8
    assert parquet.read_metadata(tmp_path / "results" / "nuclei.parquet").num_rows == n_nuclei
    assert "drug 1" in (tmp_path / "results" / "report.html").read_text()
