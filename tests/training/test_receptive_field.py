import keras
import numpy as np
import pytest

from training.architectures import ARCHITECTURES
from training.config import PRESETS
from training.receptive_field import halo_px


@pytest.mark.parametrize("preset", ["tiny-crops", "unet"])
def test_what_lies_beyond_the_halo_changes_nothing_and_what_lies_within_does(preset: str) -> None:
    keras.utils.set_random_seed(0)
    config = PRESETS[preset]
    network = ARCHITECTURES[config.architecture](config)
    # Untrained residuals are nothing.
    for variable in network.trainable_variables:
        if variable.name == "gamma":
            variable.assign(np.ones(variable.shape))
    halo = halo_px(network)
    image = np.random.default_rng(0).random((1, 512, 64, 3), np.float32)
    cell = slice(256, 288)

    def changed(pixel: int) -> bool:
        other = image.copy()
        other[:, pixel] = 1 - other[:, pixel]
        answers = [network(one, training=False).numpy()[0, cell] for one in (image, other)]
        return not np.array_equal(*answers)

    assert not changed(cell.start - halo - 1)
    assert not changed(cell.stop + halo)
    assert changed(cell.start - halo) or changed(cell.stop - 1 + halo)
