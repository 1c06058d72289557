import base64
import json
import zlib
from dataclasses import asdict, astuple
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.evaluation.matching import THRESHOLDS, average_precision, match, match_all, pixel_scores
from tests.conftest import DATA

REFERENCE = json.loads((DATA / "matching_reference.json").read_text())
# StarDist sums IoUs in float32.
SUMMED = {"panoptic_quality": 1e-6, "mean_matched_score": 1e-6}

EMPTY = np.zeros((4, 4), np.int32)
ONE = EMPTY.copy()
ONE[1:3, 1:3] = 1


def labels_of(encoded: str, shape: list[int]) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(encoded)), "<i4").reshape(shape)


@pytest.mark.parametrize("pair", REFERENCE["pairs"], ids=lambda pair: pair["name"])
def test_matching_is_stardists(pair: dict) -> None:
    truth, labels = (labels_of(pair[name], pair["shape"]) for name in ("truth", "labels"))
    for ours, theirs in zip(match_all(truth, labels), pair["matching"], strict=True):
        for name, value in asdict(ours).items():
            assert value == pytest.approx(theirs[name], abs=SUMMED.get(name, 0), rel=0), name


def test_pixel_scores_worked_out_by_hand() -> None:
    truth = np.array([1, 1, 1, 1, 0, 0], bool)
    mask = np.array([1, 1, 1, 0, 1, 0], bool)
    scores = pixel_scores(truth, mask)
    assert (scores.iou, scores.dice, scores.precision, scores.recall) == (3 / 5, 6 / 8, 3 / 4, 3 / 4)


def test_matching_worked_out_by_hand() -> None:
    # Three true nuclei of 10 pixels: one found exactly, one with 7 of its pixels (IoU 0.7), one missed; one invented.
    truth = np.repeat(np.array([[1], [2], [3], [0]], np.int32), 10, axis=1)
    labels = np.zeros((4, 10), np.int32)
    labels[0], labels[1, :7], labels[3] = 1, 2, 3
    at_half, at_most = match(truth, labels, 0.5), match(truth, labels, 0.75)
    assert (at_half.tp, at_half.fp, at_half.fn) == (2, 1, 1)
    assert at_half.accuracy == 2 / 4
    assert at_half.f1 == at_half.precision == at_half.recall == pytest.approx(2 / 3)
    assert at_half.mean_matched_score == pytest.approx(1.7 / 2)
    assert at_half.panoptic_quality == pytest.approx(1.7 / 3)
    assert (at_most.tp, at_most.fp, at_most.fn) == (1, 2, 2)
    # Five thresholds up to 0.70 count both nuclei, five above count one.
    assert average_precision(match_all(truth, labels)) == pytest.approx((5 * 2 / 4 + 5 * 1 / 5) / 10)


def test_both_empty_is_perfect_and_one_empty_is_nothing() -> None:
    assert set(astuple(pixel_scores(EMPTY > 0, EMPTY > 0))) == {1}
    assert astuple(match(EMPTY, EMPTY, 0.5)) == (0.5, 0, 0, 0, 1, 1, 1, 1, 1, 1)
    for truth, labels in ((ONE, EMPTY), (EMPTY, ONE)):
        assert set(astuple(pixel_scores(truth > 0, labels > 0))) == {0}
        assert match(truth, labels, 0.5).accuracy == 0


def test_thresholds_are_the_fields() -> None:
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


LABELS = hnp.arrays(np.int32, (6, 6), elements=st.integers(0, 4))


@given(LABELS, LABELS)
def test_matching_is_symmetric_and_falls_with_the_threshold(truth: np.ndarray, labels: np.ndarray) -> None:
    truth, labels = (
        np.unique(array, return_inverse=True)[1].reshape(6, 6).astype(np.int32) for array in (truth, labels)
    )
    forth, back = match_all(truth, labels), match_all(labels, truth)
    for one, other in zip(forth, back, strict=True):
        assert (one.tp, one.fp, one.fn, one.f1) == (other.tp, other.fn, other.fp, other.f1)
    assert all(lower.tp >= higher.tp for lower, higher in pairwise(forth))


@given(LABELS)
def test_a_result_equal_to_the_truth_is_perfect(labels: np.ndarray) -> None:
    labels = np.unique(labels, return_inverse=True)[1].reshape(6, 6).astype(np.int32)
    assert average_precision(match_all(labels, labels)) == 1
    assert pixel_scores(labels > 0, labels > 0).iou == 1
