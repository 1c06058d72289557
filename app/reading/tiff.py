"""TIFF of every usual kind to its pages and channels; which of its images that is, and what it says of itself."""

import io
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from app.reading.stack import Stack, check_channels, choose_scene
from app.reading.tiff_header import PageHeader, read_headers
from app.reading.tiff_metadata import find_scenes, with_own_size
from app.reading.tiff_page import mend_strips, read_plane, read_rows
from app.reading.tiff_samples import samples_of
from app.reading.tiff_scenes import Scene, first_image
from app.reading.warnings import ImageWarning

# Headers may be large.
_PAGES_KEPT = 16
_ORIENTATION = 274
_TURNING_IGNORED = ImageWarning(
    "orientation_ignored",
    "The file says that it is shown turned or mirrored; it was read as it is stored, as ImageJ and QuPath do. Other "
    "programs turn it, and masks that were drawn in them.",
)
_PIXELS_MISSING = ImageWarning(
    "pixels_missing",
    "Some strips or tiles were never written into the file, and were read as 0; nuclei there are not counted.",
)


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


def open_tiff(data: bytes | Path, subject: str, scene: int | None = None) -> TiffStack:
    """What is in a TIFF, in memory or at a path; no pixel is decoded yet.

    Parameters
    ----------
    data
        Its bytes, or where it is.
    subject
        What it is called in messages; the values of a `mask` are read as they are stored.
    scene
        Which of its images, from 0; None is the first that is no preview.

    Raises
    ------
    UnsupportedImageError
        Its pixels are of a kind that is not read.
    OptionError
        There is no such scene.
    ValueError
        Its pages form a cycle, or are too many; tifffile's own errors mean damage too.
    """
    headers = read_headers(data)
    file = _open_file(data)
    with ExitStack() as if_it_fails:
        if_it_fails.callback(file.close)
        stack = _stack_of(file, headers, subject, scene)
        if_it_fails.pop_all()
    return stack


def _stack_of(file: tifffile.TiffFile, headers: Sequence[PageHeader], subject: str, scene: int | None) -> TiffStack:
    @lru_cache(_PAGES_KEPT)
    def load(number: int) -> tifffile.TiffPage:
        file.filehandle.seek(headers[number].offset)
        return tifffile.TiffPage(file, number)

    scenes, warnings = find_scenes(headers, load, subject)
    number, ignored = choose_scene(scene, len(scenes), first_image(scenes, headers))
    page = load(scenes[number].first)
    chosen = with_own_size(scenes[number], page)
    samples = samples_of(page, subject)
    mend_strips(page)
    size_px, ifds = (page.imagelength, page.imagewidth), _by_channel(chosen)
    n_channels = ifds.shape[1] * samples.n
    check_channels(n_channels, subject)

    def read(number: int, of_page: Callable[[Any], NDArray[Any]]) -> NDArray[Any]:
        planes = []
        for ifd in ifds[number]:
            page = load(int(ifd))
            mend_strips(page)
            planes.append(samples.convert(of_page(page)))
        return np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]

    return TiffStack(
        read_page=lambda number: read(number, lambda page: read_plane(page, size_px)),
        axes=_named_axes(chosen, page.axes, samples.n),
        height=page.imagelength,
        width=page.imagewidth,
        n_pages=len(ifds),
        n_channels=n_channels,
        is_colour=samples.is_colour and ifds.shape[1] == 1,
        alpha=tuple(samples.n * index + one for index in range(ifds.shape[1]) for one in samples.alpha),
        channel_names=_fitting(chosen.channel_names, n_channels),
        pixel_size=chosen.pixel_size,
        scene=number,
        n_scenes=len(scenes),
        warnings=tuple(
            dict.fromkeys(
                [*warnings, *chosen.warnings, *samples.warnings, *ignored, *_assumed(chosen), *_of_page(page)]
            )
        ),
        close=file.close,
        read_rows=lambda number, first, stop: read(number, lambda page: read_rows(page, size_px, first, stop)),
        n_rows_together=1
        if page.is_final
        else min(size_px[0], page.tilelength if page.is_tiled else page.rowsperstrip),
        dtype=np.dtype(samples.dtype or page.dtype),
    )


def _open_file(data: bytes | Path) -> tifffile.TiffFile:
    # Of these kinds tifffile would walk all pages on opening.
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    return tifffile.TiffFile(source, is_lsm=False, is_scanimage=False, is_ndpi=False)


def _by_channel(scene: Scene) -> NDArray[np.intp]:
    """Numbers of the file's pages, a row for each page of the stack, a column for each channel."""
    if "C" not in scene.axes:
        return scene.pages.reshape(-1, 1)
    last = np.moveaxis(scene.pages, scene.axes.index("C"), -1)
    return last.reshape(-1, last.shape[-1])


def _named_axes(scene: Scene, page_axes: str, n_samples: int) -> str:
    """Those of more than one plane, then the page's; samples are channels."""
    of_page = "YX" if n_samples == 1 else "YXS" if page_axes == "YX" else page_axes
    leading = "".join(axis for axis, size in zip(scene.axes, scene.pages.shape) if size > 1)
    return leading + of_page.replace("S", "C")


def _assumed(scene: Scene) -> list[ImageWarning]:
    unnamed = [size for axis, size in zip(scene.axes, scene.pages.shape) if axis in "QI" and size > 1]
    message = (
        "The file does not say what its axis of {} is; it was read as pages. Choose one with page, or save the file "
    )
    return [ImageWarning("axes_assumed", (message + "with named axes.").format(size)) for size in unnamed[:1]]


def _of_page(page: tifffile.TiffPage) -> list[ImageWarning]:
    """What the first page has that is not as usual; its strips were mended."""
    is_upright = page.tags.valueof(_ORIENTATION, 1) in (0, 1)
    return [*([] if is_upright else [_TURNING_IGNORED]), *([_PIXELS_MISSING] if 0 in page.databytecounts else [])]


def _fitting(names: tuple[tuple[str, ...], ...], n_channels: int) -> tuple[tuple[str, ...], ...]:
    """As many names as there are channels, or none."""
    if not any(any(some) for some in names):
        return ()
    return tuple((*some, *[""] * n_channels)[:n_channels] for some in names)
