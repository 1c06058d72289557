"""Images that are too large for the memory: unpacked, predicted, parted and measured by parts, from disk to disk."""

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from app.errors import NoRoomError, OptionError
from app.segmentation.blocks import CanvasMaps, find_in_blocks, measure_in_blocks
from app.segmentation.findings import Findings, nuclei_caveats, pixel_size, unlike_caveats
from app.segmentation.maps import Maps
from app.segmentation.measure import complete, measurable
from app.segmentation.normalise import limits, stretch
from app.segmentation.options import SegmentationOptions
from app.segmentation.percentiles import counted_percentiles
from app.segmentation.pipeline import Segmenter, applied, find_nuclei, timed
from app.segmentation.scratch import Scratch
from app.segmentation.survey import Survey, bands, survey
from app.segmentation.tiling import BUCKET_PX, TILE_PX, mean_unlikeness, predict_tile, tiles
from app.segmentation.unpack import LargeImage, describe, tiff_pixels, unpack

# Measured: what a service with its model, its decoders and a block needs, and a tile inside the network.
_BASE_BYTES = 700 * 2**20
_TILE_BYTES_PER_PX = 300
# So that parting what is looked at together stays a small part of all.
_BYTES_PER_WINDOW_PX = 512
# Of the probability, the inner distance and the labels, beside the image.
_SCRATCH_BYTES_PER_PX = 12
_MOST_SUMS = 3 * np.iinfo(np.uint16).max + 1


@dataclass(frozen=True, eq=False, kw_only=True)
class StreamedFindings(Findings):
    """What is found in an image that is not in memory.

    Attributes
    ----------
    labels
        uint32 `(H, W)` on disk, numbered as found; there as long as its folder.
    numbers
        By such a label the nucleus's own, 1..`count`; 0 is background.
    """

    decoded: LargeImage
    labels: Scratch
    numbers: NDArray[np.uint32]

    def rows(self, n_rows: int) -> Iterator[NDArray[np.uint32]]:
        """The labels, numbered in reading order as those of smaller images are, some rows at a time."""
        height, width = self.labels.shape
        for first in range(0, height, n_rows):
            yield self.numbers[self.labels[first : min(first + n_rows, height), 0:width]]


@contextmanager
def room_needed() -> Iterator[None]:
    """Tell of a full disk what to do.

    Raises
    ------
    NoRoomError
        It is full.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
        raise NoRoomError(
            "There is no room for the image's temporary files, which take as much as its pixels and "
            f"{_SCRATCH_BYTES_PER_PX} bytes a pixel more; crop it, or set TMPDIR to a folder that has room."
        ) from exc


class Streamer:
    """Segments TIFFs of one large page from their paths, one at a time.

    The result is that of `app.segmentation.pipeline.Segmenter`, by the same steps. What is between them lies in files:
    `_SCRATCH_BYTES_PER_PX` bytes a pixel beside the image's own.

    Parameters
    ----------
    segmenter
        Takes images up to its own limit.
    max_pixels
        Largest image that is accepted here, height times width.
    max_bytes
        What the whole service may take of the memory while it segments one.
    """

    def __init__(self, segmenter: Segmenter, max_pixels: int, max_bytes: int) -> None:
        self.segmenter = segmenter
        self._max_pixels = max_pixels
        self._max_bytes = max_bytes
        self._lock = Lock()

    def takes(self, data: bytes | Path) -> bool:
        """Whether what is in memory or at a path is a TIFF that is too large for the segmenter."""
        return tiff_pixels(data) > self.segmenter.max_pixels

    def pixels_to_segment(self, data: bytes, options: SegmentationOptions) -> int:
        """How much work an image is, here or for the segmenter; see there."""
        n_pixels = tiff_pixels(data)
        if n_pixels <= self.segmenter.max_pixels:
            return self.segmenter.pixels_to_segment(data, options)
        return n_pixels if n_pixels <= self._max_pixels else 0

    def segment(
        self, path: Path, options: SegmentationOptions, folder: Path, filename: str | None = None
    ) -> StreamedFindings:
        """Find and measure the nuclei of one image.

        Parameters
        ----------
        path
            A TIFF.
        options
            See `check_options`.
        folder
            An empty one, for as long as the findings are needed.
        filename
            For the record only.

        Raises
        ------
        OptionError
            An option needs the whole image at once.
        ImageError, ChannelNeededError
            It is not an image that can be measured.
        NoRoomError
            The disk is full.
        """
        with self._lock:
            self.check_options(options)
            with room_needed():
                return self._segment(path, options, folder, filename)

    def check_options(self, options: SegmentationOptions) -> None:
        """Refuse what needs the whole image at once.

        Raises
        ------
        OptionError
            The mean probability, Otsu's threshold, turned images; or the model resizes all images.
        """
        if options.threshold in ("mean", "otsu"):
            raise OptionError("Of so large an image threshold takes model or a number between 0 and 1.")
        if options.quality == "best":
            raise OptionError("Of so large an image quality takes fast.")
        if self.segmenter.card.contract.reach_px is None:
            card = self.segmenter.card
            raise OptionError(f"The model {card.name}/{card.version} resizes every image; take one that does not.")

    def _segment(
        self, path: Path, options: SegmentationOptions, folder: Path, filename: str | None
    ) -> StreamedFindings:
        calibration = self.segmenter.card.calibration
        timing_ms: dict[str, float] = {}
        with timed(timing_ms, "decode"):
            image = self.segmenter.call(describe, path, self._max_pixels, options.channel, options.page)
            pixels = self._unpacked(path, image, folder)
            surveyed = survey(pixels, image)
        with timed(timing_ms, "predict"):
            maps, unlikeness = self._predict(pixels, surveyed, folder)
        with timed(timing_ms, "split"):
            labels = Scratch(folder / "labels", pixels.shape[:2], np.uint32)
            rule, min_area_px = applied(options, calibration)
            threshold = float(rule)

            def part(some: Maps) -> NDArray[np.int32]:
                return find_nuclei(some, options, calibration)[2]

            found = find_in_blocks(maps, labels, threshold, part, self._max_bytes // _BYTES_PER_WINDOW_PX)
        with timed(timing_ms, "measure"):
            pixel_size_um, caveats = pixel_size(image, options)
            table = measure_in_blocks(
                found, labels, lambda window: surveyed.look(pixels[window]), maps, calibration.confidence
            )
            background = _background(labels, surveyed, pixels)
            nuclei = complete(table, (image.height, image.width), background, pixel_size_um)
        return StreamedFindings(
            filename=filename,
            decoded=image,
            n_pixels=image.height * image.width,
            nuclei=nuclei,
            options=options,
            pixel_size_um=pixel_size_um,
            threshold=threshold,
            min_area_px=min_area_px,
            caveats=(
                *caveats,
                *surveyed.caveats,
                *nuclei_caveats(nuclei, surveyed.is_grey),
                *unlike_caveats(unlikeness, calibration),
            ),
            card=self.segmenter.card,
            dtype=self.segmenter.predictor.dtype,
            timing_ms=timing_ms,
            labels=labels,
            numbers=found.numbers,
        )

    def _unpacked(self, path: Path, image: LargeImage, folder: Path) -> Scratch:
        pixel_bytes = image.n_channels * np.dtype(image.dtype).itemsize + _SCRATCH_BYTES_PER_PX
        if image.height * image.width * pixel_bytes > shutil.disk_usage(folder).free:
            raise OSError(errno.ENOSPC, "too few bytes are free")
        pixels = Scratch(folder / "pixels", (image.height, image.width, image.n_channels), image.dtype)
        for first in range(0, image.height, image.n_rows):
            stop = min(first + image.n_rows, image.height)
            self.segmenter.call(unpack, path, image.page, first, stop, pixels)
        return pixels

    def _predict(self, pixels: Scratch, surveyed: Survey, folder: Path) -> tuple[CanvasMaps, float | None]:
        normalisation = self.segmenter.card.normalisation
        percentiles = (normalisation.low_percentile, normalisation.high_percentile)
        low, high = counted_percentiles(surveyed.counts, percentiles)
        darkest, brightest = limits(low, high, surveyed.light.lowest, surveyed.light.highest)
        scratch: dict[str, Scratch] = {}
        unlikenesses = []
        reach_px = self.segmenter.card.contract.reach_px or 0
        for tile in tiles(pixels.shape[:2], reach_px, tile_side(self._max_bytes)):
            image = stretch(surveyed.look(pixels[tile.shown])[0], darkest, brightest)
            answer = predict_tile(self.segmenter.predictor.predict, image, tile)
            for name, map_ in (("probability", answer.probability), ("distance", answer.distance)):
                if map_ is not None:
                    if name not in scratch:
                        scratch[name] = Scratch(folder / name, pixels.shape[:2], np.float32)
                    scratch[name][tile.kept] = map_
            unlikenesses.append(answer.unlikeness)
        return CanvasMaps(scratch["probability"], scratch.get("distance")), mean_unlikeness(unlikenesses)


def tile_side(max_bytes: int) -> int:
    """The largest side of a tile for the network that so much memory allows, in pixels.

    Examples
    --------
    >>> tile_side(2 * 2**30), tile_side(2**30)
    (2112, 1024)
    """
    side = int(np.sqrt(max(0, max_bytes - _BASE_BYTES) / _TILE_BYTES_PER_PX)) // BUCKET_PX * BUCKET_PX
    return min(TILE_PX, side)


def _background(labels: Scratch, surveyed: Survey, pixels: Scratch) -> Callable[[str], float]:
    """The median of all background, by the suffix of `measurable`; counted for all of them when one is asked for."""
    height, width = labels.shape

    @cache
    def counts() -> dict[str, NDArray[np.int64]]:
        counted: dict[str, NDArray[np.int64]] = {}
        for rows in bands(height, width):
            window = rows, slice(0, width)
            is_outside = labels[window] == 0
            for suffix, values in measurable(*surveyed.look(pixels[window])).items():
                # The mean of whole colours is counted as their sum.
                sums = values.sum(axis=2, dtype=np.int64) if values.ndim == 3 else values
                some = np.bincount(sums[is_outside], minlength=_MOST_SUMS)
                counted[suffix] = counted.get(suffix, np.zeros(_MOST_SUMS, np.int64)) + some
        return counted

    def median(suffix: str) -> float:
        n_summed = 3 if surveyed.light.is_colour and not suffix else 1
        counted = counts()[suffix]
        return float(counted_percentiles(counted, (50,))[0]) / n_summed if counted.any() else np.nan

    return median
