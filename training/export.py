"""Writes a run's best network as a SavedModel with its card."""

import math
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from app.inference import model_card
from app.inference.load import load_predictor
from app.inference.model_card import ModelCard
from training.architectures import ARCHITECTURES, COARSEST_PX
from training.calibrate import calibrate
from training.config import TrainingConfig
from training.dataset import DatasetError, Sample, data_digest
from training.describe import write_page
from training.quantise import quantise
from training.run import Run
from training.serving import Serving
from training.splits import samples_of, splits_digest
from training.targets import normalised_image

# By so many images, of so many pixels a side at most, the ranges of activations are found; more make them coarser.
_N_EXAMPLES, _EXAMPLE_PX = 36, 512


def export(
    run: Run,
    samples: Sequence[Sample],
    data_name: str,
    data_licence: str,
    folder: Path,
    attributions: Sequence[str] = (),
) -> ModelCard:
    """Calibrate the run's best network on its validation split and write it with its card into `folder`.

    Parameters
    ----------
    run, samples
        A training run of at least one epoch, and the data that it was started with.
    data_name, data_licence, attributions
        What the card says of the data, and whom it names.
    folder
        `<models>/<name>/<version>`.

    Raises
    ------
    DatasetError
        The run has no whole epoch, the data are not those it was trained on, or `folder` exists.
    """
    config, splits = run.config, run.splits
    if data_digest(samples) != run.data_sha256:
        raise DatasetError(f"{run.folder} was trained on other data; give export the same --data.")
    if folder.exists():
        raise DatasetError(f"{folder} exists already; choose another version, or remove it first.")
    network = _float32_network(run, config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        written = Path(unfinished) / "model"
        serving = Serving(network, config)
        train_samples = samples_of(samples, splits, "train")
        serving.learn_familiar(train_samples)
        serving.save(written)
        if serving.contract.quantised_name:
            quantise(serving, _examples(train_samples, config), written / serving.contract.quantised_name)
        predictor = load_predictor(written, serving.contract, "auto")
        calibration = calibrate(predictor, samples_of(samples, splits, "val"), splits, config.normalisation)
        shutil.copyfile(run.history_path, written / run.history_path.name)
        card = ModelCard(
            name=folder.parent.name,
            version=folder.name,
            created=datetime.now(UTC).date(),
            architecture=model_card.Architecture(
                name=config.architecture,
                n_parameters=network.count_params(),
                multiply_adds_per_megapixel=multiply_adds_per_megapixel(network, config),
                description=_first_line(config),
            ),
            contract=serving.contract,
            normalisation=config.normalisation,
            calibration=calibration,
            data=model_card.Data(
                name=data_name,
                licence=data_licence,
                attributions=tuple(attributions),
                sha256=run.data_sha256,
                splits_sha256=splits_digest(splits),
                n_images=dict(Counter(assignment.split for assignment in splits.values())),
            ),
            training=model_card.Training(
                command=run.command,
                config=config.model_dump(mode="json"),
                n_epochs=run.last_epoch(),
                minutes=round(run.minutes(), 1),
                best_epoch=run.best_epoch(),
            ),
            sha256=model_card.artefact_digest(written),
        )
        card.write(written)
        write_page(card, written)
        shutil.move(written, folder)
    return card


def multiply_adds_per_megapixel(network: keras.Model, config: TrainingConfig) -> int:
    """Multiply-adds of the network's convolutions for an image of 1,000,000 pixels.

    A network that sees every image resized needs the same for an image of any size.
    """
    size_px = config.image_size_px if config.sampling == "resized" else (32 * COARSEST_PX, 32 * COARSEST_PX)
    sized = keras.models.clone_model(network, input_tensors=keras.Input((*size_px, 3)))
    n_multiply_adds = 0
    for layer in sized.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            # A transposed convolution multiplies its kernel with every pixel that goes in, the other that comes out.
            places = layer.input if isinstance(layer, keras.layers.Conv2DTranspose) else layer.output
            n_multiply_adds += math.prod(places.shape[1:3]) * math.prod(layer.kernel.shape)
    return n_multiply_adds if config.sampling == "resized" else round(n_multiply_adds * 1_000_000 / math.prod(size_px))


def _examples(samples: Sequence[Sample], config: TrainingConfig) -> list[NDArray[np.float32]]:
    """Normalised images, spread over all samples, mirrored up to sides that the network can take."""
    examples = []
    for sample in samples[:: max(1, len(samples) // _N_EXAMPLES)]:
        image = normalised_image(sample, config.normalisation)[:_EXAMPLE_PX, :_EXAMPLE_PX]
        padding = [(0, -length % COARSEST_PX) for length in image.shape[:2]]
        examples.append(np.pad(image, (*padding, (0, 0)), mode="symmetric"))
    return examples


def _float32_network(run: Run, config: TrainingConfig) -> keras.Model:
    # Rebuilt, because a model trained in mixed precision keeps its float16 policy when loaded.
    keras.mixed_precision.set_global_policy("float32")
    network = ARCHITECTURES[config.architecture](config)
    network.set_weights(run.load_best().get_weights())
    return network


def _first_line(config: TrainingConfig) -> str:
    return (ARCHITECTURES[config.architecture].__doc__ or "").partition("\n")[0]
