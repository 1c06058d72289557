import numpy as np
import pytest

from app.segmentation.threshold import apply_threshold, threshold_value


def test_at_or_above_the_threshold_is_nucleus() -> None:
    probability = np.array([[0.1, 0.3, 0.31, 0.9]], np.float32)
    assert apply_threshold(probability, 0.3).tolist() == [[False, True, True, True]]


def test_the_mean_rule_includes_pixels_at_the_mean() -> None:
    probability = np.full((3, 3), 0.1, np.float32)
    assert apply_threshold(probability, threshold_value(probability, "mean")).all()


def test_otsu_parts_two_classes_and_finds_nothing_in_one() -> None:
    probability = np.array([[0.1, 0.1, 0.2, 0.8, 0.9, 0.9]], np.float32)
    assert apply_threshold(probability, threshold_value(probability, "otsu")).tolist() == [[False] * 3 + [True] * 3]
    flat = np.full((3, 3), 0.4, np.float32)
    assert not apply_threshold(flat, threshold_value(flat, "otsu")).any()


def test_a_number_is_taken_as_it_is() -> None:
    assert threshold_value(np.zeros((2, 2), np.float32), 0.25) == pytest.approx(0.25)
