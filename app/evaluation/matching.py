"""A segmentation against its ground truth, with the field's names.

Where truth and prediction are both empty, nothing was missed and nothing invented: every score is 1. Where only one of
them is empty, every score is 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import maximum_bipartite_matching

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


@dataclass(frozen=True)
class PixelScores:
    """Agreement of two masks, pixel by pixel; `iou` is the Jaccard index TP/(TP+FP+FN), `dice` 2TP/(2TP+FP+FN)."""

    iou: float
    dice: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Matching:
    """Agreement of two label images at one IoU threshold, with the names of StarDist's `matching`.

    `accuracy` is TP/(TP+FP+FN), which Cellpose and the 2018 Data Science Bowl call average precision at a threshold.
    `panoptic_quality` follows Kirillov et al. 2019 (arXiv:1801.00868).
    """

    thresh: float
    tp: int
    fp: int
    fn: int
    precision: float
    recall: float
    f1: float
    accuracy: float
    panoptic_quality: float
    mean_matched_score: float


class Pairs(NamedTuple):
    """True and predicted nuclei that were paired, `(n,)` each, in the order of the predicted ones.

    Attributes
    ----------
    truth, label
        Their numbers, from 1.
    iou
        Of each pair.
    """

    truth: NDArray[np.intp]
    label: NDArray[np.intp]
    iou: NDArray[np.float64]


def pixel_scores(truth: NDArray[np.bool_], mask: NDArray[np.bool_]) -> PixelScores:
    """Compare two masks of the same shape.

    Examples
    --------
    >>> pixel_scores(np.array([True, True, False]), np.array([True, False, False])).iou
    0.5
    """
    tp = int(np.count_nonzero(truth & mask))
    fp = int(np.count_nonzero(mask)) - tp
    fn = int(np.count_nonzero(truth)) - tp
    if tp + fp + fn == 0:
        return PixelScores(1.0, 1.0, 1.0, 1.0)
    return PixelScores(
        iou=_ratio(tp, tp + fp + fn),
        dice=_ratio(2 * tp, 2 * tp + fp + fn),
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
    )


def match(truth: NDArray[np.int32], labels: NDArray[np.int32], thresh: float) -> Matching:
    """Pair true and predicted nuclei whose IoU is at or above `thresh`, each at most once, as many as can be.

    Parameters
    ----------
    truth, labels
        Label images of the same shape, 0 is background, nuclei are 1..N.
    thresh
        0.5 or more: then a nucleus has, but for ties at exactly 0.5, at most one partner.
    """
    return match_all(truth, labels, (thresh,))[0]


def pairs(truth: NDArray[np.int32], labels: NDArray[np.int32], thresh: float) -> Pairs:
    """Which nuclei `match` pairs.

    Examples
    --------
    >>> found = pairs(np.array([[1, 0, 2, 2]]), np.array([[0, 0, 0, 1]]), 0.5)
    >>> found.truth, found.label, found.iou
    (array([2]), array([1]), array([0.5]))
    """
    return _pairs(_intersection_over_union(truth, labels), thresh)


def match_all(
    truth: NDArray[np.int32], labels: NDArray[np.int32], thresholds: tuple[float, ...] = THRESHOLDS
) -> list[Matching]:
    """`match` at several thresholds, the overlaps counted once."""
    overlap_iou = _intersection_over_union(truth, labels)
    return [_matching(overlap_iou, thresh) for thresh in thresholds]


def average_precision(matchings: list[Matching]) -> float:
    """Mean accuracy TP/(TP+FP+FN) over the thresholds, as in the 2018 Data Science Bowl; this is not COCO's AP."""
    return float(np.mean([matching.accuracy for matching in matchings]))


def pooled_accuracy(matchings: Iterable[Matching]) -> float:
    """TP/(TP+FP+FN) over the nuclei of several images together; 1 where there are none.

    Examples
    --------
    >>> nuclei, none = np.array([[1, 0, 2]]), np.array([[0, 0, 0]])
    >>> pooled_accuracy([match(nuclei, nuclei, 0.5), match(nuclei, none, 0.5)])
    0.5
    """
    counts = [(matching.tp, matching.tp + matching.fp + matching.fn) for matching in matchings]
    n_all = sum(of_image for _, of_image in counts)
    return sum(tp for tp, _ in counts) / n_all if n_all else 1.0


def pooled_f1(matchings: Iterable[Matching]) -> float:
    """2TP/(2TP+FP+FN) over the nuclei of several images together; 1 where there are none."""
    accuracy = pooled_accuracy(matchings)
    return 2 * accuracy / (1 + accuracy)


def matched(labels: NDArray[np.int32], others: NDArray[np.int32], thresh: float) -> NDArray[np.bool_]:
    """Whether each nucleus of `labels`, `(N,)`, has one in `others` with an IoU at or above `thresh`, 0.5 or more.

    Examples
    --------
    >>> matched(np.array([[1, 0, 2]]), np.array([[0, 0, 1]]), 0.5)
    array([False,  True])
    """
    overlap_iou = _intersection_over_union(labels, others)
    found: NDArray[np.bool_] = (overlap_iou >= thresh).sum(axis=1) > 0
    return found


def _intersection_over_union(truth: NDArray[np.int32], labels: NDArray[np.int32]) -> sparse.csr_array:
    """IoU of every pair of nuclei that overlap, `(n_true, n_predicted)`; sparse, so linear in pixels."""
    n_true, n_predicted = int(truth.max(initial=0)), int(labels.max(initial=0))
    shape = (n_true + 1, n_predicted + 1)
    ones = np.ones(truth.size, np.int64)
    overlap = sparse.coo_array((ones, (truth.ravel(), labels.ravel())), shape=shape).tocsr()
    area_true = np.bincount(truth.ravel(), minlength=n_true + 1)[1:]
    area_predicted = np.bincount(labels.ravel(), minlength=n_predicted + 1)[1:]
    pairs = overlap[1:, 1:].tocoo()
    row, column = pairs.coords
    union = area_true[row] + area_predicted[column] - pairs.data
    return sparse.coo_array((pairs.data / union, (row, column)), shape=pairs.shape).tocsr()


def _pairs(overlap_iou: sparse.csr_array, thresh: float) -> Pairs:
    candidates = overlap_iou.copy()
    candidates.data[candidates.data < thresh] = 0
    candidates.eliminate_zeros()
    partner = maximum_bipartite_matching(sparse.csr_matrix(candidates), perm_type="column")
    rows = np.flatnonzero(partner >= 0)
    rows = rows[np.argsort(partner[rows])]
    scores = np.array([candidates[row, partner[row]] for row in rows], np.float64)
    return Pairs(rows + 1, partner[rows].astype(np.intp) + 1, scores)


def _matching(overlap_iou: sparse.csr_array, thresh: float) -> Matching:
    n_true, n_predicted = overlap_iou.shape
    scores = _pairs(overlap_iou, thresh).iou
    tp, matched_score = len(scores), float(sum(scores))
    fp, fn = n_predicted - tp, n_true - tp
    if tp + fp + fn == 0:
        return Matching(thresh, 0, 0, 0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    return Matching(
        thresh=thresh,
        tp=tp,
        fp=fp,
        fn=fn,
        precision=_ratio(tp, tp + fp),
        recall=_ratio(tp, tp + fn),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        accuracy=_ratio(tp, tp + fp + fn),
        panoptic_quality=_ratio(2 * matched_score, 2 * tp + fp + fn),
        mean_matched_score=_ratio(matched_score, tp),
    )


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0
