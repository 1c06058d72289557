"""Which pages of a TIFF make up which of its images (scenes), where no metadata say so."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.reading.stack import PixelSize
from app.reading.tiff_header import PageHeader
from app.reading.warnings import ImageWarning

# An image of at most this part of another's sides and of the same shape is a preview of it.
_PREVIEW_PART = 0.25
_PREVIEW_NAME = re.compile(r"\s*(label|macro|thumbnail|preview|overview)\b", re.IGNORECASE)


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    """One image of a file.

    Attributes
    ----------
    pages
        Numbers of the file's pages, an axis for each of `axes`.
    axes
        Of the planes, such as `TZC`; `Q` has no name.
    name
        What the file calls it.
    channel_names
        Of each plane of several channels, or one for all of them; empty where the file names none.
    pixel_size
        None where the file does not say, or is not believed.
    warnings
        What is wrong with what the file says.
    is_plain
        Whether nothing describes it but its own pages.
    """

    pages: NDArray[np.intp]
    axes: str
    name: str = ""
    channel_names: tuple[tuple[str, ...], ...] = ()
    pixel_size: PixelSize | None = None
    warnings: tuple[ImageWarning, ...] = ()
    is_plain: bool = False

    @property
    def first(self) -> int:
        """Number of its first page."""
        return int(self.pages.flat[0])


def group_pages(headers: Sequence[PageHeader], left: Sequence[int]) -> list[Scene]:
    """The scenes of those pages that are left: pages of one size and kind are one; previews that say so are none."""
    chosen = [number for number in left if not headers[number].is_preview]
    groups: dict[tuple[object, ...], list[int]] = {}
    for number in chosen:
        header = headers[number]
        groups.setdefault((header.height, header.width, header.kind), []).append(number)
    scenes = [Scene(pages=np.array(group), axes="Q", is_plain=True) for group in groups.values()]
    # The levels of a slide's pyramid, and its thumbnail.
    slides = [headers[scene.first] for scene in scenes[:1] if headers[scene.first].is_tiled]
    return [scene for scene in scenes if not any(_is_reduced(headers[scene.first], slide, 1) for slide in slides)]


def first_image(scenes: Sequence[Scene], headers: Sequence[PageHeader]) -> int:
    """The number of the first scene that is no preview, by its name or beside the others."""
    sizes = [headers[scene.first] for scene in scenes]
    for number, (scene, size) in enumerate(zip(scenes, sizes, strict=True)):
        is_preview = any(_is_reduced(size, other, _PREVIEW_PART) or _is_rendered(size, other) for other in sizes)
        if not is_preview and not _PREVIEW_NAME.match(scene.name):
            return number
    return 0


def _is_rendered(page: PageHeader, other: PageHeader) -> bool:
    """Whether a page in colour may show another in grey values, which has more bits and at least its size."""
    return page.samples >= 3 > other.samples and page.bits < other.bits and _has_same_shape(page, other)


def _is_reduced(page: PageHeader, other: PageHeader, part: float) -> bool:
    """Whether a page is a smaller image of the same shape."""
    is_smaller = page.height < other.height and page.height <= part * other.height
    return is_smaller and _has_same_shape(page, other)


def _has_same_shape(page: PageHeader, other: PageHeader) -> bool:
    """Whether a page could be another one, or a smaller copy of it; sides were rounded."""
    difference = abs(page.height * other.width - page.width * other.height)
    return page.height <= other.height and difference <= max(other.height, other.width)


def undescribed(scenes: Sequence[Scene], headers: Sequence[PageHeader]) -> list[Scene]:
    """Scenes of the pages that belong to none of `scenes`."""
    described = {int(number) for scene in scenes for number in scene.pages.flat}
    return group_pages(headers, [number for number in range(len(headers)) if number not in described])


def is_uniform(scene: Scene, headers: Sequence[PageHeader]) -> bool:
    """Whether its pages are of one size and kind."""
    kinds = {
        (headers[number].height, headers[number].width, headers[number].kind) for number in scene.pages.ravel().tolist()
    }
    return len(kinds) == 1
