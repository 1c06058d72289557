import numpy as np
import pytest

from app.reading.brightness import largest_ordinary
from app.reading.percentiles import Distribution
from tests.synthetic import discs

GENERATOR = np.random.default_rng(0)
SHAPE = (200, 200)
LABELS = discs(SHAPE, *((20 + 40 * row, 20 + 40 * column, 8) for row in range(5) for column in range(5)))
NUCLEI_PART = float((LABELS > 0).mean())
FIELD = 300 + GENERATOR.normal(0, 10, SHAPE) + 800 * (LABELS > 0)


def largest(image: np.ndarray) -> float:
    return largest_ordinary(Distribution.of(image))


def test_ordinary_fields_have_no_outliers() -> None:
    assert largest(FIELD) > FIELD.max()
    assert largest(FIELD.round().astype(np.uint16)) == pytest.approx(largest(FIELD), rel=0.01)
    bright_and_dim = np.where(LABELS % 5 == 0, 300 + 4 * (FIELD - 300), FIELD)
    assert largest(bright_and_dim) > bright_and_dim.max()


def test_gain_and_offset_do_not_matter() -> None:
    assert largest(FIELD * 3 + 1000) == pytest.approx(largest(FIELD) * 3 + 1000)


@pytest.mark.parametrize("part", [0.002, 0.01, 0.03])
@pytest.mark.parametrize("brightness", [20_000, 60_000])
def test_clumps_and_hot_pixels_are_outliers(part: float, brightness: float) -> None:
    for is_bright in (GENERATOR.random(SHAPE) < part, np.arange(FIELD.size).reshape(SHAPE) < part * FIELD.size):
        assert largest(np.where(is_bright, brightness, FIELD)) == pytest.approx(largest(FIELD), rel=0.05)


def test_one_nucleus_20_times_as_bright_is_an_outlier() -> None:
    bright = np.where(LABELS == 13, 300 + 20 * (FIELD - 300), FIELD)
    assert largest(bright) == pytest.approx(largest(FIELD), rel=0.05)


def test_few_nuclei_alone_set_the_range_themselves() -> None:
    few = np.where(LABELS == 13, FIELD, 300 + GENERATOR.normal(0, 10, SHAPE))
    assert (few > 600).mean() < 0.01
    assert largest(few) > few.max()


def test_a_background_of_one_value_is_no_noise() -> None:
    steps = np.where(LABELS > 0, 40, 2) + (GENERATOR.random(SHAPE) < 0.2)
    assert largest(steps.astype(np.uint8)) > steps.max()


def test_where_nuclei_are_dark_the_range_above_the_background_is_short() -> None:
    brightfield = 20_000 + GENERATOR.normal(0, 100, SHAPE) - 12_000 * (LABELS > 0)
    assert brightfield.max() < largest(brightfield) < 30_000
    assert largest(np.where(GENERATOR.random(SHAPE) < 0.02, 65_535, brightfield)) < 30_000


@pytest.mark.parametrize("value", [0, 7.5])
def test_images_without_foreground_have_no_limit(value: float) -> None:
    assert largest(np.full((9, 9), value)) == np.inf
    assert largest(300 + GENERATOR.normal(0, 10, SHAPE)) == np.inf
