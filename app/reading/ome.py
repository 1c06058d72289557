"""OME-XML of a TIFF to the images that it describes, as far as they are in the file.

After https://docs.openmicroscopy.org/ome-model/: planes of an image are numbered in its `DimensionOrder`, and its
`TiffData` say which page (IFD) of which file holds them.
"""

import re
from collections.abc import Mapping, Sequence
from math import prod
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from app.reading.markup import read_markup
from app.reading.stack import MAX_CHANNELS, MAX_PAGES, PixelSize, believed
from app.reading.tiff_header import PageHeader
from app.reading.tiff_scenes import Scene
from app.reading.warnings import ImageWarning, metadata_unreadable, planes_missing

_MAX_PLANES = MAX_PAGES * MAX_CHANNELS
_MAX_IMAGES = 10_000
_IS_OME = re.compile(r"<(?:\w+:)?OME[\s>]")
_WHERE_ROOT_IS = 4096
_ORDER = "XYZCT"


def is_ome(description: str) -> bool:
    """Whether a page's description is OME-XML, be it cut."""
    return bool(_IS_OME.search(description[:_WHERE_ROOT_IS]))


def ome_scenes(description: str, headers: Sequence[PageHeader]) -> tuple[list[Scene], list[ImageWarning]]:
    """The images that the first page describes, as far as they are in the file, and what is wrong with that."""
    markup = read_markup(description)
    if markup is None:
        return [], [metadata_unreadable("OME-XML")]
    elsewhere = markup.root.find("BinaryOnly")
    if elsewhere is not None:
        where = ImageWarning(
            "metadata_elsewhere",
            f"What is known of the image is in another file, {elsewhere.get('MetadataFile', '')[:100]!r}; its channels "
            "and pixel size were not read. Set pixel_size_um.",
        )
        return [], [where]
    ours = _names_of_file(markup.root)
    scenes: list[Scene] = []
    is_broken, n_used = not markup.is_whole, 0
    for image in markup.root.findall("Image")[:_MAX_IMAGES]:
        try:
            scene = _scene(image, ours, headers, n_used)
        except ValueError:
            is_broken = True
            continue
        if scene is not None:
            scenes.append(scene)
            n_used = max(n_used, int(scene.pages.max()) + 1)
    return scenes, [metadata_unreadable("OME-XML")] if is_broken or not scenes else []


def _names_of_file(root: Element) -> set[str | None]:
    """What this file is called where planes are said to be in it; none is this file too."""
    uuid, names = root.get("UUID"), {name for name in map(_uuid, root.iter("TiffData")) if name}
    # A file whose planes all have one other name was renamed.
    return {None, uuid} if uuid in names or len(names) != 1 else {None, *names}


def _scene(image: Element, ours: set[str | None], headers: Sequence[PageHeader], n_used: int) -> Scene | None:
    """One image, None if none of it is in this file; raises ValueError where it contradicts itself."""
    pixels = image.find("Pixels")
    if pixels is None:
        raise ValueError("there are no pixels")
    entries = [entry for entry in pixels.findall("TiffData") if _uuid(entry) in ours]
    if not entries and pixels.find("TiffData") is not None:
        return None
    entries = entries or [Element("TiffData")]
    samples = headers[min(_number(entries[0].get("IFD"), n_used), len(headers) - 1)].samples
    claimed = {axis: _number(pixels.get(f"Size{axis}"), 0) for axis in "ZCT"}
    sizes = {axis: max(1, size) for axis, size in claimed.items()}
    if sizes["C"] % samples == 0:
        sizes["C"] //= samples
    # The first axis changes fastest.
    order = pixels.get("DimensionOrder", "")
    axes = "".join(reversed(order if sorted(order) == sorted(_ORDER) else _ORDER)).replace("YX", "")
    shape = tuple(sizes[axis] for axis in axes)
    n_planes = prod(shape)
    planes, contradict = _planes(entries, axes, shape, len(headers), n_used)
    pages, present = _grid(planes, axes, shape)
    names = [channel.get("Name", "") for channel in pixels.findall("Channel")]
    pixel_size, warnings = _pixel_size(pixels)
    if min(claimed.values()) < 1 or len(names) > sizes["C"] * samples or contradict:
        warnings.append(metadata_unreadable("OME-XML"))
    if pages.size < n_planes:
        warnings.append(planes_missing(n_planes, pages.size))
    return Scene(
        pages=pages,
        axes=axes,
        name=image.get("Name", ""),
        channel_names=(_names(names, present["C"], sizes["C"], samples),),
        pixel_size=pixel_size,
        warnings=tuple(warnings),
    )


def _planes(
    entries: Sequence[Element], axes: str, shape: tuple[int, ...], n_pages: int, n_used: int
) -> tuple[dict[int, int], bool]:
    """Of each plane that is in the file its page, and whether entries contradict each other.

    Some programs leave out which plane is meant, or which page: then planes follow one another as the image says.
    """
    n_planes, n_steps = prod(shape), 0
    planes: dict[int, int] = {}
    contradict = False
    for entry in entries:
        place = [_number(entry.get(f"First{axis}"), 0) for axis in axes]
        first = int(np.ravel_multi_index(place, shape))
        page = _number(entry.get("IFD"), n_used)
        n_here = _number(entry.get("PlaneCount"), 1 if entry.get("IFD") else n_planes)
        n_here = max(0, min(n_here, n_planes - first, n_pages - page))
        n_steps += n_here
        if n_steps > _MAX_PLANES:
            raise ValueError("there are too many planes")
        here = {first + step: page + step for step in range(n_here)}
        contradict |= any(planes.get(plane, number) != number for plane, number in here.items())
        planes |= here
    if not planes:
        raise ValueError("none of the planes is there")
    if contradict or len(set(planes.values())) < len(planes):
        return {plane: n_used + plane for plane in range(min(n_planes, n_pages - n_used))}, True
    return planes, False


def _grid(
    planes: Mapping[int, int], axes: str, shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], dict[str, NDArray[np.intp]]]:
    """The pages of the planes, an axis for each of `axes`, and which numbers on each axis there are.

    Of times and depths those are left out that lack a channel which others have.
    """
    indices = np.unravel_index(np.fromiter(planes, np.intp), shape)
    values, places = zip(*(np.unique(index, return_inverse=True) for index in indices), strict=True)
    sizes = tuple(len(value) for value in values)
    if prod(sizes) > _MAX_PLANES:
        raise ValueError("the planes are too far apart")
    pages = np.full(sizes, -1, np.intp)
    pages[places] = list(planes.values())
    present = dict(zip(axes, values, strict=True))
    # Times first: an acquisition that was ended has its last one in part.
    for axis in sorted(axes, key="TZC".find):
        others = tuple(number for number, other in enumerate(axes) if other != axis)
        is_whole = (pages >= 0).all(axis=others)
        if is_whole.any() and not is_whole.all():
            pages = np.compress(is_whole, pages, axis=axes.index(axis))
            present[axis] = present[axis][is_whole]
    if (pages < 0).any():
        raise ValueError("the planes leave gaps")
    return pages, present


def _names(names: Sequence[str], present: NDArray[np.intp], n_channels: int, samples: int) -> tuple[str, ...]:
    """Of each sample of each channel; those of one channel have names of their own or the first has the channel's."""
    each = samples if len(names) > n_channels else 1
    chosen = [list(names[number * each : (number + 1) * each]) for number in map(int, present)]
    return tuple(name for some in chosen for name in [*some, *[""] * (samples - len(some))])


def _pixel_size(pixels: Element) -> tuple[PixelSize | None, list[ImageWarning]]:
    def unit(axis: str) -> str:
        # It may be in the value; without any it is the micrometre.
        usual = "" if re.search(r"[^\d.,\s]\s*$", pixels.get(f"PhysicalSize{axis}", "")) else "um"
        return pixels.get(f"PhysicalSize{axis}Unit") or usual

    return believed(pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeX"), (unit("Y"), unit("X")))


def _uuid(entry: Element) -> str | None:
    found = entry.find("UUID")
    return (found.text or "").strip() or None if found is not None else None


def _number(text: str | None, otherwise: int) -> int:
    """A whole number of at most 9 digits, `otherwise` where there is none."""
    return int(text) if text and re.fullmatch(r"\s*\d{1,9}\s*", text) else otherwise
