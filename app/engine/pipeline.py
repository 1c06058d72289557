"""The whole story: from the bytes of an image to its nuclei, and from a ground truth to scores."""

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.engine.assemble import Applied, assemble_plane, pixel_size
from app.engine.blocks import find_in_blocks, measure_in_blocks
from app.engine.canvas import CanvasPredictions
from app.engine.find import applied, find_nuclei
from app.engine.predict import predict_image
from app.engine.result import Evaluation, PlaneResult
from app.engine.scale import Choice, calibration_at
from app.engine.timing import timed
from app.errors import SizeMismatchError
from app.evaluation.matching import average_precision, match_all, pixel_scores
from app.evaluation.truth import read_truth
from app.inference.load import Model
from app.inference.model_card import Calibration
from app.inference.predictions import Predictions
from app.measurement.intensities import background as background_of
from app.measurement.measure import Measurements, measure
from app.options import SegmentationOptions
from app.reading.memmap import Window
from app.reading.padding import at_edge
from app.reading.stack import DecodedImage, PixelSize
from app.segmentation.split import select
from app.segmentation.threshold import threshold_value

# Larger images are split and measured in blocks, with the same result.
MOST_WHOLE_PX = 4_000_000
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Call(Protocol):
    """Calls a function, in this process or another."""

    def __call__(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What it answers."""
        ...


def here(function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call it in this process."""
    return function(*args, **kwargs)


def segment_plane(
    model: Model,
    decoded: DecodedImage,
    options: SegmentationOptions,
    filename: str | None,
    max_pixels: int,
    timing_ms: dict[str, float],
) -> PlaneResult:
    """The nuclei of one plane in memory.

    Parameters are those of `app.engine.engine.Engine`, and so are the errors; `timing_ms` is what decoding took.
    """
    size = pixel_size(decoded, options)
    with timed(timing_ms, "predict"):
        normalised, predictions, choice = predict_image(model, decoded.image, options, size, max_pixels)
    calibration = calibration_at(model.card.calibration, choice.scale)
    find = _find_in_blocks if predictions.probability.size > MOST_WHOLE_PX else _find_whole
    threshold, min_area_px, labels, measured = find(decoded, predictions, options, calibration, size, timing_ms)
    return assemble_plane(
        model,
        decoded,
        options,
        filename,
        labels=labels,
        measured=measured,
        applied=Applied(threshold, min_area_px, choice),
        has_colour=decoded.channels.shape[2] > 1,
        ood_score=predictions.ood_score,
        timing_ms=timing_ms,
        normalised=normalised,
    )


def measure_plane(
    model: Model,
    decoded: DecodedImage,
    labels: NDArray[np.int32],
    options: SegmentationOptions,
    filename: str | None,
    timing_ms: dict[str, float],
    corrected_from: str | None = None,
) -> PlaneResult:
    """Known nuclei of one plane in memory; see `app.engine.engine.Engine.measure`."""
    if labels.shape != (decoded.height, decoded.width):
        raise SizeMismatchError(
            f"The labels are {' x '.join(map(str, labels.shape))} pixels, the image {decoded.height} x {decoded.width} "
            "(height x width); send labels of the image's size."
        )
    size = pixel_size(decoded, options)
    if options.exclude_border:
        labels = select(labels, 0, at_edge(decoded.image, decoded.padding))
    with timed(timing_ms, "measure"):
        confidence = model.card.calibration.confidence
        measured = measure(labels, decoded.image, decoded.channels, None, confidence, size, decoded.padding)
    return assemble_plane(
        model,
        decoded,
        options,
        filename,
        labels=labels,
        measured=measured,
        applied=Applied(None, 0, Choice(1.0)),
        has_colour=decoded.channels.shape[2] > 1,
        ood_score=None,
        timing_ms=timing_ms,
        normalised=model.normalise(decoded.image),
        corrected_from=corrected_from,
    )


def _find_whole(
    decoded: DecodedImage,
    predictions: Predictions,
    options: SegmentationOptions,
    calibration: Calibration,
    pixel_size: PixelSize | None,
    timing_ms: dict[str, float],
) -> tuple[float, int, NDArray[np.int32], Measurements]:
    """Threshold and minimum area that were applied, labels and what was measured."""
    with timed(timing_ms, "split"):
        border = at_edge(decoded.image, decoded.padding)
        threshold, min_area_px, labels = find_nuclei(predictions, options, calibration, border)
    with timed(timing_ms, "measure"):
        image, channels = decoded.image, decoded.channels
        measured = measure(labels, image, channels, predictions, calibration.confidence, pixel_size, decoded.padding)
    return threshold, min_area_px, labels, measured


def _find_in_blocks(
    decoded: DecodedImage,
    predictions: Predictions,
    options: SegmentationOptions,
    calibration: Calibration,
    pixel_size: PixelSize | None,
    timing_ms: dict[str, float],
) -> tuple[float, int, NDArray[np.int32], Measurements]:
    """As `_find_whole`; large images need less memory so."""
    image, channels = decoded.image, decoded.channels
    canvases = CanvasPredictions(predictions.probability, predictions.distance)

    def split_window(window: Window) -> NDArray[np.int32]:
        border = at_edge(image[window], decoded.padding)
        return find_nuclei(canvases.window(window), fixed, calibration, border)[2]

    with timed(timing_ms, "split"):
        rule, min_area_px = applied(options, calibration)
        threshold = threshold_value(predictions.probability, rule)
        fixed = options.model_copy(update={"threshold": threshold})
        labels = np.zeros(predictions.probability.shape, np.int32)
        found = find_in_blocks(canvases, labels, threshold, split_window, labels.size)
    with timed(timing_ms, "measure"):
        measured = measure_in_blocks(
            found,
            labels,
            lambda window: (image[window], channels[window]),
            canvases,
            calibration.confidence,
            pixel_size,
            background_of(labels, image, channels, decoded.padding),
            decoded.padding,
        )
        labels = found.numbers.astype(np.int32)[labels]
    return threshold, min_area_px, labels, measured


def score_plane(plane: PlaneResult, mask_data: bytes, max_pixels: int, call: Call) -> Evaluation:
    """Score a plane in memory against the bytes of its ground-truth mask.

    Raises
    ------
    SizeMismatchError
        The mask's size is not the image's.
    ImageError, EmptyUploadError
        The mask cannot be read.
    """
    truth = call(read_truth, mask_data, max_pixels)
    labels = plane.labels
    size, mask_size = labels.shape, truth.labels.shape
    if size != mask_size:
        raise SizeMismatchError(
            f"The mask is {mask_size[0]} x {mask_size[1]} pixels, the image {size[0]} x {size[1]} "
            "(height x width); send a mask of the image's size."
        )
    matching = match_all(truth.labels, labels)
    return Evaluation(
        truth=truth.labels,
        mask_kind=truth.kind,
        mask_warnings=truth.warnings,
        count_predicted=plane.count,
        count_true=int(truth.labels.max()),
        pixels=pixel_scores(truth.labels > 0, labels > 0),
        matching=matching,
        average_precision=average_precision(matching),
    )
