"""How bright nuclei are, channel by channel, and what surrounds them."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.measurement.regions import Regions, medians
from app.reading.padding import Padding
from app.reading.percentiles import percentiles
from app.segmentation.neighbours import AROUND, BESIDE, dilatable

# Blur and an outline that is a pixel off let some of a nucleus's light reach so far.
BACKGROUND_GAP_PX = 2
BACKGROUND_WIDTH_PX = 5
# As far as a neighbour can lie that decides what is around a nucleus.
SURROUNDINGS_PX = 2 * (BACKGROUND_GAP_PX + BACKGROUND_WIDTH_PX)


class Background(NamedTuple):
    """What was imaged of an image and is in no nucleus.

    Attributes
    ----------
    medians
        Of its pixels, by the suffix of `measured_channels`; NaN where there are none.
    n_px
        How many pixels there are.
    """

    medians: dict[str, float]
    n_px: int


class Channel(NamedTuple):
    """What intensities are measured of.

    Attributes
    ----------
    pixels
        `(H, W)`.
    n_summed
        How many colours are summed up in them; the intensity is their mean, and sums of whole numbers are exact.
    """

    pixels: NDArray[Any]
    n_summed: int = 1


def measured_channels(image: NDArray[Any], channels: NDArray[Any]) -> dict[str, Channel]:
    """What intensities are measured of, by the suffix of their columns; see `app.measurement.measure.measure`."""
    numbered = {f"_c{number}": Channel(channels[..., number]) for number in range(channels.shape[2])}
    measured = Channel(image) if image.ndim == 2 else Channel(_sum_of_colours(image), image.shape[2])
    return {"": measured} | (numbered if len(numbered) > 1 else {})


def _sum_of_colours(image: NDArray[Any]) -> NDArray[Any]:
    is_small = image.dtype.kind == "u" and image.dtype.itemsize <= 2
    red, *others = np.moveaxis(image, 2, 0)
    total: NDArray[Any] = red.astype(f"u{2 * image.dtype.itemsize}" if is_small else np.float64)
    for colour in others:
        total += colour
    return total


def is_background(labels: NDArray[Any], image: NDArray[Any], padding: Padding | None) -> NDArray[np.bool_]:
    """Which pixels `(H, W)` were imaged and are in no nucleus."""
    is_outside: NDArray[np.bool_] = labels == 0
    return is_outside if padding is None else is_outside & ~padding.covers(image)


def background(
    labels: NDArray[Any], image: NDArray[Any], channels: NDArray[Any], padding: Padding | None = None
) -> Background:
    """The background of a whole image; parameters are those of `app.measurement.measure.measure`."""
    is_outside = is_background(labels, image, padding)
    n_px = int(np.count_nonzero(is_outside))
    medians = {
        suffix: float(percentiles(channel.pixels[is_outside], (50,))[0]) / channel.n_summed if n_px else np.nan
        for suffix, channel in measured_channels(image, channels).items()
    }
    return Background(medians, n_px)


def intensities(
    regions: Regions,
    labels: NDArray[np.int32],
    image: NDArray[Any],
    channels: NDArray[Any],
    padding: Padding | None,
) -> dict[str, NDArray[np.float64]]:
    """The columns of intensities; NaN is the background of nuclei that others crowd, and what depends on it."""
    around = _Surroundings(labels, is_background(labels, image, padding))
    table: dict[str, NDArray[np.float64]] = {}
    for suffix, (pixels, n_summed) in measured_channels(image, channels).items():
        values = regions.values_of(pixels)
        total = regions.sum(values)
        measured = {
            "mean": total / regions.area_px,
            "median": regions.median(values),
            "min": regions.min(values).astype(np.float64),
            "max": regions.max(values).astype(np.float64),
            "std": regions.std(values),
            "sum": total,
            "background": around.median(pixels),
        }
        table |= {f"intensity_{name}{suffix}": numbers / n_summed for name, numbers in measured.items()}
        subtract_background(table, suffix, regions.area_px)
    return table


def subtract_background(table: dict[str, NDArray[Any]], suffix: str, area_px: NDArray[np.int64]) -> None:
    """Set each nucleus's integrated intensity: the sum of what its pixels have above its background."""
    above = table[f"intensity_mean{suffix}"] - table[f"intensity_background{suffix}"]
    table[f"intensity_integrated{suffix}"] = above * area_px


class _Surroundings:
    """The background around each nucleus, where no other one is nearer; of two that come together the later has it.

    Distances are octagonal (Rosenfeld & Pfaltz 1968): steps to the side, and each second time across.
    """

    def __init__(self, labels: NDArray[np.int32], is_background: NDArray[np.bool_]) -> None:
        self._labels = labels
        n = int(labels.max(initial=0))
        grown = near = dilatable(labels)
        for distance_px in range(1, BACKGROUND_GAP_PX + BACKGROUND_WIDTH_PX + 1):
            around = BESIDE if distance_px % 2 else AROUND
            grown = cv2.copyTo(grown, (grown > 0).view(np.uint8), cv2.dilate(grown, around))
            if distance_px == BACKGROUND_GAP_PX:
                near = grown
        self._pixels = np.flatnonzero((grown > 0) & (near == 0) & is_background)
        # Of whole numbers that are so small lexsort's stable sort is a radix sort.
        self._number = grown.ravel()[self._pixels].astype(np.min_scalar_type(n))
        self._n_pixels = np.bincount(self._number, minlength=n + 1)[1:]

    def median(self, pixels: NDArray[Any]) -> NDArray[np.float64]:
        """Of each nucleus's surroundings, NaN where there are none."""
        known = self._n_pixels > 0
        found = np.full(known.size, np.nan)
        found[known] = medians(pixels.reshape(-1).take(self._pixels), self._number, self._n_pixels[known])
        return found
