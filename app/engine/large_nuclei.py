"""Single nuclei that are too wide for the scale of the others, from smaller copies that show them whole."""

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from app.engine.scale import CHECK_SCALE, COARSE_SCALES, SEEN_PX, WIDEST_PX
from app.engine.view import View, find_sure
from app.inference.predictions import Predictions
from app.inference.resampling import Resampling, at_full_size
from app.reading.memmap import Window

# What is narrower at the scale is left to it.
GIANT_PX = 80.0
# Less sure ones of smaller copies replace nothing, and those that are not surer than their pieces by so much.
SURE, SURER = 0.8, 0.1
# What is in more pieces is tissue.
MOST_PIECES = 100
# What covers so large a part of a nucleus, and is covered so far by it, is the nucleus.
_SAME = 0.8
# What lies in a large nucleus by more than this part is a piece of it.
_INSIDE = 0.5
# Around a nucleus, in pixels of its copy, where its copy still counts.
_EDGE_PX = 2


class _Large(NamedTuple):
    confidence: float
    scale: float
    label: int
    window: Window


def merge_large_nuclei(predictions: Predictions, view: View, scale: float) -> Predictions:
    """Predictions in which nuclei that are too wide for a scale come from smaller copies, nucleus by nucleus.

    What a smaller copy shows of a nucleus replaces what the scale shows, where that is nothing or in pieces, and the
    nucleus is surer than its pieces are by their areas.

    Parameters
    ----------
    predictions
        At the image's own size, made at `scale`; they are not written to.
    view
        The whole image, with the copies that were looked at.
    """
    candidates = sorted(_candidates(view, scale), reverse=True)
    if not candidates:
        return predictions
    merged = predictions._replace(
        probability=predictions.probability.copy(),
        distance=None if predictions.distance is None else predictions.distance.copy(),
    )
    taken = np.zeros(view.size_px, bool)

    @cache
    def copy_at(coarse: float) -> Predictions:
        return at_full_size(view.predictions(coarse), view.size_px)

    for large in candidates:
        inside = _inside(view, large)
        if inside.any() and not (taken[large.window] & inside).any():
            taken[large.window] |= _merge(
                _part(merged, large.window), _part(copy_at(large.scale), large.window), inside, large, view
            )
    return merged


def _candidates(view: View, scale: float) -> list[_Large]:
    """Nuclei that are too wide for the scale, and that smaller copies show well."""
    found = []
    for coarse in (*COARSE_SCALES, CHECK_SCALE):
        if coarse >= scale or not view.has_seen(coarse):
            continue
        nuclei = view.nuclei(coarse)
        there_px = nuclei.diameters_px * coarse
        is_large = (nuclei.diameters_px * scale > GIANT_PX) & (there_px >= SEEN_PX) & (there_px <= WIDEST_PX)
        boxes = ndimage.find_objects(nuclei.labels)
        for index in np.flatnonzero(is_large & (nuclei.confidence >= SURE)):
            window = tuple(
                slice(
                    max(0, int((side.start - _EDGE_PX) * length / n)),
                    min(length, int((side.stop + _EDGE_PX) * length / n)),
                )
                for side, length, n in zip(boxes[index], view.size_px, nuclei.labels.shape, strict=True)
            )
            found.append(_Large(float(nuclei.confidence[index]), coarse, int(index) + 1, (window[0], window[1])))
    return found


def _inside(view: View, large: _Large) -> NDArray[np.bool_]:
    """Which pixels of the nucleus's window are its own."""
    labels = view.nuclei(large.scale).labels
    source, resampling = Resampling.between(labels.shape, view.size_px).part(large.window)
    inside: NDArray[np.bool_] = resampling.apply((labels[source] == large.label).astype(np.float32)) >= 0.5
    return inside


def _merge(
    own: Predictions, coarse: Predictions, inside: NDArray[np.bool_], large: _Large, view: View
) -> NDArray[np.bool_]:
    """Write a nucleus of a copy into its window of the predictions, if it is better; what it takes of the window."""
    labels, confidence = find_sure(own, view.calibration)
    areas = np.bincount(labels.ravel(), minlength=confidence.size + 1)[1:]
    covered = np.bincount(labels[inside], minlength=confidence.size + 1)[1:]
    is_piece = covered > _INSIDE * areas
    is_same = (covered >= _SAME * areas) & (covered >= _SAME * np.count_nonzero(inside))
    surest = float(np.average(confidence[is_piece], weights=areas[is_piece])) if is_piece.any() else 0.0
    if is_same.any() or np.count_nonzero(is_piece) > MOST_PIECES or surest >= large.confidence - SURER:
        return np.zeros_like(inside)
    of_pieces, of_others = (np.append(False, of)[labels] for of in (is_piece, ~is_piece))
    width_px = 2 * round(_EDGE_PX / large.scale) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width_px, width_px))
    takes: NDArray[np.bool_] = (cv2.dilate(inside.astype(np.uint8), disc) > 0) & ~of_others
    for own_values, coarse_values in zip(own[:2], coarse[:2], strict=True):
        if own_values is not None and coarse_values is not None:
            own_values[of_pieces] = 0
            own_values[takes] = coarse_values[takes]
    return takes


def _part(predictions: Predictions, window: Window) -> Predictions:
    """A view of a window."""
    return predictions._replace(
        probability=predictions.probability[window],
        distance=None if predictions.distance is None else predictions.distance[window],
    )
