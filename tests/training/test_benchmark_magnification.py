import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import magnification
from tests.synthetic import discs, picture


@pytest.mark.parametrize("times", [0.5, 1, 2])
def test_image_and_nuclei_are_magnified_together(times: float) -> None:
    labels = discs((40, 60), (10, 10, 6), (30, 40, 7))
    image, true = magnification.magnified(picture(labels), labels, times)
    assert image.shape == true.shape == (40 * times, 60 * times)
    assert np.unique(true).tolist() == [0, 1, 2]
    assert np.mean((image > 100) == (true > 0)) > 0.97


def test_nuclei_that_vanish_are_none() -> None:
    labels = discs((64, 64), (31, 31, 12), (5, 4, 0))
    assert labels.max() == 2
    assert magnification.magnified(picture(labels), labels, 0.25)[1].max() == 1


def test_one_command_writes_table_and_plot(
    tiny_crops_model: Path, kaggle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(magnification, "MAGNIFICATIONS", (1.0, 4.0))
    splits = tmp_path / "splits.csv"
    splits.write_text("image_id,split,modality\nimage00,test,fluorescence\nimage01,test,histology\n")
    arguments = ["--data", kaggle, "--splits", splits, "--model", tiny_crops_model, "--output", tmp_path]
    monkeypatch.setattr(sys, "argv", ["magnification", *map(str, arguments)])
    magnification.main()
    report = (tmp_path / "magnification.md").read_text()
    for heading in ("## kaggle, 2 images", "## fluorescence, 1 images", "## histology, 1 images", "## all, 2 images"):
        assert heading in report
    assert "|  | x 1 | x 4 |" in report
    assert "Of the 4 images at all magnifications" in report
    assert str(tmp_path.parent) not in report
    with Image.open(tmp_path / "magnification.png") as drawn:
        assert min(drawn.size) >= 300
