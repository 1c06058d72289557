import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.inference.normalise import limits_of, normalise
from tests.synthetic import discs

LABELS = discs((200, 200), *((20 + 40 * row, 20 + 40 * column, 8) for row in range(5) for column in range(5)))
GENERATOR = np.random.default_rng(0)
FIELD = (300 + GENERATOR.normal(0, 10, LABELS.shape) + 40 * LABELS + 500 * (LABELS > 0)).round().astype(np.uint16)


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


@pytest.mark.parametrize("value", [0, 65_535])
def test_a_border_changes_nothing_and_becomes_the_median(value: int) -> None:
    normalised = normalise(np.pad(FIELD, 50, constant_values=value), 1, 99.8)
    np.testing.assert_array_equal(normalised[50:-50, 50:-50], normalise(FIELD, 1, 99.8))
    assert (normalised[:50] == np.median(normalise(FIELD, 1, 99.8))).all()


def test_the_content_of_an_image_is_what_its_border_leaves() -> None:
    bordered = np.pad(FIELD, ((3, 5), (0, 7)), constant_values=0)
    assert limits_of(bordered, 1, 99.8).content(bordered.shape) == (slice(3, 203), slice(0, 200))
    assert limits_of(FIELD, 1, 99.8).content(FIELD.shape) == (slice(0, 200), slice(0, 200))


@pytest.mark.parametrize("part", [0.004, 0.01, 0.03])
def test_hot_pixels_neither_set_the_range_nor_stay(part: float) -> None:
    hot = np.where(GENERATOR.random(FIELD.shape) < part, 65_535, FIELD).astype(np.uint16)
    normalised, nuclei = normalise(hot, 1, 99.8)[..., 0], LABELS > 0
    assert normalised[nuclei].mean() > 0.1
    assert normalised[nuclei].mean() > 10 * normalised[~nuclei].mean()
    assert (normalised == 1).mean() < part / 5


def test_nuclei_beside_one_that_is_20_times_as_bright_are_seen() -> None:
    bright = np.where(LABELS == 13, 300 + 20 * (FIELD - 300.0), FIELD).astype(np.uint16)
    normalised = normalise(bright, 1, 99.8)[..., 0]
    assert normalised[(LABELS > 0) & (LABELS != 13)].mean() > 0.15
    assert (normalised[LABELS == 13] == 1).mean() > 0.9


def test_ordinary_images_are_stretched_between_the_percentiles() -> None:
    low, high = np.percentile(FIELD, (1, 99.8))
    expected = np.clip((FIELD - low) / (high - low), 0, 1)
    np.testing.assert_allclose(normalise(FIELD, 1, 99.8)[..., 0], expected, atol=1e-6)
