"""What a TIFF says of itself beside OME-XML: tifffile, Zeiss LSM, MetaMorph, Aperio, resolution tags."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import tifffile

from app.reading.imagej import check_pages, imagej_description, imagej_scene
from app.reading.lengths import in_um
from app.reading.markup import read_markup
from app.reading.ome import is_ome, ome_scenes
from app.reading.stack import PixelSize, believed
from app.reading.tiff_header import PageHeader
from app.reading.tiff_scenes import Scene, group_pages, is_uniform, undescribed
from app.reading.warnings import ImageWarning, metadata_unreadable

_LSM_INFO, _UIC1, _UIC2 = 34412, 33628, 33629
_APERIO_SIZE = re.compile(r"\|\s*MPP\s*=\s*([\d.,]+)")
# Of a slide, or the part of it that was kept, and of a smaller copy of that.
_APERIO_LEVEL = re.compile(r"(?P<base>\d{1,9}x\d{1,9})\]?\s*(?:\(\d+x\d+\)\s*)?->\s*(?P<level>\d{1,9}x\d{1,9})")
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
        scene, contradicting = imagej_scene(first, headers, subject)
        scenes, warnings = [_sized(scene, first)], [*warnings, *contradicting]
    elif not scenes and first.is_shaped:
        scenes = list(_shaped(headers, load, subject))
        warnings += [] if scenes else [metadata_unreadable("tifffile description")]
    elif not scenes and _UIC2 in first.tags and not check_pages(first, first.tags[_UIC2].count, 1, subject):
        warnings += [metadata_unreadable("MetaMorph tags")]
    if not all(is_uniform(scene, headers) for scene in scenes):
        scenes, warnings = [], [metadata_unreadable("description")]
    if not scenes:
        scenes = group_pages(headers, range(len(headers))) or [
            # Every page says that it is a copy of another.
            Scene(pages=np.arange(1), axes="Q", is_plain=True)
        ]
        return [_with_axes_of_lsm(scenes[0], first), *scenes[1:]], warnings
    return [*scenes, *undescribed(scenes, headers)], warnings


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
        # A program that cuts an image or takes a page out of a stack may keep the description.
        is_stale = not {page.imagelength, page.imagewidth} <= {*shape, 1} or n_planes * prod(page.shape) != prod(shape)
        if is_stale or not check_pages(page, n_planes, len(headers) - number, subject):
            return
        leading = (
            [(axis, size) for axis, size in zip(axes, shape) if axis not in "YXS"] if len(axes) == len(shape) else []
        )
        if prod(size for _, size in leading) != n_planes:
            leading = [("Q", n_planes)]
        scene = Scene(
            pages=np.arange(number, number + n_planes).reshape([size for _, size in leading]),
            axes="".join(axis for axis, _ in leading),
        )
        yield _sized(scene, page)
        number += n_planes


def with_own_size(scene: Scene, page: tifffile.TiffPage) -> Scene:
    """A scene with the pixel size that its first page gives, where nothing else describes the scene."""
    return _sized(scene, page) if scene.is_plain else scene


def _sized(scene: Scene, page: tifffile.TiffPage) -> Scene:
    pixel_size, ignored = _pixel_size(page)
    return replace(scene, pixel_size=pixel_size, warnings=(*scene.warnings, *ignored))


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
        return _of_aperio(page.description, aperio[1])
    said = imagej_description(page)
    tagged = _RESOLUTION_UNITS.get(_whole(page.resolutionunit), "")
    unit_x = said.get("unit") or tagged
    row, col = (_inverse(page.tags.valueof(tag)) for tag in ("YResolution", "XResolution"))
    size, ignored = believed(row, col, (said.get("yunit") or unit_x, unit_x))
    if not said or not tagged:
        return size, ignored
    # Other programs than ImageJ may leave it the unit of a description that is not theirs.
    other, _ = believed(row, col, (tagged, tagged))
    if size and other and not np.allclose(size, other):
        return None, [_two_sizes(size, other)]
    return (other, []) if ignored and other else (size, ignored)


def _two_sizes(size: PixelSize, other: PixelSize) -> ImageWarning:
    return ImageWarning(
        "pixel_size_ignored",
        f"The file's description says that a pixel is {size.col_um:.4g} um wide, its tags say {other.col_um:.4g} um; "
        "neither was believed. Set pixel_size_um.",
    )


def _of_aperio(description: str, base: str) -> tuple[PixelSize | None, list[ImageWarning]]:
    """The size in a level of a slide, of which the description gives that in the slide itself."""
    reduced = _APERIO_LEVEL.search(description)
    if reduced is None:
        return believed(base, base)
    try:
        side = in_um(base, "um") or 0
    except ValueError:
        side = 0
    base_px, level_px = (tuple(map(int, reduced[name].split("x"))) for name in ("base", "level"))
    col, row = (side * of_base / max(1, of_level) for of_base, of_level in zip(base_px, level_px))
    return believed(row, col)


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
