"""What the network says of an image, at the scale at which its nuclei are best."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine.large_nuclei import merge_large_nuclei
from app.engine.scale import Choice, asked_scale, choose_scale
from app.engine.view import View, view_windows
from app.errors import ImageTooLargeError
from app.inference.load import Model
from app.inference.normalise import stretch
from app.inference.predictions import Predictions, place_content
from app.inference.resampling import at_full_size, predict_copy
from app.options import LARGEST_SCALE, SegmentationOptions
from app.reading.stack import PixelSize


def predict_at_scale(
    model: Model,
    image: NDArray[np.float32],
    options: SegmentationOptions,
    pixel: PixelSize | None = None,
    max_pixels: int | None = None,
) -> tuple[Predictions, Choice]:
    """The network's predictions of a normalised image `(H, W, 3)`, at its own size, and the scale they were made at.

    Raises
    ------
    OptionError
        See `app.engine.scale.asked_scale`.
    ImageTooLargeError
        At the scale that is asked for the image has more than `max_pixels`.
    """
    size_px, largest = image.shape[:2], LARGEST_SCALE
    predict = partial(model.predict, quality=options.quality)
    if max_pixels is not None:
        largest = max(1.0, min(largest, np.sqrt(max_pixels / (size_px[0] * size_px[1]))))
    scale = asked_scale(options, pixel)
    if scale is not None and scale > largest:
        raise ImageTooLargeError(
            f"At a scale of {scale:g} the image has more than {max_pixels} pixels; crop it, or give a scale of at most "
            f"{np.floor(100 * largest) / 100:g}."
        )
    if scale is None and model.card.contract.reach_px is None:
        # The network resizes every image to one size.
        scale = 1.0
    if scale is not None:
        return at_full_size(predict_copy(predict, image, scale), size_px), Choice(scale)
    windows = view_windows(size_px, lambda window: float(image[window][::8, ::8].std()))
    views = [View(predict, image[window], model.card.calibration) for window in windows]
    choice = choose_scale(views, largest)
    if views[0].size_px != size_px:
        return at_full_size(predict_copy(predict, image, choice.scale), size_px), choice
    predictions = at_full_size(views[0].predictions(choice.scale), size_px)
    return merge_large_nuclei(predictions, views[0], choice.scale), choice


def predict_image(
    model: Model,
    image: NDArray[Any],
    options: SegmentationOptions,
    pixel: PixelSize | None = None,
    max_pixels: int | None = None,
) -> tuple[NDArray[np.float32], Predictions, Choice]:
    """An image `(H, W)` or `(H, W, 3)` as decoded: normalised, what the network says of it, and at which scale.

    What was never imaged is not shown to the network; see `predict_at_scale`.
    """
    limits = model.limits(image)
    normalised = stretch(image, limits)
    content = limits.content(normalised.shape)
    predictions, choice = predict_at_scale(model, normalised[content], options, pixel, max_pixels)
    return normalised, place_content(predictions, normalised.shape, content), choice
