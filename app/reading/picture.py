"""PNG, JPEG, BMP and WebP to their pixels, and what they say of themselves."""

import io
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from app.reading.palette import has_one_hue, is_lookup_table
from app.reading.stack import Stack, check_size, picture

# Pillow's own limit would speak before ours, in its own words; `check_size` sees every header that Pillow opens.
Image.MAX_IMAGE_PIXELS = None
# Progressive JPEG has ten scans or so, and its decoder goes over the whole image for each.
_MAX_SCANS = 100
_START_OF_SCAN = b"\xff\xda"


def open_picture(data: bytes, file_format: str, max_pixels: int, subject: str) -> Stack:
    """A picture of one of Pillow's formats; JPEG is turned upright.

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
    dots_per_inch = _dots_per_inch(header)
    upright = header
    if file_format == "PNG":
        # Pillow checks every chunk but cuts 16-bit colour to 8 bits; OpenCV keeps the depth but takes cut files.
        header.verify()
        upright = _open_header(data, file_format)
    elif file_format == "JPEG":
        upright = ImageOps.exif_transpose(header)
        if upright.size != header.size and dots_per_inch:
            dots_per_inch = dots_per_inch[::-1]
    if upright.mode == "P" and (subject == "mask" or _shows_values(upright)):
        # The numbers of the colours are the labels, or what was measured.
        return picture(np.asarray(upright), dots_per_inch)
    if file_format == "PNG":
        return picture(_decode_png(data, upright.mode), dots_per_inch)
    pixels = np.asarray(upright if upright.mode in ("L", "RGB", "RGBA") else upright.convert("RGB"))
    return picture(pixels, dots_per_inch)


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
