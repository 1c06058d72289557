"""An endless, repeatable stream of varied crops from annotated images of any size."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.augment import recolour, warp
from training.config import TrainingConfig
from training.dataset import Sample
from training.empty import empty_image
from training.splits import Splits
from training.targets import WEIGHT, Arrays, instance_targets, read_all

_UINT16_MAX = 65_535


class Annotated(NamedTuple):
    """One image in memory: `image` uint16 (H, W, 3), `target` uint8 (H, W, 5), a typical nucleus's diameter."""

    image: NDArray[np.uint16]
    target: NDArray[np.uint8]
    diameter_px: float
    modality: str


def load_annotated(samples: Sequence[Sample], splits: Splits, config: TrainingConfig, name: str) -> list[Annotated]:
    """All samples, normalised.

    Raises
    ------
    DatasetError
        Names every image and mask that cannot be read.
    """
    annotated = []
    for sample, image, labels in read_all(samples, config.normalisation, name):
        areas = np.bincount(labels.ravel())[1:]
        diameter_px = 2 * float(np.sqrt(np.median(areas[areas > 0]) / np.pi)) if areas.any() else np.inf
        annotated.append(
            Annotated(
                (image * _UINT16_MAX).round().astype(np.uint16),
                instance_targets(labels),
                diameter_px,
                splits[sample.image_id].modality,
            )
        )
    return annotated


class Crops:
    """Crop `n` depends on `n` and the seed alone, so that a resumed run repeats an unbroken one.

    An image is drawn with a probability in inverse proportion to the square root of how many there are of its modality:
    rare kinds come more often than they occur, but not as often as common ones.
    """

    def __init__(self, annotated: Sequence[Annotated], config: TrainingConfig) -> None:
        self._annotated = annotated
        self._config = config
        n_images = Counter(image.modality for image in annotated)
        weights = np.array([n_images[image.modality] ** -0.5 for image in annotated])
        self._probabilities = weights / weights.sum()

    def crop(self, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Image `(*image_size_px, 3)` and target `(*image_size_px, 5)` of crop `n`."""
        generator = np.random.default_rng((self._config.seed, n))
        if self._config.empty_part and generator.random() < self._config.empty_part:
            return self._empty(generator)
        chosen = self._annotated[generator.choice(len(self._annotated), p=self._probabilities)]
        image, target = warp(chosen.image, chosen.target, chosen.diameter_px, self._config.image_size_px, generator)
        return recolour(image, generator), target

    def _empty(self, generator: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        size_px = self._config.image_size_px
        target = np.divide(instance_targets(np.zeros(size_px, np.int32)), np.iinfo(np.uint8).max, dtype=np.float32)
        return recolour(empty_image(size_px, generator), generator), target

    def batches(self, first_crop: int) -> tf.data.Dataset:
        """Batches from one crop on, prepared beside the training."""
        size_px = self._config.image_size_px

        def prepare(n: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image, target = tf.numpy_function(self.crop, [n], [tf.float32, tf.float32])
            return tf.ensure_shape(image, (*size_px, 3)), tf.ensure_shape(target, (*size_px, WEIGHT + 1))

        numbers = tf.data.Dataset.counter(first_crop)
        crops = numbers.map(prepare, num_parallel_calls=2)
        return crops.batch(self._config.batch_size).prefetch(2)


def middles(annotated: Sequence[Annotated], config: TrainingConfig) -> Arrays:
    """The unvaried crop in the middle of each image, for validation; beyond the image's edge as in `warp`."""

    def middle(array: NDArray[Any], beyond: Literal["symmetric", "constant"]) -> NDArray[np.float32]:
        missing = [max(0, size - length) for size, length in zip(config.image_size_px, array.shape)]
        padding = [(lacking // 2, lacking - lacking // 2) for lacking in missing]
        padded = np.pad(array, (*padding, (0, 0)), mode=beyond)
        starts = [(length - size) // 2 for size, length in zip(config.image_size_px, padded.shape)]
        window = tuple(slice(start, start + size) for start, size in zip(starts, config.image_size_px))
        cut: NDArray[np.float32] = padded[window].astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
        return cut

    images = [middle(one.image, "symmetric") for one in annotated]
    targets = [middle(one.target, "constant") for one in annotated]
    return Arrays(np.array(images), np.array(targets))
