"""Mask to instance labels: touching nuclei are separated."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

SMOOTHING_SIGMA_PX = 1.0
DILATION_ROUNDS = 50
_NEIGHBOURS = np.ones((3, 3), np.uint8)


def split(
    mask: NDArray[np.bool_], marker_depth: float, distance: NDArray[np.float32] | None = None
) -> NDArray[np.int32]:
    """Label the nuclei of a mask; blobs of several nuclei are cut between them.

    The inner distance, 0 on a nucleus's outline and 1 in its middle, has one peak a nucleus; peaks that a saddle of at
    least `marker_depth` parts become the markers of a watershed (Vincent & Soille 1991; Soille 1999, chapter 6, for the
    h-maxima). Because the distance is relative, small and large nuclei are treated alike.

    Parameters
    ----------
    mask
        `(H, W)`, true where there is nucleus.
    marker_depth
        Smallest depth of the saddle between two nuclei, in (0, 1).
    distance
        `(H, W)` in [0, 1], what a network says of the inner distance. Without it, the distance to the background is
        taken as a part of each blob's largest one, so that blobs are cut at their necks.

    Returns
    -------
    ndarray of int32, shape (H, W)
        0 is background, nuclei are 1..N.

    Examples
    --------
    >>> split(np.array([[1, 1, 0, 1]], bool), marker_depth=0.1)
    array([[1, 1, 0, 2]], dtype=int32)
    """
    blobs = label(mask)
    n_blobs = int(blobs.max(initial=0))
    if not n_blobs:
        return blobs
    relative = _blob_distance(mask, blobs) if distance is None else _smooth(distance) * mask
    peaks = _peaks(relative, marker_depth)
    markers = label(peaks)
    # A blob without a peak of that height, or with one, is one nucleus.
    blob_of_marker = np.zeros(markers.max() + 1, np.int32)
    blob_of_marker[markers[peaks]] = blobs[peaks]
    crowded = (np.bincount(blob_of_marker[1:], minlength=n_blobs + 1) > 1).take(blobs)
    cut = watershed(-relative, markers * crowded, mask=crowded, connectivity=2)
    return _in_reading_order(np.where(crowded, cut + np.int32(n_blobs), blobs))


def _in_reading_order(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Renumbered 1..N by each nucleus's first pixel, row by row."""
    first = first_pixels(labels)
    first[0] = -1
    number = np.zeros(first.size, np.int32)
    number[np.argsort(first)] = np.arange(first.size)
    return number.take(labels)


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


def _smooth(distance: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(distance, (0, 0), SMOOTHING_SIGMA_PX, borderType=cv2.BORDER_REPLICATE))


def _blob_distance(mask: NDArray[np.bool_], blobs: NDArray[np.int32]) -> NDArray[np.float32]:
    # The image's edge is no background: a nucleus cut by it keeps its one peak.
    distance = _smooth(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
    largest = np.zeros(blobs.max() + 1, np.float32)
    np.maximum.at(largest, blobs[mask], distance[mask])
    relative: NDArray[np.float32] = np.where(mask, distance / np.maximum(largest, np.finfo(np.float32).tiny)[blobs], 0)
    return relative


def _peaks(relative: NDArray[np.float32], depth: float) -> NDArray[np.bool_]:
    """The h-maxima of a map: its peaks that rise by `depth` above the saddle to a higher one.

    They are the regional maxima of the map's reconstruction from itself lowered by `depth`, plateaus and all;
    `skimage.morphology.h_maxima` names the tops alone, so that two equal tops count twice however shallow the saddle.
    Its reconstruction also sorts all pixels, where for nuclei of the usual sizes some twenty rounds of dilation do;
    what these do not finish (huge or winding blobs) is left to it.
    """
    lowered = np.maximum(relative - np.float32(depth), 0)
    for _ in range(DILATION_ROUNDS):
        highest_around = cv2.dilate(lowered, _NEIGHBOURS)
        raised = np.minimum(highest_around, relative)
        if np.array_equal(raised, lowered):
            break
        lowered = raised
    else:
        lowered = reconstruction(lowered, relative, footprint=_NEIGHBOURS)
        highest_around = cv2.dilate(lowered, _NEIGHBOURS)
    peaks: NDArray[np.bool_] = (lowered == highest_around) & (lowered > 0)
    # A plateau is none where it goes on beside something higher.
    goes_on = peaks & (cv2.dilate(np.where(peaks, np.float32(-1), lowered), _NEIGHBOURS) == lowered)
    if goes_on.any():
        plateaus = label(peaks)
        peaks &= ~np.isin(plateaus, plateaus[goes_on])
    return peaks


def label(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number the connected components (8 neighbours) of a mask `(H, W)`: 0 is background, components are 1..N."""
    # Of its algorithms this one (Wu, Otoo & Suzuki 2009) numbers by the components' first pixels.
    return np.asarray(cv2.connectedComponentsWithAlgorithm(mask.astype(np.uint8), 8, cv2.CV_32S, cv2.CCL_WU)[1])


def select(labels: NDArray[np.int32], min_area_px: int, exclude_border: bool) -> NDArray[np.int32]:
    """Drop nuclei that are too small or, if asked, touch the image's border; the rest are renumbered 1..N.

    Parameters
    ----------
    labels
        `(H, W)`, 0 is background.
    min_area_px
        Nuclei with fewer pixels are dropped.
    exclude_border
        Whether nuclei with a pixel on the image's edge are dropped.

    Examples
    --------
    >>> select(np.array([[1, 1, 0, 2, 0]], np.int32), min_area_px=2, exclude_border=False)
    array([[1, 1, 0, 0, 0]], dtype=int32)
    """
    keep = np.bincount(labels.ravel()) >= min_area_px
    if exclude_border:
        edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
        keep[np.concatenate(edges)] = False
    keep[0] = False
    number = np.cumsum(keep, dtype=np.int32) * keep
    return number.take(labels)
