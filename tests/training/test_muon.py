import keras
import numpy as np

from training.muon import ConvolutionalMuon


def test_a_step_moves_all_singular_directions_of_a_kernel_alike_and_leaves_the_rest_to_adam() -> None:
    network = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(6, 3, name="body"), keras.layers.Conv2D(1, 3, name="head")]
    )
    optimiser = ConvolutionalMuon(0.1, weight_decay=0, adam_weight_decay=0, exclude_layers=["head"])
    before = [variable.numpy() for variable in network.trainable_variables]
    # Of very different sizes in different directions, which Muon makes equal.
    gradients = [
        np.random.default_rng(0).normal(size=array.shape) * np.arange(1, array.shape[-1] + 1) ** 2 for array in before
    ]
    optimiser.apply([keras.ops.cast(gradient, "float32") for gradient in gradients], network.trainable_variables)
    steps = [old - variable.numpy() for old, variable in zip(before, network.trainable_variables, strict=True)]

    kernel = steps[0].reshape(-1, 6)
    singular = np.linalg.svd(kernel, compute_uv=False) / (0.1 * optimiser.rms_rate * np.sqrt(27))
    assert 0.5 < singular.min() <= singular.max() < 1.3
    assert np.vdot(steps[0], gradients[0]) > 0
    for step, gradient in zip(steps[1:], gradients[1:], strict=True):
        np.testing.assert_allclose(step, 0.1 * np.sign(gradient), rtol=1e-3)
