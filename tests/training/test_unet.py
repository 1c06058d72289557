import numpy as np

from training.architectures import ARCHITECTURES
from training.config import PRESETS


def test_the_original_recipe_is_the_original_recipe() -> None:
    config = PRESETS["original"]
    model = ARCHITECTURES[config.architecture](config)
    assert model.input_shape == (None, 128, 128, 3)
    assert model.output_shape == (None, 128, 128, 1)
    # What the project's first U-Net counted.
    assert model.count_params() == 1_941_105
    layers = [layer for layer in model.layers if "conv2d" in type(layer).__name__.lower()]
    assert [layer.filters for layer in layers if layer.kernel_size == (3, 3)] == [
        *(16, 16, 32, 32, 64, 64, 128, 128, 256, 256),
        *(128, 128, 64, 64, 32, 32, 16, 16),
    ]
    assert {layer.rate for layer in model.layers if hasattr(layer, "rate")} == {0.1}
    assert model.layers[-1].activation.__name__ == "sigmoid"


def test_it_answers_probabilities() -> None:
    config = PRESETS["tiny"]
    probability = ARCHITECTURES[config.architecture](config)(np.ones((2, 32, 32, 3), np.float32)).numpy()
    assert probability.shape == (2, 32, 32, 1)
    assert ((probability > 0) & (probability < 1)).all()
