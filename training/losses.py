"""What the networks with several heads learn to make small."""

import keras
from keras import ops

_EPSILON = 1e-6


@keras.saving.register_keras_serializable("karyometer")
def nuclei_loss(target: keras.KerasTensor, maps: keras.KerasTensor) -> keras.KerasTensor:
    """Weighted cross entropy of foreground and inner distance, and the foreground's soft Dice loss.

    Cross entropy pulls a map to the mean of what may be there; Dice (Milletari et al. 2016, arXiv:1606.04797) weighs a
    small foreground as much as a large one.

    Parameters
    ----------
    target
        `(N, H, W, 3)`: foreground, inner distance, weight; see `training.targets.instance_targets`.
    maps
        `(N, H, W, 2)` in [0, 1]: foreground probability and inner distance.

    Returns
    -------
    keras.KerasTensor
        One number.
    """
    truth, weight = target[..., :2], target[..., 2:]
    maps = ops.clip(maps, _EPSILON, 1 - _EPSILON)
    entropy = -truth * ops.log(maps) - (1 - truth) * ops.log(1 - maps)
    foreground, probability = truth[..., 0], maps[..., 0]
    overlap = ops.sum(foreground * probability)
    dice = 2 * overlap / (ops.sum(ops.square(foreground)) + ops.sum(ops.square(probability)) + 1)
    return ops.sum(weight * entropy) / ops.sum(weight) + (1 - dice)
