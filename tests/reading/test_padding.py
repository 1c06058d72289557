from functools import partial
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.reading.padding import Padding, at_edge, find_padding, padding_search
from app.reading.percentiles import Distribution
from tests.synthetic import discs

# Nuclei of many a brightness on a background that noise and an offset make.
LABELS = discs((120, 160), *((20 + 40 * row, 20 + 40 * column, 9) for row in range(3) for column in range(4)))
GENERATOR = np.random.default_rng(0)
FIELD = (400 + 300 * LABELS * (LABELS > 0) + GENERATOR.poisson(100, LABELS.shape)).astype(np.uint16)
COLOURS = np.dstack([FIELD // 8, FIELD // 10, FIELD // 16]).astype(np.uint8)


def padding_of(image: np.ndarray) -> Padding | None:
    return find_padding(image, Distribution.of(image))[0]


def turned(image: np.ndarray, value: float) -> np.ndarray:
    """By 10 degrees, as a registration leaves it."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 10, 1)
    is_inside = cv2.warpAffine(np.ones((height, width), np.uint8), turn, (width, height), flags=cv2.INTER_NEAREST) > 0
    return np.where(is_inside, image, np.array(value, image.dtype))


@pytest.mark.parametrize("value", [0, 65_535, 777])
@pytest.mark.parametrize(
    "sides", [((50, 50), (50, 50)), ((0, 0), (0, 160)), ((1, 0), (0, 0)), ((0, 0), (0, 1)), ((1, 1), (1, 1))]
)
def test_a_border_is_padding_whatever_its_value(value: int, sides: Any) -> None:
    bordered = np.pad(FIELD, sides, constant_values=value)
    padding, rest = find_padding(bordered, Distribution.of(bordered))
    assert padding is not None
    assert padding.value == value
    np.testing.assert_array_equal(bordered[padding.content], FIELD)
    assert padding.part == pytest.approx(1 - FIELD.size / bordered.size, abs=1e-3)
    assert rest.percentiles((0, 1, 50, 99.8)) == pytest.approx(np.percentile(FIELD, (0, 1, 50, 99.8)), rel=1e-3)


@pytest.mark.parametrize("value", [0, 255])
def test_a_border_of_a_colour_image_is_one_in_all_channels(value: int) -> None:
    bordered = np.pad(COLOURS, ((9, 9), (9, 9), (0, 0)), constant_values=value)
    padding, rest = find_padding(bordered, Distribution.of(bordered))
    assert padding is not None
    np.testing.assert_array_equal(bordered[padding.content], COLOURS)
    assert rest.n_values == COLOURS.size
    assert np.count_nonzero(padding.covers(bordered)) == bordered.size // 3 - COLOURS.size // 3


@pytest.mark.parametrize("value", [0, 65_535])
def test_what_a_mosaic_or_a_turned_image_lacks_is_padding(value: int) -> None:
    lacking = FIELD.copy()
    lacking[60:, 80:] = value
    for image in (lacking, turned(FIELD, value)):
        padding = padding_of(image)
        assert padding is not None
        assert padding.part == pytest.approx(np.mean(image == value))
        assert padding.content == (slice(0, 120), slice(0, 160))


@pytest.mark.parametrize(
    "image",
    [
        FIELD,
        COLOURS,
        np.full((30, 40), 7, np.uint8),
        np.where(LABELS > 0, 200, 0).astype(np.uint8),
        np.where(LABELS > 0, FIELD, 0),
        np.where(LABELS > 0, 0, FIELD),
        np.where(discs((60, 60), (30, 30, 26)) > 0, 900 - np.hypot(*(np.indices((60, 60)) - 30)) * 30, 0),
        np.where(discs(LABELS.shape, (0, 0, 12), (60, 80, 12)) > 0, 65_535, FIELD),
        np.maximum(FIELD, 520) - 520,
    ],
    ids=[
        "a field",
        "a field in colour",
        "one value",
        "two values",
        "the background set to 0",
        "nuclei set to 0",
        "one large nucleus, its background set to 0",
        "saturated nuclei, one of them in the corner",
        "a background that is mostly 0",
    ],
)
def test_what_was_imaged_is_no_padding(image: np.ndarray) -> None:
    distribution = Distribution.of(image)
    assert find_padding(image, distribution) == (None, distribution)


@pytest.mark.parametrize("value", [0, 65_535])
@pytest.mark.parametrize("n_rows", [1, 7, 1000])
def test_rows_at_a_time_tell_what_the_whole_tells(value: int, n_rows: int) -> None:
    for image in (np.pad(FIELD, 11, constant_values=value), turned(FIELD, value), FIELD):
        distribution = Distribution.of(image)
        search = padding_search(image.shape, partial(window_of, image))
        found = None
        if search:
            for first in range(0, image.shape[0], n_rows):
                search.look(image[first : first + n_rows])
            found = search.found(distribution)[0]
        assert found == padding_of(image)


def test_a_border_moves_the_edge_inwards() -> None:
    edge = np.ones(FIELD.shape, bool)
    edge[1:-1, 1:-1] = False
    np.testing.assert_array_equal(at_edge(FIELD, None), edge)
    for sides in (((5, 5), (9, 0)), ((1, 0), (0, 1))):
        bordered = np.pad(FIELD, sides, constant_values=777)
        padding = padding_of(bordered)
        assert padding is not None
        np.testing.assert_array_equal(at_edge(bordered, padding)[padding.content], edge)


@pytest.mark.parametrize("value", [0, 65_535])
def test_what_lies_beside_padding_is_at_the_edge(value: int) -> None:
    image = turned(FIELD, value)
    is_beside = cv2.dilate((image == value).astype(np.uint8), np.ones((3, 3))) > 0
    # A dead pixel is no padding.
    image[60, 80] = value
    edge = at_edge(image, padding_of(image))
    assert is_beside[1:-1, 1:-1].any()
    np.testing.assert_array_equal(edge[1:-1, 1:-1], is_beside[1:-1, 1:-1])


@given(st.integers(0, 60), st.integers(0, 60), st.integers(20, 60), st.sampled_from([0, 65_535]))
def test_a_part_has_the_edge_of_the_whole(row: int, column: int, side: int, value: int) -> None:
    for image in (np.pad(FIELD, 11, constant_values=value), turned(FIELD, value), FIELD):
        padding = padding_of(image)
        window = slice(row, row + side), slice(column, column + side)
        part = at_edge(image[window], padding)
        np.testing.assert_array_equal(part[3:-3, 3:-3], at_edge(image, padding)[window][3:-3, 3:-3])


def window_of(image: NDArray[Any], rows: slice, columns: slice) -> NDArray[Any]:
    return image[rows, columns]
