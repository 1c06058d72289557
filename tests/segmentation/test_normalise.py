import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.segmentation.normalise import normalise


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_grey_is_repeated_and_stays_between_0_and_1(image: np.ndarray) -> None:
    normalised = normalise(image, 1, 99.8)
    assert normalised.shape == (*image.shape, 3)
    assert normalised.dtype == np.float32
    assert normalised.min() >= 0
    assert normalised.max() <= 1
    np.testing.assert_array_equal(normalised[..., 0], normalised[..., 2])


@given(st.integers(1, 200), st.integers(0, 1000))
def test_gain_and_offset_do_not_matter(gain: int, offset: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint16)
    shifted = (image * gain + offset).astype(np.uint16)
    np.testing.assert_allclose(normalise(shifted, 1, 99.8), normalise(image, 1, 99.8), atol=1e-4)


def test_colours_keep_their_proportions() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[0, 0] = (200, 100, 0)
    assert normalise(image, 0, 100)[0, 0] == pytest.approx((1, 0.5, 0))


def test_a_nucleus_smaller_than_what_the_percentiles_leave_out_is_seen() -> None:
    image = np.full((100, 100), 10, np.uint16)
    image[50:53, 50:53] = 500
    assert normalise(image, 1, 99.8)[51, 51, 0] == 1
    assert normalise(image, 1, 99.8).sum() == 9 * 3


def test_an_image_without_contrast_is_black() -> None:
    assert not normalise(np.full((5, 5), 77, np.uint8), 1, 99.8).any()
