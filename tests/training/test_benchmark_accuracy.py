import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import accuracy
from benchmarks.methods import otsu
from tests.synthetic import discs, picture


def test_one_command_scores_draws_and_writes(
    tiny_model: Path, tiny_run: Path, kaggle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--data", kaggle, "--splits", tiny_run / "splits.csv", "--split", "train", "--model", tiny_model]
    monkeypatch.setattr(sys, "argv", ["accuracy", *map(str, arguments), "--best", "--output", str(tmp_path)])
    accuracy.main()
    methods = json.loads((tmp_path / "comparison.json").read_text())["methods"]
    assert list(methods) == ["tiny/1", "tiny/1 best", "Otsu + watershed"]
    assert methods["Otsu + watershed"]["figures"]["all"]["ap50"] > 0.9
    assert methods["tiny/1"]["training_minutes"] >= 0
    assert methods["tiny/1"]["artefact_bytes"] > methods["tiny/1"]["n_parameters"] > 0
    assert all(method["cpu_ms_per_image"] > 0 for method in methods.values())
    text = (tmp_path / "comparison.md").read_text()
    assert text.count("| Otsu + watershed |") == 3
    assert str(tmp_path.parent) not in text
    for name in ("accuracy.png", "counts.png", "modalities.png", "worst.jpg"):
        with Image.open(tmp_path / name) as drawn:
            assert min(drawn.size) >= 300


@pytest.mark.parametrize("inverted", [False, True])
def test_otsu_finds_the_rarer_side(inverted: bool) -> None:
    labels = discs((60, 80), (20, 20, 9), (40, 60, 9))
    image = picture(labels)
    assert otsu().find(255 - image if inverted else image).max() == 2
    assert otsu().find(np.zeros((5, 5), np.uint8)).max() == 0
