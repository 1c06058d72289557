"""What a file holds, before and after something is chosen from it, and how much of it is accepted."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import isclose, nan
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.errors import ImageTooLargeError, OptionError, Setting, UnsupportedImageError
from app.reading.lengths import UM_PER_INCH, in_um
from app.reading.padding import Padding
from app.reading.warnings import ImageWarning, scenes_ignored

MAX_PAGES = 10_000
MAX_CHANNELS = 8
COLOURS = ("red", "green", "blue")
# Nothing larger can be answered: PNG encoders refuse longer sides.
MAX_SIDE_PX = 1_000_000
# What the network sees at least.
MIN_SIDE_PX = 64
# Larger is no microscope's pixel: 72 dots per inch are 353 micrometres.
MAX_PIXEL_SIZE_UM = 10
# Smaller is no atom.
MIN_PIXEL_SIZE_UM = 0.0001
# Sides that differ by less are those of a square, rounded.
_SQUARE_TOLERANCE = 0.001


class PixelSize(NamedTuple):
    """The sides of a pixel.

    Attributes
    ----------
    row_um
        From one row to the next (y), in micrometres.
    col_um
        From one column to the next (x), in micrometres.

    Examples
    --------
    >>> PixelSize(1, 0.5).side_um, PixelSize(0.5, 0.5).side_um
    (None, 0.5)
    """

    row_um: float
    col_um: float

    @property
    def side_um(self) -> float | None:
        """The one side of a square pixel, None where the sides differ."""
        return self.col_um if isclose(self.row_um, self.col_um, rel_tol=_SQUARE_TOLERANCE) else None


@dataclass(frozen=True)
class Stack:
    """Pages of channels, all of one size.

    Attributes
    ----------
    read_page
        Page number to `(H, W, C)`; may raise what the file's decoder raises.
    axes
        As the file has them, samples as `C`.
    is_colour
        Whether the first three channels are red, green and blue.
    alpha
        Which channels are alpha.
    channel_names
        Of each page, or one tuple for all of them; empty where the file names none.
    pixel_size
        None where the file does not say or is not believed.
    scene
        Which image of the file it is, of `n_scenes`, counted from 0.
    warnings
        What was assumed.
    close
        Lets go of what `read_page` needs.
    """

    read_page: Callable[[int], NDArray[Any]]
    axes: str
    height: int
    width: int
    n_pages: int
    n_channels: int
    is_colour: bool
    alpha: tuple[int, ...] = ()
    channel_names: tuple[tuple[str, ...], ...] = ()
    pixel_size: PixelSize | None = None
    scene: int = 0
    n_scenes: int = 1
    warnings: tuple[ImageWarning, ...] = ()
    close: Callable[[], None] = lambda: None

    def names_of(self, page: int | Literal["max"]) -> tuple[str, ...]:
        """How a page's channels are called, alpha left out; of all pages together where each has the same names."""
        if isinstance(page, int) and len(self.channel_names) > 1:
            names = self.channel_names[page]
        else:
            names = self.channel_names[0] if len(set(self.channel_names)) == 1 else ()
        if self.is_colour:
            names = (*COLOURS, *map(str, range(3, self.n_channels)))
        return tuple(name for number, name in enumerate(names) if number not in self.alpha)


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageDescription:
    """A plane of an image, as its file and the options say.

    Attributes
    ----------
    height, width
        In pixels.
    dtype
        Of the pixels, as NumPy names it.
    axes
        Those of the file, `YXC` for one; `n_pages` and `n_channels` (alpha among them) are theirs.
    channel, page
        Which of them is segmented, counted from 0, alpha left out; no channel in colour, `max` for the brightest of all
        pages.
    channel_names
        Empty where the file names none.
    pixel_size
        What the file says, None if it does not or is not believed.
    scene
        Which image of the file it is, of `n_scenes`, counted from 0.
    warnings
        What was assumed or left out on reading.
    padding
        What of it was never imaged.
    """

    height: int
    width: int
    dtype: str
    axes: str
    n_pages: int
    n_channels: int
    channel: int | None
    page: int | Literal["max"]
    channel_names: tuple[str, ...]
    pixel_size: PixelSize | None
    scene: int
    n_scenes: int
    warnings: tuple[ImageWarning, ...]
    padding: Padding | None = None

    @property
    def pixel_size_um(self) -> float | None:
        """The side of a square pixel, None where the file says none or two that differ."""
        return self.pixel_size.side_um if self.pixel_size else None


@dataclass(frozen=True, eq=False, kw_only=True)
class DecodedImage(ImageDescription):
    """A plane in memory.

    Attributes
    ----------
    channels
        All channels of the plane `(H, W, C)`, to be measured; alpha is left out, and grey colours are one channel.
    """

    channels: NDArray[Any]

    @cached_property
    def image(self) -> NDArray[Any]:
        """What is segmented: one channel `(H, W)`, or colour `(H, W, 3)`."""
        if self.channel is not None:
            return np.ascontiguousarray(self.channels[..., self.channel])
        # What comes after the colours is measured only.
        return np.ascontiguousarray(np.broadcast_to(self.channels[..., :3], (*self.channels.shape[:2], 3)))


def believed(row: Any, col: Any, units: tuple[str, str] = ("um", "um")) -> tuple[PixelSize | None, list[ImageWarning]]:
    """The size that a file gives its pixels, None if no microscope has such pixels, and what to say of that.

    A file that gives one side means a square.

    Parameters
    ----------
    row, col
        From one row, or column, to the next; see `app.reading.lengths.in_um`.
    units
        Of both.

    Examples
    --------
    >>> believed(None, 0.5)
    (PixelSize(row_um=0.5, col_um=0.5), [])
    >>> believed("1,0 um", "500", ("", "nm"))
    (PixelSize(row_um=1.0, col_um=0.5), [])
    """
    claimed = " x ".join(f"{length} {unit}".strip()[:40] for length, unit in zip((row, col), units) if length)
    try:
        sides = [side for side in map(in_um, (row, col), units) if side is not None]
    except ValueError:
        sides = [nan]
    if not sides:
        return None, []
    if all(MIN_PIXEL_SIZE_UM <= side <= MAX_PIXEL_SIZE_UM for side in sides):
        return PixelSize(sides[0], sides[-1]), []
    ignored = ImageWarning(
        "pixel_size_ignored",
        f"The file says that a pixel is {claimed} large, which was not believed; set pixel_size_um.",
    )
    return None, [ignored]


def picture(pixels: NDArray[Any], dots_per_inch: tuple[float, float] | None = None) -> Stack:
    """A stack of one page: grey `(H, W)`, RGB or RGBA `(H, W, C)`; `dots_per_inch` along a row and down a column."""
    # A screen's resolution is no claim: many programs write it into every file.
    col_um, row_um = (UM_PER_INCH / dots if dots else None for dots in dots_per_inch or (0, 0))
    pixel_size, _ = believed(row_um, col_um)
    is_colour = pixels.ndim == 3
    height, width, n_channels = pixels.shape if is_colour else (*pixels.shape, 1)
    return Stack(
        read_page=lambda _: pixels.reshape(height, width, n_channels),
        axes="YXC" if is_colour else "YX",
        height=height,
        width=width,
        n_pages=1,
        n_channels=n_channels,
        is_colour=n_channels >= 3,
        alpha=(n_channels - 1,) if n_channels in (2, 4) else (),
        pixel_size=pixel_size,
    )


def choose_scene(asked: int | None, n_scenes: int, otherwise: int = 0) -> tuple[int, list[ImageWarning]]:
    """The number of the image that is read, and what to say of the others where none was asked for.

    Raises
    ------
    OptionError
        There is no such scene.
    """
    if asked is not None and asked >= n_scenes:
        raise OptionError(f"There is no scene {asked}; the file has {n_scenes}, counted from 0.")
    if asked is not None or n_scenes == 1:
        return asked or 0, []
    return otherwise, [scenes_ignored(n_scenes, otherwise)]


def check_size(height: int, width: int, max_pixels: int, subject: str, setting: Setting | None = "max_pixels") -> None:
    """Refuse what has more pixels than the limit, which is that setting.

    Raises
    ------
    ImageTooLargeError
        It has.
    """
    if pixels_seen(height, width) > max_pixels or max(height, width) > MAX_SIDE_PX:
        raise ImageTooLargeError(
            f"The {subject} has {height} x {width} pixels, the limit is {max_pixels} in all (sides below {MIN_SIDE_PX} "
            f"count as {MIN_SIDE_PX}) and {MAX_SIDE_PX} a side; crop it.",
            setting if max(height, width) <= MAX_SIDE_PX else None,
        )


def pixels_seen(height: int, width: int) -> int:
    """Height times width as the network sees them, which pads a narrow image to `MIN_SIDE_PX`.

    Examples
    --------
    >>> pixels_seen(1, 1000)
    64000
    """
    return max(height, MIN_SIDE_PX) * max(width, MIN_SIDE_PX)


def check_channels(n_channels: int, subject: str) -> None:
    """Refuse what has more channels than are read.

    Raises
    ------
    UnsupportedImageError
        It has.
    """
    if n_channels > MAX_CHANNELS:
        raise UnsupportedImageError(
            f"The {subject} has {n_channels} channels, the limit is {MAX_CHANNELS}; save fewer of them."
        )
