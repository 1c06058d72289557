"""Ground truth: the bytes of a mask to its nuclei, for `/evaluate`, the command line and training alike.

Masks come in many kinds. `instances` says how each is told from the others; where that could be wrong a warning says
what was assumed.
"""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import label as label_equal_values

from app.errors import UnsupportedImageError
from app.reading.decode import MaskPixels, decode_mask
from app.reading.warnings import ImageWarning
from app.segmentation.neighbours import AROUND, BESIDE
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
# Of the pixels beside the background, the part that has the value of boundaries, where there is one; and how far
# boundaries reach inwards, in pixels.
_OUTERMOST = 0.99
_BOUNDARY_PX = 3


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
    - A value that lies around all others as a thin line is that of boundaries, which go to the nearest nucleus.
    - A value that covers most of the image and of its edge is background, whatever it is; of a mask with no other value
      but 0 the zeros are the nuclei.

    Parameters
    ----------
    values
        Real numbers `(H, W)`, or colours `(H, W, C)`; 0, what is below and what is no number are background.

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
    values = _whole_numbers(np.atleast_3d(values))
    codes, warnings = _without_background(_codes(values))
    n_values = np.count_nonzero(np.bincount(codes[codes > 0]))
    boundary = _boundary_code(codes) if n_values > 1 else None
    # Two values of which one lies around the other could be both; as boundaries they keep nuclei apart that touch.
    if n_values > 1 and (boundary is None or n_values > 2) and _has_smooth_edges(values):
        brightness = values.max(axis=2)
        codes, warnings = _without_background((brightness >= brightness.max() / 2).astype(np.int32))
        return Truth(label(codes > 0), "binary", (*warnings, _SMOOTH_EDGES))
    if n_values <= 1:
        return Truth(label(codes > 0), "binary", tuple(warnings))
    if boundary is not None:
        return Truth(_with_boundaries(codes, boundary), "labels", (*warnings, _BOUNDARIES))
    labels = _components(codes)
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
    packed = values[..., 0].astype(np.float64)
    for channel in np.moveaxis(values, 2, 0)[1:]:
        packed = packed * (_STEPS + 1) + channel
    # Of one channel alone far numbers stay apart, of colours those of up to 16 bits.
    numbers = np.unique(packed)
    codes = np.searchsorted(numbers, packed).astype(np.int32)
    return codes + np.int32(numbers[0] > 0)


def _without_background(codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], list[ImageWarning]]:
    """With 0 where another code is that of the background, and what was assumed."""
    edge = np.concatenate([codes[0], codes[-1], codes[:, 0], codes[:, -1]])
    most = int(np.bincount(edge).argmax())
    is_most = codes == most
    if (
        most == 0
        or np.count_nonzero(edge == most) < _BACKGROUND_EDGE * edge.size
        or not _BACKGROUND_AREA < np.count_nonzero(is_most) / codes.size < 1
    ):
        return codes, []
    others = np.where(is_most, 0, codes)
    has_others = others.any()
    assumed = ImageWarning(
        "mask_background_assumed",
        "One value that is not 0 covers most of the mask and of its edge; it was taken as background"
        + (". " if has_others else ", and what is 0 as nucleus. ")
        + "Save masks with a background of 0.",
    )
    return others if has_others else (codes == 0).astype(np.int32), [assumed]


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


def _boundary_code(codes: NDArray[np.int32]) -> int | None:
    """The code that lies as a thin line between all others and the background, if there is one."""
    is_inside = codes > 0
    # What is beyond the image's edge is no background.
    is_outermost = is_inside & (cv2.erode(is_inside.astype(np.uint8), BESIDE) == 0)
    counts = np.bincount(codes[is_outermost], minlength=1)
    code = int(counts.argmax())
    if code == 0 or counts[code] < _OUTERMOST * counts.sum():
        return None
    thickness = cv2.distanceTransform((codes == code).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return code if thickness.max() <= _BOUNDARY_PX else None


def _with_boundaries(codes: NDArray[np.int32], boundary: int) -> NDArray[np.int32]:
    """Components of equal value, each with the boundaries that are nearest to it; boundaries alone are nuclei too."""
    is_boundary = codes == boundary
    cores = _components(np.where(is_boundary, 0, codes))
    _, nearest = cv2.distanceTransformWithLabels(
        (cores == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_nearest = np.zeros(int(nearest.max()) + 1, np.int32)
    of_nearest[nearest[cores > 0]] = cores[cores > 0]
    blobs = label(codes > 0)
    is_alone = np.ones(int(blobs.max()) + 1, bool)
    is_alone[blobs[cores > 0]] = False
    labels = np.where(is_boundary, of_nearest[nearest], cores)
    labels = np.where(is_alone[blobs] & is_boundary, cores.max() + blobs, labels)
    return _components(labels)


def _components(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """The 8-connected components of equal code, 1..N in the order of their first pixels."""
    return np.asarray(label_equal_values(codes, background=0, connectivity=2), np.int32)
