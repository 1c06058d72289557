"""What the networks with several heads learn to make small."""

import keras
from keras import ops

from training.targets import OFFSET, WEIGHT

_EPSILON = 1e-6


@keras.saving.register_keras_serializable("karyometer")
def nuclei_loss(target: keras.KerasTensor, predictions: keras.KerasTensor) -> keras.KerasTensor:
    """Weighted cross entropy of foreground, inner distance and offset, and the foreground's soft Dice loss.

    Cross entropy pulls a map to the mean of what may be there; the offset's counts inside nuclei only. Dice (Milletari
    et al. 2016, arXiv:1606.04797) weighs a small foreground as much as a large one.

    Parameters
    ----------
    target
        `(N, H, W, 5)`; see `training.targets.instance_targets`.
    predictions
        `(N, H, W, 4)` in [0, 1]: foreground probability, inner distance, offset in rows and in columns.

    Returns
    -------
    keras.KerasTensor
        One number.
    """
    truth, weight = target[..., :WEIGHT], target[..., WEIGHT:]
    predictions = ops.clip(predictions, _EPSILON, 1 - _EPSILON)
    entropy = -truth * ops.log(predictions) - (1 - truth) * ops.log(1 - predictions)
    # What lies beyond an image's edge weighs nothing.
    counts = ops.cast(weight[..., 0] > 0, predictions.dtype)
    foreground, probability = truth[..., 0], predictions[..., 0] * counts
    overlap = ops.sum(foreground * probability)
    dice = 2 * overlap / (ops.sum(ops.square(foreground)) + ops.sum(ops.square(probability)) + 1)
    everywhere = ops.sum(weight * entropy[..., :2]) / ops.sum(weight)
    weight_inside = weight * target[..., :1]
    inside = ops.sum(weight_inside * entropy[..., OFFSET]) / (ops.sum(weight_inside) + 1)
    return everywhere + inside + (1 - dice)
