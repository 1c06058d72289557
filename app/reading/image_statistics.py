"""What the whole of an image says that is not in memory: its values counted, its light, what of it counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.reading.large_tiff import LargeImage
from app.reading.memmap import MemmapArray
from app.reading.padding import padding_search
from app.reading.percentiles import Distribution
from app.reading.warnings import ALPHA_IGNORED, ImageWarning, LightStatistics, light_warnings, near, noise_response

# What is looked at together.
_BAND_PX = 2**21


@dataclass(frozen=True, eq=False)
class ImageStatistics:
    """What is known of all pixels.

    Attributes
    ----------
    image
        What the file said.
    light
        How the values of what is segmented are distributed.
    is_grey
        Whether there is but one channel to be measured; colours that are all the same are grey.
    is_opaque
        Whether no pixel is transparent.
    """

    image: LargeImage
    light: LightStatistics
    is_grey: bool
    is_opaque: bool

    @property
    def warnings(self) -> list[ImageWarning]:
        """What is to be known before the numbers are trusted."""
        return [*([] if self.is_opaque else [ALPHA_IGNORED]), *light_warnings(self.light)]

    def look(self, pixels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Of some pixels, what is segmented and what is measured; see `app.reading.decode.DecodedImage`."""
        channels = _measured(pixels, self.image)
        return _segmented(pixels, self.image), channels[..., :1] if self.is_grey else channels


def image_statistics(pixels: MemmapArray, image: LargeImage) -> ImageStatistics:
    """Look at all pixels `(H, W, C)` once."""
    highest = np.iinfo(pixels.dtype).max
    counts = np.zeros(highest + 1, np.int64)
    # Its sum and of how many pixels: of all, and away from what may be padding.
    noise, noise_away = np.zeros(2), np.zeros(2)
    n_measured = image.n_channels - len(image.alpha)
    is_grey, is_opaque = n_measured == (3 if image.channel is None else 1), True
    search = padding_search(pixels.shape[:2], lambda rows, columns: _segmented(pixels[rows, columns], image))
    for rows in bands(image.height, image.width):
        # A row more on either side, for the neighbours.
        first, stop = max(0, rows.start - 1), min(image.height, rows.stop + 1)
        shown = pixels[first:stop, 0 : image.width]
        own = shown[rows.start - first : rows.stop - first]
        response = noise_response(_segmented(shown, image))[rows.start - first : rows.stop - first]
        noise += response.sum(dtype=np.float64), response.size
        if search:
            away = ~near(search.covers(_segmented(shown, image)))[rows.start - first : rows.stop - first]
            noise_away += response[away].sum(dtype=np.float64), np.count_nonzero(away)
            search.look(_segmented(own, image))
        counts += np.bincount(_segmented(own, image).ravel(), minlength=counts.size)
        if image.is_colour:
            is_grey = is_grey and bool((own[..., :3] == own[..., :1]).all())
        is_opaque = is_opaque and bool((own[..., list(image.alpha)] == highest).all())
    distribution, padding = Distribution.counted(counts), None
    if search:
        padding, distribution = search.found(distribution)
    total, n_pixels = noise_away if padding else noise
    noise_mean = float(total / n_pixels) if n_pixels else 0.0
    light = LightStatistics(pixels.dtype, image.channel is None, distribution, padding, noise_mean)
    return ImageStatistics(image, light, is_grey, is_opaque)


def bands(height: int, width: int) -> Iterator[slice]:
    """All rows, some at a time."""
    n_rows = max(1, _BAND_PX // width)
    for first in range(0, height, n_rows):
        yield slice(first, min(first + n_rows, height))


def _segmented(pixels: NDArray[Any], image: LargeImage) -> NDArray[Any]:
    channels = _measured(pixels, image)
    return channels[..., :3] if image.channel is None else channels[..., image.channel]


def _measured(pixels: NDArray[Any], image: LargeImage) -> NDArray[Any]:
    return np.delete(pixels, image.alpha, axis=-1) if image.alpha else pixels
