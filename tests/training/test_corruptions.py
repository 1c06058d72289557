import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.synthetic import discs, picture
from training.corruptions import corrupt, corruptions_of

TRUTH = discs((300, 300), *((row, column, 9.0) for row in range(20, 300, 40) for column in range(20, 300, 40)))


def image(is_colour: bool) -> NDArray[np.uint8]:
    grey = picture(TRUTH)
    return np.stack([255 - grey // 2, 255 - grey, 255 - grey // 3], axis=2) if is_colour else grey


@pytest.mark.parametrize("is_colour", [False, True])
def test_each_changes_the_image_and_numbers_the_nuclei_that_are_left(is_colour: bool) -> None:
    shown = image(is_colour)
    for corruption in corruptions_of(shown):
        hard, truth = corrupt(shown, TRUTH, corruption, np.random.default_rng(3))
        again = corrupt(shown, TRUTH, corruption, np.random.default_rng(3))[0]
        np.testing.assert_array_equal(hard, again, corruption)
        assert hard.dtype == (np.uint8 if hard.ndim == 3 else np.uint16), corruption
        assert hard.shape[:2] == truth.shape, corruption
        assert truth.max() == len(np.unique(truth)) - 1 > 0, corruption
        assert np.ptp(hard) > 0, corruption


@pytest.mark.parametrize(("corruption", "times"), [("enlarged 4 times", 4), ("shrunk to 0.25", 0.25)])
def test_nuclei_are_resized_with_the_image(corruption: str, times: float) -> None:
    truth = corrupt(image(False), TRUTH, corruption, np.random.default_rng(0))[1]
    areas = np.bincount(truth.ravel())[1:]
    assert np.sqrt(areas.max() * 4 / np.pi) == pytest.approx(18 * times, rel=0.15)


def test_layers_have_more_nuclei() -> None:
    n_true = [corrupt(image(False), TRUTH, name, np.random.default_rng(0))[1].max() for name in ("noisy", "two layers")]
    assert n_true[1] > 1.3 * n_true[0]


def test_an_image_without_nuclei_stays_as_it_is() -> None:
    nothing = np.zeros_like(TRUTH)
    hard, truth = corrupt(cv2.GaussianBlur(image(False), (0, 0), 3), nothing, "cytoplasm", np.random.default_rng(0))
    assert not truth.any()
    assert hard.dtype == np.uint16
