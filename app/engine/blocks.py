"""Nuclei of images that are too large to be split and measured whole: block by block, each with exactly one owner.

A blob, which is a connected component of the mask, belongs to the block that holds its first pixel in reading order. It
looks as far around as it must to see its blobs whole, and nothing but a whole blob is split; so the nuclei are
those of the whole image, whatever the blocks. They are measured when all of them are known, since what is around a
nucleus depends on its neighbours.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from app.engine.canvas import Canvas, CanvasPredictions, Readable
from app.errors import ImageTooLargeError
from app.inference.model_card import Confidence
from app.measurement.intensities import SURROUNDINGS_PX, Background
from app.measurement.measure import Measurements, Table, complete, measure_part
from app.reading.memmap import Window
from app.reading.padding import Padding, at_edge
from app.reading.stack import PixelSize
from app.segmentation.split import first_pixels, label
from app.segmentation.threshold import apply_threshold

# A side of what a block owns. The larger, the less is looked at twice; smaller ones stay in the processor's cache.
BLOCK_PX = 1024
# How far around it a block looks at first.
MARGIN_PX = 128
# Splitting a blob looks no farther beyond it: at smoothed distances, which depend on the background nearest to them.
CONTEXT_PX = 16
_PLACES = (
    ("centroid_row_px", "bbox_row_min_px", "bbox_row_max_px"),
    ("centroid_col_px", "bbox_col_min_px", "bbox_col_max_px"),
)


@dataclass(frozen=True, eq=False)
class BlockNuclei:
    """The nuclei of all blocks, in the order in which they were found.

    Attributes
    ----------
    first
        Place of each nucleus's first pixel in the flattened image, int64 `(N,)`.
    boxes
        First row and column, and those past the last, int64 `(N, 4)`.
    n_in_block
        How many nuclei each block owns.
    """

    first: NDArray[np.int64]
    boxes: NDArray[np.int64]
    n_in_block: tuple[int, ...]

    @property
    def numbers(self) -> NDArray[np.uint32]:
        """What the labels, 0 and those found 1st to Nth, are called in the end: the whole image's reading order."""
        numbers = np.zeros(len(self.first) + 1, np.uint32)
        numbers[np.argsort(self.first) + 1] = np.arange(1, numbers.size)
        return numbers


def find_in_blocks(
    predictions: CanvasPredictions,
    labels: Canvas,
    threshold: float,
    split: Callable[[Window], NDArray[np.int32]],
    max_window_px: int,
    block_px: int | None = None,
) -> BlockNuclei:
    """Split the nuclei of all blobs into `labels`, numbered as found.

    Parameters
    ----------
    predictions
        The network's, of the whole image.
    labels
        Zeros of the predictions' size, to be filled; their type holds as many nuclei as there may be.
    threshold
        Probability at or above which a pixel is nucleus.
    split
        What makes the labels of a part, by this same threshold.
    max_window_px
        Most pixels that are looked at together.
    block_px
        A side of what a block owns; `BLOCK_PX` without it.

    Raises
    ------
    ImageTooLargeError
        Nuclei that touch one another cover more than may be looked at together.
    """
    first, boxes, n_in_block = [np.zeros(0, np.int64)], [np.zeros((0, 4), np.int64)], []
    n_found = 0
    for core in cores(predictions.probability.shape, block_px or BLOCK_PX):
        blobs, window, is_owned = _whole_blobs(predictions.probability, threshold, core, max_window_px)
        n_nuclei = 0
        if is_owned.any():
            found = split(window) * is_owned[blobs]
            found = _numbered(found)[found]
            n_nuclei = int(found.max())
            rows, columns = np.divmod(first_pixels(found)[1:], found.shape[1])
            first.append((rows + window[0].start) * predictions.probability.shape[1] + columns + window[1].start)
            boxes.append(_boxes(found, window))
            before = labels[window]
            labels[window] = np.where(found > 0, (found + n_found).astype(before.dtype), before)
        n_in_block.append(n_nuclei)
        n_found += n_nuclei
    return BlockNuclei(np.concatenate(first), np.concatenate(boxes), tuple(n_in_block))


def cores(size_px: tuple[int, ...], block_px: int) -> Iterator[Window]:
    """What each block owns, row by row; without gaps and without overlap."""
    starts = (range(0, length, block_px) for length in size_px[:2])
    for row, column in product(*starts):
        yield (slice(row, min(row + block_px, size_px[0])), slice(column, min(column + block_px, size_px[1])))


def _whole_blobs(
    probability: Readable, threshold: float, core: Window, max_window_px: int
) -> tuple[NDArray[np.int32], Window, NDArray[np.bool_]]:
    """The blobs of a window that shows all of those that begin in `core`, and which of them these are."""
    height, width = probability.shape[:2]
    # None of them comes from above. On the other sides the window grows until it shows their ends.
    below = before = after = MARGIN_PX
    while True:
        rows = slice(max(0, core[0].start - CONTEXT_PX), min(height, core[0].stop + below))
        columns = slice(max(0, core[1].start - before), min(width, core[1].stop + after))
        if (rows.stop - rows.start) * (columns.stop - columns.start) > max_window_px:
            raise ImageTooLargeError(
                f"Around row {core[0].start} and column {core[1].start}, nuclei that touch one another cover more than "
                f"may be looked at together, {max_window_px} pixels; raise the threshold.",
                "max_out_of_core_bytes",
            )
        blobs = label(apply_threshold(probability[rows, columns], threshold))
        is_owned = _begin_in(core, blobs, (rows, columns))
        boxes = _boxes(blobs, (rows, columns))[is_owned[1:]]
        needed = _around(boxes, CONTEXT_PX, probability.shape) if len(boxes) else core
        is_cut = (needed[0].stop > rows.stop, needed[1].start < columns.start, needed[1].stop > columns.stop)
        if not any(is_cut):
            break
        below, before, after = (reach * 2 if cut else reach for reach, cut in zip((below, before, after), is_cut))
    inside = tuple(
        slice(part.start - shown.start, part.stop - shown.start) for part, shown in zip(needed, (rows, columns))
    )
    return blobs[inside], needed, is_owned


def _numbered(labels: NDArray[Any]) -> NDArray[np.int32]:
    """By each label that there is, its number from 1; 0 stays 0."""
    is_there = np.bincount(labels.ravel()) > 0
    is_there[0] = False
    return np.cumsum(is_there, dtype=np.int32) * is_there


def _begin_in(core: Window, blobs: NDArray[np.int32], window: Window) -> NDArray[np.bool_]:
    """Which blobs of a window, 0 among them, begin in `core`.

    One that begins elsewhere may seem to, where the window shows it in pieces; but then it is seen not to end either.
    """
    places = np.divmod(first_pixels(blobs), blobs.shape[1])
    is_in = [
        (own.start <= place + shown.start) & (place + shown.start < own.stop)
        for own, place, shown in zip(core, places, window)
    ]
    is_owned: NDArray[np.bool_] = is_in[0] & is_in[1]
    is_owned[0] = False
    return is_owned


def _boxes(labels: NDArray[np.int32], window: Window) -> NDArray[np.int64]:
    """Of labels 1..N in a window, in the image; see `BlockNuclei`."""
    boxes = [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in ndimage.find_objects(labels)]
    corner = np.array([window[0].start, window[1].start], np.int64)
    return np.array(boxes, np.int64).reshape(-1, 4) + np.tile(corner, 2)


def _around(boxes: NDArray[np.int64], margin_px: int, size_px: tuple[int, ...]) -> Window:
    """What shows some boxes with a margin, as far as there is an image."""
    first, past = boxes[:, :2].min(axis=0) - margin_px, boxes[:, 2:].max(axis=0) + margin_px
    return (
        slice(max(0, int(first[0])), min(size_px[0], int(past[0]))),
        slice(max(0, int(first[1])), min(size_px[1], int(past[1]))),
    )


def measure_in_blocks(
    found: BlockNuclei,
    labels: Canvas,
    look: Callable[[Window], tuple[NDArray[Any], NDArray[Any]]],
    predictions: CanvasPredictions,
    confidence: Confidence,
    pixel_size: PixelSize | None,
    background: Background,
    padding: Padding | None = None,
) -> Measurements:
    """Measure what was found, as `app.measurement.measure.measure` does.

    Parameters
    ----------
    found, labels
        As found by `find_in_blocks`.
    look
        Image and channels of a part.
    predictions, confidence, pixel_size, padding
        See `app.measurement.measure.measure`.
    background
        Of the whole image; see `app.measurement.intensities.background`.

    Returns
    -------
    Measurements
        Rows in reading order.
    """

    def measure_window(numbers: NDArray[np.int32], window: Window) -> Table:
        image, channels = look(window)
        border = at_edge(image, padding)
        shown = predictions.window(window)
        return measure_part(numbers, image, channels, shown, confidence, pixel_size, padding, border)

    # So that there are columns where there are no nuclei.
    tables = [measure_window(np.zeros((1, 1), np.int32), (slice(0, 1), slice(0, 1)))]
    final, stop = found.numbers, 0
    for n_nuclei in found.n_in_block:
        start, stop = stop, stop + n_nuclei
        if not n_nuclei:
            continue
        window = _around(found.boxes[start:stop], SURROUNDINGS_PX, labels.shape)
        # In their final order, which decides between neighbours that are equally far.
        names = final[labels[window]]
        numbers = _numbered(names)
        table = measure_window(numbers[names], window)
        own = numbers[final[start + 1 : stop + 1]] - 1
        table = {name: values[own] for name, values in table.items()}
        for shown, columns in zip(window, _PLACES):
            table |= {column: table[column] + shown.start for column in columns}
        tables.append(table)
    order = np.argsort(found.first)
    joined = {name: np.concatenate([table[name] for table in tables])[order] for name in tables[0]}
    return Measurements(complete(joined, background, pixel_size), background)
