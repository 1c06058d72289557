"""What a file holds, before anything is chosen from it, and how much of it is accepted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from app.errors import ImageTooLargeError, UnsupportedImageError
from app.segmentation.caveats import Caveat

MAX_PAGES = 10_000
MAX_CHANNELS = 8
# Nothing larger can be answered: PNG encoders refuse longer sides.
MAX_SIDE_PX = 1_000_000
# What the network sees at least.
MIN_SIDE_PX = 64
# Larger is no microscope's pixel: 72 dots per inch are 353 micrometres.
MAX_PIXEL_SIZE_UM = 10
# Smaller is no atom.
MIN_PIXEL_SIZE_UM = 0.0001
UM_PER_INCH = 25_400
_UM = {
    "pm": 1e-6,
    "picometer": 1e-6,
    "angstrom": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1,
    "µm": 1,
    "μm": 1,
    "\\u00b5m": 1,
    "micron": 1,
    "microns": 1,
    "micrometer": 1,
    "micrometre": 1,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "inch": UM_PER_INCH,
    "meter": 1e6,
}


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
        Whether the channels are RGB or RGBA.
    is_inverted
        Whether 0 is white.
    channel_names
        Empty where the file names none.
    pixel_size_um
        Edge length of a pixel, None where the file does not say or is not believed.
    caveats
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
    is_inverted: bool = False
    channel_names: tuple[str, ...] = ()
    pixel_size_um: float | None = None
    caveats: tuple[Caveat, ...] = ()
    close: Callable[[], None] = lambda: None


def believed(pixel_size_um: float | None) -> tuple[float | None, list[Caveat]]:
    """The size that a file gives its pixels, None if no microscope has such pixels, and what to say of that."""
    if pixel_size_um is None or MIN_PIXEL_SIZE_UM <= pixel_size_um <= MAX_PIXEL_SIZE_UM:
        return pixel_size_um, []
    ignored = Caveat(
        "pixel_size_ignored",
        f"The file says that a pixel is {pixel_size_um:.4g} micrometres wide, which was not believed; set "
        "pixel_size_um.",
    )
    return None, [ignored]


def picture(pixels: NDArray[Any], dots_per_inch: float | None = None) -> Stack:
    """A stack of one page: grey `(H, W)`, RGB or RGBA `(H, W, C)`."""
    # A screen's resolution is no claim: many programs write it into every file.
    pixel_size_um, _ = believed(UM_PER_INCH / dots_per_inch if dots_per_inch else None)
    is_colour = pixels.ndim == 3
    height, width, n_channels = pixels.shape if is_colour else (*pixels.shape, 1)
    return Stack(
        read_page=lambda _: pixels.reshape(height, width, n_channels),
        axes="YXC" if is_colour else "YX",
        height=height,
        width=width,
        n_pages=1,
        n_channels=n_channels,
        is_colour=is_colour,
        pixel_size_um=pixel_size_um,
    )


def check_size(height: int, width: int, max_pixels: int, subject: str) -> None:
    """Refuse what has more pixels than the limit.

    Raises
    ------
    ImageTooLargeError
        It has.
    """
    if pixels_seen(height, width) > max_pixels or max(height, width) > MAX_SIDE_PX:
        raise ImageTooLargeError(
            f"The {subject} has {height} x {width} pixels, the limit is {max_pixels} in all (sides below {MIN_SIDE_PX} "
            f"count as {MIN_SIDE_PX}) and {MAX_SIDE_PX} a side; crop it, or raise KARYOMETER_MAX_PIXELS on the server."
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


def in_um(length: Any, unit: str) -> float | None:
    """A length in micrometres, None where there is none or its unit is not known.

    Examples
    --------
    >>> in_um(325, "nm"), in_um(2, "pixel")
    (0.325, None)
    """
    factor = _UM.get(unit.lower())
    return None if length is None or factor is None else float(length) * factor
