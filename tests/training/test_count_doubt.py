from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from app.engine.count_doubt import CountSignals, doubt
from app.inference.model_card import read_model_card
from training.count_doubt import MOST_FALSE_ALARMS, Judged, fit_count_doubt
from training.dataset import DatasetError
from training.main import main


def judged(seed: int, n: int = 400) -> list[Judged]:
    """Answers whose counts are wrong where the nuclei are unsure; the other signals say nothing."""
    generator = np.random.default_rng(seed)
    answers = []
    for number in range(n):
        unsure, *others = generator.uniform(0, 1, 4)
        is_wrong = unsure + generator.normal(0, 0.05) > 0.8
        signals = CountSignals(unsure, others[0], others[1], float(others[2] > 0.5))
        answers.append(Judged("set", "kind", signals, frozenset(), 200 if is_wrong else 100, 100, number % 2 == 0))
    return answers


def test_wrong_counts_are_doubted_and_few_right_ones() -> None:
    fitted = fit_count_doubt(judged(0))
    assert fitted.unsure > 5 * max(abs(fitted.spread), abs(fitted.unlikeness), abs(fitted.scales_disagree))
    unseen = judged(1)
    warned = {
        is_wrong: np.mean([doubt(one.signals, fitted) > fitted.largest for one in unseen if one.is_wrong == is_wrong])
        for is_wrong in (True, False)
    }
    assert warned[True] > 0.8
    assert warned[False] < 2 * MOST_FALSE_ALARMS


def test_of_right_counts_alone_nothing_is_learned() -> None:
    with pytest.raises(DatasetError, match="0 are counted wrong"):
        fit_count_doubt([one for one in judged(0) if not one.is_wrong])


def test_of_a_few_nuclei_some_may_be_missed() -> None:
    def is_wrong(count: int, count_true: int) -> bool:
        return Judged("set", "kind", CountSignals(0, 0, 0, 0), frozenset(), count, count_true).is_wrong

    assert [is_wrong(1, 4), is_wrong(0, 4), is_wrong(75, 100), is_wrong(74, 100), is_wrong(4, 0)] == [
        *(False, True, False, True, True)
    ]


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    path = tmp_path / "splits.csv"
    rows = [f"image{number:02d},{'val' if number < 3 else 'train'},fluorescence" for number in range(6)]
    path.write_text("\n".join(["image_id,split,modality", *rows]) + "\n", encoding="utf-8")
    return path


def test_one_command_writes_it_into_the_card(
    tiny_crops_model: Path, kaggle: Path, splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.count_doubt.N_EMPTY", 1)
    monkeypatch.setattr("training.count_doubt.N_CORRUPTIONS", 1)
    monkeypatch.setattr("training.count_doubt.N_TRAIN", 1)
    monkeypatch.setattr("training.count_doubt.LEAST_OF_EACH", 0)
    monkeypatch.setattr("training.min_confidence.FEWEST_IMAGES", 1)
    model = copytree(tiny_crops_model, tmp_path / "fast" / "1")
    assert read_model_card(model).calibration.count_doubt is None
    assert main(["calibrate", "--model", str(model), "--data", str(kaggle), "--splits", str(splits)]) == 0
    fitted = read_model_card(model).calibration.count_doubt
    assert fitted is not None
    assert np.isfinite(list(fitted.model_dump().values())).all()
