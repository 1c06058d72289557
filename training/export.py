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
import tensorflow as tf
from tqdm import tqdm

from app.segmentation import model_card
from app.segmentation.binarise import binarise
from app.segmentation.metrics import match, pixel_scores, pooled_accuracy
from app.segmentation.model_card import Calibration, Contract, ModelCard
from app.segmentation.options import SegmentationOptions
from app.segmentation.pipeline import find_nuclei
from app.segmentation.predict import SavedModelPredictor
from training.architectures import ARCHITECTURES, COARSEST_PX
from training.config import TrainingConfig
from training.dataset import DatasetError, Sample, data_digest
from training.run import Run
from training.splits import samples_of, splits_digest
from training.targets import normalised_image, resize

THRESHOLDS = tuple(np.round(np.arange(0.05, 0.96, 0.05), 2).tolist())
MARKER_DEPTHS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
MIN_AREAS_PX = (0, 8, 16, 24, 32, 48)


class Serving(tf.Module):
    """The network with its resizing or padding inside, so that the service gives and gets the image's own size.

    Parameters
    ----------
    network
        float32 `(N, h, w, 3)` to `(N, h, w, heads)`.
    config
        What it was trained with: `resized` networks see every image at their own size; the others see its own pixels,
        mirrored at its right and lower edge up to a multiple of `COARSEST_PX`.
    """

    def __init__(self, network: keras.Model, config: TrainingConfig) -> None:
        super().__init__()
        self.network = network
        self._config = config

    @tf.function
    def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Normalised images `(N, H, W, 3)` of any size to maps `(N, H, W, 1)` of the same size, by head."""
        size = tf.shape(image)[1:3]
        if self._config.sampling == "resized":
            maps = resize(self.network(resize(image, self._config.image_size_px), training=False), size)
        else:
            padded = -(-size // COARSEST_PX) * COARSEST_PX
            rows, columns = (_mirrored(size[axis], padded[axis]) for axis in (0, 1))
            image = tf.gather(tf.gather(image, rows, axis=1), columns, axis=2)
            maps = self.network(image, training=False)[:, : size[0], : size[1]]
        return dict(zip(self._config.heads, tf.split(maps, len(self._config.heads), axis=-1), strict=True))


def _mirrored(length: tf.Tensor, padded: tf.Tensor) -> tf.Tensor:
    """Places of `padded` pixels in an axis of `length`, to and fro as often as it takes."""
    place = tf.range(padded) % (2 * length)
    return tf.minimum(place, 2 * length - 1 - place)


def export(run: Run, samples: Sequence[Sample], data_name: str, data_licence: str, folder: Path) -> ModelCard:
    """Calibrate the run's best network on its validation split and write it with its card into `folder`.

    Parameters
    ----------
    run, samples
        A training run of at least one epoch, and the data that it was started with.
    data_name, data_licence
        What the card says of the data.
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
        _save(network, config, written)
        calibration = calibrate(written, samples_of(samples, splits, "val"), config)
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
            contract=contract_of(config),
            normalisation=config.normalisation,
            calibration=calibration,
            data=model_card.Data(
                name=data_name,
                licence=data_licence,
                sha256=run.data_sha256,
                splits_sha256=splits_digest(splits),
                n_images=dict(Counter(assignment.split for assignment in splits.values())),
            ),
            training=model_card.Training(
                command=run.command,
                config=config.model_dump(mode="json"),
                n_epochs=run.last_epoch(),
                best_epoch=run.best_epoch(),
            ),
            sha256=model_card.artefact_digest(written),
        )
        card.write(written)
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


def contract_of(config: TrainingConfig) -> Contract:
    """The serving signature of a network with the configured heads."""
    return Contract(distance_name="distance" if "distance" in config.heads else None)


def calibrate(folder: Path, samples: Sequence[Sample], config: TrainingConfig) -> Calibration:
    """Threshold with the best mean IoU, then marker depth and minimum area with the best pooled AP50."""
    predictor = SavedModelPredictor(folder, contract_of(config), "auto")
    predictions, truths = [], []
    for sample in tqdm(samples, desc="Predicting val", unit="image"):
        image = normalised_image(sample, config.normalisation)
        predictions.append(predictor.predict(image))
        truths.append(sample.labels(image.shape[:2]))

    def mean_iou(threshold: float) -> float:
        pairs = zip(truths, predictions, strict=True)
        return float(
            np.mean([pixel_scores(truth > 0, binarise(maps.probability, threshold)).iou for truth, maps in pairs])
        )

    def pooled_ap50(calibration: Calibration) -> float:
        options = SegmentationOptions()
        pairs = zip(truths, predictions, strict=True)
        return pooled_accuracy(match(truth, find_nuclei(maps, options, calibration)[2], 0.5) for truth, maps in pairs)

    threshold = max(THRESHOLDS, key=mean_iou)
    depths = [Calibration(threshold=threshold, marker_depth=depth, min_area_px=0) for depth in MARKER_DEPTHS]
    best = max(tqdm(depths, desc="Marker depth"), key=pooled_ap50)
    areas = [best.model_copy(update={"min_area_px": area}) for area in MIN_AREAS_PX]
    calibration: Calibration = max(tqdm(areas, desc="Minimum area"), key=pooled_ap50)
    return calibration


def _float32_network(run: Run, config: TrainingConfig) -> keras.Model:
    # Rebuilt, because a model trained in mixed precision keeps its float16 policy when loaded.
    keras.mixed_precision.set_global_policy("float32")
    network = ARCHITECTURES[config.architecture](config)
    network.set_weights(run.load_best().get_weights())
    return network


def _save(network: keras.Model, config: TrainingConfig, folder: Path) -> None:
    serving = Serving(network, config)
    contract = contract_of(config)
    image = tf.TensorSpec(contract.input_shape, contract.dtype, name=contract.input_name)
    tf.saved_model.save(
        serving, str(folder), signatures={contract.signature: serving.__call__.get_concrete_function(image)}
    )


def _first_line(config: TrainingConfig) -> str:
    return (ARCHITECTURES[config.architecture].__doc__ or "").partition("\n")[0]
