"""Annotated images to the arrays that a network learns from."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from app.inference.model_card import Normalisation
from app.inference.normalise import normalise
from training.config import TrainingConfig
from training.dataset import DatasetError, Sample

# Channels of `instance_targets`; all but the last are what the heads learn, in their order.
FOREGROUND, DISTANCE, OFFSET, WEIGHT = 0, 1, slice(2, 4), 4
NEIGHBOUR_PX = 5
LEAST_WEIGHT = 0.2
# Smaller nuclei weigh more, in proportion to their diameter, up to 1.
_LIGHTEST_DIAMETER_PX = 20


class Arrays(NamedTuple):
    """`image` float32 (N, H, W, 3) in [0, 1]; `target` float32 (N, H, W, C), the mask or the `instance_targets`."""

    image: NDArray[np.float32]
    target: NDArray[np.float32]


def resize(image: tf.Tensor, size_px: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Resize a batch `(N, H, W, C)`, anti-aliased; training, evaluation and the exported graph all use this one."""
    return tf.image.resize(image, size_px, method="bilinear", antialias=True)


def resize_mask(mask: NDArray[np.bool_], size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Resize a mask `(H, W)` as the original recipe does: the way its image is, and whatever is not 0 is nucleus.

    This widens nuclei by about a pixel of the smaller image; the threshold that `export` calibrates at the images' own
    size makes up for it.
    """
    whole = tf.constant(mask[np.newaxis, ..., np.newaxis], tf.float32)
    resized: NDArray[np.bool_] = resize(whole, size_px)[0, ..., 0].numpy() > 0
    return resized


def resize_image(image: NDArray[np.float32], size_px: tuple[int, int]) -> NDArray[np.float32]:
    """Resize one normalised image `(H, W, 3)`."""
    resized: NDArray[np.float32] = resize(tf.constant(image[np.newaxis]), size_px)[0].numpy()
    return resized


def normalised_image(sample: Sample, normalisation: Normalisation) -> NDArray[np.float32]:
    """A sample's image as the service would give it to the network, `(H, W, 3)`."""
    return normalise(sample.image(), normalisation.low_percentile, normalisation.high_percentile)


def read_all(
    samples: Sequence[Sample], normalisation: Normalisation, name: str
) -> Iterator[tuple[Sample, NDArray[np.float32], NDArray[np.int32]]]:
    """Every sample with its normalised image `(H, W, 3)` and its labels `(H, W)`, with a progress bar.

    Raises
    ------
    DatasetError
        After the last one: names every image and mask that cannot be read.
    """
    problems = []
    for sample in tqdm(samples, desc=f"Reading {name}", unit="image"):
        try:
            image = normalised_image(sample, normalisation)
            labels = sample.labels(image.shape[:2])
        except DatasetError as exc:
            problems.append(str(exc))
            continue
        yield sample, image, labels
    if problems:
        raise DatasetError("\n".join(problems))


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
    for index, (_, image, labels) in enumerate(read_all(samples, config.normalisation, name)):
        arrays.image[index] = resize_image(image, config.image_size_px)
        arrays.target[index, ..., 0] = resize_mask(labels > 0, config.image_size_px)
    return arrays


def instance_targets(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """What a network with several heads learns of a label image, and how much each pixel counts.

    Parameters
    ----------
    labels
        `(H, W)`, 0 is background.

    Returns
    -------
    ndarray of uint8, shape (H, W, 5)
        0 to 255 for 0 to 1. `FOREGROUND`. `DISTANCE`: the inner distance, that to the nucleus's outline as a part of
        its largest one. `OFFSET`, rows and columns: how far the pixel lies from the nucleus's centroid, as a part of
        its farthest pixel's, 0 to 1 for -1 to 1; it leaps where nuclei touch (after HoVer-Net, Graham et al. 2019,
        arXiv:1812.06499, but the same however the image is turned). `WEIGHT`: least where all is background or
        one large nucleus, more in and around small ones, most between neighbours that nearly touch (after the weight
        map of Ronneberger, Fischer & Brox 2015).
    """
    distance = np.zeros(labels.shape, np.float32)
    offset = np.full((*labels.shape, 2), 0.5, np.float32)
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        # One pixel of the surroundings, but none beyond the image: its edge is no outline.
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        nucleus = labels[around] == index
        inner = np.ones(nucleus.shape, np.float32)
        if not nucleus.all():
            inner = cv2.distanceTransform(nucleus.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - 0.5
        distance[around][nucleus] = inner[nucleus] / inner[nucleus].max()
        places = np.argwhere(nucleus)
        away = places - places.mean(axis=0)
        farthest = max(1, np.linalg.norm(away, axis=1).max())
        offset[around][nucleus] = (away / farthest + 1) / 2
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (NEIGHBOUR_PX, NEIGHBOUR_PX))
    largest = cv2.dilate(labels.astype(np.float32), near)
    smallest = -cv2.dilate(np.where(labels > 0, -labels, -np.inf).astype(np.float32), near)
    diameters_px = 2 * np.sqrt(np.bincount(labels.ravel()) / np.pi)
    of_nucleus = np.clip(LEAST_WEIGHT * _LIGHTEST_DIAMETER_PX / np.maximum(1, diameters_px), LEAST_WEIGHT, 1)
    of_nucleus[0] = LEAST_WEIGHT
    own = cv2.dilate(of_nucleus[labels].astype(np.float32), near)
    weight = np.where((largest > 0) & (largest != smallest), 1, own)
    return (np.dstack([labels > 0, distance, offset, weight]) * 255).round().astype(np.uint8)
