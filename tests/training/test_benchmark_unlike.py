import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import unlike


def test_area_under_the_curve() -> None:
    familiar, foreign = np.array([1.0, 2.0]), np.array([2.0, 3.0])
    assert unlike.area_under_curve(familiar, foreign) == (1 + 0.5 + 1 + 1) / 4
    assert unlike.area_under_curve(foreign, foreign) == 0.5


def test_foreign_images_are_of_three_kinds() -> None:
    kinds = [kind for kind, image in unlike.foreign_images() if image.dtype == np.uint8 and min(image.shape[:2]) > 50]
    assert {kind: kinds.count(kind) for kind in kinds} == {"photographs": 39, "text": 21, "noise": 20}


def test_one_command_writes_the_table(
    tiny_crops_model: Path, kaggle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = list(unlike.foreign_images())[::20]
    monkeypatch.setattr(unlike, "foreign_images", lambda: iter(images))
    splits = tmp_path / "splits.csv"
    splits.write_text("image_id,split\nimage00,test\nimage01,test\n")
    arguments = ["--data", kaggle, "--splits", splits, "--model", tiny_crops_model, "--report", tmp_path / "unlike.md"]
    monkeypatch.setattr(sys, "argv", ["unlike", *map(str, arguments)])
    unlike.main()
    report = (tmp_path / "unlike.md").read_text()
    assert "of the 2 test images" in report
    assert "| all | 4 |" in report
