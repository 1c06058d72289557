"""Lines that a mask has around its nuclei, as a value of their own or alone, and whose they are."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label as label_equal_values

from app.segmentation.neighbours import BESIDE
from app.segmentation.split import label

# Of the pixels beside the background, the part that has the value of boundaries, where there is one; and how far
# boundaries reach inwards, in pixels.
_OUTERMOST = 0.99
_BOUNDARY_PX = 3
# Of thin lines, the part that encloses something, where they are outlines.
_CLOSED = 0.9


def filled_outlines(mask: NDArray[np.bool_]) -> NDArray[np.int32] | None:
    """The nuclei of a mask `(H, W)` of outlines alone, each with its line; None where the mask is something else."""
    # A line that runs askew parts what it touches at corners only; at one edge of the image it need not be closed.
    parts, n_parts = ndimage.label(~mask)
    areas = np.bincount(parts.ravel(), weights=~mask.ravel(), minlength=2)
    edges = [np.unique(edge) for edge in (parts[0], parts[-1], parts[:, 0], parts[:, -1])]
    n_edges = np.bincount(np.concatenate(edges), minlength=n_parts + 1)
    inside = ~mask & (parts != areas.argmax()) & (n_edges[parts] < 2)
    if np.count_nonzero(inside) <= np.count_nonzero(mask) or _thickness_px(mask) > _BOUNDARY_PX:
        return None
    lines = label(mask)
    encloses = np.zeros(int(lines.max()) + 1, bool)
    encloses[lines[cv2.dilate(inside.astype(np.uint8), BESIDE) > 0]] = True
    if np.count_nonzero(encloses[lines] & mask) < _CLOSED * np.count_nonzero(mask):
        return None
    return with_boundaries(np.where(mask, n_parts + 1, parts * inside).astype(np.int32), n_parts + 1)


def boundary_code(codes: NDArray[np.int32]) -> int | None:
    """The code that lies as a thin line between all others and the background, if there is one."""
    is_inside = codes > 0
    # What is beyond the image's edge is no background.
    is_outermost = is_inside & (cv2.erode(is_inside.astype(np.uint8), BESIDE) == 0)
    counts = np.bincount(codes[is_outermost], minlength=1)
    code = int(counts.argmax())
    if code == 0 or counts[code] < _OUTERMOST * counts.sum():
        return None
    return code if _thickness_px(codes == code) <= _BOUNDARY_PX else None


def _thickness_px(mask: NDArray[np.bool_]) -> float:
    return float(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max())


def with_boundaries(codes: NDArray[np.int32], boundary: int) -> NDArray[np.int32]:
    """Components of equal value, each with the boundaries that are nearest to it; boundaries alone are nuclei too."""
    is_boundary = codes == boundary
    cores = components(np.where(is_boundary, 0, codes))
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
    return components(labels)


def components(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """The 8-connected components of equal code, 1..N in the order of their first pixels."""
    return np.asarray(label_equal_values(codes, background=0, connectivity=2), np.int32)
