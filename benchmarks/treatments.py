"""Fewer, or larger, nuclei in annotated fields: image and outlines are changed together, so that truth stays known."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.segmentation.neighbours import dilatable

# So far a nucleus's light reaches over its outline.
HALO_PX = 6
_AROUND_PX = 12
_SMOOTH_PX = 1.5


class Field(NamedTuple):
    """An image `(H, W)` of whole numbers and its true labels `(H, W)`."""

    image: NDArray[Any]
    labels: NDArray[np.int32]


def with_fewer(field: Field, part: float, generator: np.random.Generator) -> Field:
    """The field without some of its nuclei: in their place lie pixels of the background around them.

    Parameters
    ----------
    field
        As it is.
    part
        Of the nuclei, in [0, 1].
    generator
        Chooses them. In the same state it chooses for a larger part the same ones and more.
    """
    image, labels = field.image.copy(), field.labels.copy()
    order = generator.permutation(np.arange(1, labels.max() + 1))
    chosen = order[: round(part * order.size)]
    free = image[_grown(field.labels, HALO_PX) == 0]
    gone = np.isin(labels, chosen)
    near_others = _grown(np.where(gone, 0, labels), HALO_PX) > 0
    nearest = _grown(np.where(gone, labels, 0), HALO_PX)
    for nucleus in chosen:
        window = _window(labels == nucleus, _AROUND_PX + HALO_PX)
        around = image[window][_grown(field.labels[window], HALO_PX) == 0]
        # A nucleus in a crowd has no background of its own.
        source = around if around.size else free
        covered = (nearest[window] == nucleus) & (~near_others[window] | (labels[window] == nucleus))
        image[window][covered] = generator.choice(source, np.count_nonzero(covered))
    labels[gone] = 0
    return Field(image, _renumbered(labels))


def with_larger(field: Field, part: float) -> Field:
    """The field with each nucleus's area larger by `part`, grown from its centroid; neighbours keep their pixels."""
    image, labels = field.image.astype(np.float32), field.labels.copy()
    factor = np.sqrt(1 + part)
    for nucleus in range(1, labels.max() + 1):
        area = np.count_nonzero(field.labels == nucleus)
        window = _window(field.labels == nucleus, HALO_PX + math.ceil((factor - 1) * math.sqrt(area)) + 2)
        before, after = field.labels[window], labels[window]
        own, others = before == nucleus, (before > 0) & (before != nucleus)
        scaled = _scaled(own, factor)
        grown = _largest(scaled(cv2.GaussianBlur(own.astype(np.float32), (0, 0), _SMOOTH_PX)), round(area * (1 + part)))
        # Its halo fades into what lies around, but takes no light from neighbours and gives none to them.
        distance = cv2.distanceTransform((~grown).astype(np.uint8), cv2.DIST_L2, 5)
        weight = np.clip(1 - distance / HALO_PX, 0, 1)
        taken = (after > 0) & (after != nucleus)
        weight[taken | (~grown & (scaled(others) > 0))] = 0
        image[window] = weight * scaled(field.image[window]) + (1 - weight) * image[window]
        after[grown & ~taken] = nucleus
    return Field(np.rint(image).astype(field.image.dtype), labels)


def _scaled(own: NDArray[np.bool_], factor: float) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """What enlarges pixels around a nucleus from its centroid."""
    places: NDArray[Any] = np.indices(own.shape)
    middle = places[:, own].mean(axis=1)[:, None, None]
    from_row, from_column = ((places - middle) / factor + middle).astype(np.float32)

    def scaled(pixels: NDArray[Any]) -> NDArray[np.float32]:
        source = pixels.astype(np.float32)
        return np.asarray(cv2.remap(source, from_column, from_row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    return scaled


def _largest(values: NDArray[np.float32], n: int) -> NDArray[np.bool_]:
    """The n largest: an outline to a part of a pixel, where a threshold would gain a whole one or none."""
    chosen = np.zeros(values.shape, bool)
    chosen.ravel()[np.argsort(values, axis=None)[::-1][:n]] = True
    return chosen


def _window(nucleus: NDArray[np.bool_], margin_px: int) -> tuple[slice, slice]:
    """Rows and columns of a nucleus and so many around it."""
    ends = (np.flatnonzero(nucleus.any(axis=axis))[[0, -1]] for axis in (1, 0))
    rows, columns = (slice(max(0, first - margin_px), last + 1 + margin_px) for first, last in ends)
    return rows, columns


def _grown(labels: NDArray[np.int32], distance_px: int) -> NDArray[np.int32]:
    """Labels that reach so far into the background."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * distance_px + 1,) * 2)
    return np.where(labels > 0, labels, cv2.dilate(dilatable(labels), disc)).astype(np.int32)


def _renumbered(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
