"""The pixels of a page of a TIFF, as they are stored."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

_UNCOMPRESSED = 1
# Their decoders notice when something is missing: LZW, deflate, PackBits, LZMA, Zstandard.
_CHECKED_COMPRESSIONS = (5, 8, 32773, 32946, 34925, 50000)


def read_plane(page: Any, size_px: tuple[int, int]) -> NDArray[Any]:
    """All samples `(H, W, C)` of a page.

    Raises
    ------
    ValueError
        It is damaged, or of another size; tifffile's own errors mean damage too.
    """
    pixels: NDArray[Any] = page.asarray()
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.size == 0 or pixels.shape[:2] != size_px:
        raise ValueError("the pixels are not those that the header promises")
    return pixels.reshape(*size_px, -1)


def read_rows(page: Any, size_px: tuple[int, int], first: int, stop: int) -> NDArray[Any]:
    """As `read_plane`, of some rows."""
    n_samples, _, height, width, n_together = page.shaped
    if (height, width) != size_px:
        raise ValueError("the pixels are not those that the header promises")
    handle = page.parent.filehandle
    if page.is_final:
        dtype = page.dtype.newbyteorder(page.parent.byteorder)
        n_values, of_row = (stop - first) * width * n_together, width * n_together * dtype.itemsize
        starts = [page.dataoffsets[0] + (sample * height + first) * of_row for sample in range(n_samples)]
        pixels = np.stack([handle.read_array(dtype, n_values, start) for start in starts])
    else:
        pixels = np.full((n_samples, stop - first, width, n_together), page.nodata, page.dtype)
        for strip, (sample, _, top, left, _) in _decode_strips(page, first, stop):
            rows = slice(max(first, top), min(stop, top + strip.shape[0]))
            part = strip[rows.start - top : rows.stop - top, : width - left]
            pixels[sample, rows.start - first : rows.stop - first, left : left + part.shape[1]] = part
    # Samples side by side.
    pixels = np.moveaxis(pixels.reshape(n_samples, stop - first, width, n_together), 0, 2)
    return pixels.reshape(stop - first, width, n_samples * n_together)


def mend_strips(page: tifffile.TiffPage) -> None:
    """Let a page's strips or tiles have the bytes that its pixels take, where the header counts others.

    Many programs count the last strip as long as the others, or not at all; all pixels are there nevertheless.

    Raises
    ------
    ValueError
        Pixels lie beyond the end of the file, or on one another.
    """
    if page.dtype is None or 0 in page.shaped or not (page.tilelength if page.is_tiled else page.rowsperstrip):
        raise ValueError("there are no pixels")
    n_bytes = page.parent.filehandle.size
    starts = np.array(page.dataoffsets, np.int64)
    counts = np.array(page.databytecounts, np.int64)[: starts.size]
    counts = np.pad(counts, (0, starts.size - counts.size))
    # Of no bytes at no place is what was never written.
    is_there = (starts > 0) | (counts > 0)
    if page.compression == _UNCOMPRESSED:
        needed = np.where(is_there, _needed_bytes(page, starts.size), 0)
        ordered = np.sort(starts[is_there])
        limits = np.append(ordered, n_bytes)[np.searchsorted(ordered, starts, "right")]
        is_short = (counts < needed) & (starts + needed > limits)
        counts = needed
    else:
        room = np.maximum(n_bytes - starts, 0)
        counts = np.where(is_there & (counts == 0), room, counts)
        if page.compression in _CHECKED_COMPRESSIONS:
            counts = np.minimum(counts, room)
        is_short = is_there & (counts == 0)
    if is_short.any() or (starts + counts > n_bytes).any():
        raise ValueError("strips lie beyond the end of the file, or on one another")
    page.databytecounts = tuple(counts.tolist())


def _needed_bytes(page: tifffile.TiffPage, n_strips: int) -> NDArray[np.int64]:
    """What each strip or tile takes without compression; tiles are whole, and the last strip has the rows left."""
    _, _, height, width, n_together = page.shaped
    bits = page.bitspersample * n_together if isinstance(page.bitspersample, int) else sum(page.bitspersample)
    if page.is_tiled:
        rows, width = np.full(n_strips, page.tilelength), page.tilewidth
    else:
        n_down = -(-height // page.rowsperstrip)
        rows = np.minimum(page.rowsperstrip, height - np.arange(n_strips) % n_down * page.rowsperstrip)
    return np.asarray(rows * (-(-width * bits // 8)), np.int64)


def _decode_strips(page: Any, first: int, stop: int) -> Iterator[tuple[NDArray[Any], tuple[int, ...]]]:
    """The strips or tiles that hold some rows, `(h, w, C)`, and where they lie in `page.shaped`."""
    handle = page.parent.filehandle
    n_samples, _, height, width, _ = page.shaped
    n_rows, n_columns = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, width)
    n_down, n_across = -(-height // n_rows), -(-width // n_columns)
    rows = range(first // n_rows, -(-stop // n_rows))
    for sample, row, column in product(range(n_samples), rows, range(n_across)):
        index = (sample * n_down + row) * n_across + column
        handle.seek(page.dataoffsets[index])
        data = handle.read(page.databytecounts[index]) or None
        strip, place, _ = page.decode(data, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
        if strip is not None:
            yield strip[0], place
