"""PNG, JPEG, BMP and WebP to their pixels, and what they say of themselves."""

import io
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from app.segmentation.stack import Stack, check_size, picture

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
    if file_format == "PNG":
        return picture(_read_png(data, header, subject), _dots_per_inch(header))
    if file_format == "JPEG" and data.count(_START_OF_SCAN) > _MAX_SCANS:
        raise ValueError("it has far more scans than any program writes")
    upright = ImageOps.exif_transpose(header)
    pixels = np.asarray(upright if upright.mode in ("L", "RGB", "RGBA") else upright.convert("RGB"))
    return picture(pixels, _dots_per_inch(header))


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


def _dots_per_inch(header: Image.Image) -> float | None:
    return float(header.info["dpi"][0]) if "dpi" in header.info else None


def _read_png(data: bytes, header: Image.Image, subject: str) -> NDArray[Any]:
    # Pillow checks every chunk but cuts 16-bit colour to 8 bits; OpenCV keeps the depth but accepts truncated files.
    header.verify()
    if subject == "mask" and header.mode == "P":
        # Label images with a palette: the indices are the labels, whatever their colours.
        return np.asarray(Image.open(io.BytesIO(data), formats=("PNG",)))
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV cannot decode it")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return pixels
