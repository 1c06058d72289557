import sys
from pathlib import Path

import pytest

from app.engine.engine import Engine
from benchmarks import inputs
from tests import fakes
from tests.conftest import DATA


def test_files_that_lose_nothing_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "load", lambda *_: fakes.engine())
    output = tmp_path / "inputs.md"
    monkeypatch.setattr(sys, "argv", ["inputs", "--image", str(DATA / "fluorescence.tif"), "--output", str(output)])
    inputs.main()
    lines = output.read_text().splitlines()[4:]
    assert len(lines) == len(inputs.KINDS)
    for line in lines:
        if "JPEG" not in line and "float32" not in line:
            assert line.count("| identical |") == 2, line
    assert str(tmp_path) not in output.read_text()
