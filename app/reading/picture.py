"""PNG, JPEG, BMP and WebP to their pixels, and what they say of themselves."""

import io
import struct
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.reading.palette import has_one_hue, is_lookup_table
from app.reading.stack import Stack, check_size, picture
from app.reading.warnings import ImageWarning, metadata_unreadable

# Pillow's own limit would speak before ours, in its own words; `check_size` sees every header that Pillow opens.
Image.MAX_IMAGE_PIXELS = None
# Progressive JPEG has ten scans or so, and its decoder goes over the whole image for each.
_MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"
_ORIENTATION = 274
_ON_ITS_SIDE = (5, 6, 7, 8)


def open_picture(data: bytes, file_format: str, max_pixels: int, subject: str) -> Stack:
    """A picture of one of Pillow's formats, turned upright by its EXIF orientation.

    Raises
    ------
    ImageTooLargeError
        The header claims more than `max_pixels`.
    ValueError
        It is damaged; Pillow's own errors mean damage too.
    """
    header = _open_header(data, file_format)
    check_size(header.height, header.width, max_pixels, subject)
    if file_format == "JPEG" and data.count(_START_OF_SCAN) > _MAX_SCANS:
        raise ValueError("it has far more scans than any program writes")
    pixels, dots_per_inch = _pixels(header, data, file_format, subject), _dots_per_inch(header)
    orientation, warnings = _orientation(header)
    if orientation in _ON_ITS_SIDE and dots_per_inch:
        dots_per_inch = dots_per_inch[::-1]
    n_frames = getattr(header, "n_frames", 1) if file_format in ("PNG", "WEBP") else 1
    if n_frames > 1:
        warnings.append(_frames_ignored(n_frames))
    return replace(picture(_turned(pixels, orientation), dots_per_inch), warnings=tuple(warnings))


def picture_size(data: bytes, file_format: str) -> tuple[int, int]:
    """Height and width, by the header; of a PNG without looking further than its first bytes.

    Raises
    ------
    ValueError, struct.error
        It is damaged; Pillow's own errors mean damage too.
    """
    if file_format == "PNG":
        kind, width, height = struct.unpack_from(">4sII", data, 12)
        if kind != b"IHDR":
            raise ValueError("it does not begin with its header")
        return height, width
    header = _open_header(data, file_format)
    return header.height, header.width


def _pixels(header: Image.Image, data: bytes, file_format: str, subject: str) -> NDArray[Any]:
    """As they are stored."""
    if file_format == "PNG":
        # Pillow checks every chunk but cuts 16-bit colour to 8 bits; OpenCV keeps the depth but takes cut files.
        _open_header(data, file_format).verify()
    if header.mode == "P" and (subject == "mask" or _shows_values(header)):
        # The numbers of the colours are the labels, or what was measured.
        return np.asarray(header)
    if file_format == "PNG":
        return _decode_png(data, header.mode)
    return np.asarray(header if header.mode in ("L", "RGB", "RGBA") else header.convert("RGB"))


def _orientation(header: Image.Image) -> tuple[int, list[ImageWarning]]:
    """How the pixels are to be turned to stand upright, as EXIF numbers it, 1 for not at all; and what is wrong."""
    if header.format == "PNG" and "exif" not in header.info:
        # Pillow would decode the pixels to look for it behind them.
        return 1, []
    try:
        value = header.getexif().get(_ORIENTATION)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return 1, [metadata_unreadable("EXIF")]
    return value if isinstance(value, int) else 1, []


def _turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    match orientation:
        case 2:
            pixels = pixels[:, ::-1]
        case 3:
            pixels = pixels[::-1, ::-1]
        case 4:
            pixels = pixels[::-1]
        case 5:
            pixels = np.swapaxes(pixels, 0, 1)
        case 6:
            pixels = np.rot90(pixels, -1)
        case 7:
            pixels = np.swapaxes(pixels[::-1, ::-1], 0, 1)
        case 8:
            pixels = np.rot90(pixels)
    return np.ascontiguousarray(pixels)


def _frames_ignored(n_frames: int) -> ImageWarning:
    return ImageWarning(
        "frames_ignored",
        f"The file is an animation of {n_frames} pictures; only the first was read. Save the others as files of their "
        "own, or all as the pages of a TIFF.",
    )


def _open_header(data: bytes, file_format: str) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=(file_format,))


def _dots_per_inch(header: Image.Image) -> tuple[float, float] | None:
    if "dpi" not in header.info:
        return None
    along_row, down_column = header.info["dpi"]
    return float(along_row), float(down_column)


def _shows_values(image: Image.Image) -> bool:
    """Whether the palette is a lookup table of one hue; greys are read as they are shown."""
    colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    is_grey = bool((colours == colours[:, :1]).all())
    return not is_grey and "transparency" not in image.info and has_one_hue(colours) and is_lookup_table(colours)


def _decode_png(data: bytes, mode: str) -> NDArray[Any]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV cannot decode it")
    if mode == "LA":
        return np.asarray(pixels[..., [0, 3]])
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return pixels
