"""AlexNet made fully convolutional, for comparison."""

import keras
import numpy as np
from keras import layers

from training.config import TrainingConfig

DROPOUT = 0.5
STRIDE_PX = 32
_GROUPS = 2


def alexnet_fcn(config: TrainingConfig) -> keras.Model:
    """FCN-AlexNet (Long, Shelhamer & Darrell 2015, arXiv:1411.4038), the heads in place of its classes.

    The layers of AlexNet (Krizhevsky et al. 2012) with its two groups and local response normalisation; its fully
    connected layers are convolutions; a 64 x 64 transposed convolution that begins as bilinear interpolation leads
    back to the image's size. Unlike the paper's, the weights begin at random, as those of all networks here.

    Parameters
    ----------
    config
        The heads.

    Returns
    -------
    keras.Model
        float32 `(N, H, W, 3)` to one map in [0, 1] a head, `(N, H, W, heads)`. `H` and `W` must be divisible by 32.
    """
    image = keras.Input((None, None, 3), name="image")
    features = _convolve(image, 96, 11, "conv1", stride=4)
    features = _pool(_normalise_locally(features), "pool1")
    features = _convolve(features, 256, 5, "conv2", groups=_GROUPS)
    features = _pool(_normalise_locally(features), "pool2")
    features = _convolve(features, 384, 3, "conv3")
    features = _convolve(features, 384, 3, "conv4", groups=_GROUPS)
    features = _pool(_convolve(features, 256, 3, "conv5", groups=_GROUPS), "pool5")
    features = layers.Dropout(DROPOUT, name="drop6")(_convolve(features, 4096, 6, "fc6"))
    features = layers.Dropout(DROPOUT, name="drop7")(_convolve(features, 4096, 1, "fc7"))
    score = layers.Conv2D(len(config.heads), 1, name="score")(features)
    maps = layers.Conv2DTranspose(
        len(config.heads),
        2 * STRIDE_PX,
        strides=STRIDE_PX,
        padding="same",
        use_bias=False,
        activation="sigmoid",
        kernel_initializer=bilinear,
        dtype="float32",
        name="maps",
    )(score)
    return keras.Model(image, maps, name="alexnet_fcn")


@keras.saving.register_keras_serializable("karyometer")
def bilinear(shape: tuple[int, int, int, int], dtype: str | None = None) -> keras.KerasTensor:
    """Kernel `(size, size, n, n)` of a transposed convolution that interpolates bilinearly by half its size."""
    size_px, _, n_out, n_in = shape
    ramp = 1 - np.abs(np.arange(size_px) - (size_px - 1) / 2) / (size_px / 2)
    return keras.ops.convert_to_tensor(np.multiply.outer(np.outer(ramp, ramp), np.eye(n_out, n_in)), dtype)


def _convolve(
    features: keras.KerasTensor, n_filters: int, kernel_px: int, name: str, stride: int = 1, groups: int = 1
) -> keras.KerasTensor:
    # Split by hand: TensorFlow has no gradient of a grouped convolution on a CPU.
    n_inputs = features.shape[-1] // groups
    parts = [
        layers.Conv2D(
            n_filters // groups,
            kernel_px,
            strides=stride,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"{name}_{group}",
        )(features[..., group * n_inputs : (group + 1) * n_inputs])
        for group in range(groups)
    ]
    return layers.Concatenate(name=name)(parts) if groups > 1 else parts[0]


def _pool(features: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.MaxPooling2D(3, strides=2, padding="same", name=name)(features)


def _normalise_locally(features: keras.KerasTensor) -> keras.KerasTensor:
    """Local response normalisation over 5 channels, alpha 1e-4 / 5, beta 0.75 as AlexNet's."""
    squares = keras.ops.square(features)
    padded = keras.ops.pad(squares, ((0, 0), (0, 0), (0, 0), (2, 2)))
    n_channels = features.shape[-1]
    nearby = sum(padded[..., shift : shift + n_channels] for shift in range(5))
    return features / keras.ops.power(1 + (1e-4 / 5) * nearby, 0.75)
