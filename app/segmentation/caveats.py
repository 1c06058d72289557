"""What the reader of a result should know before trusting it."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.segmentation.percentiles import percentiles


class Caveat(NamedTuple):
    """A stable code and a plain sentence."""

    code: str
    message: str


UNLIKE_TRAINING_DATA = Caveat(
    "unlike_training_data",
    "The image does not look like those that the model was trained on; look at the overlay before you use the numbers.",
)
_LOW_CONTRAST = Caveat(
    "low_contrast",
    "Hardly anything in the image is brighter or darker than the rest; what was found may be noise. Expose it longer.",
)
_SATURATED = Caveat(
    "saturated",
    "Many pixels have the highest value there is, so that intensities are too low and neighbours may fuse; expose the "
    "image shorter.",
)
DARK_NUCLEI = Caveat(
    "dark_nuclei",
    "The nuclei are darker than what surrounds them, as in brightfield; if this is fluorescence, the image is inverted "
    "and its intensities mean little.",
)
_NOISY = Caveat("noisy", "The image is very noisy; look at the overlay before you use the numbers.")

# Part of the type's range that the middle 98 % of the pixels span at least.
SMALLEST_RANGE = 0.005
LARGEST_SATURATED_PART = 0.01
# Standard deviation, as a part of what the middle 98 % of the pixels span.
LARGEST_NOISE = 0.2


def contrast_caveats(image: NDArray[Any]) -> list[Caveat]:
    """What is wrong with the light in an image `(H, W)` or `(H, W, 3)` of finite values.

    Low contrast and saturation are told of 8 and 16 bits only, whose range is a camera's; constant images are always of
    low contrast. In colour, white is paper, not saturation. Noise is estimated after Immerkaer 1996 (Fast noise
    variance estimation).
    """
    low, high = percentiles(image, (1, 99))
    if image.max() == image.min():
        return [_LOW_CONTRAST]
    caveats = []
    if image.dtype.kind in "iu" and image.dtype.itemsize <= 2:
        limits = np.iinfo(image.dtype)
        if high - low < SMALLEST_RANGE * (float(limits.max) - float(limits.min)):
            caveats.append(_LOW_CONTRAST)
        if (
            image.ndim == 2
            and np.mean(image == limits.max) > LARGEST_SATURATED_PART
            and np.median(image) < limits.max / 2
        ):
            caveats.append(_SATURATED)
    grey = image if image.ndim == 2 else image.mean(axis=2)
    if high > low and _noise(grey) > LARGEST_NOISE * (high - low):
        caveats.append(_NOISY)
    return caveats


def _noise(grey: NDArray[Any]) -> float:
    second_differences = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = cv2.filter2D(grey.astype(np.float32), -1, second_differences)
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(response).mean())
