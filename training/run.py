"""A training run's folder: what it was started with, and what it has reached."""

import csv
from pathlib import Path

import keras
from pydantic import BaseModel, ConfigDict

from training.config import TrainingConfig
from training.dataset import DatasetError
from training.splits import Splits, read_splits, write_splits


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)

    command: str
    data_sha256: str
    config: TrainingConfig


class Run:
    """A run's folder; everything in it can be read while the run goes on.

    Attributes
    ----------
    history_path, curves_path, tensorboard_path
        The losses as CSV, as a picture, and for TensorBoard.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.history_path = folder / "history.csv"
        self.curves_path = folder / "curves.png"
        self.tensorboard_path = folder / "tensorboard"
        self._best_path = folder / "best.keras"
        self._splits_path = folder / "splits.csv"
        self._record_path = folder / "run.json"

    def start(self, config: TrainingConfig, splits: Splits, data_sha256: str, command: str) -> None:
        """Claim an empty folder; `command` is what the run was started with.

        Raises
        ------
        DatasetError
            The folder is not empty.
        """
        if self.folder.exists() and any(self.folder.iterdir()):
            raise DatasetError(f"{self.folder} is not empty; add --resume to continue its run, or name another folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        record = _Record(command=command, data_sha256=data_sha256, config=config)
        self._record_path.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        write_splits(splits, self._splits_path)

    def resume(self, config: TrainingConfig, splits: Splits, data_sha256: str) -> None:
        """Make sure that a run goes on as it was started.

        Raises
        ------
        DatasetError
            There is no run, or its configuration, splits or data are others.
        """
        record = self._record()
        for what, same in {
            "configuration": record.config == config,
            "splits": self.splits == splits,
            "data": record.data_sha256 == data_sha256,
        }.items():
            if not same:
                raise DatasetError(f"{self.folder} was started with another {what}; resume it with the same options.")

    @property
    def config(self) -> TrainingConfig:
        """The configuration that the run was started with."""
        return self._record().config

    @property
    def command(self) -> str:
        """The command that started the run."""
        return self._record().command

    @property
    def data_sha256(self) -> str:
        """The digest of the data that the run was started with."""
        return self._record().data_sha256

    @property
    def splits(self) -> Splits:
        """Which image was trained and validated on."""
        return read_splits(self._splits_path)

    def _record(self) -> _Record:
        if not self._record_path.is_file():
            raise DatasetError(f"{self.folder} holds no training run; give the folder that `train --run` named.")
        return _Record.model_validate_json(self._record_path.read_bytes())

    def history(self) -> list[dict[str, float]]:
        """One row an epoch, counted from 0: `epoch`, `seconds`, `loss`, `val_loss` and the other metrics."""
        if not self.history_path.is_file():
            return []
        with self.history_path.open(newline="", encoding="utf-8") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    def trim_history(self) -> None:
        """Leave out the rows of epochs that no checkpoint holds, because they will be trained again."""
        rows = [row for row in self.history() if row["epoch"] < self.last_epoch()]
        if not rows:
            self.history_path.unlink(missing_ok=True)
            return
        with self.history_path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)

    def best_epoch(self) -> int:
        """Number of the epoch with the lowest validation loss, counted from 1."""
        return 1 + int(min(self.history(), key=lambda row: row["val_loss"])["epoch"])

    def minutes(self) -> float:
        """How long it has been trained."""
        return sum(row["seconds"] for row in self.history()) / 60

    def last_epoch(self) -> int:
        """How many epochs the newest checkpoint has been trained for; 0 if there is none yet."""
        return max((int(path.stem.removeprefix("epoch-")) for path in self._checkpoints()), default=0)

    def load_last(self) -> keras.Model:
        """The newest checkpoint, optimiser included."""
        return keras.models.load_model(self._checkpoints()[-1])

    def load_best(self) -> keras.Model:
        """The weights with the lowest validation loss so far.

        Raises
        ------
        DatasetError
            No epoch has been finished yet.
        """
        if not self._best_path.is_file():
            raise DatasetError(f"{self.folder} has no finished epoch yet; continue it with `train --resume`.")
        return keras.models.load_model(self._best_path, compile=False)

    def save_last(self, model: keras.Model, epoch: int) -> None:
        """Checkpoint a model that was trained for `epoch` epochs; the checkpoint before it goes."""
        _save(model, self.folder / f"epoch-{epoch:04d}.keras")
        for path in self._checkpoints()[:-1]:
            path.unlink()

    def save_best(self, model: keras.Model) -> None:
        """Keep a model as the best one so far."""
        _save(model, self._best_path)

    def _checkpoints(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*.keras"))


def _save(model: keras.Model, path: Path) -> None:
    # Renamed into place, so that a run that is killed while saving still has its last whole checkpoint.
    unfinished = path.with_name(f"unfinished-{path.name}")
    model.save(unfinished)
    unfinished.replace(path)
