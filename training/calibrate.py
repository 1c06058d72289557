"""Chooses what the post-processing needs to know of a network, on the validation split."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from tqdm import tqdm

from app.engine.find import find_nuclei
from app.evaluation.matching import Matching, match, matched, pixel_scores, pooled_accuracy
from app.inference.model_card import Calibration, Confidence, Normalisation
from app.inference.predictions import Predictions, Predictor
from app.measurement.measure import confidence_features
from app.measurement.regions import Regions
from app.options import SegmentationOptions
from app.segmentation.split import select
from app.segmentation.threshold import apply_threshold
from training.dataset import Sample
from training.splits import Splits, group_name
from training.targets import normalised_image

THRESHOLDS = tuple(np.round(np.arange(0.05, 0.96, 0.05), 2).tolist())
MARKER_DEPTHS = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3)
MIN_AREAS_PX = (0, 8, 16, 24, 32, 48)
LARGEST_COUNT_ERROR = 0.01
_MOST_OF_ONE_IMAGE = 0.5
# So little that it decides only where the nuclei do not: without it, perfect nuclei would have infinite slopes.
_RIDGE = 1e-3


class Predicted(NamedTuple):
    """An image's predictions and its true labels `(H, W)`."""

    predictions: Predictions
    truth: NDArray[np.int32]


def calibrate(
    predictor: Predictor, samples: Sequence[Sample], splits: Splits, normalisation: Normalisation
) -> Calibration:
    """All of a network's calibration.

    The threshold is the one with the best mean IoU. Of the marker depths and minimum areas with which an image's count
    is off by no more than 1 % on average, up or down, those with the best pooled AP50 are taken; where there are none,
    those with the least count error. In these means a group of the splits counts as much as one image without a group,
    since its images are alike.
    """
    predicted, weights = [], group_weights(samples, splits)
    for sample in tqdm(samples, desc="Predicting val", unit="image"):
        image = normalised_image(sample, normalisation)
        predicted.append(Predicted(predictor.predict(image), sample.labels(image.shape[:2])))
    threshold = max(THRESHOLDS, key=lambda value: _mean_iou(predicted, weights, value))
    candidates = [
        (_merit(matchings, weights), Calibration(threshold=threshold, marker_depth=depth, min_area_px=area))
        for depth in tqdm(MARKER_DEPTHS, desc="Marker depth")
        for area, matchings in _matchings(predicted, threshold, depth).items()
    ]
    best = max(candidates, key=lambda candidate: candidate[0])[1]
    known = [predictions.ood_score for predictions, _ in predicted if predictions.ood_score is not None]
    calibration: Calibration = best.model_copy(
        update={"confidence": fit_confidence(predicted, best), "largest_unlikeness": max(known, default=None)}
    )
    return calibration


def group_weights(samples: Sequence[Sample], splits: Splits) -> NDArray[np.float64]:
    """How much each image counts where all images of a group count as much as one image without a group."""
    groups = [
        group_name(image_id, splits[image_id]) if image_id in splits and splits[image_id].group else image_id
        for image_id in (sample.image_id for sample in samples)
    ]
    n_images = Counter(groups)
    return np.array([1 / n_images[group] for group in groups])


def _mean_iou(predicted: Sequence[Predicted], weights: NDArray[np.float64], threshold: float) -> float:
    ious = [
        pixel_scores(truth > 0, apply_threshold(predictions.probability, threshold)).iou
        for predictions, truth in predicted
    ]
    return float(np.average(ious, weights=weights))


def _matchings(predicted: Sequence[Predicted], threshold: float, depth: float) -> dict[int, list[Matching]]:
    """By minimum area."""
    calibration = Calibration(threshold=threshold, marker_depth=depth, min_area_px=0)
    matchings: dict[int, list[Matching]] = {area: [] for area in MIN_AREAS_PX}
    for predictions, truth in predicted:
        labels = _labels(predictions, calibration)
        for area, of_area in matchings.items():
            of_area.append(match(truth, select(labels, area), 0.5))
    return matchings


def _merit(matchings: Sequence[Matching], weights: NDArray[np.float64]) -> tuple[float, float]:
    # No image counts for more than half: a field of fragments must not decide for all others.
    errors = [
        np.clip(
            (matching.fp - matching.fn) / max(1, matching.tp + matching.fn), -_MOST_OF_ONE_IMAGE, _MOST_OF_ONE_IMAGE
        )
        for matching in matchings
    ]
    count_error = abs(float(np.average(errors, weights=weights)))
    return -max(count_error, LARGEST_COUNT_ERROR), pooled_accuracy(matchings)


def _labels(predictions: Predictions, calibration: Calibration) -> NDArray[np.int32]:
    return find_nuclei(predictions, SegmentationOptions(), calibration)[2]


def fit_confidence(predicted: Sequence[Predicted], calibration: Calibration) -> Confidence:
    """The logistic model (Platt 1999) of a found nucleus being matched by a true one at an IoU of 0.5 or more."""
    features, is_true = [], []
    for predictions, truth in predicted:
        labels = _labels(predictions, calibration)
        features.append(confidence_features(Regions(labels), predictions))
        is_true.append(matched(labels, truth, 0.5))
    columns = np.concatenate(features)
    sign = np.where(np.concatenate(is_true), 1, -1)
    if columns.size == 0:
        return Confidence()

    def loss(weights: NDArray[np.float64]) -> float:
        log_odds = weights[0] + columns @ weights[1:]
        return float(np.logaddexp(0, -sign * log_odds).mean() + _RIDGE * np.square(weights).sum())

    intercept, probability_slope, distance_slope = minimize(loss, np.zeros(3)).x
    return Confidence(intercept=intercept, probability_slope=probability_slope, distance_slope=distance_slope)
