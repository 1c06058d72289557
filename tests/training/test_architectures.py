import numpy as np
import pytest
import tensorflow as tf

from training.architectures import ARCHITECTURES
from training.architectures.alexnet_fcn import bilinear
from training.config import PRESETS


def test_the_original_recipe_is_the_original_recipe() -> None:
    config = PRESETS["original"]
    model = ARCHITECTURES[config.architecture](config)
    assert model.output_shape == (None, None, None, 1)
    # What the project's first U-Net counted.
    assert model.count_params() == 1_941_105
    layers = [layer for layer in model.layers if "conv2d" in type(layer).__name__.lower()]
    assert [layer.filters for layer in layers if layer.kernel_size == (3, 3)] == [
        *(16, 16, 32, 32, 64, 64, 128, 128, 256, 256),
        *(128, 128, 64, 64, 32, 32, 16, 16),
    ]
    assert {layer.rate for layer in model.layers if hasattr(layer, "rate")} == {0.1}
    assert model.layers[-1].activation.__name__ == "sigmoid"


@pytest.mark.parametrize(
    ("name", "n_parameters", "n_convolutions"),
    [
        # 57 M, 1.5 M and 9.4 M in their papers, whose scores have 21 and 11 classes instead of our heads.
        ("alexnet_fcn", 56_950_148, 12),
        ("fc_densenet56", 1_396_612, 56),
        ("fc_densenet103", 9_423_364, 103),
        ("fast_unet", 2_144_196, 31),
    ],
)
def test_a_network_is_as_large_as_its_paper_says(name: str, n_parameters: int, n_convolutions: int) -> None:
    model = ARCHITECTURES[name](PRESETS["fast"])
    assert model.count_params() == n_parameters
    assert sum("Conv2D" in type(layer).__name__ for layer in model.layers) == n_convolutions


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_one_map_a_head_of_the_image_size(name: str) -> None:
    config = PRESETS["tiny-crops"]
    maps = ARCHITECTURES[name](config)(np.ones((2, 64, 96, 3), np.float32)).numpy()
    assert maps.shape == (2, 64, 96, len(config.heads))
    assert ((maps > 0) & (maps < 1)).all()


def test_the_bilinear_kernel_keeps_a_constant() -> None:
    kernel = bilinear((8, 8, 2, 2)).numpy()
    score = np.ones((1, 4, 4, 2), np.float32)
    upsampled = tf.nn.conv2d_transpose(score, kernel, (1, 16, 16, 2), 4).numpy()
    np.testing.assert_allclose(upsampled[0, 4:-4, 4:-4], 1, atol=1e-6)
