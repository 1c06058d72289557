"""What the whole of an image says that is not in memory: its values counted, its light, what of it counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.segmentation.caveats import ALPHA_IGNORED, Caveat, Light, light_caveats, noise_response
from app.segmentation.percentiles import counted_percentiles
from app.segmentation.scratch import Scratch
from app.segmentation.unpack import LargeImage

# What is looked at together.
_BAND_PX = 2**21


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of all pixels.

    Attributes
    ----------
    image
        What the file said.
    counts
        How often each value from 0 occurs in what is segmented.
    light
        What these say of the light.
    is_grey
        Whether there is but one channel to be measured; colours that are all the same are grey.
    is_opaque
        Whether no pixel is transparent.
    """

    image: LargeImage
    counts: NDArray[np.int64]
    light: Light
    is_grey: bool
    is_opaque: bool

    @property
    def caveats(self) -> list[Caveat]:
        """What is to be known before the numbers are trusted."""
        return [*([] if self.is_opaque else [ALPHA_IGNORED]), *light_caveats(self.light)]

    def look(self, pixels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Of some pixels, what is segmented and what is measured; see `app.segmentation.decode.DecodedImage`."""
        channels = pixels[..., :3] if self.image.is_colour else pixels
        return _segmented(pixels, self.image), channels[..., :1] if self.is_grey else channels


def survey(pixels: Scratch, image: LargeImage) -> Survey:
    """Look at all pixels `(H, W, C)` once."""
    highest = np.iinfo(pixels.dtype).max
    counts = np.zeros(highest + 1, np.int64)
    noise, is_grey, is_opaque = 0.0, image.channel is None or image.n_channels == 1, True
    for rows in bands(image.height, image.width):
        # A row more on either side, for the neighbours.
        first, stop = max(0, rows.start - 1), min(image.height, rows.stop + 1)
        shown = pixels[first:stop, 0 : image.width]
        own = shown[rows.start - first : rows.stop - first]
        response = noise_response(_segmented(shown, image))[rows.start - first : rows.stop - first]
        noise += float(response.sum(dtype=np.float64)) / (image.height * image.width)
        counts += np.bincount(_segmented(own, image).ravel(), minlength=counts.size)
        if image.is_colour:
            is_grey = is_grey and bool((own[..., :3] == own[..., :1]).all())
            is_opaque = is_opaque and (image.n_channels < 4 or bool((own[..., 3] == highest).all()))
    low, median, high = counted_percentiles(counts, (1, 50, 99))
    values = np.flatnonzero(counts)
    light = Light(
        dtype=pixels.dtype,
        is_colour=image.channel is None,
        low=low,
        median=median,
        high=high,
        lowest=float(values[0]),
        highest=float(values[-1]),
        part_saturated=float(counts[-1] / counts.sum()),
        noise=noise,
    )
    return Survey(image, counts, light, is_grey, is_opaque)


def bands(height: int, width: int) -> Iterator[slice]:
    """All rows, some at a time."""
    n_rows = max(1, _BAND_PX // width)
    for first in range(0, height, n_rows):
        yield slice(first, min(first + n_rows, height))


def _segmented(pixels: NDArray[Any], image: LargeImage) -> NDArray[Any]:
    return pixels[..., :3] if image.channel is None else pixels[..., image.channel]
