"""Bytes to an image array, and what the file said of itself.

PNG and TIFF keep their bit depth; PNG, JPEG and WebP are turned upright by their EXIF orientation. The pixel limit is
checked against the file's header, before any pixel is decoded.
"""

import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from app.errors import (
    EmptyUploadError,
    ImageTooLargeError,
    KaryometerError,
    OptionError,
    UnreadableImageError,
    UnsupportedImageError,
)
from app.options import Channel, Page
from app.reading.bio import READERS, open_bio
from app.reading.channels import choose_channel
from app.reading.picture import open_picture, picture_size
from app.reading.stack import DecodedImage, Stack, check_size, choose_scene, pixels_seen
from app.reading.tiff import open_tiff
from app.reading.tiff_header import tiff_size
from app.reading.warnings import ALPHA_IGNORED, ImageWarning, light_statistics, light_warnings, pages_ignored

JPEG_SIGNATURE = b"\xff\xd8\xff"
SIGNATURES = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (JPEG_SIGNATURE,),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "BMP": (b"BM",),
    "CZI": (b"ZISRAWFILE",),
    "ND2": (b"\xda\xce\xbe\x0a",),
    "LIF": (b"\x70\0\0\0",),
    "OME-Zarr": (b"PK\3\4",),
}
FORMATS = "PNG, JPEG, TIFF, BMP, WebP, CZI, ND2, LIF or zipped OME-Zarr"

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
    struct.error,
    tifffile.TiffFileError,
)


def decode_image(
    data: bytes,
    max_pixels: int,
    channel: Channel | None = None,
    page: int | Literal["max"] | None = None,
    scene: int | None = None,
) -> DecodedImage:
    """Read a microscope image from the bytes of a file of one of the `FORMATS`.

    Without `page` it is the first one. Without `channel`, colour is segmented as colour, of several channels that whose
    name is that of a nuclear stain, and of one channel that one.

    Parameters
    ----------
    data
        The whole file.
    max_pixels
        Largest allowed height times width, in pixels; of all pages together where the brightest is asked for.
    channel, page, scene
        See `app.options.SegmentationOptions`.

    Raises
    ------
    EmptyUploadError
        There are no bytes.
    UnsupportedImageError
        Another format, or pixels of a kind that is not read.
    ImageTooLargeError
        The header claims more than `max_pixels`.
    UnreadableImageError
        The file is damaged or incomplete.
    ChannelNeededError
        There are several channels, and nothing says which one holds the nuclei.
    OptionError
        There is no such channel, page or scene.
    """
    with damage_told(data, "image") as name, closing(_open(data, name, max_pixels, "image", scene)) as stack:
        return _decode_page(stack, max_pixels, channel, page)


def claimed_pixels(data: bytes, page: Page | None, max_pixels: int) -> int:
    """The pixels to be decoded, by the file's header; 0 of a damaged file and of too large a page, which are refused.

    Of several pages it is `max_pixels` at most: whether they are channels shows only when they are decoded. The headers
    of microscopes' formats are read by their decoders alone: of these it is the number of bytes.
    """
    try:
        with damage_told(data, "image") as file_format:
            if file_format in READERS:
                return len(data)
            height, width, n_pages = tiff_size(data) if file_format == "TIFF" else (*picture_size(data, file_format), 1)
            page_px = pixels_seen(height, width)
            n_pixels = page_px * (n_pages if page in ("max", "all") else 1)
            return min(n_pixels, max_pixels) if page_px <= max_pixels else 0
    except KaryometerError:
        return 0


def tells_size_at_once(data: bytes) -> bool:
    """Whether `claimed_pixels` takes no time; other headers may be long, or be made to be."""
    return data.startswith(SIGNATURES["PNG"])


def decode_pages(
    data: bytes, max_pixels: int, channel: Channel | None, page: Page | None, scene: int | None = None
) -> list[DecodedImage]:
    """Every page that is asked for, which is one unless `page` is `all`; the file is opened once. See `decode_image`.

    Raises
    ------
    ImageTooLargeError
        All pages together have more than `max_pixels`.
    """
    if page != "all":
        return [decode_image(data, max_pixels, channel, page, scene)]
    with damage_told(data, "image") as name, closing(_open(data, name, max_pixels, "image", scene)) as stack:
        if stack.n_pages * stack.height * stack.width > max_pixels:
            raise ImageTooLargeError(
                f"All {stack.n_pages} pages together have more than {max_pixels} pixels; ask for them one by one.",
                "max_pixels",
            )
        return [_decode_page(stack, max_pixels, channel, number) for number in range(stack.n_pages)]


def _decode_page(
    stack: Stack, max_pixels: int, channel: Channel | None, page: int | Literal["max"] | None
) -> DecodedImage:
    pixels, warnings = _read_page(stack, page, max_pixels), list(stack.warnings)
    if page is None and stack.n_pages > 1:
        warnings.append(pages_ignored(stack.n_pages))
    if stack.alpha:
        transparency = pixels[..., list(stack.alpha)]
        if (transparency != _highest(transparency)).any():
            warnings.append(ALPHA_IGNORED)
        pixels = np.delete(pixels, stack.alpha, axis=2)
    if pixels.dtype.kind == "f":
        is_finite = np.isfinite(pixels)
        if not is_finite.all():
            pixels = np.where(is_finite, pixels, pixels[is_finite].min(initial=np.inf) if is_finite.any() else 0)
            warnings.append(
                ImageWarning(
                    "non_finite_pixels", "Pixels that are infinite or not a number were set to the lowest value."
                )
            )
    number = choose_channel(channel, stack.names_of(page or 0), pixels.shape[2], stack.is_colour)
    # Many grey images are stored as colours, and saying everything three times helps nobody.
    is_grey = number is None and pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all()
    decoded = DecodedImage(
        channels=pixels[..., :1] if is_grey else pixels,
        height=stack.height,
        width=stack.width,
        dtype=str(pixels.dtype),
        axes=stack.axes,
        n_pages=stack.n_pages,
        n_channels=stack.n_channels,
        channel=number,
        page=page if page is not None else 0,
        channel_names=stack.names_of(page or 0) if not stack.is_colour else (),
        pixel_size=stack.pixel_size,
        scene=stack.scene,
        n_scenes=stack.n_scenes,
        warnings=tuple(warnings),
    )
    light = light_statistics(decoded.image)
    return replace(decoded, padding=light.padding, warnings=(*warnings, *light_warnings(light)))


def _read_page(stack: Stack, page: int | Literal["max"] | None, max_pixels: int) -> NDArray[Any]:
    number = page if isinstance(page, int) else 0
    if number >= stack.n_pages:
        raise OptionError(f"There is no page {page}; the file has {stack.n_pages}, counted from 0.")
    pixels = stack.read_page(number)
    if page == "max":
        check_size(stack.n_pages * stack.height, stack.width, max_pixels, "image")
        for further in range(1, stack.n_pages):
            # What is no number is no maximum.
            pixels = np.fmax(pixels, stack.read_page(further))
    return pixels.astype(np.uint8) * np.uint8(255) if pixels.dtype.kind == "b" else pixels


def _highest(pixels: NDArray[Any]) -> Any:
    return np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else pixels.max()


class MaskPixels(NamedTuple):
    """The pixels of a ground truth as its file holds them; `app.evaluation.truth` says what they mean.

    Attributes
    ----------
    values
        `(H, W, C)`: grey values or palette indices, channels or colours.
    alpha
        `(H, W)`, None where there is none.
    """

    values: NDArray[Any]
    alpha: NDArray[Any] | None


def decode_mask(data: bytes, max_pixels: int) -> MaskPixels:
    """Read the pixels of a ground-truth mask.

    Parameters
    ----------
    data
        The whole file, of one page; a JPEG is refused, because its compression changes values.
    max_pixels
        Largest allowed height times width, in pixels.

    Raises
    ------
    ImageError, EmptyUploadError
        As `decode_image` does.
    """
    if data.startswith(JPEG_SIGNATURE):
        raise UnsupportedImageError("The mask is a JPEG, which changes mask values; send the mask as PNG or TIFF.")
    with damage_told(data, "mask") as name, closing(_open(data, name, max_pixels, "mask")) as stack:
        if stack.n_pages > 1:
            raise UnsupportedImageError("The mask has more than one page; send the one that is the image's.")
        pixels = stack.read_page(0)
    values = np.delete(pixels, stack.alpha, axis=2)
    return MaskPixels(values, pixels[..., stack.alpha[0]] if stack.alpha else None)


def _format(data: bytes, subject: Subject) -> str:
    if not data:
        raise EmptyUploadError(f"The {subject} is empty; send the bytes of a {FORMATS} file.")
    for name, signatures in SIGNATURES.items():
        if data.startswith(signatures):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise UnsupportedImageError(f"The {subject} is not a {FORMATS} file; convert it to one of these.")


@contextmanager
def damage_told(data: bytes, subject: Subject) -> Iterator[str]:
    """Gives the file's format; what its decoder raises becomes one plain error."""
    name = _format(data, subject)
    try:
        yield name
    except MemoryError as exc:
        raise ImageTooLargeError(
            f"The {subject} needs more memory to decode than there is; crop it.", "max_decode_bytes"
        ) from exc
    except DECODER_ERRORS as exc:
        raise UnreadableImageError(
            f"The {subject}, {'an' if name[0] in 'NO' else 'a'} {name} file, is damaged or incomplete; check it in an "
            "image viewer and send it again."
        ) from exc


def _open(data: bytes, file_format: str, max_pixels: int, subject: Subject, scene: int | None = None) -> Stack:
    match file_format:
        case "TIFF":
            stack = open_tiff(data, subject, scene)
            check_size(stack.height, stack.width, max_pixels, subject)
            return stack
        case _ if file_format in READERS:
            return open_bio(data, file_format, subject, max_pixels, scene)
        case _:
            choose_scene(scene, 1)
            return open_picture(data, file_format, max_pixels, subject)
