"""An endless, repeatable stream of varied crops from annotated images of any size."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.augment import vary, warp
from training.config import TrainingConfig
from training.dataset import Sample
from training.empty import empty_image
from training.splits import Splits
from training.targets import WEIGHT, Arrays, instance_targets, read_all

_UINT16_MAX = 65_535
# To each side.
_SEAM_PX = 2


class Annotated(NamedTuple):
    """One image in memory.

    Attributes
    ----------
    image, target
        uint16 (H, W, 3), and uint8 (H, W, 5), see `training.targets.instance_targets`.
    diameter_px
        Of a typical nucleus.
    modality, dataset
        Together they are the image's kind.
    n_nuclei
        How many are marked in it.
    """

    image: NDArray[np.uint16]
    target: NDArray[np.uint8]
    diameter_px: float
    modality: str
    dataset: str = ""
    n_nuclei: int = 0


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
                sample.tree.name,
                int(np.count_nonzero(areas)),
            )
        )
    return annotated


class Crops:
    """Crop `n` depends on `n` and the seed alone, so that a resumed run repeats an unbroken one.

    A kind, which is one data set's images of one modality, is drawn in proportion to the cube root of its images and
    nuclei: rare kinds come more often than they occur, but not as often as common ones. Within a kind images are alike.
    """

    def __init__(self, annotated: Sequence[Annotated], config: TrainingConfig) -> None:
        self._annotated = annotated
        self._config = config
        kinds = [(image.dataset, image.modality) for image in annotated]
        n_images, n_marked = Counter(kinds), Counter(kinds)
        for kind, image in zip(kinds, annotated, strict=True):
            n_marked[kind] += image.n_nuclei
        weights = np.array([n_marked[kind] ** (1 / 3) / n_images[kind] for kind in kinds])
        self._probabilities = weights / weights.sum()
        self._modalities = np.array([image.modality for image in annotated])

    def crop(self, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Image `(*image_size_px, 3)` and target `(*image_size_px, 5)` of crop `n`."""
        generator = np.random.default_rng((self._config.seed, n))
        if self._config.empty_part and generator.random() < self._config.empty_part:
            return self._empty(generator)
        chosen = int(generator.choice(len(self._annotated), p=self._probabilities))
        if self._config.scene_part and generator.random() < self._config.scene_part:
            image, target = self._scene(chosen, generator)
        else:
            image, target = self._warped(chosen, self._config.image_size_px, generator)
        return vary(image, target, generator)

    def _warped(
        self, chosen: int, size_px: tuple[int, int], generator: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        one = self._annotated[chosen]
        return warp(one.image, one.target, one.diameter_px, size_px, generator)

    def _scene(self, chosen: int, generator: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Two images of one modality side by side, each at its own scale; nothing is learned at their seam."""
        alike = np.where(self._modalities == self._modalities[chosen], self._probabilities, 0)
        other = int(generator.choice(len(alike), p=alike / alike.sum()))
        axis = int(generator.integers(2))
        length = self._config.image_size_px[axis]
        seam = int(generator.integers(length // 4, 3 * length // 4))
        sizes = [list(self._config.image_size_px) for _ in range(2)]
        sizes[0][axis], sizes[1][axis] = seam, length - seam
        parts = [
            self._warped(number, (size[0], size[1]), generator)
            for number, size in zip((chosen, other), sizes, strict=True)
        ]
        image, target = (np.concatenate(both, axis) for both in zip(*parts, strict=True))
        np.moveaxis(target, axis, 0)[seam - _SEAM_PX : seam + _SEAM_PX, :, WEIGHT] = 0
        return image, target

    def _empty(self, generator: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        size_px = self._config.image_size_px
        target = np.divide(instance_targets(np.zeros(size_px, np.int32)), np.iinfo(np.uint8).max, dtype=np.float32)
        return vary(empty_image(size_px, generator), target, generator)

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
    """The unvaried crop in the middle of each image, for validation; beyond the image's edge as in `warp`.

    In an order that mixes the kinds: the loss is taken batch by batch, and a batch of tiny images alone would count as
    much as one of large ones.
    """

    def middle(array: NDArray[Any], beyond: Literal["symmetric", "constant"]) -> NDArray[np.float32]:
        missing = [max(0, size - length) for size, length in zip(config.image_size_px, array.shape)]
        padding = [(lacking // 2, lacking - lacking // 2) for lacking in missing]
        padded = np.pad(array, (*padding, (0, 0)), mode=beyond)
        starts = [(length - size) // 2 for size, length in zip(config.image_size_px, padded.shape)]
        window = tuple(slice(start, start + size) for start, size in zip(starts, config.image_size_px))
        cut: NDArray[np.float32] = padded[window].astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
        return cut

    mixed = [annotated[index] for index in np.random.default_rng(config.seed).permutation(len(annotated))]
    images = [middle(one.image, "symmetric") for one in mixed]
    targets = [middle(one.target, "constant") for one in mixed]
    return Arrays(np.array(images), np.array(targets))
