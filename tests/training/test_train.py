import csv
import itertools
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import kaggle_files, write_folder
from training import train as train_module
from training.main import main
from training.run import Run


def arguments(kaggle: Path, folder: Path, epochs: int, *more: str) -> list[str]:
    return ["train", "--preset", "tiny", "--epochs", str(epochs), "--data", str(kaggle), "--run", str(folder), *more]


def weights(folder: Path) -> list[np.ndarray]:
    return [np.asarray(array) for array in keras.models.load_model(next(folder.glob("epoch-*.keras"))).get_weights()]


def test_a_run_leaves_all_that_it_promises(tiny_run: Path) -> None:
    with (tiny_run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    with Image.open(tiny_run / "curves.png") as curves:
        assert curves.width > 500
    assert list(tiny_run.rglob("events.out.tfevents.*"))
    assert [path.name for path in tiny_run.glob("epoch-*.keras")] == ["epoch-0003.keras"]
    assert (tiny_run / "best.keras").exists()
    assert Run(tiny_run).command.startswith("python -m training train --preset tiny")


def test_no_folder_of_this_machine_is_recorded(tiny_run: Path, kaggle: Path) -> None:
    assert f"--data {kaggle.name} --run {tiny_run.name}" in Run(tiny_run).command
    assert str(kaggle.parent) not in (tiny_run / "run.json").read_text()


@pytest.mark.parametrize("preset", ["tiny", "tiny-crops"])
def test_a_resumed_run_ends_where_an_unbroken_one_does(
    preset: str, tiny_run: Path, tiny_crops_run: Path, kaggle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    arguments = ["train", "--preset", preset, "--data", str(kaggle), "--run", str(folder)]
    assert main([*arguments, "--epochs", "1"]) == 0
    assert main([*arguments, "--epochs", "3", "--resume"]) == 0
    unbroken_run = {"tiny": tiny_run, "tiny-crops": tiny_crops_run}[preset]
    for resumed, unbroken in zip(weights(folder), weights(unbroken_run), strict=True):
        np.testing.assert_allclose(resumed, unbroken, atol=1e-5)
    assert [row["epoch"] for row in Run(folder).history()] == [0, 1, 2]


def test_a_training_by_the_clock_ends_when_the_time_is_used_up(
    kaggle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    # Two seconds a batch, three batches an epoch.
    clock = SimpleNamespace(monotonic=itertools.count().__next__, perf_counter=time.perf_counter)
    monkeypatch.setattr(train_module, "time", clock)
    rates = []

    class Watched(train_module.Clock):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            rates.append(float(self.model.optimizer.learning_rate))
            super().on_train_batch_end(batch, logs)

    monkeypatch.setattr(train_module, "Clock", Watched)
    arguments = ["train", "--preset", "tiny-crops", "--data", str(kaggle), "--run", str(folder)]
    assert main([*arguments, "--minutes", str(8 / 60)]) == 0
    assert len(rates) == 4
    assert len(Run(folder).history()) == 2
    np.testing.assert_allclose(rates, 1e-2 * np.minimum(1, (1 - np.array([1, 3, 5, 7]) / 8) / 0.5), rtol=1e-5)
    assert Run(folder).minutes() > 0


def test_ctrl_c_leaves_a_checkpoint_that_can_be_resumed(
    kaggle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"

    class CtrlC(train_module.Checkpoint):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            if self._run.last_epoch() == 1:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "Checkpoint", CtrlC)
        assert main(arguments(kaggle, folder, 3)) == 130
    assert (folder / "curves.png").exists()
    assert main(arguments(kaggle, folder, 2, "--resume")) == 0
    assert Run(folder).last_epoch() == 2


def test_a_network_begins_with_the_weights_of_its_predecessor(
    kaggle: Path, tiny_crops_run: Path, tiny_crops_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Run(tiny_crops_run).config
    deeper = train_module.build(config.changed(residuals=(3, 1)))
    image = np.random.default_rng(0).random((1, 64, 64, 3)).astype(np.float32)
    train_module.inherit(deeper, tiny_crops_model)
    # What the predecessor lacks begins as nothing.
    np.testing.assert_allclose(deeper(image), Run(tiny_crops_run).load_best()(image), atol=1e-5)

    begun = []
    monkeypatch.setattr(train_module, "inherit", lambda _, folder: begun.append(folder))
    start = ["train", "--preset", "tiny-crops", "--data", str(kaggle), "--run", str(tmp_path / "run")]
    start += ["--begin-with", str(tiny_crops_model)]
    assert main([*start, "--epochs", "1"]) == main([*start, "--epochs", "2", "--resume"]) == 0
    assert begun == [tiny_crops_model]


def test_a_predecessor_must_fit(
    kaggle: Path, tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = ["train", "--preset", "tiny-crops", "--data", str(kaggle), "--run"]
    assert main([*start, str(tmp_path / "1"), "--begin-with", str(tmp_path)]) == 1
    assert "holds no exported model" in caplog.text
    assert main([*start, str(tmp_path / "2"), "--begin-with", str(tiny_model)]) == 1
    assert "has no layers of this architecture" in caplog.text


def test_rows_of_an_epoch_that_was_not_checkpointed_leave_the_history(kaggle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main(arguments(kaggle, folder, 1)) == 0
    history = folder / "history.csv"
    history.write_text(history.read_text() + "1,0,0,0,0,0,0\n")
    assert main(arguments(kaggle, folder, 2, "--resume")) == 0
    assert [row["epoch"] for row in Run(folder).history()] == [0, 1]
    assert Run(folder).history()[1]["loss"] > 0


def test_mixed_precision_trains(kaggle: Path, tmp_path: Path) -> None:
    assert main(arguments(kaggle, tmp_path / "run", 1, "--mixed-precision")) == 0
    assert Run(tmp_path / "run").config.mixed_precision
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ([], "is not empty; add --resume"),
        (["--resume", "--seed", "5"], "was started with another configuration"),
    ],
)
def test_a_run_is_not_mixed_up_with_another(
    tiny_run: Path, kaggle: Path, caplog: pytest.LogCaptureFixture, more: list[str], sentence: str
) -> None:
    assert main(arguments(kaggle, tiny_run, 3, *more)) == 1
    assert sentence in caplog.text


def test_nothing_to_resume(kaggle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert main(arguments(kaggle, tmp_path, 3, "--resume")) == 1
    assert "holds no training run" in caplog.text


def test_all_damaged_files_are_named_before_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = {f"stage1_train/image{number:02d}/masks/1.png": b"text" for number in range(12)}
    data = write_folder(kaggle_files() | bad, tmp_path / "data")
    assert main(arguments(data, tmp_path / "run", 1)) == 1
    named = {path for path in bad if path in caplog.text}
    assert len(named) == 10


@pytest.mark.parametrize("command", ["train", "export", "evaluate"])
def test_help_names_the_options(command: str) -> None:
    answer = subprocess.run([sys.executable, "-m", "training", command, "--help"], capture_output=True, text=True)
    assert answer.returncode == 0
    assert "--data PATH" in answer.stdout
