"""TIFF of every usual kind to its pages and channels, and what it says of itself."""

import io
import math
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from app.errors import UnsupportedImageError
from app.segmentation.caveats import Caveat
from app.segmentation.stack import MAX_PAGES, Stack, believed, check_channels, in_um

_COLOURS = ("RGB", "YCBCR", "CIELAB")
_LAYOUTS = {
    b"II*\0": tifffile.TIFF.CLASSIC_LE,
    b"MM\0*": tifffile.TIFF.CLASSIC_BE,
    b"II+\0": tifffile.TIFF.BIG_LE,
    b"MM\0+": tifffile.TIFF.BIG_BE,
}
_WIDTH, _HEIGHT = 256, 257
# Of each type of number its format; baseline readers take bytes for sides too.
_UNSIGNED = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True, kw_only=True)
class TiffStack(Stack):
    """A stack whose pages need not be read whole.

    Attributes
    ----------
    read_rows
        Page number, first row and the one past the last to `(rows, W, C)`; may raise as `read_page` does.
    n_rows_together
        Rows that lie in one strip or row of tiles, and are decoded together.
    dtype
        The pixels' type.
    """

    read_rows: Callable[[int, int, int], NDArray[Any]]
    n_rows_together: int
    dtype: np.dtype[Any]


def open_tiff(data: bytes | Path, subject: str) -> TiffStack:
    """What is in a TIFF, in memory or at a path; no pixel is decoded yet.

    Raises
    ------
    UnsupportedImageError
        Its pixels are of a kind that is not read.
    ValueError
        Its pages form a cycle, or are too many; tifffile's own errors mean damage too.
    """
    with _mapped(data) as whole:
        _pages(whole)
    file = _open_file(data)
    series = file.series[0]
    page = file.pages.first
    colours = tifffile.PHOTOMETRIC(page.photometric).name
    is_colour = colours in _COLOURS and page.samplesperpixel in (3, 4)
    _check_kind(page, colours, is_colour, subject)

    leading = [(axis, size) for axis, size in zip(series.axes, series.shape) if axis not in "YXS"]
    ifds = np.arange(math.prod(size for _, size in leading)).reshape([size for _, size in leading] or [1])
    channel_axes = [index for index, (axis, _) in enumerate(leading) if axis == "C" and not is_colour]
    ifds = np.moveaxis(ifds, channel_axes, range(-len(channel_axes), 0)) if channel_axes else ifds[..., np.newaxis]
    ifds = ifds.reshape(-1, math.prod(ifds.shape[ifds.ndim - max(1, len(channel_axes)) :]))
    if len(series.pages) != ifds.size:
        raise UnsupportedImageError(
            f"The {subject} is a TIFF whose {ifds.size} planes have no headers of their own; save it as an ordinary "
            "multi-page or OME-TIFF."
        )
    n_channels = ifds.shape[1] * page.samplesperpixel
    check_channels(n_channels, subject)
    unnamed = [size for axis, size in leading if axis in "QI" and size > 1]
    names, pixel_size_um, caveats = _said_of_itself(file, n_channels)
    if unnamed:
        caveats.append(
            Caveat(
                "axes_assumed",
                f"The file does not say what its axis of {unnamed[0]} is; it was read as pages. Choose one with "
                "page, or save the file with named axes.",
            )
        )
    height, width = page.imagelength, page.imagewidth

    def read_page(number: int) -> NDArray[Any]:
        planes = [_read_plane(series.pages[int(ifd)], (height, width)) for ifd in ifds[number]]
        return np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]

    def read_rows(number: int, first: int, stop: int) -> NDArray[Any]:
        planes = [_read_rows(series.pages[int(ifd)], (height, width), first, stop) for ifd in ifds[number]]
        return np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]

    return TiffStack(
        read_page=read_page,
        axes=series.axes.replace("S", "C"),
        height=height,
        width=width,
        n_pages=len(ifds),
        n_channels=n_channels,
        is_colour=is_colour,
        is_inverted=colours == "MINISWHITE",
        channel_names=names,
        pixel_size_um=pixel_size_um,
        caveats=tuple(caveats),
        close=file.close,
        read_rows=read_rows,
        n_rows_together=1 if page.is_final else min(height, page.tilelength if page.is_tiled else page.rowsperstrip),
        dtype=np.dtype(page.dtype),
    )


def tiff_size(data: bytes | Path) -> tuple[int, int, int]:
    """Height and width of the first page, and how many pages there are, channels and all.

    Nothing else is read, and not with tifffile: it would read every value of a header, of which there may be millions.

    Raises
    ------
    ValueError
        As `open_tiff`.
    struct.error
        The header is cut off.
    """
    with _mapped(data) as file:
        tiff, pages = _pages(file)
        (n_tags,) = struct.unpack_from(tiff.tagnoformat, file, pages[0])
        sides: dict[int, int] = {}
        for start in range(pages[0] + tiff.tagnosize, pages[0] + tiff.tagnosize + n_tags * tiff.tagsize, tiff.tagsize):
            code, kind = struct.unpack_from(f"{tiff.byteorder}HH", file, start)
            if code in (_WIDTH, _HEIGHT) and kind in _UNSIGNED:
                value = start + tiff.tagsize - tiff.offsetsize
                (sides[code],) = struct.unpack_from(tiff.byteorder + _UNSIGNED[kind], file, value)
            if len(sides) == 2:
                return sides[_HEIGHT], sides[_WIDTH], len(pages)
    raise ValueError("the first page has no size")


@contextmanager
def _mapped(data: bytes | Path) -> Iterator[bytes | mmap]:
    """A file's bytes; those at a path are read where they are looked at."""
    if isinstance(data, bytes):
        yield data
    else:
        with data.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
            yield mapped


def _open_file(data: bytes | Path) -> tifffile.TiffFile:
    # Of these kinds tifffile would walk all pages on opening, for ever where the pages form a cycle; and OME-XML may
    # name other files, which are none of ours.
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    return tifffile.TiffFile(source, is_lsm=False, is_scanimage=False, is_ndpi=False, _multifile=False)


def _check_strips(page: Any) -> None:
    if page is None:
        raise ValueError("a page is missing")
    n_bytes = page.parent.filehandle.size
    if any(start + n > n_bytes for start, n in zip(page.dataoffsets, page.databytecounts)):
        raise ValueError("strips lie beyond the end of the file")


def _read_plane(page: Any, size_px: tuple[int, int]) -> NDArray[Any]:
    _check_strips(page)
    pixels: NDArray[Any] = page.asarray()
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.size == 0 or pixels.shape[:2] != size_px:
        raise ValueError("the pixels are not those that the header promises")
    return pixels.reshape(*size_px, -1)


def _read_rows(page: Any, size_px: tuple[int, int], first: int, stop: int) -> NDArray[Any]:
    """As `_read_plane`, of some rows."""
    _check_strips(page)
    header = page.keyframe
    n_samples, _, height, width, n_together = header.shaped
    if (height, width) != size_px:
        raise ValueError("the pixels are not those that the header promises")
    handle = page.parent.filehandle
    if header.is_final:
        dtype = header.dtype.newbyteorder(page.parent.byteorder)
        n_values, of_row = (stop - first) * width * n_together, width * n_together * dtype.itemsize
        starts = [page.dataoffsets[0] + (sample * height + first) * of_row for sample in range(n_samples)]
        pixels = np.stack([handle.read_array(dtype, n_values, start) for start in starts])
    else:
        pixels = np.full((n_samples, stop - first, width, n_together), header.nodata, header.dtype)
        for strip, (sample, _, top, left, _) in _decode_strips(page, first, stop):
            rows = slice(max(first, top), min(stop, top + strip.shape[0]))
            part = strip[rows.start - top : rows.stop - top, : width - left]
            pixels[sample, rows.start - first : rows.stop - first, left : left + part.shape[1]] = part
    # Samples side by side.
    pixels = np.moveaxis(pixels.reshape(n_samples, stop - first, width, n_together), 0, 2)
    return pixels.reshape(stop - first, width, n_samples * n_together)


def _decode_strips(page: Any, first: int, stop: int) -> Iterator[tuple[NDArray[Any], tuple[int, ...]]]:
    """The strips or tiles that hold some rows, `(h, w, C)`, and where they lie in `page.shaped`."""
    header, handle = page.keyframe, page.parent.filehandle
    n_samples, _, height, width, _ = header.shaped
    n_rows, n_columns = (header.tilelength, header.tilewidth) if header.is_tiled else (header.rowsperstrip, width)
    n_down, n_across = -(-height // n_rows), -(-width // n_columns)
    rows = range(first // n_rows, -(-stop // n_rows))
    for sample, row, column in product(range(n_samples), rows, range(n_across)):
        index = (sample * n_down + row) * n_across + column
        handle.seek(page.dataoffsets[index])
        # Of no bytes is what was never written.
        data = handle.read(page.databytecounts[index]) or None
        strip, place, _ = header.decode(data, index, jpegtables=page.jpegtables, jpegheader=header.jpegheader)
        if strip is not None:
            yield strip[0], place


def _pages(data: bytes | mmap) -> tuple[Any, list[int]]:
    """How the file's numbers are laid out, and where its pages' headers are.

    Walks the links from page to page, which tifffile follows without looking back.
    """
    tiff = _LAYOUTS[data[:4]]
    (offset,) = struct.unpack_from(tiff.offsetformat, data, tiff.offsetsize)
    # In the order of the pages.
    pages: dict[int, None] = {}
    while offset:
        if offset in pages or len(pages) >= MAX_PAGES:
            raise ValueError("the pages form a cycle, or are too many")
        pages[offset] = None
        (n_tags,) = struct.unpack_from(tiff.tagnoformat, data, offset)
        (offset,) = struct.unpack_from(tiff.offsetformat, data, offset + tiff.tagnosize + n_tags * tiff.tagsize)
    if not pages:
        raise ValueError("there are no pages")
    return tiff, list(pages)


def _check_kind(page: tifffile.TiffPage, colours: str, is_colour: bool, subject: str) -> None:
    is_grey = colours in ("MINISBLACK", "MINISWHITE")
    if page.axes not in ("YX", "YXS", "SYX") or not (is_colour or is_grey):
        raise UnsupportedImageError(
            f"The {subject}'s first TIFF page has axes {page.axes}, {page.samplesperpixel} channels and colour model "
            f"{colours}; save the nuclei as one grey channel, or the image as RGB."
        )
    if page.dtype is None or page.dtype.kind not in "biuf":
        raise UnsupportedImageError(
            f"The {subject}'s pixels are of type {page.dtype}; save an image with 8 or 16 bits a channel, a mask as "
            "binary or integer labels."
        )


def _said_of_itself(file: tifffile.TiffFile, n_channels: int) -> tuple[tuple[str, ...], float | None, list[Caveat]]:
    """Channel names, edge length of a pixel, and what was ignored of it."""
    names: list[str] = []
    size: float | None = None
    page = file.pages.first
    x_resolution = page.tags.valueof("XResolution")
    per_unit = x_resolution[0] / x_resolution[1] if x_resolution and x_resolution[1] else 0
    if file.is_ome:
        images = tifffile.xml2dict(file.ome_metadata or "")["OME"]["Image"]
        pixels = (images[0] if isinstance(images, list) else images)["Pixels"]
        channels = pixels.get("Channel", [])
        names = [str(one.get("Name", "")) for one in (channels if isinstance(channels, list) else [channels])]
        size = in_um(pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeXUnit", "µm"))
    elif file.is_imagej:
        metadata = file.imagej_metadata or {}
        names = [str(name) for name in metadata.get("Labels", [])[:n_channels]]
        size = in_um(1 / per_unit if per_unit else None, str(metadata.get("unit", "")))
    else:
        unit = {2: "inch", 3: "cm"}.get(int(page.resolutionunit or 0), "")
        size = in_um(1 / per_unit if per_unit else None, unit)
    size, caveats = believed(size)
    return tuple(names) if any(names) else (), size, caveats
