"""What the samples of a TIFF's pixels are: grey values, colours, numbers of colours, alpha."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from app.errors import UnsupportedImageError
from app.reading.palette import has_one_hue, is_lookup_table
from app.reading.warnings import ImageWarning

_PHOTOMETRIC, _COLOUR_MAP, _LSM_INFO = 262, 320, 34412
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
# Their decoders make RGB of it: JPEG old and new, and of slides.
_JPEG = (6, 7, 34892, 33007)
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
    warnings
        What was assumed.
    """

    n: int
    is_colour: bool
    alpha: tuple[int, ...] = ()
    convert: Callable[[NDArray[Any]], NDArray[Any]] = lambda stored: stored
    warnings: tuple[ImageWarning, ...] = ()


def samples_of(page: tifffile.TiffPage, subject: str) -> Samples:
    """What the samples of a page and of those like it are; a mask's values are what is stored.

    Raises
    ------
    UnsupportedImageError
        They are of a kind that is not read.
    """
    photometric, n = _photometric(page), page.samplesperpixel
    is_mask, is_lsm = subject == "mask", _LSM_INFO in page.tags
    _check_kind(page, photometric, subject)
    is_colour = photometric in (_RGB, _YCBCR) and n >= 3 and not is_lsm
    n_known = 3 if is_colour else 1
    # Those of an LSM are channels, whatever they are called.
    extra = page.extrasamples if isinstance(page.extrasamples, tuple) and not is_lsm else ()
    alpha = tuple(n - len(extra) + index for index, kind in enumerate(extra) if kind in _ALPHA)
    alpha = tuple(number for number in alpha if number >= n_known)
    if photometric == _PALETTE and not is_mask:
        return _palette(page)
    if photometric == _WHITE_IS_ZERO and not is_mask and page.imagej_description is None:
        return _inverted(page, alpha)
    return Samples(n, is_colour, alpha)


def _photometric(page: tifffile.TiffPage) -> int:
    if _PHOTOMETRIC in page.tags:
        return int(page.photometric)
    # tifffile's guess is that 0 is white, which hardly any file means.
    return _RGB if page.samplesperpixel >= 3 else max(_BLACK_IS_ZERO, int(page.photometric))


def _check_kind(page: tifffile.TiffPage, photometric: int, subject: str) -> None:
    is_readable = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE) or (
        photometric == _YCBCR and page.compression in _JPEG
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
    return Samples(3, is_colour=True, convert=lambda stored: shown[stored[..., 0].astype(np.intp)])


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
