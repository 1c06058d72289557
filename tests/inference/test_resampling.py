import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.inference.predictions import Predictions
from app.inference.resampling import Resampling, at_full_size, predict_copy

SIDES = st.integers(1, 40)
SIZES = st.tuples(SIDES, SIDES)


@given(size=SIZES, new_size=SIZES, n_channels=st.sampled_from([1, 3]), seed=st.integers(0, 99), data=st.data())
def test_a_window_is_made_as_the_whole_is(
    size: tuple[int, int], new_size: tuple[int, int], n_channels: int, seed: int, data: st.DataObject
) -> None:
    image = np.random.default_rng(seed).random((*size, n_channels), np.float32)
    whole = Resampling.between(size, new_size)
    starts = [data.draw(st.integers(0, length - 1)) for length in new_size]
    stops = [data.draw(st.integers(start + 1, length)) for start, length in zip(starts, new_size)]
    window = (slice(starts[0], stops[0]), slice(starts[1], stops[1]))
    source, part = whole.part(window)
    np.testing.assert_array_equal(part.apply(image[source]), whole.apply(image)[window])


@pytest.mark.parametrize(
    ("size", "new_size", "method"),
    [
        ((30, 44), (7, 11), cv2.INTER_AREA),
        ((31, 40), (31, 40), cv2.INTER_LINEAR),
        ((7, 11), (30, 44), cv2.INTER_LINEAR),
        ((1, 1), (3, 2), cv2.INTER_LINEAR),
    ],
)
def test_means_and_interpolates(size: tuple[int, int], new_size: tuple[int, int], method: int) -> None:
    image = np.random.default_rng(0).random((*size, 3), np.float32)
    expected = cv2.resize(image, new_size[::-1], interpolation=method)
    np.testing.assert_allclose(Resampling.between(size, new_size).apply(image), expected, atol=1e-6)


def test_grey_stays_one_channel_in_memory() -> None:
    grey = np.random.default_rng(0).random((20, 30), np.float32)
    resampling = Resampling.between((20, 30), (10, 12))
    shrunk = resampling.apply(np.broadcast_to(grey[..., np.newaxis], (20, 30, 3)))
    assert (shrunk.shape, shrunk.strides[2]) == ((10, 12, 3), 0)
    np.testing.assert_array_equal(shrunk[..., 1], resampling.apply(grey))


def test_at_a_scale_of_one_the_network_sees_the_image_itself() -> None:
    image = np.random.default_rng(0).random((20, 30, 3), np.float32)
    seen = []

    def predict(shown: NDArray[np.float32]) -> Predictions:
        seen.append(shown)
        return Predictions(shown[..., 0])

    predictions = predict_copy(predict, image, 1)
    assert seen[0] is image
    assert at_full_size(predictions, image.shape) is predictions
