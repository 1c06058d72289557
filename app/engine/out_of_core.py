"""Images that are too large for the memory: predicted, split and measured block by block, from disk to disk."""

import errno
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine.assemble import Applied, assemble_plane, pixel_size
from app.engine.blocks import find_in_blocks, measure_in_blocks
from app.engine.canvas import AtFullSize, CanvasPredictions, Readable
from app.engine.find import applied, find_nuclei
from app.engine.pipeline import Call
from app.engine.result import LabelsOnDisk, PlaneResult
from app.engine.scale import Choice, asked_scale, calibration_at, choose_scale
from app.engine.timing import timed
from app.engine.view import View, view_windows
from app.errors import OptionError
from app.inference.load import Model
from app.inference.model_card import ModelCard, Normalisation
from app.inference.normalise import limits, stretch_window
from app.inference.resampling import Resampling, scaled_size
from app.inference.tiling import BUCKET_PX, TILE_PX, mean_ood_score, predict_tile, tiles
from app.measurement.intensities import Background, is_background, measured_channels
from app.options import SegmentationOptions
from app.reading.image_statistics import ImageStatistics, bands, image_statistics
from app.reading.large_tiff import LargeImage, describe, unpack
from app.reading.memmap import MemmapArray, Window
from app.reading.padding import at_edge
from app.reading.percentiles import counted_percentiles
from app.reading.stack import PixelSize

# Measured: what a service with its model, its decoders and a block needs, and a tile inside the network.
_BASE_BYTES = 700 * 2**20
_TILE_BYTES_PER_PX = 300
# So that splitting what is looked at together stays a small part of all.
_BYTES_PER_WINDOW_PX = 512
# Of the probability, the inner distance and the labels, beside the image.
_DISK_BYTES_PER_PX = 12
_HIGHEST = int(np.iinfo(np.uint16).max)


def segment_out_of_core(
    model: Model,
    path: Path,
    options: SegmentationOptions,
    filename: str | None,
    folder: Path,
    max_pixels: int,
    max_bytes: int,
    call: Call,
) -> PlaneResult:
    """Find and measure the nuclei of one plane of a large TIFF.

    The result is that of `app.engine.pipeline.segment_plane`, by the same steps. What is between them lies in files:
    `_DISK_BYTES_PER_PX` bytes a pixel beside the image's own.

    Parameters
    ----------
    model, options, filename, call
        See `app.engine.engine.Engine`.
    path
        A TIFF.
    folder
        For temporary files, for as long as the result is needed.
    max_pixels
        Largest image that is accepted, height times width.
    max_bytes
        What the whole process may take of the memory.

    Raises
    ------
    ImageError, ChannelNeededError
        It is not an image that can be measured.
    OSError
        The disk is full.
    """
    timing_ms: dict[str, float] = {}
    with timed(timing_ms, "decode"):
        image, pixels, statistics = read_large(path, options, folder, max_pixels, call)
    size = pixel_size(image, options)
    with timed(timing_ms, "predict"):
        normalised = Normalised(pixels, statistics, model.card.normalisation)
        choice = _choose(model, normalised, options, size)
        predictions, ood_score = _predict(model, normalised, choice.scale, folder, tile_side(max_bytes))
    calibration = calibration_at(model.card.calibration, choice.scale)
    rule, min_area_px = applied(options, calibration)
    max_window_px = max_bytes // _BYTES_PER_WINDOW_PX

    def split_window(window: Window) -> NDArray[np.int32]:
        border = at_edge(statistics.look(pixels[window])[0], image.padding)
        return find_nuclei(predictions.window(window), options, calibration, border)[2]

    with timed(timing_ms, "split"):
        labels = MemmapArray(folder / "labels", pixels.shape[:2], np.uint32)
        found = find_in_blocks(predictions, labels, float(rule), split_window, max_window_px)
    with timed(timing_ms, "measure"):
        measured = measure_in_blocks(
            found,
            labels,
            lambda window: statistics.look(pixels[window]),
            predictions,
            calibration.confidence,
            size,
            _background(labels, statistics, pixels),
            image.padding,
        )
    return assemble_plane(
        model,
        image,
        options,
        filename,
        labels=LabelsOnDisk(labels, found.numbers),
        measured=measured,
        applied=Applied(float(rule), min_area_px, choice),
        has_colour=not statistics.is_grey,
        ood_score=ood_score,
        timing_ms=timing_ms,
    )


def check_out_of_core(options: SegmentationOptions, card: ModelCard) -> None:
    """Refuse what needs the whole image at once.

    Raises
    ------
    OptionError
        The mean probability, Otsu's threshold, turned or enlarged images; or the model resizes all images.
    """
    if options.threshold in ("mean", "otsu"):
        raise OptionError("Of so large an image threshold takes model or a number between 0 and 1.")
    if options.quality == "best":
        raise OptionError("Of so large an image quality takes fast.")
    if options.scale != "auto" and options.scale > 1:
        raise OptionError("Of so large an image scale takes auto or a number up to 1.")
    if card.contract.reach_px is None:
        raise OptionError(f"The model {card.name}/{card.version} resizes every image; take one that does not.")


def read_large(
    path: Path, options: SegmentationOptions, folder: Path, max_pixels: int, call: Call
) -> tuple[LargeImage, MemmapArray, ImageStatistics]:
    """The plane, its pixels `(H, W, C)` on disk, and what all of them say; see `segment_out_of_core`."""
    image = call(describe, path, max_pixels, options.channel, options.page, options.scene)
    pixels = _unpacked(path, image, folder, call)
    statistics = image_statistics(pixels, image)
    told = (*image.warnings, *statistics.warnings)
    return replace(image, padding=statistics.light.padding, warnings=told), pixels, statistics


def _unpacked(path: Path, image: LargeImage, folder: Path, call: Call) -> MemmapArray:
    pixel_bytes = image.n_channels * np.dtype(image.dtype).itemsize + _DISK_BYTES_PER_PX
    if image.height * image.width * pixel_bytes > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, "too few bytes are free")
    pixels = MemmapArray(folder / "pixels", (image.height, image.width, image.n_channels), image.dtype)
    for first in range(0, image.height, image.n_rows):
        stop = min(first + image.n_rows, image.height)
        call(unpack, path, image.page, first, stop, pixels, image.scene)
    return pixels


class Normalised:
    """The content `(H, W, 3)` of the image as the network wants it, made part by part; see `app.inference.normalise`.

    Attributes
    ----------
    content
        Where in the image it lies; beyond it there is nothing.
    within
        What becomes 0 and 1.
    """

    def __init__(self, pixels: MemmapArray, statistics: ImageStatistics, normalisation: Normalisation) -> None:
        light = statistics.light
        self.within = limits(
            light.distribution, light.padding, normalisation.low_percentile, normalisation.high_percentile
        )
        self._pixels, self._statistics = pixels, statistics
        self.content = self.within.content(pixels.shape)
        self.whole_px = (pixels.shape[0], pixels.shape[1])
        self.shape = (*(side.stop - side.start for side in self.content), 3)

    def __getitem__(self, window: Window) -> NDArray[np.float32]:
        """A part."""
        return stretch_window(self.look, self.within, _placed(window, self.content))

    def look(self, window: Window) -> NDArray[Any]:
        """A window of the whole image as decoded, of what is segmented."""
        return self._statistics.look(self._pixels[window])[0]


def _choose(model: Model, image: Normalised, options: SegmentationOptions, pixel: PixelSize | None) -> Choice:
    """The scale by windows of the image; nothing is enlarged."""
    asked = asked_scale(options, pixel)
    if asked is not None and asked > 1:
        raise OptionError("Of so large an image no enlarged copy is made; give larger nuclei, or crop it.")
    if asked is not None:
        return Choice(asked)
    windows = view_windows(image.shape, lambda window: float(image[window][::8, ::8].std()))
    predict = model.large_predictor.predict
    choice = choose_scale([View(predict, image[window], model.card.calibration) for window in windows], largest=1)
    # Tiles take all the memory there is.
    model.large_predictor.release_memory()
    return choice


def _predict(
    model: Model, image: Normalised, scale: float, folder: Path, tile_px: int
) -> tuple[CanvasPredictions, float | None]:
    copy = image if scale == 1 else _shrunk(image, scale, folder)
    written: dict[str, MemmapArray] = {}
    ood_scores = []
    for tile in tiles(copy.shape[:2], model.card.contract.reach_px or 0, tile_px):
        shown = copy[tile.shown]
        answer = predict_tile(model.large_predictor.predict, np.broadcast_to(shown, (*shown.shape[:2], 3)), tile)
        kept = _placed(tile.kept, image.content) if scale == 1 else tile.kept
        for name, values in (("probability", answer.probability), ("distance", answer.distance)):
            if values is not None:
                if name not in written:
                    size_px = image.whole_px if scale == 1 else copy.shape[:2]
                    written[name] = MemmapArray(folder / name, size_px, np.float32)
                written[name][kept] = values
        ood_scores.append(answer.ood_score)
    shown_large: dict[str, Readable] = {**written}
    if scale != 1:
        shown_large = {
            name: AtFullSize(values, image.whole_px, image.content, name == "distance")
            for name, values in written.items()
        }
    return CanvasPredictions(shown_large["probability"], shown_large.get("distance")), mean_ood_score(ood_scores)


def _shrunk(image: Normalised, scale: float, folder: Path) -> MemmapArray:
    """A smaller copy on disk, `(h, w, 3)`, or `(h, w, 1)` of a grey image."""
    height, width = scaled_size(image.shape, scale)
    resampling = Resampling.between(image.shape, (height, width))
    n_channels = 1 if image[0:1, 0:1].strides[2] == 0 else 3
    copy = MemmapArray(folder / "copy", (height, width, n_channels), np.float32)
    for rows in bands(height, round(image.shape[1] / scale)):
        source, of_rows = resampling.part((rows, slice(0, width)))
        copy[rows, 0:width] = of_rows.apply(image[source])[..., :n_channels]
    return copy


def _placed(window: tuple[slice, slice], content: tuple[slice, slice]) -> tuple[slice, slice]:
    """Where in the image a window of its content lies."""
    rows, columns = (
        slice(all_.start + part.start, min(all_.start + part.stop, all_.stop)) for part, all_ in zip(window, content)
    )
    return rows, columns


def tile_side(max_bytes: int) -> int:
    """The largest side of a tile for the network that so much memory allows, in pixels.

    Examples
    --------
    >>> tile_side(2 * 2**30), tile_side(2**30)
    (2112, 1024)
    """
    side = int(np.sqrt(max(0, max_bytes - _BASE_BYTES) / _TILE_BYTES_PER_PX)) // BUCKET_PX * BUCKET_PX
    return min(TILE_PX, side)


def _background(labels: MemmapArray, statistics: ImageStatistics, pixels: MemmapArray) -> Background:
    """As `app.measurement.intensities.background`, some rows at a time."""
    height, width = labels.shape
    counted: dict[str, NDArray[np.int64]] = {}
    n_summed: dict[str, int] = {}
    n_px = 0
    for rows in bands(height, width):
        window = rows, slice(0, width)
        image, channels = statistics.look(pixels[window])
        is_outside = is_background(labels[window], image, statistics.light.padding)
        n_px += int(np.count_nonzero(is_outside))
        for suffix, channel in measured_channels(image, channels).items():
            n_summed[suffix] = channel.n_summed
            some = np.bincount(channel.pixels[is_outside], minlength=channel.n_summed * _HIGHEST + 1)
            counted[suffix] = counted.get(suffix, 0) + some
    medians = {
        suffix: float(counted_percentiles(counts, (50,))[0]) / n_summed[suffix] if counts.any() else np.nan
        for suffix, counts in counted.items()
    }
    return Background(medians, n_px)
