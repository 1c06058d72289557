"""The networks that can be trained, one file each."""

from collections.abc import Callable

import keras

from training.architectures.fast_unet import fast_unet
from training.architectures.unet import unet
from training.config import TrainingConfig

ARCHITECTURES: dict[str, Callable[[TrainingConfig], keras.Model]] = {"fast_unet": fast_unet, "unet": unet}
