"""The network in 8-bit whole numbers, which CPUs multiply several times as fast."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from training.serving import Serving

# What becomes whole numbers has names that begin so.
_SCOPE = "quantised"


def quantise(serving: Serving, images: Iterable[NDArray[np.float32]], path: Path) -> None:
    """Write what `app.inference.litert` runs: a LiteRT model with the signature of the SavedModel.

    The network's weights and activations become int8 (Jacob et al. 2018, arXiv:1712.05877); what is made of its answers
    stays float32. Without padding inside: sides must be multiples of `COARSEST_PX`.

    Parameters
    ----------
    serving
        A network at the image's own resolution, whose transposed convolutions have a stride of 2 and a kernel of
        twice an odd number of pixels.
    images
        Normalised images `(H, W, 3)`, sides multiples of `COARSEST_PX`, by which the range of each activation is found.
    path
        The file.
    """
    # In LiteRT the sizes of what is upsampled are constants, unless they follow from the layer itself.
    resizable = keras.models.clone_model(serving.network, clone_function=_resizable)
    weights = {variable.path: variable for variable in serving.network.variables}
    for variable in resizable.variables:
        variable.assign(weights[variable.path])
    contract = serving.contract

    def answer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.name_scope(_SCOPE):
            answers = resizable(image, training=False)
        return serving.outputs(answers)

    spec = [tf.TensorSpec((1, *contract.input_shape[1:]), contract.dtype, name=contract.input_name)]
    signature = tf.function(answer, spec).get_concrete_function()
    # The converter wants constants for weights, which take the names of what comes out along.
    frozen = convert_variables_to_constants_v2(signature)
    names = sorted(signature.structured_outputs)
    module = tf.Module()
    module.call = tf.function(lambda image: dict(zip(names, frozen(image), strict=True)), spec)
    with TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore", category=UserWarning):
        # TensorFlow warns of its own interpreter, which has moved to another package.
        tf.saved_model.save(module, folder, signatures={contract.signature: module.call})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[contract.signature])
        tensors = tf.lite.Interpreter(model_content=converter.convert()).get_tensor_details()
        outside = [tensor["name"] for tensor in tensors if not tensor["name"].startswith(f"{_SCOPE}/")]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ({contract.input_name: image[np.newaxis]} for image in images)
        chooser = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=converter.representative_dataset,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=outside),
        )
        path.write_bytes(chooser.get_nondebug_quantized_model())


def _resizable(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, layers.UpSampling2D):
        return _Repeat(name=layer.name)
    if isinstance(layer, layers.Conv2DTranspose):
        return _SubPixelConvolution(layer)
    return layer.__class__.from_config(layer.get_config())


class _Repeat(layers.Layer):
    """Each pixel four times, as `UpSampling2D` has it."""

    def call(self, features: tf.Tensor) -> tf.Tensor:
        return tf.nn.depth_to_space(tf.concat([features] * 4, axis=-1), 2)


class _SubPixelConvolution(layers.Layer):
    """A transposed convolution as one that answers four pixels in each (Shi et al. 2016, arXiv:1609.05158)."""

    def __init__(self, transposed: layers.Conv2DTranspose) -> None:
        super().__init__(name=transposed.name)
        kernel, bias = (np.asarray(weights) for weights in transposed.get_weights())
        self._activation = transposed.activation
        self._bias = tf.constant(np.tile(bias, 4))
        # A pixel of row 2i + r gets from row i - d what the kernel has in its row 2d + r, counted from its middle.
        middle = kernel.shape[0] // 2 - 1
        reach = middle // 2
        taps = range(-reach, reach + 1)
        of_pixel = [
            np.array(
                [[kernel[middle + row - 2 * down, middle + column - 2 * right].T for right in taps] for down in taps]
            )
            for row in (0, 1)
            for column in (0, 1)
        ]
        self._kernel = tf.constant(np.concatenate(of_pixel, axis=-1))

    def call(self, features: tf.Tensor) -> tf.Tensor:
        convolved = tf.nn.bias_add(tf.nn.conv2d(features, self._kernel, 1, "SAME"), self._bias)
        return self._activation(tf.nn.depth_to_space(convolved, 2))
