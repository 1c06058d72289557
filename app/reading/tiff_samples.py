"""What the samples of a TIFF's pixels are: grey values, colours, numbers of colours, alpha."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from app.errors import UnsupportedImageError
from app.reading.imagej import SIGNED, Calibration, imagej_calibration, samples_are_channels
from app.reading.palette import has_one_hue, is_lookup_table
from app.reading.warnings import ImageWarning

_PHOTOMETRIC, _COLOUR_MAP, _LSM_INFO = 262, 320, 34412
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
# Their decoders make RGB of it: JPEG old and new, and of slides.
_JPEG = (6, 7, 34892, 33007)
_YCBCR_JPEG2000 = 33003
_SEPARATE = 2
# Associated and not; others are data of any kind.
_ALPHA = (1, 2)
_PALETTE_IGNORED = ImageWarning(
    "palette_ignored",
    "The file shows its values in false colours; the values were read. If the colours are meant, save it as RGB.",
)
_WHITE_IGNORED = ImageWarning(
    "inversion_ignored",
    "The file says that 0 is white, which says nothing of real or signed numbers; they were read as they are.",
)
_COLOUR_ASSUMED = ImageWarning(
    "colour_assumed",
    "The file says that its three planes are red, green and blue, as some programs write of any three; if they are "
    "stains, choose the one of the nuclei with channel.",
)
_CALIBRATION_IGNORED = ImageWarning(
    "calibration_ignored",
    "The file says how its values are calibrated in ImageJ, as densities for example; they were read as stored.",
)


@dataclass(frozen=True)
class Samples:
    """What a page holds at each pixel.

    Attributes
    ----------
    n
        Samples after `convert`.
    is_colour
        Whether the first three are red, green and blue.
    alpha
        Which of them are alpha.
    convert
        Stored samples `(h, w, C)` to values.
    dtype
        Of the values, None where it is that of the stored samples.
    warnings
        What was assumed.
    """

    n: int
    is_colour: bool
    alpha: tuple[int, ...] = ()
    convert: Callable[[NDArray[Any]], NDArray[Any]] = lambda stored: stored
    dtype: np.dtype[Any] | None = None
    warnings: tuple[ImageWarning, ...] = ()


def samples_of(page: tifffile.TiffPage, subject: str) -> Samples:
    """What the samples of a page and of those like it are; a mask's values are what is stored.

    Raises
    ------
    UnsupportedImageError
        They are of a kind that is not read.
    """
    photometric, n = _photometric(page), page.samplesperpixel
    is_mask = subject == "mask"
    _check_kind(page, photometric, subject)
    # Those of an LSM, or of ImageJ where it counts channels, are no colours, whatever they are called.
    are_channels = _LSM_INFO in page.tags or samples_are_channels(page)
    is_colour = photometric in (_RGB, _YCBCR) and n >= 3 and not are_channels
    n_known = 3 if is_colour else 1
    extra = page.extrasamples if isinstance(page.extrasamples, tuple) and not are_channels else ()
    alpha = tuple(n - len(extra) + index for index, kind in enumerate(extra) if kind in _ALPHA)
    alpha = tuple(number for number in alpha if number >= n_known)
    if photometric == _PALETTE and not is_mask:
        return _palette(page)
    if photometric == _WHITE_IS_ZERO and not is_mask and page.imagej_description is None:
        return _inverted(page, alpha)
    if page.compression == _YCBCR_JPEG2000 and is_colour:
        return Samples(n, is_colour, alpha, convert=_from_ycbcr)
    calibration = None if is_mask or is_colour else imagej_calibration(page)
    if calibration is not None:
        return _calibrated(page, calibration, alpha)
    is_separate = is_colour and page.planarconfig == _SEPARATE
    return Samples(n, is_colour, alpha, warnings=(_COLOUR_ASSUMED,) if is_separate else ())


def _from_ycbcr(stored: NDArray[Any]) -> NDArray[Any]:
    """Red, green and blue of what Aperio's slides hold, whose decoder does not know it; further samples are kept."""
    colours = cv2.cvtColor(np.ascontiguousarray(stored[..., [0, 2, 1]]), cv2.COLOR_YCrCb2RGB)
    return np.concatenate([colours, stored[..., 3:]], axis=2)


def _calibrated(page: tifffile.TiffPage, calibration: Calibration, alpha: tuple[int, ...]) -> Samples:
    """Values that ImageJ calibrates: those of signed numbers, which it cannot store, are moved; others stay."""
    if page.dtype == np.uint16 and calibration == SIGNED:
        return Samples(
            page.samplesperpixel,
            is_colour=False,
            alpha=alpha,
            convert=lambda stored: (stored.astype(np.int32) + int(SIGNED.offset)).astype(np.int16),
            dtype=np.dtype(np.int16),
        )
    return Samples(page.samplesperpixel, is_colour=False, alpha=alpha, warnings=(_CALIBRATION_IGNORED,))


def _photometric(page: tifffile.TiffPage) -> int:
    if _PHOTOMETRIC in page.tags:
        return int(page.photometric)
    # tifffile's guess is that 0 is white, which hardly any file means.
    return _RGB if page.samplesperpixel >= 3 else max(_BLACK_IS_ZERO, int(page.photometric))


def _check_kind(page: tifffile.TiffPage, photometric: int, subject: str) -> None:
    is_readable = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE) or (
        photometric == _YCBCR and page.compression in (*_JPEG, _YCBCR_JPEG2000)
    )
    if photometric == _PALETTE:
        is_readable = page.samplesperpixel == 1 and page.dtype in (np.bool_, np.uint8, np.uint16)
    if page.axes not in ("YX", "YXS", "SYX") or not is_readable:
        kinds = {kind.value: kind.name for kind in tifffile.PHOTOMETRIC}
        raise UnsupportedImageError(
            f"The {subject}'s first TIFF page has axes {page.axes}, {page.samplesperpixel} channels and colour model "
            f"{kinds.get(photometric, photometric)}; save the nuclei as one grey channel, or the image as RGB."
        )
    if page.dtype is None or page.dtype.kind not in "biuf":
        raise UnsupportedImageError(
            f"The {subject}'s pixels are of type {page.dtype}; save an image with 8 or 16 bits a channel, a mask as "
            "binary or integer labels."
        )


def _palette(page: tifffile.TiffPage) -> Samples:
    colours = np.asarray(page.tags.valueof(_COLOUR_MAP, ()), np.uint16)
    n_values = 2 ** int(page.bitspersample)
    if colours.size != 3 * n_values:
        raise ValueError("the palette has another size than its pixels need")
    table = colours.reshape(3, n_values).T
    if is_lookup_table(table):
        return Samples(1, is_colour=False, warnings=() if has_one_hue(table) else (_PALETTE_IGNORED,))
    # Most programs write 8 bits into the upper or both halves of a colour's 16, some into the lower.
    shown = (table if table.max() < 256 else table >> 8).astype(np.uint8)
    return Samples(
        3, is_colour=True, convert=lambda stored: shown[stored[..., 0].astype(np.intp)], dtype=np.dtype(np.uint8)
    )


def _inverted(page: tifffile.TiffPage, alpha: tuple[int, ...]) -> Samples:
    """Values of which 0 is white; in ImageJ's files it is only how they are shown."""
    dtype = np.dtype(page.dtype)
    if dtype.kind not in "bu":
        return Samples(page.samplesperpixel, is_colour=False, alpha=alpha, warnings=(_WHITE_IGNORED,))
    white = dtype.type(2 ** int(page.bitspersample) - 1) if dtype.kind == "u" else np.True_

    def convert(stored: NDArray[Any]) -> NDArray[Any]:
        values = white ^ stored
        values[..., list(alpha)] = stored[..., list(alpha)]
        return values

    return Samples(page.samplesperpixel, is_colour=False, alpha=alpha, convert=convert)
