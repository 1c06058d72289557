"""The One Hundred Layers Tiramisu and its smaller sister, for comparison."""

import keras
from keras import layers

from training.config import TrainingConfig

FIRST_FILTERS = 48
DROPOUT = 0.2


def tiramisu(config: TrainingConfig, growth: int, n_layers: tuple[int, ...]) -> keras.Model:
    """Fully convolutional DenseNet (Jegou et al. 2017, arXiv:1611.09326), the heads in place of its classes.

    A dense block's layers see all features before them in the block (Huang et al. 2017, arXiv:1608.06993); on the way
    up only the features that a block has added go on, beside the skip connection.

    Parameters
    ----------
    config
        The heads.
    growth
        Features that a layer adds.
    n_layers
        Layers of the dense blocks on the way down, the bottleneck's last; the way up has those of the way down.

    Returns
    -------
    keras.Model
        float32 `(N, H, W, 3)` to one map in [0, 1] a head, `(N, H, W, heads)`. `H` and `W` must be divisible by 32.
    """
    image = keras.Input((None, None, 3), name="image")
    *down, bottleneck = n_layers
    features = layers.Conv2D(FIRST_FILTERS, 3, padding="same", kernel_initializer="he_uniform", name="first")(image)

    skips = []
    for level, n in enumerate(down):
        features = layers.Concatenate(name=f"down_{level}")(
            [features, _dense_block(features, n, growth, f"down_{level}")]
        )
        skips.append(features)
        features = _layer(features, features.shape[-1], 1, f"transition_down_{level}")
        features = layers.MaxPooling2D(name=f"transition_down_{level}_pool")(features)

    added = _dense_block(features, bottleneck, growth, "bottleneck")
    for level, n in reversed(list(enumerate(down))):
        upsampled = layers.Conv2DTranspose(
            added.shape[-1],
            3,
            strides=2,
            padding="same",
            kernel_initializer="he_uniform",
            name=f"transition_up_{level}",
        )(added)
        features = layers.Concatenate(name=f"skip_{level}")([upsampled, skips[level]])
        added = _dense_block(features, n, growth, f"up_{level}")

    features = layers.Concatenate(name="up")([features, added])
    maps = layers.Conv2D(len(config.heads), 1, activation="sigmoid", dtype="float32", name="maps")(features)
    return keras.Model(image, maps, name=f"tiramisu_{growth}")


def fc_densenet56(config: TrainingConfig) -> keras.Model:
    """FC-DenseNet56: growth 12, four layers a block; see `tiramisu`."""
    return tiramisu(config, growth=12, n_layers=(4, 4, 4, 4, 4, 4))


def fc_densenet103(config: TrainingConfig) -> keras.Model:
    """FC-DenseNet103, the One Hundred Layers Tiramisu: growth 16, blocks of 4 to 15 layers; see `tiramisu`."""
    return tiramisu(config, growth=16, n_layers=(4, 5, 7, 10, 12, 15))


def _dense_block(features: keras.KerasTensor, n_layers: int, growth: int, name: str) -> keras.KerasTensor:
    """Only what the block adds."""
    added: list[keras.KerasTensor] = []
    for index in range(n_layers):
        new = _layer(features, growth, 3, f"{name}_{index}")
        added.append(new)
        features = layers.Concatenate(name=f"{name}_{index}_concatenate")([features, new])
    return layers.Concatenate(name=f"{name}_added")(added)


def _layer(features: keras.KerasTensor, n_filters: int, kernel_px: int, name: str) -> keras.KerasTensor:
    features = layers.BatchNormalization(momentum=0.95, name=f"{name}_normalisation")(features)
    features = layers.ReLU(name=f"{name}_relu")(features)
    features = layers.Conv2D(
        n_filters, kernel_px, padding="same", kernel_initializer="he_uniform", name=f"{name}_convolution"
    )(features)
    return layers.Dropout(DROPOUT, name=f"{name}_dropout")(features)
