"""TIFF of every usual kind to its pages and channels, and what it says of itself."""

import io
import math
import struct
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


def open_tiff(data: bytes, subject: str) -> Stack:
    """What is in a TIFF; no pixel is decoded yet.

    Raises
    ------
    UnsupportedImageError
        Its pixels are of a kind that is not read.
    ValueError
        Its pages form a cycle, or are too many; tifffile's own errors mean damage too.
    """
    _pages(data)
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
        planes = [_read_plane(series.pages[int(ifd)], (height, width), len(data)) for ifd in ifds[number]]
        return np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]

    return Stack(
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
    )


def tiff_size(data: bytes) -> tuple[int, int, int]:
    """Height and width of the first page, and how many pages there are, channels and all.

    Nothing else is read, and not with tifffile: it would read every value of a header, of which there may be millions.

    Raises
    ------
    ValueError
        As `open_tiff`.
    struct.error
        The header is cut off.
    """
    tiff, pages = _pages(data)
    (n_tags,) = struct.unpack_from(tiff.tagnoformat, data, pages[0])
    sides: dict[int, int] = {}
    for start in range(pages[0] + tiff.tagnosize, pages[0] + tiff.tagnosize + n_tags * tiff.tagsize, tiff.tagsize):
        code, kind = struct.unpack_from(f"{tiff.byteorder}HH", data, start)
        if code in (_WIDTH, _HEIGHT) and kind in _UNSIGNED:
            value = start + tiff.tagsize - tiff.offsetsize
            (sides[code],) = struct.unpack_from(tiff.byteorder + _UNSIGNED[kind], data, value)
        if len(sides) == 2:
            return sides[_HEIGHT], sides[_WIDTH], len(pages)
    raise ValueError("the first page has no size")


def _open_file(data: bytes) -> tifffile.TiffFile:
    # Of these kinds tifffile would walk all pages on opening, for ever where the pages form a cycle; and OME-XML may
    # name other files, which are none of ours.
    return tifffile.TiffFile(io.BytesIO(data), is_lsm=False, is_scanimage=False, is_ndpi=False, _multifile=False)


def _read_plane(page: Any, size_px: tuple[int, int], n_bytes: int) -> NDArray[Any]:
    if page is None:
        raise ValueError("a page is missing")
    if any(start + n > n_bytes for start, n in zip(page.dataoffsets, page.databytecounts)):
        raise ValueError("strips lie beyond the end of the file")
    pixels: NDArray[Any] = page.asarray()
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.size == 0 or pixels.shape[:2] != size_px:
        raise ValueError("the pixels are not those that the header promises")
    return pixels.reshape(*size_px, -1)


def _pages(data: bytes) -> tuple[Any, list[int]]:
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
