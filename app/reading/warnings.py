"""What the reader of a result should know before trusting it."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.reading.brightness import largest_ordinary
from app.reading.padding import Padding, find_padding
from app.reading.percentiles import Distribution


class ImageWarning(NamedTuple):
    """A stable code and a plain sentence."""

    code: str
    message: str


UNLIKE_TRAINING_DATA = ImageWarning(
    "unlike_training_data",
    "The image does not look like those that the model was trained on; look at the overlay before you use the numbers.",
)
SCALE_UNCERTAIN = ImageWarning(
    "scale_uncertain",
    "At another scale the number of nuclei would differ by more than a quarter; look at the overlay, or give their "
    "width with diameter_px.",
)
COUNT_UNCERTAIN = ImageWarning(
    "count_uncertain",
    "The count may be off by more than 25 %: nuclei have little confidence or very different sizes, scales disagree, "
    "or the image is of an unknown kind; look at the overlay, and count a part of it by eye.",
)
_LOW_CONTRAST = ImageWarning(
    "low_contrast",
    "Hardly anything in the image is brighter or darker than the rest; what was found may be noise. Expose it longer.",
)
_SATURATED = ImageWarning(
    "saturated",
    "Many pixels have the highest value there is, so that intensities are too low and neighbours may fuse; expose the "
    "image shorter.",
)
DARK_NUCLEI = ImageWarning(
    "dark_nuclei",
    "The nuclei are darker than what surrounds them, as in brightfield; if this is fluorescence, the image is inverted "
    "and its intensities mean little.",
)
_NOISY = ImageWarning("noisy", "The image is very noisy; look at the overlay before you use the numbers.")
_BORDER_EXCLUDED = ImageWarning(
    "border_excluded",
    "A border or a missing tile, all of one value, was taken for no part of the image; if it is one, crop the image so "
    "that its corners are not of one value.",
)
_BRIGHT_OUTLIERS = ImageWarning(
    "bright_outliers",
    "Some pixels are many times as bright as most nuclei and were taken for debris when the range was chosen; look at "
    "the overlay, and crop debris away where it counts as nuclei.",
)

ALPHA_IGNORED = ImageWarning("alpha_ignored", "The image has transparent pixels; their colour was used as it is.")


def pages_ignored(n_pages: int) -> ImageWarning:
    """Of a file of several pages, none of which was asked for."""
    return ImageWarning("pages_ignored", f"The file has {n_pages} pages; only the first was read. Choose with page.")


def scenes_ignored(n_scenes: int, scene: int) -> ImageWarning:
    """Of a file of several images, none of which was asked for."""
    return ImageWarning(
        "scenes_ignored", f"The file has {n_scenes} scenes; only scene {scene} was read. Choose with scene, from 0."
    )


def metadata_unreadable(kind: str) -> ImageWarning:
    """Of metadata that are cut, of no valid form, or that contradict themselves or the file."""
    return ImageWarning(
        "metadata_unreadable",
        f"The file's {kind} could not be read in full, or contradicts the file; see that the channels, the pages and "
        "the pixel size are right.",
    )


def planes_missing(n_promised: int, n_read: int) -> ImageWarning:
    """Of an image some of whose planes are not in the file."""
    return ImageWarning(
        "planes_missing",
        f"The file says that the image has {n_promised} planes, of which {n_read} are whole and were read; the others "
        "may be in further files of the set. Send those too, or all of them as one file.",
    )


# Part of the type's range that the middle 98 % of the pixels span at least.
SMALLEST_RANGE = 0.005
LARGEST_SATURATED_PART = 0.01
_CAMERA_WHITES = (2**10 - 1, 2**12 - 1, 2**14 - 1)
# Standard deviation, as a part of what the middle 98 % of the pixels span.
LARGEST_NOISE = 0.2
# How many times as bright as what most nuclei explain the brightest pixels are.
LARGEST_OUTLIER = 1.5


class LightStatistics(NamedTuple):
    """How the values of an image are distributed.

    Attributes
    ----------
    dtype
        The image's.
    is_colour
        Whether it is one.
    distribution
        Of all values but the padding's.
    padding
        What was never imaged.
    noise
        Standard deviation of the noise.
    """

    dtype: np.dtype[Any]
    is_colour: bool
    distribution: Distribution
    padding: Padding | None
    noise: float


def light_statistics(image: NDArray[Any]) -> LightStatistics:
    """Those of an image `(H, W)` or `(H, W, 3)` of finite values."""
    padding, distribution = find_padding(image, Distribution.of(image))
    response = noise_response(image)
    noise = float(response.mean() if padding is None else response[~near(padding.covers(image))].mean())
    return LightStatistics(image.dtype, image.ndim == 3, distribution, padding, noise)


def light_warnings(light: LightStatistics) -> list[ImageWarning]:
    """What is wrong with the light.

    Low contrast and saturation are told of 8 and 16 bits only, whose range is a camera's; constant images are always of
    low contrast. In colour, white is paper, not saturation.
    """
    distribution = light.distribution
    if distribution.lowest == distribution.highest:
        return [_LOW_CONTRAST]
    low, median, high, brightest = distribution.percentiles((1, 50, 99, 99.8))
    warnings = [] if light.padding is None else [_BORDER_EXCLUDED]
    if light.dtype.kind in "iu" and light.dtype.itemsize <= 2:
        limits = np.iinfo(light.dtype)
        # Cameras of 10, 12 and 14 bits fill a part of 16.
        white = distribution.highest if distribution.highest in _CAMERA_WHITES else limits.max
        if high - low < SMALLEST_RANGE * (float(limits.max) - float(limits.min)):
            warnings.append(_LOW_CONTRAST)
        part_saturated = 1 - distribution.percent_up_to(white - 1) / 100
        if not light.is_colour and part_saturated > LARGEST_SATURATED_PART and median < white / 2:
            warnings.append(_SATURATED)
    if high > low and light.noise > LARGEST_NOISE * (high - low):
        warnings.append(_NOISY)
    if brightest - low > LARGEST_OUTLIER * (largest_ordinary(distribution) - low):
        warnings.append(_BRIGHT_OUTLIERS)
    return warnings


def noise_response(image: NDArray[Any]) -> NDArray[np.float32]:
    """Of each pixel of an image `(H, W)` or `(H, W, C)` a value, whose mean is the noise's standard deviation.

    After Immerkaer 1996 (Fast noise variance estimation); a pixel's value depends on its eight neighbours.
    """
    grey = image if image.ndim == 2 else image.mean(axis=2)
    second_differences = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey.astype(np.float32), -1, second_differences))
    return np.asarray(response * np.float32(np.sqrt(np.pi / 2) / 6))


def near(covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pixels of an image are covered or beside one that is: those of whose `noise_response` nothing is known."""
    return np.asarray(cv2.dilate(covered.astype(np.uint8), np.ones((3, 3), np.uint8))) > 0
