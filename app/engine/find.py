"""The nuclei in what the network says."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine.predict import predict_image
from app.engine.scale import Choice, calibration_at
from app.inference.load import Model
from app.inference.model_card import Calibration
from app.inference.predictions import Predictions
from app.measurement.measure import confidences
from app.measurement.regions import Regions
from app.options import SegmentationOptions
from app.reading.padding import at_edge
from app.segmentation.split import keep_only, label, select, split
from app.segmentation.threshold import ThresholdRule, apply_threshold, threshold_value


def find_labels(model: Model, image: NDArray[Any], options: SegmentationOptions) -> tuple[NDArray[np.int32], Choice]:
    """The nuclei of an image `(H, W)` or `(H, W, 3)` as decoded, and the scale at which they were found."""
    _, predictions, choice = predict_image(model, image, options)
    return find_nuclei(predictions, options, calibration_at(model.card.calibration, choice.scale))[2], choice


def applied(options: SegmentationOptions, calibration: Calibration) -> tuple[ThresholdRule | float, int]:
    """How the threshold is found, or what it is, and the minimum area: as asked for, or as calibrated."""
    threshold = calibration.threshold if options.threshold == "model" else options.threshold
    return threshold, calibration.min_area_px if options.min_area_px is None else options.min_area_px


def find_nuclei(
    predictions: Predictions,
    options: SegmentationOptions,
    calibration: Calibration,
    border: NDArray[np.bool_] | None = None,
) -> tuple[float, int, NDArray[np.int32]]:
    """The threshold and the minimum area that were applied, and the labels.

    Where nuclei at the border are excluded, `border`, bool `(H, W)`, says where that is (see
    `app.reading.padding.at_edge`); without it, it is the predictions' own edge.
    """
    rule, min_area_px = applied(options, calibration)
    threshold = threshold_value(predictions.probability, rule)
    mask = apply_threshold(predictions.probability, threshold)
    labels = split(mask, calibration.marker_depth, predictions.distance) if options.split_touching else label(mask)
    if border is None:
        border = at_edge(predictions.probability, None)
    labels = select(labels, min_area_px, border if options.exclude_border else None)
    min_confidence = calibration.min_confidence if options.min_confidence is None else options.min_confidence
    if min_confidence > 0:
        likely = confidences(Regions(labels), predictions, calibration.confidence)
        labels = keep_only(labels, likely >= min_confidence)
    return threshold, min_area_px, labels
