"""The networks that can be trained, one file each."""

from collections.abc import Callable

import keras

from training.architectures.alexnet_fcn import alexnet_fcn
from training.architectures.fast_unet import DEEPEST, fast_unet
from training.architectures.tiramisu import fc_densenet56, fc_densenet103
from training.architectures.unet import unet
from training.config import TrainingConfig

# By `TrainingConfig.architecture`.
ARCHITECTURES: dict[str, Callable[[TrainingConfig], keras.Model]] = {
    "alexnet_fcn": alexnet_fcn,
    "fast_unet": fast_unet,
    "fc_densenet56": fc_densenet56,
    "fc_densenet103": fc_densenet103,
    "unet": unet,
}
__all__ = ["ARCHITECTURES", "COARSEST_PX", "DEEPEST"]

# No network here halves its input more often than five times.
COARSEST_PX = 32
