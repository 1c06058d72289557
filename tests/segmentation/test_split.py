import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from app.reading.padding import at_edge
from app.segmentation.split import FULL, _split, label, select, split
from tests.synthetic import discs

DEPTH = 0.1


@pytest.mark.parametrize("radius", [4, 10, 25, 60])
@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.4])
def test_two_overlapping_discs_are_two(radius: int, overlap: float) -> None:
    distance = radius * (2 - overlap)
    scene = discs(
        (4 * radius, 6 * radius), (2 * radius, 2 * radius, radius), (2 * radius, 2 * radius + distance, radius)
    )
    assert split(scene > 0, DEPTH).max() == 2


def test_a_chain_of_five_is_five() -> None:
    scene = discs((40, 150), *((20, 20 + 20 * number, 12) for number in range(5)))
    assert split(scene > 0, DEPTH).max() == 5


def test_small_and_large_nuclei_in_one_image() -> None:
    scene = discs((300, 300), (120, 120, 100), (250, 250, 2), (250, 270, 5), (30, 270, 20))
    assert split(scene > 0, DEPTH).max() == 4


@pytest.mark.parametrize("centre", [(0, 30), (59, 30), (30, 0), (30, 59), (0, 0)])
def test_a_nucleus_at_the_border_is_one(centre: tuple[int, int]) -> None:
    assert split(discs((60, 60), (*centre, 15)) > 0, DEPTH).max() == 1


@pytest.mark.parametrize("mask", [np.zeros((5, 7), bool), np.ones((1, 1), bool), np.ones((6, 6), bool)])
def test_nothing_one_pixel_and_everything(mask: np.ndarray) -> None:
    assert split(mask, DEPTH).max() == mask.any()


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)), st.floats(0.01, 0.9))
def test_every_pixel_of_the_mask_and_no_other_gets_a_label(mask: np.ndarray, depth: float) -> None:
    labels = split(mask, depth)
    np.testing.assert_array_equal(labels > 0, mask)
    numbers, first = np.unique(labels[mask], return_index=True)
    np.testing.assert_array_equal(numbers, np.arange(1, labels.max() + 1))
    assert (np.diff(first) > 0).all()
    assert labels.max() >= label(mask).max()


def test_selection_drops_small_and_border_nuclei_and_renumbers() -> None:
    labels = discs((40, 40), (0, 20, 6), (20, 20, 1), (25, 30, 4))
    np.testing.assert_array_equal(select(labels, 6) > 0, (labels == 1) | (labels == 3))
    kept = select(labels, 6, at_edge(labels, None))
    np.testing.assert_array_equal(kept == 1, labels == 3)
    assert kept.max() == 1


@given(st.integers(0, 2**32 - 1), st.integers(6, 580), st.floats(0.1, 1), st.sampled_from([0, 1, 2]))
def test_nuclei_are_those_of_a_watershed_of_the_h_maxima(seed: int, hundreds: int, part: float, sigma_px: int) -> None:
    # Heights differ by hundreds, so that no saddle is as deep as h: there scikit-image divides and `split` does not.
    h = 100 * hundreds + 50
    depth = h / FULL
    generator = np.random.default_rng(seed)
    mask, noise = generator.random((24, 24)) < part, generator.random((24, 24))
    rough = gaussian_filter(noise, sigma_px).ravel().argsort().argsort().reshape(24, 24)
    # No two are equal: of equal tops scikit-image marks each, however shallow the saddle.
    heights = (rough * 100 + 1).astype(np.uint16) * mask
    peaks, blobs = label(h_maxima(heights.astype(np.int64), h) > 0), label(mask)
    flooded = watershed(-heights.astype(np.int64), peaks, mask=np.isin(blobs, blobs[peaks > 0]) & mask, connectivity=2)
    expected = np.where(mask & (flooded == 0), blobs + peaks.max(), flooded)
    found = _split(mask, heights, depth)
    np.testing.assert_array_equal(found > 0, mask)
    assert found.max() == len(np.unique(expected[mask]))
    assert len(np.unique(found[peaks > 0])) == peaks.max()
    # What lies on the slopes of a peak without a mark may be flooded from another side.
    agreeing = [
        np.unique(expected[found == nucleus], return_counts=True)[1].max() for nucleus in np.unique(found[mask])
    ]
    assert sum(agreeing) >= 0.9 * mask.sum()


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(0.1, [0, 1, 1, 1, 0, 2, 2, 3, 0]), (0.06, [0, 1, 1, 1, 0, 2, 2, 3, 0]), (0.02, [0, 1, 2, 2, 0, 3, 3, 4, 0])],
)
def test_a_shallow_saddle_between_equal_tops_parts_nothing(depth: float, expected: list[int]) -> None:
    heights = (FULL * np.array([[0, 1, 0.95, 1, 0, 0.9, 0.2, 0.8, 0]])).astype(np.uint16)
    np.testing.assert_array_equal(_split(heights > 0, heights, depth), [expected])


def test_a_plateau_is_one_nucleus() -> None:
    heights = np.array([[0, 5, 5, 5, 0], [0, 5, 0, 5, 0], [0, 5, 0, 5, 0]], np.uint16)
    np.testing.assert_array_equal(_split(heights > 0, heights, 0.1), heights > 0)
