import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.morphology import h_maxima

import app.segmentation.split as split_module
from app.segmentation.split import _peaks, label, select, split
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
    assert set(np.unique(labels)) - {0} == set(range(1, labels.max() + 1))
    assert labels.max() >= label(mask).max()


def test_selection_drops_small_and_border_nuclei_and_renumbers() -> None:
    labels = discs((40, 40), (0, 20, 6), (20, 20, 1), (25, 30, 4))
    np.testing.assert_array_equal(select(labels, 6, exclude_border=False) > 0, (labels == 1) | (labels == 3))
    kept = select(labels, 6, exclude_border=True)
    np.testing.assert_array_equal(kept == 1, labels == 3)
    assert kept.max() == 1


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.5))
def test_each_peak_holds_the_points_of_scikit_images_h_maxima(seed: int, depth: float) -> None:
    # Whole multiples of 1/8 and a depth that is none: no peak is exactly as high as the depth.
    relative = (np.random.default_rng(seed).integers(0, 9, (12, 12)) / 8).astype(np.float32)
    relative[0, 0] = 1
    depth = (int(depth * 8) + 0.5) / 8
    peaks, points = label(_peaks(relative, depth)), h_maxima(relative, depth).astype(bool)
    assert peaks[points].all()
    assert set(peaks[points]) == set(range(1, peaks.max() + 1))


@pytest.mark.parametrize("rounds", [0, 3])
def test_blobs_that_dilation_does_not_finish_get_the_same_peaks(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    relative = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    expected = _peaks(relative, 0.3)
    monkeypatch.setattr(split_module, "DILATION_ROUNDS", rounds)
    np.testing.assert_array_equal(_peaks(relative, 0.3), expected)


def test_a_shallow_saddle_between_equal_tops_parts_nothing() -> None:
    relative = np.array([[0, 1, 0.95, 1, 0, 0.9, 0.2, 0.8, 0]], np.float32)
    np.testing.assert_array_equal(label(_peaks(relative, 0.1)), [[0, 1, 1, 1, 0, 2, 0, 3, 0]])
