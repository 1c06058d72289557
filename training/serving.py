"""The graph that is exported: a network with all that lies between it and an image of any size."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from app.inference.model_card import Contract
from training.architectures import COARSEST_PX, DEEPEST
from training.config import TrainingConfig
from training.dataset import Sample
from training.ood_score import Familiar, fit_familiar, image_features, ood_score
from training.receptive_field import halo_px
from training.targets import normalised_image, resize


class Serving(tf.Module):
    """A network with its resizing or padding inside, so that the service gives and gets the image's own size.

    Parameters
    ----------
    network
        float32 `(N, h, w, 3)` to `(N, h, w, heads)`. If it has a layer named `DEEPEST`, its features give the
        OOD score of an image, once `learn_familiar` has seen these.
    config
        What it was trained with: `resized` networks see every image at their own size; the others see its own pixels,
        mirrored at its right and lower edge up to a multiple of `COARSEST_PX`.
    """

    def __init__(self, network: keras.Model, config: TrainingConfig) -> None:
        super().__init__()
        self._config = config
        self._familiar: Familiar | None = None
        self._halo_px = None if config.sampling == "resized" else halo_px(network)
        outputs = {"predictions": network.output} | {
            layer.name: layer.output for layer in network.layers if layer.name == DEEPEST
        }
        self._has_features = DEEPEST in outputs
        # A tracked attribute, so that its weights are saved.
        self.network = keras.Model(network.input, outputs)

    @property
    def contract(self) -> Contract:
        """The signature of `__call__`."""
        return Contract(
            distance_name="distance" if "distance" in self._config.heads else None,
            unlikeness_name="unlikeness" if self._familiar else None,
            reach_px=self._halo_px,
            quantised_name="quantised.tflite" if self._has_features else None,
        )

    def learn_familiar(self, samples: Sequence[Sample]) -> None:
        """Remember what these images look like to the network; nothing where it has no features to tell."""
        if not self._has_features:
            return
        features = tf.function(
            lambda image: image_features(self._run(image)[DEEPEST]), [tf.TensorSpec((1, None, None, 3), tf.float32)]
        )
        self._familiar = fit_familiar(
            np.concatenate(
                [
                    features(normalised_image(sample, self._config.normalisation)[np.newaxis]).numpy()
                    for sample in tqdm(samples, desc="Features of train", unit="image")
                ]
            )
        )

    def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Normalised images `(N, H, W, 3)` of any size to predictions `(N, H, W, 1)` of the same size, by head."""
        answers = self._run(image)
        size = tf.shape(image)[1:3]
        predictions = answers["predictions"]
        predictions = (
            resize(predictions, size) if self._config.sampling == "resized" else predictions[:, : size[0], : size[1]]
        )
        return self.outputs(answers | {"predictions": predictions})

    def outputs(self, answers: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What the service gets of the network's answers, of one size: predictions `(N, H, W, 1)` and OOD score."""
        heads = self._config.heads
        outputs = separate(dict(zip(heads, tf.split(answers["predictions"], len(heads), axis=-1), strict=True)))
        if self._familiar:
            outputs["unlikeness"] = ood_score(image_features(answers[DEEPEST]), self._familiar)
        return outputs

    def save(self, folder: Path) -> None:
        """Write the SavedModel."""
        contract = self.contract
        image = tf.TensorSpec(contract.input_shape, contract.dtype, name=contract.input_name)
        signature = tf.function(self.__call__, [image]).get_concrete_function()
        tf.saved_model.save(self, str(folder), signatures={contract.signature: signature})

    def _run(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        if self._config.sampling == "resized":
            image = resize(image, self._config.image_size_px)
        else:
            size = tf.shape(image)[1:3]
            padded = -(-size // COARSEST_PX) * COARSEST_PX
            rows, columns = (_mirrored(size[axis], padded[axis]) for axis in (0, 1))
            image = tf.gather(tf.gather(image, rows, axis=1), columns, axis=2)
        answers: dict[str, tf.Tensor] = self.network(image, training=False)
        return answers


def separate(heads: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The predictions that the service gets from those of the heads, all `(N, H, W, 1)` in [0, 1].

    `distance` is the mean of the inner distance, whose ridges are broad and follow a nucleus's shape, and of the
    nearness to the centroid that the offset tells, which has but one peak; on val the mean separated neighbours better
    than either.
    """
    outputs = {"probability": heads["probability"]}
    if "distance" in heads:
        row, column = (2 * heads[head] - 1 for head in ("offset_row", "offset_col"))
        # The offset of background was never learned.
        nearness = tf.maximum(1 - tf.sqrt(row * row + column * column), 0) * heads["probability"]
        outputs["distance"] = (heads["distance"] + nearness) / 2
    return outputs


def _mirrored(length: tf.Tensor, padded: tf.Tensor) -> tf.Tensor:
    """Places of `padded` pixels in an axis of `length`, to and fro as often as it takes."""
    place = tf.range(padded) % (2 * length)
    return tf.minimum(place, 2 * length - 1 - place)
