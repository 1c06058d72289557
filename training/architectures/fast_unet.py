"""The U-Net that works at half resolution inside: the default."""

import math

import keras
from keras import layers, ops

from training.config import TrainingConfig

# The layer whose features tell what an image looks like to the network.
DEEPEST = "deepest"
STEM_KERNEL_PX = 6
# From this part of the brightest on, light counts by its logarithm.
_DIM = 0.01


def fast_unet(config: TrainingConfig) -> keras.Model:
    """U-Net (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597) between a stride-2 stem and a stride-2 head.

    The stem sees light and its logarithm, since micronuclei and dim nuclei have a few hundredths of the light of
    the brightest, by which an image is normalised. Its kernel sees every pixel, and the head writes every pixel
    (the sub-pixel convolution of Shi et al. 2016, arXiv:1609.05158, written as a transposed one), so that outlines
    keep their full resolution while the costly levels have a quarter of the pixels. A level is a convolution and
    some residual ones (He et al. 2016, arXiv:1512.03385), each with batch normalisation; residuals begin as nothing
    (Goyal et al. 2017, arXiv:1706.02677). With filters 24, 64, 96, 128 and 192 and 3, 2, 2, 1 and 1 residuals it
    has 2,144,196 parameters.

    Parameters
    ----------
    config
        Filters and residual convolutions a level (the deepest last), and the heads.

    Returns
    -------
    keras.Model
        float32 `(N, H, W, 3)` in [0, 1] to one map in [0, 1] a head, `(N, H, W, heads)`. `H` and `W` must be divisible
        by 2 to the power of the number of levels.
    """
    image = keras.Input((None, None, 3), name="image")
    levels = list(enumerate(zip(config.filters, config.residuals, strict=True)))

    logarithm = ops.log1p(image / _DIM) / math.log1p(1 / _DIM)
    features = layers.Concatenate(name="light")([image, logarithm])
    skips = []
    for level, (n_filters, n_residuals) in levels:
        if level == 0:
            features = _convolve(features, n_filters, "stem", kernel_px=STEM_KERNEL_PX, stride=2)
        else:
            features = layers.MaxPooling2D(name=f"pool_{level}")(features)
            features = _convolve(features, n_filters, f"down_{level}")
        features = _refine(features, n_filters, f"down_{level}", n_residuals)
        skips.append(features)

    features = layers.Identity(name=DEEPEST)(features)

    for level, (n_filters, n_residuals) in reversed(levels[:-1]):
        features = layers.Conv2D(n_filters, 1, use_bias=False, name=f"reduce_{level}")(features)
        features = layers.UpSampling2D(name=f"up_{level}")(features)
        features = layers.Concatenate(name=f"skip_{level}")([features, skips[level]])
        features = _convolve(features, n_filters, f"merge_{level}")
        features = _refine(features, n_filters, f"merge_{level}", n_residuals)

    # float32 under mixed precision too.
    maps = layers.Conv2DTranspose(
        len(config.heads), STEM_KERNEL_PX, strides=2, padding="same", activation="sigmoid", dtype="float32", name="maps"
    )(features)
    return keras.Model(image, maps, name="fast_unet")


def _convolve(
    features: keras.KerasTensor, n_filters: int, name: str, kernel_px: int = 3, stride: int = 1
) -> keras.KerasTensor:
    return layers.ReLU(name=f"{name}_relu")(_normalised(features, n_filters, name, kernel_px, stride))


def _refine(features: keras.KerasTensor, n_filters: int, name: str, n_residuals: int) -> keras.KerasTensor:
    for index in range(1, n_residuals + 1):
        of_residual = f"{name}_residual" + (f"_{index}" if index > 1 else "")
        change = _normalised(features, n_filters, of_residual, gamma="zeros")
        features = layers.Add(name=f"{of_residual}_add")([features, change])
        features = layers.ReLU(name=f"{of_residual}_relu")(features)
    return features


def _normalised(
    features: keras.KerasTensor,
    n_filters: int,
    name: str,
    kernel_px: int = 3,
    stride: int = 1,
    gamma: str = "ones",
) -> keras.KerasTensor:
    convolved = layers.Conv2D(
        n_filters,
        kernel_px,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_convolution",
    )(features)
    return layers.BatchNormalization(momentum=0.95, gamma_initializer=gamma, name=f"{name}_normalisation")(convolved)
