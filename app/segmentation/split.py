"""Mask to instance labels: touching nuclei are separated."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.segmentation.neighbours import AROUND, COLUMNS, ROWS, dilatable

SMOOTHING_SIGMA_PX = 1.0
# Of that filter, as OpenCV cuts it off.
SMOOTHING_REACH_PX = 4
# Distances become whole numbers, and 1 becomes this one. As OpenCV blurs them, floating-point ones are rounded
# by where a pixel lies in its array, and so by the blocks of a large image.
FULL = 2**16 - 1
_PER_PX = 64
_MOST_PLACES = 2.0**32


def split(
    mask: NDArray[np.bool_], marker_depth: float, distance: NDArray[np.float32] | None = None
) -> NDArray[np.int32]:
    """Label the nuclei of a mask; blobs of several nuclei are cut between them.

    The inner distance, 0 on a nucleus's outline and 1 in its middle, has one peak a nucleus. Each pixel belongs to the
    peak to which the steepest way up leads (a watershed by drops of water, Cousty et al. 2009); peaks with a saddle
    between them that is no deeper than `marker_depth` are of one nucleus. There are as many nuclei as a watershed finds
    that is flooded from the h-maxima (Soille 1999, chapter 6), with the same pixels but for a few between neighbours.
    Because the distance is relative, small and large nuclei are treated alike.

    Parameters
    ----------
    mask
        `(H, W)`, true where there is nucleus.
    marker_depth
        What the saddle between two nuclei is deeper than, in (0, 1).
    distance
        `(H, W)` in [0, 1], what a network says of the inner distance. Without it, the distance to the background is
        taken as a part of each blob's largest one, so that blobs are cut at their necks.

    Returns
    -------
    ndarray of int32, shape (H, W)
        0 is background, nuclei are 1..N in the order of their first pixels, row by row.

    Examples
    --------
    >>> split(np.array([[1, 1, 0, 1]], bool), marker_depth=0.1)
    array([[1, 1, 0, 2]], dtype=int32)
    """
    heights = _blob_distance(mask) if distance is None else _smooth(distance * FULL)
    return _split(mask, heights, marker_depth)


def _split(mask: NDArray[np.bool_], heights: NDArray[np.uint16], marker_depth: float) -> NDArray[np.int32]:
    """The labels of `split`, by what it takes for the inner distance, `FULL` being 1."""
    basins, tops = _basins(mask, heights)
    nuclei = _joined(tops, *_saddles(basins, heights), marker_depth * FULL)
    first = first_pixels(basins)
    first[0] = -1
    of_nucleus = first.copy()
    np.minimum.at(of_nucleus, nuclei, first)
    number = np.unique(of_nucleus[nuclei], return_inverse=True)[1]
    return number.astype(np.int32).take(basins)


def _basins(mask: NDArray[np.bool_], heights: NDArray[np.uint16]) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """By the top of the steepest way up from each pixel of the mask: basins 1..N `(H, W)`, and how high each's top is.

    On a plateau the way leads to a later pixel; where it has several last ones their basins are joined, because no
    saddle separates them.
    """
    pixels = np.flatnonzero(mask)
    places = np.arange(pixels.size)
    # By height, and by place among equals. Both fit into what a floating-point number holds exactly.
    keys = np.zeros(mask.shape)
    keys.ravel()[pixels] = heights.ravel()[pixels] * _MOST_PLACES + places
    up = cv2.dilate(keys, AROUND).ravel()[pixels].astype(np.int64) & (int(_MOST_PLACES) - 1)
    is_top = up == places
    while not np.array_equal(farther := up[up], up):
        up = farther
    basins = np.zeros(mask.shape, np.int32)
    basins.ravel()[pixels] = np.cumsum(is_top, dtype=np.int32)[up]
    return basins, np.append(np.uint16(0), heights.ravel()[pixels[is_top]])


def _saddles(
    basins: NDArray[np.int32], heights: NDArray[np.uint16]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of basins that touch, the lower number first, and the highest place where one leaves one for the other.

    The highest pairs come first.
    """
    numbers, heights = np.pad(dilatable(basins), 1), np.pad(heights, 1)
    beside = np.flatnonzero((numbers > 0) & (cv2.dilate(numbers, AROUND) > numbers))
    own, own_height = numbers.ravel()[beside], heights.ravel()[beside]
    found = []
    for step in ROWS * numbers.shape[1] + COLUMNS:
        other = numbers.ravel()[beside + step]
        is_pair = other > own
        saddle = np.minimum(own_height, heights.ravel()[beside + step])
        # One number for each, so that one sort finds the highest saddle of each pair.
        packed = (own.astype(np.uint64) << 24 | other.astype(np.uint64)) << 16 | (FULL - saddle)
        found.append(packed[is_pair])
    pairs = np.sort(np.concatenate(found))
    pairs = pairs[np.flatnonzero(np.diff(pairs >> 16, prepend=0))]
    pairs = pairs[np.argsort(pairs & FULL, kind="stable")].astype(np.int64)
    return pairs >> 40, pairs >> 16 & (2**24 - 1), FULL - (pairs & FULL)


def _joined(
    tops: NDArray[np.uint16],
    own: NDArray[np.int64],
    other: NDArray[np.int64],
    saddle: NDArray[np.int64],
    depth: float,
) -> NDArray[np.int64]:
    """By each basin, 0 among them, the one that stands for its nucleus.

    What lies above a saddle has one highest top. Where the lower one of two such tops is no more than `depth` above the
    saddle between them, which is its dynamics (Grimaud 1992), it is no nucleus of its own.
    """
    # Two forests: what is connected above the saddle, with the highest top at the root, and nuclei.
    connected, nuclei, height = list(range(tops.size)), list(range(tops.size)), tops.tolist()
    for one, another, level in zip(own.tolist(), other.tolist(), saddle.tolist()):
        low, high = sorted((_root(connected, one), _root(connected, another)), key=lambda top: (height[top], top))
        if low == high:
            continue
        connected[low] = high
        if height[low] - level <= depth:
            nuclei[_root(nuclei, one)] = _root(nuclei, another)
    return np.array([_root(nuclei, basin) for basin in range(tops.size)])


def _root(forest: list[int], node: int) -> int:
    while (parent := forest[node]) != node:
        forest[node] = node = forest[parent]
    return node


def first_pixels(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Where each label from 0 first occurs, row by row, in the flattened image; its size where it does not, as for 0.

    Examples
    --------
    >>> first_pixels(np.array([[0, 2], [2, 3]], np.int32))
    array([4, 4, 1, 3])
    """
    flat = labels.ravel()
    # The pixels with another label to their left: among them is each label's first one.
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)[::-1]
    first = np.full(flat.max(initial=0) + 1, flat.size)
    # Of several values for one place the last one stays.
    first[flat[starts]] = starts
    first[0] = flat.size
    return first


def smooth_distance(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """A distance `(H, W)` in [0, 1], smoothed as `split` does it before it looks for peaks."""
    return _smooth(distance * FULL).astype(np.float32) / np.float32(FULL)


def _smooth(distance: NDArray[Any]) -> NDArray[np.uint16]:
    levels = np.rint(distance).astype(np.uint16)
    return np.asarray(cv2.GaussianBlur(levels, (0, 0), SMOOTHING_SIGMA_PX, borderType=cv2.BORDER_REPLICATE))


def _blob_distance(mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
    # The image's edge is no background: a nucleus cut by it keeps its one peak.
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    smooth = _smooth(np.minimum(distance * _PER_PX, FULL))
    blobs = label(mask)
    largest = np.ones(blobs.max() + 1, np.uint16)
    np.maximum.at(largest, blobs[mask], smooth[mask])
    # Outside the blobs nothing counts, but it must not overflow.
    largest[0] = FULL
    return np.rint(smooth * (FULL / largest)[blobs]).astype(np.uint16)


def label(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number the connected components (8 neighbours) of a mask `(H, W)`: 0 is background, components are 1..N."""
    # Of its algorithms this one (Wu, Otoo & Suzuki 2009) numbers by the components' first pixels.
    return np.asarray(cv2.connectedComponentsWithAlgorithm(mask.astype(np.uint8), 8, cv2.CV_32S, cv2.CCL_WU)[1])


def select(labels: NDArray[np.int32], min_area_px: int, border: NDArray[np.bool_] | None = None) -> NDArray[np.int32]:
    """Drop nuclei that are too small or, if asked, touch a border; the rest are renumbered 1..N.

    Parameters
    ----------
    labels
        `(H, W)`, 0 is background.
    min_area_px
        Nuclei with fewer pixels are dropped.
    border
        `(H, W)`; nuclei with one of these pixels are dropped.

    Examples
    --------
    >>> select(np.array([[1, 1, 0, 2, 0]], np.int32), min_area_px=2)
    array([[1, 1, 0, 0, 0]], dtype=int32)
    """
    keep = np.bincount(labels.ravel()) >= min_area_px
    if border is not None:
        keep[labels[border]] = False
    return keep_only(labels, keep[1:])


def keep_only(labels: NDArray[np.int32], is_kept: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Drop nuclei; the rest are renumbered 1..N.

    Parameters
    ----------
    labels
        `(H, W)`, 0 is background.
    is_kept
        `(N,)`, of each nucleus.

    Examples
    --------
    >>> keep_only(np.array([[1, 1, 0, 2]], np.int32), np.array([False, True]))
    array([[0, 0, 0, 1]], dtype=int32)
    """
    keep = np.concatenate([[False], is_kept])
    number = np.cumsum(keep, dtype=np.int32) * keep
    kept: NDArray[np.int32] = number.take(labels)
    return kept
