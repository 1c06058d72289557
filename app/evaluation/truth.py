"""Ground truth: the bytes of a mask to its nuclei, for `/evaluate`, the command line and training alike.

Masks come in many kinds. `instances` says how each is told from the others; where that could be wrong a warning says
what was assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from app.errors import UnsupportedImageError
from app.evaluation.boundaries import boundary_code, components, filled_outlines, with_boundaries
from app.reading.decode import MaskPixels, decode_mask
from app.reading.warnings import ImageWarning
from app.segmentation.neighbours import AROUND
from app.segmentation.split import label

MaskKind = Literal["binary", "labels"]

# Of the edge of an image and of its area, what a value covers at least that is background though it is not 0.
_BACKGROUND_EDGE, _BACKGROUND_AREA = 0.75, 0.5
# Values between these parts of the highest are neither background nor the inside of a nucleus, if edges are smooth.
_BETWEEN = (0.1, 0.9)
# Of what lies between, the part that is uneven, if edges are smooth.
_UNEVEN = 0.5
_SQUARE = np.ones((2, 2), np.uint8)
# Colours with parts of red, green and blue that differ by less are one, more or less bright.
_SAME_HUE = 0.2
# Thin parts that touch others are usual up to this number.
_MOST_SLIVERS = 10
# Into which the highest fraction is divided.
_STEPS = 2**16 - 1


@dataclass(frozen=True, eq=False)
class Truth:
    """The nuclei of a mask.

    Attributes
    ----------
    labels
        int32 `(H, W)`: 0 is background, nuclei are 1..N in the order of their first pixels, row by row.
    kind
        `binary`: nuclei are the connected components of the foreground; `labels`: those of equal value.
    warnings
        What was assumed.
    """

    labels: NDArray[np.int32]
    kind: MaskKind
    warnings: tuple[ImageWarning, ...] = ()


def read_truth(data: bytes, max_pixels: int, one_nucleus: bool = False) -> Truth:
    """Read a ground truth.

    Parameters
    ----------
    data
        The whole file; see `app.reading.decode.decode_mask`.
    max_pixels
        Largest allowed height times width, in pixels.
    one_nucleus
        Whether the mask is known to be that of one nucleus, which is all that is not 0, in however many pieces.

    Raises
    ------
    ImageError, EmptyUploadError
        The file cannot be read, nothing says which of its channels is the mask, or its labels were smoothed.
    """
    values = _values(decode_mask(data, max_pixels))
    if one_nucleus:
        return Truth(np.any(values, axis=2).astype(np.int32), "binary")
    return instances(values)


def instances(values: NDArray[Any]) -> Truth:
    """The nuclei of a mask.

    - With one value beside 0, or with smooth edges, it is binary: nuclei are the 8-connected components of what is at
      or above half of the highest value.
    - Else they are the 8-connected components of equal value or colour, because many programs use a value again for
      nuclei that do not touch.
    - A value that lies around all others as a thin line is that of boundaries, which go to the nearest nucleus. Where
      a binary mask holds closed thin lines alone, nuclei are what they enclose.
    - A value that covers most of the image and of its edge is background, whatever it is, and what is 0 a nucleus then.

    Parameters
    ----------
    values
        Real numbers `(H, W)`, or colours `(H, W, C)`; 0, what is below and what is no number are background else.

    Raises
    ------
    UnsupportedImageError
        They are labels that were smoothed.

    Examples
    --------
    >>> found = instances(np.array([[0, 255, 0, 255, 0]]))
    >>> found.kind, found.labels
    ('binary', array([[0, 1, 0, 2, 0]], dtype=int32))
    >>> found = instances(np.array([[7, 9, 0, 7]]))
    >>> found.kind, found.labels
    ('labels', array([[1, 2, 0, 3]], dtype=int32))
    """
    values, below = _from_background_up(np.atleast_3d(values))
    is_zero = np.all(values == 0, axis=2)
    values = _whole_numbers(values)
    codes, warnings = _without_background(_codes(values), is_zero)
    warnings = [*below, *warnings]
    n_values = np.count_nonzero(np.bincount(codes[codes > 0]))
    boundary = boundary_code(codes) if n_values > 1 else None
    # Two values of which one lies around the other could be both; as boundaries they keep nuclei apart that touch.
    if n_values > 1 and (boundary is None or n_values > 2) and _has_smooth_edges(values):
        brightness = values.max(axis=2)
        is_bright = brightness >= brightness.max() / 2
        codes, warnings = _without_background(is_bright.astype(np.int32), ~is_bright)
        return _binary(codes > 0, [*warnings, _SMOOTH_EDGES])
    if n_values <= 1:
        return _binary(codes > 0, warnings)
    if boundary is not None:
        return Truth(with_boundaries(codes, boundary), "labels", (*warnings, _BOUNDARIES))
    labels = components(codes)
    _check_sharp(labels)
    n_nuclei = int(labels.max())
    if n_nuclei > n_values:
        warnings.append(
            ImageWarning(
                "mask_values_reused",
                f"The mask's {n_values} values make {n_nuclei} pieces that do not touch; each piece was taken as a "
                "nucleus of its own.",
            )
        )
    return Truth(labels, "labels", tuple(warnings))


_SMOOTH_EDGES = ImageWarning(
    "mask_edges_smooth",
    "The mask has smooth edges; what is at or above half of its highest value was taken as nucleus. Save it without "
    "smoothing.",
)
_BOUNDARIES = ImageWarning(
    "mask_has_boundaries",
    "One value of the mask lies around all others as a thin line; it was taken as boundary, which belongs to the "
    "nearest nucleus.",
)
_OUTLINES = ImageWarning(
    "mask_of_outlines",
    "The mask holds closed thin lines alone; what they enclose was taken as nuclei. Save filled nuclei.",
)
_BACKGROUND = ImageWarning(
    "mask_background_assumed",
    "One value that is not 0 covers most of the mask and of its edge; it was taken as background, and what is 0, if "
    "there is any, as nucleus. Save masks with a background of 0.",
)


def _binary(mask: NDArray[np.bool_], warnings: Sequence[ImageWarning]) -> Truth:
    outlined = filled_outlines(mask)
    if outlined is not None:
        return Truth(outlined, "binary", (*warnings, _OUTLINES))
    return Truth(label(mask), "binary", tuple(warnings))


def _values(mask: MaskPixels) -> NDArray[Any]:
    """The mask's own channel, or its colours, `(H, W, C)`.

    Raises
    ------
    UnsupportedImageError
        It has several channels that differ, and are no colours.
    """
    pixels, alpha = mask
    if alpha is not None and alpha.min() < alpha.max():
        # What cannot be seen is no nucleus, whatever its colour; and where all that can be seen is black, that is.
        is_seen = alpha >= alpha.max() / 2
        pixels = pixels * is_seen[..., np.newaxis] if pixels[is_seen].any() else is_seen[..., np.newaxis]
    with_something = [channel for channel in np.moveaxis(pixels, 2, 0) if channel.any()]
    if len(with_something) < 2 or all(np.array_equal(one, with_something[0]) for one in with_something[1:]):
        return with_something[0][..., np.newaxis] if with_something else pixels[..., :1]
    if pixels.shape[2] != 3:
        raise UnsupportedImageError(
            f"The mask has {pixels.shape[2]} channels that differ; save the one that holds the nuclei by itself."
        )
    return pixels


def _whole_numbers(values: NDArray[Any]) -> NDArray[Any]:
    """Values from 0 on; fractions in steps so fine that all labels of 16 bits stay apart, and roundings do not."""
    if values.dtype.kind not in "if":
        return values
    # What is no number is not above 0 either.
    positive = np.where((values > 0) & np.isfinite(values), values, 0)
    if values.dtype.kind == "f" and (positive != np.rint(positive)).any():
        positive = np.rint(positive * (_STEPS / positive.max()))
    return positive


def _codes(values: NDArray[Any]) -> NDArray[np.int32]:
    """Small whole numbers that tell the values or colours of `(H, W, C)` apart, 0 for background."""
    if values.shape[2] == 1 and values.max(initial=0) <= _STEPS:
        return values[..., 0].astype(np.int32)
    # Of one channel far numbers stay apart, of colours those of up to 16 bits.
    packed = values[..., 0]
    for channel in np.moveaxis(values, 2, 0)[1:]:
        packed = packed * float(_STEPS + 1) + channel
    numbers, codes = np.unique(packed, return_inverse=True)
    return codes.reshape(packed.shape).astype(np.int32) + np.int32(numbers[0] > 0)


def _from_background_up(values: NDArray[Any]) -> tuple[NDArray[Any], list[ImageWarning]]:
    """Values that count from 0 where what is below 0 is background, as -1 is where nuclei are numbered from 0."""
    lowest = values.min(initial=0)
    if values.shape[2] > 1 or not -np.inf < lowest < 0 or not _is_background(values[..., 0] == lowest):
        return values, []
    return values - lowest, [_BACKGROUND] if (values == 0).any() else []


def _is_background(is_value: NDArray[np.bool_]) -> bool:
    """Whether a value covers most of the mask and of its edge, and not all."""
    edge = np.concatenate([is_value[0], is_value[-1], is_value[:, 0], is_value[:, -1]])
    return bool(edge.mean() >= _BACKGROUND_EDGE and _BACKGROUND_AREA < is_value.mean() < 1)


def _without_background(
    codes: NDArray[np.int32], is_zero: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], list[ImageWarning]]:
    """With 0 where another code is that of the background, and what was assumed; zeros have a code of their own then.

    What is below 0 or no number, as OpenCV's lines between nuclei are, is background beside it.
    """
    edge = np.concatenate([codes[0], codes[-1], codes[:, 0], codes[:, -1]])
    most = int(np.bincount(edge).argmax())
    if most == 0 or not _is_background(codes == most):
        return codes, []
    of_zeros = codes.max() + 1
    return np.where(codes == most, 0, np.where(is_zero, of_zeros, codes)).astype(np.int32), [_BACKGROUND]


def _has_smooth_edges(values: NDArray[Any]) -> bool:
    """Whether what is neither dark nor bright is no even area, but changes from pixel to pixel; and all has one hue."""
    levels = values.max(axis=2).astype(np.float32)
    low, high = (part * float(levels.max()) for part in _BETWEEN)
    is_bright = levels >= high
    hues = values[is_bright] / levels[is_bright, np.newaxis]
    is_between = (levels > low) & (levels < high)
    return bool(
        is_between.any() and np.ptp(hues, axis=0).max() < _SAME_HUE and _is_uneven(levels)[is_between].mean() > _UNEVEN
    )


def _is_uneven(levels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """What lies in no square of two by two equal pixels, and beside another level that is not 0."""
    inside = np.where(levels > 0, levels, np.inf)
    has_other_beside = (cv2.dilate(levels, AROUND) > levels) | (cv2.erode(inside, AROUND) < levels)
    is_even = (cv2.dilate(levels, _SQUARE) == cv2.erode(levels, _SQUARE)).astype(np.uint8)
    is_even = cv2.dilate(is_even, _SQUARE, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(has_other_beside & (is_even == 0))


def _check_sharp(labels: NDArray[np.int32]) -> None:
    """Refuse labels that somebody has smoothed: between two values lie others, which are no nuclei.

    Raises
    ------
    UnsupportedImageError
        Most of them are slivers that touch others.
    """
    area_px = np.bincount(labels.ravel())[1:]
    n_uneven = np.bincount(labels[_is_uneven(labels.astype(np.float32))], minlength=area_px.size + 1)[1:]
    n_slivers = np.count_nonzero(n_uneven == area_px)
    if n_slivers > max(_MOST_SLIVERS, area_px.size / 2):
        raise UnsupportedImageError(
            f"Of the {area_px.size} parts of equal value that the mask has, {n_slivers} are slivers between others, as "
            "smoothing or lossy compression makes them; save the mask without either (resize it by nearest neighbour)."
        )
