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

ALPHA_IGNORED = Caveat("alpha_ignored", "The image has transparent pixels; their colour was used as it is.")


def pages_ignored(n_pages: int) -> Caveat:
    """Of a file of several pages, none of which was asked for."""
    return Caveat("pages_ignored", f"The file has {n_pages} pages; only the first was read. Choose with page.")


# Part of the type's range that the middle 98 % of the pixels span at least.
SMALLEST_RANGE = 0.005
LARGEST_SATURATED_PART = 0.01
# Standard deviation, as a part of what the middle 98 % of the pixels span.
LARGEST_NOISE = 0.2


class Light(NamedTuple):
    """How the values of an image are distributed.

    Attributes
    ----------
    dtype
        The image's.
    is_colour
        Whether it is one.
    low, median, high
        Percentiles 1, 50 and 99.
    lowest, highest
        Smallest and largest value.
    part_saturated
        Part of the values that are the largest of the type.
    noise
        Standard deviation of the noise.
    """

    dtype: np.dtype[Any]
    is_colour: bool
    low: float
    median: float
    high: float
    lowest: float
    highest: float
    part_saturated: float
    noise: float


def contrast_caveats(image: NDArray[Any]) -> list[Caveat]:
    """What is wrong with the light in an image `(H, W)` or `(H, W, 3)` of finite values; see `light_caveats`."""
    low, median, high = percentiles(image, (1, 50, 99))
    is_saturated = image == np.iinfo(image.dtype).max if image.dtype.kind in "iu" else np.zeros(1, bool)
    noise = noise_response(image).mean()
    light = Light(
        dtype=image.dtype,
        is_colour=image.ndim == 3,
        low=low,
        median=median,
        high=high,
        lowest=image.min(),
        highest=image.max(),
        part_saturated=float(is_saturated.mean()),
        noise=float(noise),
    )
    return light_caveats(light)


def light_caveats(light: Light) -> list[Caveat]:
    """What is wrong with the light.

    Low contrast and saturation are told of 8 and 16 bits only, whose range is a camera's; constant images are always of
    low contrast. In colour, white is paper, not saturation.
    """
    if light.highest == light.lowest:
        return [_LOW_CONTRAST]
    caveats = []
    if light.dtype.kind in "iu" and light.dtype.itemsize <= 2:
        limits = np.iinfo(light.dtype)
        if light.high - light.low < SMALLEST_RANGE * (float(limits.max) - float(limits.min)):
            caveats.append(_LOW_CONTRAST)
        if not light.is_colour and light.part_saturated > LARGEST_SATURATED_PART and light.median < limits.max / 2:
            caveats.append(_SATURATED)
    if light.high > light.low and light.noise > LARGEST_NOISE * (light.high - light.low):
        caveats.append(_NOISY)
    return caveats


def noise_response(image: NDArray[Any]) -> NDArray[np.float32]:
    """Of each pixel of an image `(H, W)` or `(H, W, C)` a value, whose mean is the noise's standard deviation.

    After Immerkaer 1996 (Fast noise variance estimation); a pixel's value depends on its eight neighbours.
    """
    grey = image if image.ndim == 2 else image.mean(axis=2)
    second_differences = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey.astype(np.float32), -1, second_differences))
    return np.asarray(response * np.float32(np.sqrt(np.pi / 2) / 6))
