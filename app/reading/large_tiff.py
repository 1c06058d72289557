"""A TIFF that is too large for the memory to its pixels on disk, some rows at a time."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.errors import OptionError, UnreadableImageError, UnsupportedImageError
from app.options import Channel, Page
from app.reading.channels import choose_channel
from app.reading.decode import SIGNATURES, damage_told
from app.reading.memmap import MemmapArray
from app.reading.stack import ImageDescription, check_size, pixels_seen
from app.reading.tiff import TiffStack, open_tiff
from app.reading.tiff_header import tiff_size
from app.reading.warnings import pages_ignored

# What is decoded together: where strips or tiles allow it less, and never more than the second.
_ROWS_BYTES = 16 * 2**20
MAX_ROWS_BYTES = 256 * 2**20


@dataclass(frozen=True, eq=False, kw_only=True)
class LargeImage(ImageDescription):
    """A plane of a TIFF whose pixels are not in memory, uint8 or uint16.

    Attributes
    ----------
    is_colour
        Whether its first three channels are red, green and blue.
    alpha
        Which channels of the pixels on disk are alpha, and not measured.
    n_rows
        How many rows are unpacked together.
    """

    page: int
    is_colour: bool
    alpha: tuple[int, ...]
    n_rows: int


def tiff_pixels(data: bytes | Path) -> int:
    """What the network would see of the TIFF in memory or at a path, by its header; 0 where it is none, or damaged.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    if not _beginning(data).startswith(SIGNATURES["TIFF"]):
        return 0
    try:
        with damage_told(_beginning(data), "image"):
            height, width, _ = tiff_size(data)
            return pixels_seen(height, width)
    except UnreadableImageError:
        return 0


def _beginning(data: bytes | Path) -> bytes:
    if isinstance(data, bytes):
        return data[:4]
    with data.open("rb") as file:
        return file.read(4)


def describe(
    path: Path, max_pixels: int, channel: Channel | None, page: Page | None, scene: int | None = None
) -> LargeImage:
    """What is in a TIFF, as far as it can be unpacked.

    Parameters
    ----------
    path
        The file.
    max_pixels
        Largest allowed height times width, in pixels.
    channel, page, scene
        See `app.options.SegmentationOptions`.

    Raises
    ------
    ImageError
        It is damaged or too large, or of a kind that cannot be unpacked.
    ChannelNeededError
        There are several channels, and nothing says which one holds the nuclei.
    OptionError
        There is no such channel, page or scene, or more than one page is asked for.
    """
    with _opened(path, scene) as stack:
        check_size(stack.height, stack.width, max_pixels, "image", "max_out_of_core_pixels")
        if stack.dtype not in (np.uint8, np.uint16):
            raise UnsupportedImageError(
                f"The image's pixels are of type {stack.dtype}; save so large an image with 8 or 16 bits a channel."
            )
        if isinstance(page, str):
            raise OptionError("Of so large an image one page is measured; choose it with page, by its number.")
        if page is not None and page >= stack.n_pages:
            raise OptionError(f"There is no page {page}; the file has {stack.n_pages}, counted from 0.")
        row_bytes = stack.width * stack.n_channels * stack.dtype.itemsize
        if stack.n_rows_together * row_bytes > MAX_ROWS_BYTES:
            raise UnsupportedImageError(
                f"The image is compressed in strips or tiles of {stack.n_rows_together} rows, which are too large to "
                "be decoded one by one; save it in tiles of 256 x 256 pixels."
            )
        names = stack.names_of(page or 0)
        return LargeImage(
            height=stack.height,
            width=stack.width,
            n_channels=stack.n_channels,
            dtype=stack.dtype.name,
            axes=stack.axes,
            n_pages=stack.n_pages,
            is_colour=stack.is_colour,
            alpha=stack.alpha,
            channel_names=() if stack.is_colour else names,
            channel=choose_channel(channel, names, stack.n_channels - len(stack.alpha), stack.is_colour),
            page=page or 0,
            pixel_size=stack.pixel_size,
            scene=stack.scene,
            n_scenes=stack.n_scenes,
            warnings=(*stack.warnings, *([pages_ignored(stack.n_pages)] if page is None and stack.n_pages > 1 else [])),
            n_rows=max(1, _ROWS_BYTES // (stack.n_rows_together * row_bytes)) * stack.n_rows_together,
        )


def unpack(path: Path, page: int, first: int, stop: int, pixels: MemmapArray, scene: int | None = None) -> None:
    """Copy some rows of a page, all channels of them, from a TIFF into `pixels` `(H, W, C)`.

    Raises
    ------
    UnreadableImageError
        The file is damaged or incomplete.
    OSError
        The pixels cannot be written.
    """
    with _opened(path, scene) as stack:
        rows = stack.read_rows(page, first, stop)
    pixels[first:stop, 0 : stack.width] = rows


@contextmanager
def _opened(path: Path, scene: int | None) -> Iterator[TiffStack]:
    with damage_told(SIGNATURES["TIFF"][0], "image"), closing(open_tiff(path, "image", scene)) as stack:
        yield stack
