"""What ImageJ writes into a TIFF beside its pixels: how the planes lie."""

import re
from collections.abc import Mapping, Sequence
from math import isfinite, prod
from typing import NamedTuple

import numpy as np
import tifffile

from app.errors import UnsupportedImageError
from app.reading.tiff_header import PageHeader
from app.reading.tiff_scenes import Scene
from app.reading.warnings import ImageWarning, metadata_unreadable

_METADATA = 50839
_UNCOMPRESSED = 1


class Calibration(NamedTuple):
    """How ImageJ computes a value from what is stored: by one of its functions, 0 is a line; with coefficients."""

    function: int
    offset: float
    factor: float


# Numbers of 16 bits with a sign.
SIGNED = Calibration(0, -32_768, 1)


def imagej_description(page: tifffile.TiffPage) -> dict[str, str]:
    """What ImageJ says of a page; nothing where it did not write it."""
    lines = (page.imagej_description or "").splitlines()
    return {
        key.strip(): value.strip() for key, separator, value in (line.partition("=") for line in lines) if separator
    }


def imagej_calibration(page: tifffile.TiffPage) -> Calibration | None:
    """How ImageJ calibrates the values of a page, None where it takes them as they are."""
    said = imagej_description(page)
    try:
        function, offset, factor = (float(said.get(name, "0")) for name in ("cf", "c0", "c1"))
    except ValueError:
        return None
    is_calibrated = "cf" in said and (function, offset, factor) != (0, 0, 1)
    return Calibration(int(function), offset, factor) if is_calibrated and isfinite(function) else None


def samples_are_channels(page: tifffile.TiffPage) -> bool:
    """Whether the samples of a page are ImageJ's channels, which it writes side by side where they were RGB once."""
    return page.samplesperpixel > 1 and _count(imagej_description(page), "channels", 1) == page.samplesperpixel


def imagej_scene(
    page: tifffile.TiffPage, headers: Sequence[PageHeader], subject: str
) -> tuple[Scene, list[ImageWarning]]:
    """The hyperstack: channels change fastest, then depths, then times; and what is wrong with what is said of it.

    Raises
    ------
    UnsupportedImageError
        Planes have no pages of their own.
    """
    said = imagej_description(page)
    n_pages = next((n for n, one in enumerate(headers) if one[1:4] != headers[0][1:4]), len(headers))
    samples = page.samplesperpixel if samples_are_channels(page) else 1
    n_images = _count(said, "images", n_pages * samples) // samples
    check_pages(page, n_images, n_pages, subject)
    shape = tuple(_count(said, name, 1) for name in ("frames", "slices", "channels"))
    shape = (*shape[:2], shape[2] // samples)
    axes, warnings = "TZC", list[ImageWarning]()
    if prod(shape) != n_images or n_images > n_pages:
        if prod(shape) > 1 or n_images > n_pages:
            warnings = [metadata_unreadable("ImageJ description")]
        axes, shape = "Q", (max(1, min(n_images, n_pages)),)
    labels = page.tags.valueof(_METADATA)
    labels = labels.get("Labels", []) if isinstance(labels, Mapping) else []
    # tifffile unpacks a single one.
    labels = [labels] if isinstance(labels, str) else labels
    n_channels = samples * (shape[-1] if axes == "TZC" else 1)
    firsts = range(0, prod(shape) * samples, n_channels) if labels else ()
    names = tuple(tuple(map(str, labels[first : first + n_channels])) for first in firsts)
    return Scene(pages=np.arange(prod(shape)).reshape(shape), axes=axes, channel_names=names), warnings


def check_pages(page: tifffile.TiffPage, n_planes: int, n_pages: int, subject: str) -> bool:
    """Whether there are as many pages as planes are promised.

    Raises
    ------
    UnsupportedImageError
        There is one page, and behind its pixels the other planes lie without pages of their own.
    """
    if n_planes <= n_pages:
        return n_planes > 0
    if n_pages == 1 and _has_planes(page):
        raise UnsupportedImageError(
            f"The {subject} is a TIFF whose {n_planes} planes have no headers of their own, as MetaMorph's stacks and "
            "ImageJ's very large ones; open it in Fiji and save it with File > Save As > OME-TIFF."
        )
    return False


def _has_planes(page: tifffile.TiffPage) -> bool:
    """Whether planes lie behind the page's own, be the file cut; those that are compressed have pages of their own."""
    n_bytes = page.parent.filehandle.size - min(page.dataoffsets, default=0)
    return page.compression == _UNCOMPRESSED and n_bytes >= 2 * page.nbytes


def _count(said: Mapping[str, str], name: str, otherwise: int) -> int:
    value = said.get(name, "")
    return max(1, int(value)) if re.fullmatch(r"\d{1,9}", value) else otherwise
