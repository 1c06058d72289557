"""The result of a plane, put together from what was read, found and measured, whether in memory or out of core."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.engine.count_doubt import count_signals, count_warnings
from app.engine.result import LabelsOnDisk, PlaneResult
from app.engine.scale import Choice
from app.inference.load import Model
from app.inference.model_card import Calibration
from app.measurement.measure import Measurements, Table
from app.options import SegmentationOptions
from app.reading.stack import ImageDescription, PixelSize
from app.reading.warnings import DARK_NUCLEI, SCALE_UNCERTAIN, UNLIKE_TRAINING_DATA, ImageWarning

# Two sizes of a pixel that differ by more are two sizes.
_SIZE_TOLERANCE = 0.01


class Applied(NamedTuple):
    """What became of the options.

    Attributes
    ----------
    threshold
        Probability at or above which a pixel is nucleus; None where nuclei were given.
    min_area_px
        Smallest nucleus that is kept.
    scale
        At which the network saw the image, and whether another one would find another number of nuclei.
    """

    threshold: float | None
    min_area_px: int
    scale: Choice


def assemble_plane(
    model: Model,
    image: ImageDescription,
    options: SegmentationOptions,
    filename: str | None,
    *,
    labels: NDArray[np.int32] | LabelsOnDisk,
    measured: Measurements,
    applied: Applied,
    has_colour: bool,
    ood_score: float | None,
    timing_ms: dict[str, float],
    normalised: NDArray[np.float32] | None = None,
    corrected_from: str | None = None,
) -> PlaneResult:
    """A plane's result with all that is to be known before it is trusted.

    Parameters
    ----------
    image
        What was read, with the warnings of reading.
    labels, normalised, timing_ms, corrected_from
        See `PlaneResult`.
    has_colour
        Whether the image has pixels that are not grey.
    ood_score
        See `app.inference.predictions.Predictions`.
    """
    signals = count_signals(measured.nuclei, applied.scale.is_uncertain, ood_score)
    is_found = applied.threshold is not None
    return PlaneResult(
        filename=filename,
        image=image,
        stored_labels=labels,
        normalised=normalised,
        nuclei=measured.nuclei,
        background=measured.background,
        options=options,
        pixel_size=pixel_size(image, options),
        threshold=applied.threshold,
        min_area_px=applied.min_area_px,
        scale=applied.scale.scale,
        warnings=(
            *image.warnings,
            *_size_warnings(image, options),
            *([SCALE_UNCERTAIN] if applied.scale.is_uncertain else []),
            *_nuclei_warnings(measured.nuclei, image.channel is None and has_colour),
            *_ood_warnings(ood_score, model.card.calibration),
            *(count_warnings(signals, model.card.calibration) if is_found else []),
        ),
        count_signals=signals,
        card=model.card,
        dtype=model.predictor.dtype,
        timing_ms=timing_ms,
        corrected_from=corrected_from,
    )


def pixel_size(image: ImageDescription, options: SegmentationOptions) -> PixelSize | None:
    """How large a pixel is: the option beats the file."""
    of_file, side_um = image.pixel_size, options.pixel_size_um
    if side_um is not None:
        return PixelSize(side_um, side_um)
    if of_file is not None and of_file.side_um is not None:
        # What was rounded twice is one number.
        return PixelSize(of_file.side_um, of_file.side_um)
    return of_file


def _size_warnings(image: ImageDescription, options: SegmentationOptions) -> list[ImageWarning]:
    """Whether the option says another size than the file."""
    of_file, side_um = image.pixel_size, options.pixel_size_um
    if side_um is None or of_file is None or all(abs(side_um - side) <= _SIZE_TOLERANCE * side for side in of_file):
        return []
    said = f"{of_file.col_um:.4g} micrometres wide"
    if of_file.side_um is None:
        said += f" and {of_file.row_um:.4g} high"
    return [
        ImageWarning(
            "pixel_size_differs", f"The file says that a pixel is {said}; {side_um:.4g} was used, as asked for."
        )
    ]


def _nuclei_warnings(nuclei: Table, is_colour: bool) -> list[ImageWarning]:
    """Whether most nuclei of a grey image are darker than their surroundings; in colour they always are."""
    n_dark = np.count_nonzero(nuclei["intensity_integrated"] < 0)
    return [DARK_NUCLEI] if not is_colour and n_dark > len(nuclei["label"]) / 2 else []


def _ood_warnings(ood_score: float | None, calibration: Calibration) -> list[ImageWarning]:
    """Whether an image is farther from the training data than the card allows."""
    limit = calibration.largest_unlikeness
    is_unlike = ood_score is not None and limit is not None and ood_score > limit
    return [UNLIKE_TRAINING_DATA] if is_unlike else []
