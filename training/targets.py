"""Annotated images to the arrays that a network learns from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from app.segmentation.model_card import Normalisation
from app.segmentation.normalise import normalise
from training.config import TrainingConfig
from training.dataset import DatasetError, Sample


class Arrays(NamedTuple):
    """`image` float32 (N, H, W, 3) in [0, 1] and `mask` float32 (N, H, W, 1), 0 or 1."""

    image: NDArray[np.float32]
    mask: NDArray[np.float32]


def resize(image: tf.Tensor, size_px: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Resize a batch `(N, H, W, C)`, anti-aliased; training, evaluation and the exported graph all use this one."""
    return tf.image.resize(image, size_px, method="bilinear", antialias=True)


def resize_mask(mask: NDArray[np.bool_], size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Resize a mask `(H, W)` as the original recipe does: nucleus is every pixel whose bilinear sample touches one.

    This widens nuclei by up to half a pixel of the smaller image; the threshold that `export` calibrates at the
    images' own size makes up for it.
    """
    whole = tf.constant(mask[np.newaxis, ..., np.newaxis], tf.float32)
    resized: NDArray[np.bool_] = tf.image.resize(whole, size_px, method="bilinear")[0, ..., 0].numpy() > 0
    return resized


def resize_image(image: NDArray[np.float32], size_px: tuple[int, int]) -> NDArray[np.float32]:
    """Resize one normalised image `(H, W, 3)`."""
    resized: NDArray[np.float32] = resize(tf.constant(image[np.newaxis]), size_px)[0].numpy()
    return resized


def normalised_image(sample: Sample, normalisation: Normalisation) -> NDArray[np.float32]:
    """A sample's image as the service would give it to the network, `(H, W, 3)`."""
    return normalise(sample.image(), normalisation.low_percentile, normalisation.high_percentile)


def load_arrays(samples: Sequence[Sample], config: TrainingConfig, name: str) -> Arrays:
    """All samples at the size that the configuration names.

    Raises
    ------
    DatasetError
        Names every image and mask that cannot be read.
    """
    height, width = config.image_size_px
    arrays = Arrays(
        np.empty((len(samples), height, width, 3), np.float32), np.empty((len(samples), height, width, 1), np.float32)
    )
    problems = []
    for index, sample in enumerate(tqdm(samples, desc=f"Reading {name}", unit="image")):
        try:
            image = normalised_image(sample, config.normalisation)
            mask = sample.labels(image.shape[:2]) > 0
        except DatasetError as exc:
            problems.append(str(exc))
            continue
        arrays.image[index] = resize_image(image, config.image_size_px)
        arrays.mask[index, ..., 0] = resize_mask(mask, config.image_size_px)
    if problems:
        raise DatasetError("\n".join(problems))
    return arrays
