"""A plane as people see it on a screen, at every size from one tile to its own: 8 bits, in files on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.engine.out_of_core import Normalised, read_large
from app.engine.pipeline import Call
from app.errors import ImageTooLargeError
from app.inference.load import Model
from app.inference.normalise import Limits, stretch_window
from app.options import SegmentationOptions
from app.reading.image_statistics import bands
from app.reading.memmap import MemmapArray, Window
from app.reading.stack import DecodedImage, ImageDescription

TILE_PX = 512
Look = Callable[[Window], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Preview:
    """A plane, drawn.

    Attributes
    ----------
    image
        What was read.
    n_channels
        From which one can be chosen; alpha is none.
    levels
        uint8 `(h, w, 1)` in grey or `(h, w, 3)` in RGB on disk. The last has the image's own size, each before it half
        of that, rounded up, and the first fits into one tile.
    """

    image: ImageDescription
    n_channels: int
    levels: tuple[MemmapArray, ...]

    @property
    def n_bytes(self) -> int:
        """What it takes on disk."""
        return sum(int(np.prod(level.shape)) for level in self.levels)

    def tile(self, level: int, column: int, row: int) -> NDArray[np.uint8] | None:
        """A square of `TILE_PX`, less at the right and lower edges; None where there is none of these numbers.

        Raises
        ------
        FileNotFoundError
            The files have been removed.
        """
        if level >= len(self.levels):
            return None
        height, width, _ = self.levels[level].shape
        top, left = row * TILE_PX, column * TILE_PX
        if top >= height or left >= width:
            return None
        window = slice(top, min(top + TILE_PX, height)), slice(left, min(left + TILE_PX, width))
        return np.asarray(self.levels[level][window], np.uint8)


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of each level, the smallest first.

    Examples
    --------
    >>> level_sizes(700, 2049)
    [(88, 257), (175, 513), (350, 1025), (700, 2049)]
    """
    sizes = [(height, width)]
    while max(sizes[0]) > TILE_PX:
        sizes.insert(0, (-(-sizes[0][0] // 2), -(-sizes[0][1] // 2)))
    return sizes


def preview_in_memory(model: Model, decoded: DecodedImage, folder: Path, max_bytes: int) -> Preview:
    """A plane that is in memory; see `app.engine.engine.Engine.preview`."""
    image = decoded.image
    described = ImageDescription(**{field.name: getattr(decoded, field.name) for field in fields(ImageDescription)})
    n_channels = decoded.channels.shape[2]
    return _drawn(described, n_channels, image.__getitem__, model.limits(image), folder, max_bytes)


def preview_out_of_core(
    model: Model,
    path: Path,
    options: SegmentationOptions,
    folder: Path,
    max_pixels: int,
    max_bytes: int,
    call: Call,
) -> Preview:
    """A plane of a TIFF that does not fit into the memory; see `app.engine.out_of_core.segment_out_of_core`."""
    with TemporaryDirectory(prefix="karyometer-") as unpacked:
        image, pixels, statistics = read_large(path, options, Path(unpacked), max_pixels, call)
        shown = Normalised(pixels, statistics, model.card.normalisation)
        n_channels = 1 if statistics.is_grey else image.n_channels - len(image.alpha)
        return _drawn(image, n_channels, shown.look, shown.within, folder, max_bytes)


def _drawn(
    image: ImageDescription, n_channels: int, look: Look, limits: Limits, folder: Path, max_bytes: int
) -> Preview:
    n_samples = 3 if image.channel is None and n_channels > 1 else 1
    sizes = level_sizes(image.height, image.width)
    if sum(height * width for height, width in sizes) * n_samples > max_bytes:
        raise ImageTooLargeError(
            f"The picture of {image.height} x {image.width} pixels takes more than {max_bytes} bytes; crop the image.",
            "max_preview_bytes",
        )
    return Preview(image, n_channels, draw_levels(look, limits, sizes, n_samples, folder))


def draw_levels(
    look: Look, limits: Limits, sizes: Sequence[tuple[int, int]], n_samples: int, folder: Path
) -> tuple[MemmapArray, ...]:
    """All levels of a plane, some rows at a time; the brightness is the same for all of it.

    Parameters
    ----------
    look
        A window of the plane as decoded, `(h, w)` or `(h, w, 3)`.
    limits
        What becomes black and white; see `app.inference.normalise`.
    sizes
        Of the levels; see `level_sizes`.
    n_samples
        1 in grey, 3 in RGB.
    folder
        Where files of the levels are made.

    Raises
    ------
    OSError
        The disk is full.
    """
    levels = [
        MemmapArray(folder / f"level-{number}", (*size, n_samples), np.uint8) for number, size in enumerate(sizes)
    ]
    for rows in bands(*sizes[-1]):
        window = rows, slice(0, sizes[-1][1])
        shown = stretch_window(look, limits, window)[..., :n_samples]
        levels[-1][window] = np.round(shown * 255).astype(np.uint8)
    for smaller, larger in zip(levels[-2::-1], levels[:0:-1]):
        height, width, _ = smaller.shape
        for rows in bands(height, 4 * width):
            above = larger[slice(2 * rows.start, 2 * rows.stop), slice(0, larger.shape[1])]
            smaller[rows, slice(0, width)] = _halved(above)
    return tuple(levels)


def _halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mean of every four pixels `(h, w, C)`; those at odd edges count twice."""
    height, width, n_samples = pixels.shape
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    half = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8).reshape(*half.shape[:2], n_samples)
