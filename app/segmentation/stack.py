"""What a file holds, before anything is chosen from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from app.segmentation.caveats import Caveat

# Larger is no microscope's pixel: 72 dots per inch are 353 micrometres.
MAX_PIXEL_SIZE_UM = 10
UM_PER_INCH = 25_400


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


def believed(pixel_size_um: float | None) -> tuple[float | None, list[Caveat]]:
    """The size that a file gives its pixels, None if no microscope has such pixels, and what to say of that."""
    if pixel_size_um is None or 0 < pixel_size_um <= MAX_PIXEL_SIZE_UM:
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
