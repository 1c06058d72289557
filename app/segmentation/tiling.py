"""Images of any size for a network that should see few sizes, and none too large."""

from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.segmentation.maps import Maps

# Every new size costs a network's library time and memory that it keeps; sides are rounded up to multiples of this.
BUCKET_PX = 64
# The larger, the less is computed twice; this one needs 1.4 GB inside the default network.
TILE_PX = 3072


class _Window(NamedTuple):
    """Where a tile starts, and the part of it that counts, in one axis."""

    start: int
    inside: slice


def predict_tiled(
    predict: Callable[[NDArray[np.float32]], Maps],
    image: NDArray[np.float32],
    reach_px: int,
    tile_px: int = TILE_PX,
) -> Maps:
    """The maps of an image of any size, as if the network had seen it whole.

    The image is mirrored beyond its lower and right edge up to multiples of `BUCKET_PX`. Where it is larger than a
    tile, tiles overlap by twice the reach or a little more, and either keeps its half, so that each pixel comes from a
    tile that shows all that could change it. Tiles are cut at multiples of `BUCKET_PX`, as the network's grids are.

    Parameters
    ----------
    predict
        The network: float32 `(h, w, 3)` to maps `(h, w)`, for sides that are multiples of `BUCKET_PX`.
    image
        float32 `(H, W, 3)`, normalised as a whole.
    reach_px
        See `app.segmentation.model_card.Contract`.
    tile_px
        Largest side that `predict` is given, a multiple of `BUCKET_PX` that leaves something between twice the reach.

    Returns
    -------
    Maps
        `(H, W)`; the unlikeness is the mean of the tiles'.
    """
    height, width = image.shape[:2]
    padding = [(0, -length % BUCKET_PX) for length in (height, width)]
    padded = np.pad(image, (*padding, (0, 0)), mode="symmetric") if any(after for _, after in padding) else image
    halo_px = -(-reach_px // BUCKET_PX) * BUCKET_PX
    windows = [list(_windows(length, tile_px, halo_px)) for length in padded.shape[:2]]
    size_px = [min(length, tile_px) for length in padded.shape[:2]]
    maps: dict[str, NDArray[np.float32]] = {}
    unlikenesses = []
    for row, column in product(*windows):
        tile = padded[row.start : row.start + size_px[0], column.start : column.start + size_px[1]]
        answer = predict(np.ascontiguousarray(tile))
        place = tuple(
            slice(window.start + window.inside.start, window.start + window.inside.stop) for window in (row, column)
        )
        for name, map_ in (("probability", answer.probability), ("distance", answer.distance)):
            if map_ is not None:
                whole = maps.setdefault(name, np.empty(padded.shape[:2], np.float32))
                whole[place] = map_[row.inside, column.inside]
        unlikenesses.append(answer.unlikeness)
    known = [unlikeness for unlikeness in unlikenesses if unlikeness is not None]
    return Maps(
        **{name: np.ascontiguousarray(whole[:height, :width]) for name, whole in maps.items()},
        unlikeness=float(np.mean(known)) if known else None,
    )


def _windows(length: int, tile_px: int, halo_px: int) -> Iterator[_Window]:
    """Of equal size, the last one moved back to the end."""
    last = max(0, length - tile_px)
    starts = [*range(0, last, tile_px - 2 * halo_px), last]
    cuts = [0, *(start + halo_px for start in starts[1:]), length]
    for start, (begin, end) in zip(starts, pairwise(cuts)):
        yield _Window(start, slice(begin - start, end - start))
