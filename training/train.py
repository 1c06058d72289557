"""Trains a network."""

import math
import time
from pathlib import Path
from typing import Any

import keras
import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm.keras import TqdmCallback

from app.inference.model_card import Contract
from training.architectures import ARCHITECTURES
from training.config import TrainingConfig
from training.crops import Annotated, Crops
from training.dataset import DatasetError
from training.losses import nuclei_loss
from training.muon import ConvolutionalMuon
from training.run import Run
from training.targets import Arrays

# Of the kernels that Muon learns.
_WEIGHT_DECAY = 0.01


def train(
    images: Arrays | list[Annotated],
    val_arrays: Arrays,
    config: TrainingConfig,
    n_epochs: int,
    run: Run,
    predecessor: Path | None = None,
) -> None:
    """Train from the run's newest checkpoint, if it has one, until `n_epochs` of the configured epochs are done.

    A resumed run sees the same batches in the same order as one that was never stopped.

    Parameters
    ----------
    images
        What is learned from: arrays where the configuration's sampling is `resized`, annotated images where `crops`.
    val_arrays
        What the best epoch is chosen by.
    config, run
        The configuration, and where the run is kept.
    predecessor
        Folder of an exported model, see `inherit`.

    Raises
    ------
    DatasetError
        Nothing can be inherited from the predecessor.
    KeyboardInterrupt
        Ctrl-C; the checkpoint of the last whole epoch and the curves so far are kept.
    """
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_global_policy("mixed_float16" if config.mixed_precision else "float32")
    run.trim_history()
    with _strategy().scope():
        first_epoch = run.last_epoch()
        model = run.load_last() if first_epoch else build(config)
        if predecessor and not first_epoch:
            inherit(model, predecessor)
    n_steps = math.ceil(len(images.image if isinstance(images, Arrays) else images) / config.batch_size)
    history = keras.callbacks.CSVLogger(str(run.history_path), append=True)
    callbacks = [
        Clock(config, run.minutes())
        if config.minutes
        else keras.callbacks.LearningRateScheduler(lambda epoch: learning_rate(config, epoch / config.epochs)),
        Stopwatch(),
        history,
        keras.callbacks.TensorBoard(str(run.tensorboard_path)),
        Checkpoint(run),
        TqdmCallback(verbose=1, initial=first_epoch, desc=f"Training {config.preset}"),
    ]
    if isinstance(images, Arrays):
        batches: Any = ShuffledBatches(images, config)
        callbacks.insert(0, EpochSeeds(batches, config.seed))
    else:
        batches = Crops(images, config).batches(first_epoch * n_steps * config.batch_size)
    try:
        model.fit(
            batches,
            shuffle=False,
            steps_per_epoch=n_steps,
            validation_data=(val_arrays.image, val_arrays.target),
            validation_batch_size=config.batch_size,
            epochs=n_epochs,
            initial_epoch=first_epoch,
            verbose=0,
            callbacks=callbacks,
        )
    finally:
        # Keras closes it only if nothing stops the training.
        history.on_train_end()
        plot_curves(run)


def build(config: TrainingConfig) -> keras.Model:
    """The configured network, compiled with its optimiser and the loss of its heads."""
    model = ARCHITECTURES[config.architecture](config)
    if config.optimiser == "muon":
        head = model.layers[-1].name
        optimiser = ConvolutionalMuon(
            config.learning_rate, weight_decay=_WEIGHT_DECAY, adam_weight_decay=0, exclude_layers=[head]
        )
    else:
        optimiser = keras.optimizers.Adam(config.learning_rate)
    if config.sampling == "resized":
        model.compile(optimiser, "binary_crossentropy", metrics=["accuracy"])
    else:
        model.compile(optimiser, nuclei_loss)
    return model


def inherit(model: keras.Model, predecessor: Path) -> None:
    """Let layers begin with the weights of an exported model's layers of the same name.

    A kernel may see more channels than the predecessor's; those begin as nothing. Weights of other shapes stay as they
    are.

    Raises
    ------
    DatasetError
        The folder holds no model, or none of its layers fits.
    """
    try:
        exported = tf.saved_model.load(str(predecessor))
    except OSError as exc:
        raise DatasetError(f"{predecessor} holds no exported model; give a folder that `export` wrote.") from exc
    weights = {
        variable.name.partition(":")[0]: variable.numpy()
        for variable in exported.signatures[Contract().signature].variables
    }
    n_inherited = 0
    for variable in model.variables:
        weight = weights.get(variable.path)
        if weight is None or weight.ndim != len(variable.shape):
            continue
        if weight.ndim == 4:
            n_more = max(0, variable.shape[2] - weight.shape[2])
            weight = np.pad(weight, ((0, 0), (0, 0), (0, n_more), (0, 0)))
        if weight.shape == tuple(variable.shape):
            variable.assign(weight)
            n_inherited += 1
    if not n_inherited:
        raise DatasetError(f"{predecessor} has no layers of this architecture; begin with a model of the same preset.")


def learning_rate(config: TrainingConfig, progress: float) -> float:
    """The rate when a part of the training, 0 to 1, is done."""
    return config.learning_rate * (min(1, max(0, 1 - progress) / config.cooldown) if config.cooldown else 1)


def describe_device() -> str:
    """What TensorFlow will train on, for people."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"the CPU ({tf.config.threading.get_intra_op_parallelism_threads() or 'all'} cores)"
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    return ", ".join(names)


def _strategy() -> tf.distribute.Strategy:
    n_gpus = len(tf.config.list_physical_devices("GPU"))
    return tf.distribute.MirroredStrategy() if n_gpus > 1 else tf.distribute.get_strategy()


class ShuffledBatches(keras.utils.PyDataset):
    """Batches in an order that the seed and the epoch's number decide."""

    def __init__(self, arrays: Arrays, config: TrainingConfig) -> None:
        super().__init__()
        self._arrays = arrays
        self._config = config
        self.shuffle(0)

    def __len__(self) -> int:
        """Batches an epoch; the last one may be smaller."""
        return math.ceil(len(self._order) / self._config.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Images and masks of one batch."""
        start = index * self._config.batch_size
        chosen = self._order[start : start + self._config.batch_size]
        return self._arrays.image[chosen], self._arrays.target[chosen]

    def shuffle(self, epoch: int) -> None:
        """Take the order of an epoch, counted from 0."""
        self._order = np.random.default_rng((self._config.seed, epoch)).permutation(len(self._arrays.image))


class EpochSeeds(keras.callbacks.Callback):
    """Order and dropout of an epoch depend on its number alone, so that a resumed run repeats an unbroken one."""

    def __init__(self, batches: ShuffledBatches, seed: int) -> None:
        super().__init__()
        self._batches = batches
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set both."""
        self._batches.shuffle(epoch)
        dropouts = [layer for layer in self.model.layers if isinstance(layer, keras.layers.Dropout)]
        for dropout, seed in zip(dropouts, np.random.SeedSequence((self._seed, epoch)).generate_state(len(dropouts))):
            dropout.seed_generator.state.assign((seed, 0))


class Clock(keras.callbacks.Callback):
    """Trains by the clock: sets the learning rate by the time that is used up, and stops when it is."""

    def __init__(self, config: TrainingConfig, used_minutes: float) -> None:
        super().__init__()
        self._config = config
        self._start = time.monotonic() - used_minutes * 60

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the rate."""
        self.model.optimizer.learning_rate = learning_rate(self._config, self._progress())

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop, in the middle of an epoch too."""
        if self._progress() >= 1:
            self.model.stop_training = True

    def _progress(self) -> float:
        return (time.monotonic() - self._start) / 60 / (self._config.minutes or 0)


class Stopwatch(keras.callbacks.Callback):
    """Adds the epoch's `seconds` to what is logged, validation included."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop; the callbacks that follow find it in their logs."""
        if logs is not None:
            logs["seconds"] = time.perf_counter() - self._start


class Checkpoint(keras.callbacks.Callback):
    """Saves the model after each epoch, and apart from that the best one by validation loss."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._best_loss = min((row["val_loss"] for row in run.history()), default=math.inf)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save; epochs are counted from 0."""
        loss = (logs or {})["val_loss"]
        if loss < self._best_loss:
            self._best_loss = loss
            self._run.save_best(self.model)
        self._run.save_last(self.model, epoch + 1)


def plot_curves(run: Run) -> None:
    """Draw training and validation loss over the epochs into the run's folder."""
    history = run.history()
    if not history:
        return
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        epochs = [row["epoch"] + 1 for row in history]
        axes.plot(epochs, [row["loss"] for row in history], label="training")
        axes.plot(epochs, [row["val_loss"] for row in history], label="validation")
        axes.axvline(run.best_epoch(), color="0.6", linestyle=":", label=f"best epoch ({run.best_epoch()})")
        axes.set(xlabel="epoch", ylabel="loss", title=run.folder.name)
        axes.legend()
        figure.savefig(run.curves_path, dpi=150)
