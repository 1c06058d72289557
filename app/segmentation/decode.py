"""Bytes to an image array, and what the file said of itself.

PNG and TIFF keep their bit depth; JPEG is turned upright by its EXIF orientation. The pixel limit is checked against
the file's header, before any pixel is decoded.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from app.errors import EmptyUploadError, ImageTooLargeError, UnreadableImageError, UnsupportedImageError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Pillow's own limit would speak before ours, in its own words; `_check_size` sees every header that Pillow opens.
Image.MAX_IMAGE_PIXELS = None

# Nothing larger can be answered: PNG encoders refuse longer sides.
MAX_SIDE_PX = 1_000_000
IMAGE_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16))
Subject = Literal["image", "mask"]

# What Pillow, tifffile and imagecodecs raise on damaged files, found by cutting and flipping real ones.
DECODER_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    struct.error,
    tifffile.TiffFileError,
)


class Caveat(NamedTuple):
    """Something the reader of a result should know: a stable code and a plain sentence."""

    code: str
    message: str


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """An image as its file holds it.

    Attributes
    ----------
    image
        Grey `(H, W)` or colour `(H, W, 3)`, uint8 or uint16.
    axes
        `YX` or `YXC`.
    n_channels
        Channels as decoded, alpha among them: 1, 3 or 4.
    caveats
        What was assumed or left out on reading.
    """

    image: NDArray[Any]
    axes: str
    n_channels: int
    caveats: tuple[Caveat, ...]


def decode_image(data: bytes, max_pixels: int) -> DecodedImage:
    """Read a microscope image from the bytes of a PNG, JPEG or TIFF file.

    Parameters
    ----------
    data
        The whole file.
    max_pixels
        Largest allowed height times width, in pixels.

    Raises
    ------
    EmptyUploadError
        There are no bytes.
    UnsupportedImageError
        Another format, or pixels that are not 8- or 16-bit grey, RGB or RGBA.
    ImageTooLargeError
        The header claims more than `max_pixels`.
    UnreadableImageError
        The file is damaged or incomplete.
    """
    pixels, caveats = _read(data, max_pixels, "image")
    n_channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if n_channels == 4:
        alpha, pixels = pixels[..., 3], pixels[..., :3]
        if (alpha != np.iinfo(alpha.dtype).max).any():
            caveats.append(Caveat("alpha_ignored", "The image has transparent pixels; their colour was used as it is."))
    image = np.ascontiguousarray(pixels)
    return DecodedImage(image, "YX" if image.ndim == 2 else "YXC", n_channels, tuple(caveats))


def decode_mask(data: bytes, max_pixels: int) -> NDArray[np.int64]:
    """Read a ground-truth mask: 0 is background, every other value (or colour) is kept apart.

    Parameters
    ----------
    data
        The whole PNG or TIFF file; a JPEG is refused, because its compression changes values.
    max_pixels
        Largest allowed height times width, in pixels.

    Returns
    -------
    ndarray of int64, shape (H, W)
        Grey values and palette indices as they are; colours as `red * 2**32 + green * 2**16 + blue`. Alpha is left out.

    Raises
    ------
    ImageError, EmptyUploadError
        As `decode_image` does.
    """
    if data.startswith(JPEG_SIGNATURE):
        raise UnsupportedImageError("The mask is a JPEG, which changes mask values; send the mask as PNG or TIFF.")
    pixels, caveats = _read(data, max_pixels, "mask")
    if caveats:
        raise UnsupportedImageError("The mask is a TIFF of more than one page; send the one that is the image's.")
    mask = pixels.astype(np.int64)
    return mask if mask.ndim == 2 else mask[..., 0] << 32 | mask[..., 1] << 16 | mask[..., 2]


def _read(data: bytes, max_pixels: int, subject: Subject) -> tuple[NDArray[Any], list[Caveat]]:
    if not data:
        raise EmptyUploadError(f"The {subject} is empty; send the bytes of a PNG, JPEG or TIFF file.")
    if data.startswith(PNG_SIGNATURE):
        read, name = _read_png, "PNG"
    elif data.startswith(JPEG_SIGNATURE):
        read, name = _read_jpeg, "JPEG"
    elif data.startswith(TIFF_SIGNATURES):
        read, name = _read_tiff, "TIFF"
    else:
        raise UnsupportedImageError(f"The {subject} is not a PNG, JPEG or TIFF file; convert it to one of these.")
    try:
        return read(data, max_pixels, subject)
    except DECODER_ERRORS as exc:
        raise UnreadableImageError(
            f"The {subject}, a {name} file, is damaged or incomplete; check it in an image viewer and send it again."
        ) from exc


def _check_size(height: int, width: int, max_pixels: int, subject: Subject) -> None:
    if height * width > max_pixels or max(height, width) > MAX_SIDE_PX:
        raise ImageTooLargeError(
            f"The {subject} has {height} x {width} pixels, the limit is {max_pixels} in all and {MAX_SIDE_PX} a side; "
            "crop it, or raise KARYOMETER_MAX_PIXELS on the server."
        )


def _open_header(data: bytes, file_format: str, max_pixels: int, subject: Subject) -> Image.Image:
    file = Image.open(io.BytesIO(data), formats=(file_format,))
    _check_size(file.height, file.width, max_pixels, subject)
    return file


def _read_png(data: bytes, max_pixels: int, subject: Subject) -> tuple[NDArray[Any], list[Caveat]]:
    # Pillow checks every chunk but cuts 16-bit colour to 8 bits; OpenCV keeps the depth but accepts truncated files.
    header = _open_header(data, "PNG", max_pixels, subject)
    header.verify()
    if subject == "mask" and header.mode == "P":
        # Label images with a palette: the indices are the labels, whatever their colours.
        return np.asarray(Image.open(io.BytesIO(data), formats=("PNG",))), []
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("OpenCV cannot decode it")
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return pixels, []


def _read_jpeg(data: bytes, max_pixels: int, subject: Subject) -> tuple[NDArray[Any], list[Caveat]]:
    upright = ImageOps.exif_transpose(_open_header(data, "JPEG", max_pixels, subject))
    return np.asarray(upright if upright.mode in ("L", "RGB") else upright.convert("RGB")), []


def _read_tiff(data: bytes, max_pixels: int, subject: Subject) -> tuple[NDArray[Any], list[Caveat]]:
    # Of these kinds tifffile would walk all pages on opening, for ever where the pages form a cycle.
    with tifffile.TiffFile(io.BytesIO(data), is_lsm=False, is_scanimage=False, is_ndpi=False) as file:
        page = file.pages.first
        _check_size(page.imagelength, page.imagewidth, max_pixels, subject)
        colours = tifffile.PHOTOMETRIC(page.photometric).name
        _check_tiff(page, colours, subject)
        if any(start + n_bytes > len(data) for start, n_bytes in zip(page.dataoffsets, page.databytecounts)):
            raise ValueError("strips lie beyond the end of the file")
        pixels = page.asarray()
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
        if pixels.size == 0 or pixels.shape[:2] != (page.imagelength, page.imagewidth):
            raise ValueError("the pixels are not those that the header promises")
        if colours == "MINISWHITE" and subject == "image":
            pixels = np.iinfo(pixels.dtype).max - pixels
        return pixels, _more_pages(file)


def _check_tiff(page: tifffile.TiffPage, colours: str, subject: Subject) -> None:
    grey = page.axes == "YX" and colours in ("MINISBLACK", "MINISWHITE")
    colour = page.axes in ("YXS", "SYX") and page.samplesperpixel in (3, 4) and colours in ("RGB", "YCBCR")
    if not (grey or colour):
        raise UnsupportedImageError(
            f"The {subject}'s first TIFF page has axes {page.axes}, {page.samplesperpixel} channels and colour model "
            f"{colours}; save the nuclei as one grey channel, or the image as RGB."
        )
    if page.dtype is None or (page.dtype.kind not in "biu" if subject == "mask" else page.dtype not in IMAGE_DTYPES):
        raise UnsupportedImageError(
            f"The {subject}'s pixels are of type {page.dtype}; save an image with 8 or 16 bits a channel, a mask as "
            "binary or integer labels."
        )


def _more_pages(file: tifffile.TiffFile) -> list[Caveat]:
    # Asking for the second page follows one link; counting pages would follow a cycle for ever.
    try:
        file.pages[1]
    except IndexError:
        return []
    return [Caveat("pages_ignored", "The TIFF has more than one page; only the first was read.")]
