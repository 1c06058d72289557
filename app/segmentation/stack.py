"""What a file holds, before anything is chosen from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from app.segmentation.caveats import Caveat


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


def picture(pixels: NDArray[Any]) -> Stack:
    """A stack of one page: grey `(H, W)`, RGB or RGBA `(H, W, C)`."""
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
    )
