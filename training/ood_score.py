"""The out-of-distribution (OOD) score: how far an image lies from those that a network was trained on."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

SHRINKAGE = 0.05
_RIDGE = 1e-4


class Familiar(NamedTuple):
    """What the training images look like to the network: mean `(D,)` and precision `(D, D)` of their features."""

    mean: NDArray[np.float32]
    precision: NDArray[np.float32]


def image_features(deepest: tf.Tensor) -> tf.Tensor:
    """The deepest features `(N, h, w, D)` of images, not negative, as one vector each, `(N, D)`."""
    return tf.math.log1p(tf.reduce_mean(deepest, axis=(1, 2)))


def fit_familiar(features: NDArray[np.float32]) -> Familiar:
    """The normal distribution of the features `(N, D)` of images.

    The covariance is shrunk towards its diagonal, because there are not many more images than features.
    """
    covariance = np.atleast_2d(np.cov(features.astype(np.float64), rowvar=False))
    variance = np.diag(covariance)
    shrunk = (1 - SHRINKAGE) * covariance + np.diag(SHRINKAGE * variance + _RIDGE * variance.mean() + 1e-12)
    return Familiar(features.mean(axis=0).astype(np.float32), np.linalg.inv(shrunk).astype(np.float32))


def ood_score(features: tf.Tensor, familiar: Familiar) -> tf.Tensor:
    """Mahalanobis distance of image features `(N, D)` to the training images' (Lee et al. 2018, arXiv:1807.03888).

    Divided by the square root of D: about 1 for a typical training image, `(N,)`.
    """
    away = features - familiar.mean
    squared = tf.reduce_sum(tf.linalg.matmul(away, familiar.precision) * away, axis=1)
    return tf.sqrt(tf.maximum(squared, 0) / len(familiar.mean))
