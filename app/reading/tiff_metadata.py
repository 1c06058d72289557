"""What a TIFF says of itself beside OME-XML: ImageJ, tifffile, Zeiss LSM, MetaMorph, Aperio, resolution tags."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import tifffile

from app.errors import UnsupportedImageError
from app.reading.markup import read_markup
from app.reading.ome import is_ome, ome_scenes
from app.reading.stack import PixelSize, believed
from app.reading.tiff_header import PageHeader
from app.reading.tiff_scenes import Scene, group_pages, is_uniform, undescribed
from app.reading.warnings import ImageWarning, metadata_unreadable

_LSM_INFO, _UIC1, _UIC2, _IMAGEJ_METADATA = 34412, 33628, 33629, 50839
_APERIO_SIZE = re.compile(r"\|\s*MPP\s*=\s*([\d.,]+)")
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}


def find_scenes(
    headers: Sequence[PageHeader], load: Callable[[int], tifffile.TiffPage], subject: str
) -> tuple[list[Scene], list[ImageWarning]]:
    """The images of a file, and what is wrong with what it says of them.

    Parameters
    ----------
    headers
        Of all pages.
    load
        Gives a page by its number.
    subject
        What the file is called in messages.

    Raises
    ------
    UnsupportedImageError
        Planes have no pages of their own.
    """
    first = load(0)
    scenes: list[Scene] = []
    warnings: list[ImageWarning] = []
    if is_ome(first.description):
        scenes, warnings = ome_scenes(first.description, headers)
    if not scenes and first.imagej_description is not None:
        scenes, contradicting = _imagej(first, headers, subject)
        warnings += contradicting
    elif first.is_shaped:
        scenes = list(_shaped(headers, load, subject))
    elif _UIC2 in first.tags and first.tags[_UIC2].count > 1:
        raise _without_pages(subject, first.tags[_UIC2].count)
    if not all(is_uniform(scene, headers) for scene in scenes):
        scenes, warnings = [], [metadata_unreadable("description")]
    if not scenes:
        scenes = group_pages(headers, range(len(headers))) or [
            # Every page says that it is a copy of another.
            Scene(pages=np.arange(1), axes="Q")
        ]
        pixel_size, ignored = _pixel_size(first)
        scenes = [replace(scene, pixel_size=pixel_size, warnings=tuple(ignored)) for scene in scenes]
        return [_with_axes_of_lsm(scenes[0], first), *scenes[1:]], warnings
    return [*scenes, *undescribed(scenes, headers)], warnings


def _imagej(
    page: tifffile.TiffPage, headers: Sequence[PageHeader], subject: str
) -> tuple[list[Scene], list[ImageWarning]]:
    """The hyperstack: channels change fastest, then depths, then times."""
    said = _imagej_description(page)
    n_pages = next((n for n, one in enumerate(headers) if one[1:4] != headers[0][1:4]), len(headers))
    n_images = _count(said, "images", n_pages)
    if n_pages == 1 < n_images:
        raise _without_pages(subject, n_images)
    shape = tuple(_count(said, name, 1) for name in ("frames", "slices", "channels"))
    axes, warnings = "TZC", list[ImageWarning]()
    if prod(shape) != n_images or n_images > n_pages:
        if prod(shape) > 1 or n_images > n_pages:
            warnings = [metadata_unreadable("ImageJ description")]
        axes, shape = "Q", (min(n_images, n_pages),)
    labels = page.tags.valueof(_IMAGEJ_METADATA)
    labels = labels.get("Labels", []) if isinstance(labels, Mapping) else []
    # tifffile unpacks a single one.
    labels = [labels] if isinstance(labels, str) else labels
    n_channels = shape[-1] if axes == "TZC" else 1
    names = tuple(
        tuple(map(str, labels[first : first + n_channels])) for first in range(0, prod(shape), n_channels) if labels
    )
    pixel_size, ignored = _pixel_size(page)
    pages = np.arange(prod(shape)).reshape(shape)
    scene = Scene(pages=pages, axes=axes, channel_names=names, pixel_size=pixel_size, warnings=tuple(ignored))
    return [scene], warnings


def _imagej_description(page: tifffile.TiffPage) -> dict[str, str]:
    lines = (page.imagej_description or "").splitlines()
    return {
        key.strip(): value.strip() for key, separator, value in (line.partition("=") for line in lines) if separator
    }


def _count(said: Mapping[str, str], name: str, otherwise: int) -> int:
    value = said.get(name, "")
    return max(1, int(value)) if re.fullmatch(r"\d{1,9}", value) else otherwise


def _shaped(headers: Sequence[PageHeader], load: Callable[[int], tifffile.TiffPage], subject: str) -> Iterator[Scene]:
    """What tifffile wrote: arrays one after the other, each with its shape in the description of its first page."""
    number = 0
    while number < len(headers):
        page = load(number)
        try:
            said = json.loads(page.shaped_description or "")
            shape, axes = [int(size) for size in said["shape"]], str(said.get("axes") or "")
        except (ValueError, TypeError, LookupError, RecursionError):
            return
        n_planes = prod(shape) // max(1, prod(page.shape))
        leading = (
            [(axis, size) for axis, size in zip(axes, shape) if axis not in "YXS"] if len(axes) == len(shape) else []
        )
        if prod(size for _, size in leading) != n_planes or n_planes < 1:
            leading = [("Q", max(1, n_planes))]
        if n_planes > len(headers) - number:
            raise _without_pages(subject, n_planes)
        pixel_size, ignored = _pixel_size(page)
        yield Scene(
            pages=np.arange(number, number + max(1, n_planes)).reshape([size for _, size in leading]),
            axes="".join(axis for axis, _ in leading),
            pixel_size=pixel_size,
            warnings=tuple(ignored),
        )
        number += max(1, n_planes)


def _with_axes_of_lsm(scene: Scene, page: tifffile.TiffPage) -> Scene:
    """Times and depths of a Zeiss LSM, whose pages hold all channels."""
    said = page.tags.valueof(_LSM_INFO)
    if isinstance(said, Mapping):
        shape = (said.get("DimensionTime", 0), said.get("DimensionZ", 0))
        if prod(shape) == scene.pages.size:
            return replace(scene, pages=scene.pages.reshape(shape), axes="TZ")
    return scene


def _pixel_size(page: tifffile.TiffPage) -> tuple[PixelSize | None, list[ImageWarning]]:
    """What the first that says something says."""
    lsm, stk = page.tags.valueof(_LSM_INFO), page.tags.valueof(_UIC1)
    if isinstance(lsm, Mapping):
        return believed(lsm.get("VoxelSizeY"), lsm.get("VoxelSizeX"), ("m", "m"))
    if isinstance(stk, Mapping) and "XCalibration" in stk:
        unit = str(stk.get("CalibrationUnits", "")) if stk.get("SpatialCalibration", True) else ""
        return believed(_ratio(stk.get("YCalibration")), _ratio(stk.get("XCalibration")), (unit, unit))
    if page.description.lstrip().startswith("<MetaData"):
        return _metamorph(page.description)
    aperio = _APERIO_SIZE.search(page.description) if page.description.startswith("Aperio") else None
    if aperio:
        return believed(aperio[1], aperio[1])
    said = _imagej_description(page)
    tagged = _RESOLUTION_UNITS.get(_whole(page.resolutionunit), "")
    unit_x = said.get("unit") or tagged
    row, col = (_inverse(page.tags.valueof(tag)) for tag in ("YResolution", "XResolution"))
    return believed(row, col, (said.get("yunit") or unit_x, unit_x))


def _metamorph(description: str) -> tuple[PixelSize | None, list[ImageWarning]]:
    markup = read_markup(description)
    if markup is None:
        return None, [metadata_unreadable("MetaMorph description")]
    said = {one.get("id", ""): one.get("value", "") for one in markup.root.iter("prop")}
    unit = said.get("spatial-calibration-units", "")
    if said.get("spatial-calibration-state", "on").lower() not in ("on", "true", "1"):
        unit = ""
    pixel_size, warnings = believed(said.get("spatial-calibration-y"), said.get("spatial-calibration-x"), (unit, unit))
    return pixel_size, warnings if markup.is_whole else [*warnings, metadata_unreadable("MetaMorph description")]


def _inverse(rational: Any) -> float | None:
    """How long a pixel is, by how many there are in a unit."""
    per_unit = _ratio(rational)
    return 1 / per_unit if per_unit else None


def _ratio(rational: Any) -> float | None:
    match rational:
        case (int() | float() as above, int() | float() as below) if below:
            return above / below
        case int() | float():
            return float(rational)
    return None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _without_pages(subject: str, n_planes: int) -> UnsupportedImageError:
    return UnsupportedImageError(
        f"The {subject} is a TIFF whose {n_planes} planes have no headers of their own, as MetaMorph's stacks and "
        "ImageJ's very large ones; open it in Fiji and save it with File > Save As > OME-TIFF."
    )
