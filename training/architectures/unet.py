"""The U-Net that the project started from."""

import keras
from keras import layers

from training.config import TrainingConfig


def unet(config: TrainingConfig) -> keras.Model:
    """U-Net (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597) with ELU and dropout, as in the original recipe.

    Each level has two 3 x 3 convolutions with dropout between them; max pooling leads down, transposed convolutions and
    skip connections lead up. With filters 16 to 256 it has 1,941,105 parameters.

    Parameters
    ----------
    config
        Filters a level (the deepest last), dropout, and the heads.

    Returns
    -------
    keras.Model
        float32 `(N, H, W, 3)` in [0, 1] to one map in [0, 1] a head, `(N, H, W, heads)`. `H` and `W` must be divisible
        by 2 once a level.
    """
    image = keras.Input((None, None, 3), name="image")
    *levels, deepest = config.filters

    features, skips = image, []
    for n_filters in levels:
        features = _convolve_twice(features, n_filters, config.dropout, f"down_{n_filters}")
        skips.append(features)
        features = layers.MaxPooling2D(name=f"pool_{n_filters}")(features)

    features = _convolve_twice(features, deepest, config.dropout, f"deepest_{deepest}")

    for n_filters, skip in zip(reversed(levels), reversed(skips), strict=True):
        features = layers.Conv2DTranspose(n_filters, 2, strides=2, padding="same", name=f"up_{n_filters}")(features)
        features = layers.Concatenate(name=f"skip_{n_filters}")([features, skip])
        features = _convolve_twice(features, n_filters, config.dropout, f"merge_{n_filters}")

    # float32 under mixed precision too.
    maps = layers.Conv2D(len(config.heads), 1, activation="sigmoid", dtype="float32", name="maps")(features)
    return keras.Model(image, maps, name="unet")


def _convolve_twice(features: keras.KerasTensor, n_filters: int, dropout: float, name: str) -> keras.KerasTensor:
    def convolve(inputs: keras.KerasTensor, suffix: str) -> keras.KerasTensor:
        return layers.Conv2D(
            n_filters, 3, padding="same", activation="elu", kernel_initializer="he_normal", name=f"{name}_{suffix}"
        )(inputs)

    features = layers.Dropout(dropout, name=f"{name}_dropout")(convolve(features, "a"))
    return convolve(features, "b")
