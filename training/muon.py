"""The optimiser that learns most from few steps."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("karyometer")
class ConvolutionalMuon(keras.optimizers.Muon):
    """Muon (Jordan et al. 2024, scaled as by Liu et al. 2025, arXiv:2502.16982) for convolutions.

    Keras's own leaves all but matrices to AdamW. Here a kernel `(height, width, in, out)` is taken as a matrix of
    `height * width * in` rows, as Muon's authors do, so that an update moves all its singular directions alike.
    Biases, normalisations and the layers named in `exclude_layers` stay with AdamW.
    """

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) != 4 or any(layer in variable.path for layer in self.exclude_layers)

    def zeropower_via_newtonschulz5(self, x: keras.KerasTensor, steps: int) -> keras.KerasTensor:
        """The nearest kernel whose singular values are all 1, nearly."""
        return ops.reshape(super().zeropower_via_newtonschulz5(ops.reshape(x, (-1, x.shape[-1])), steps), x.shape)

    def lr_adjust(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """The update `x` of a kernel, scaled to the root mean square of Adam's."""
        return x * (self.rms_rate * math.sqrt(max(math.prod(x.shape[:-1]), x.shape[-1])))
