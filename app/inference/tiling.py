"""Images of any size for a network that should see few sizes, and none too large."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.inference.predictions import Predictions

# Every new size costs a network's library time and memory that it keeps; sides are rounded up to multiples of this.
BUCKET_PX = 64
# The larger, the less is computed twice; this one needs 1.6 GB inside the default network.
TILE_PX = 2304


class Tile(NamedTuple):
    """Rows and columns that the network is shown, which may end beyond the image, and those whose answers count."""

    shown: tuple[slice, slice]
    kept: tuple[slice, slice]


def predict_tiled(
    predict: Callable[[NDArray[np.float32]], Predictions],
    image: NDArray[np.float32],
    halo_px: int,
    tile_px: int = TILE_PX,
) -> Predictions:
    """The predictions of an image of any size, as if the network had seen it whole.

    Parameters
    ----------
    predict
        The network: float32 `(h, w, 3)` to predictions `(h, w)`, for sides that are multiples of `BUCKET_PX`.
    image
        float32 `(H, W, 3)`, normalised as a whole.
    halo_px, tile_px
        See `tiles`.

    Returns
    -------
    Predictions
        `(H, W)`; the ood_score is the mean of the tiles'.
    """
    size = image.shape[:2]
    predictions: dict[str, NDArray[np.float32]] = {}
    ood_scores = []
    for tile in tiles(size, halo_px, tile_px):
        answer = predict_tile(predict, image[tile.shown], tile)
        for name, map_ in (("probability", answer.probability), ("distance", answer.distance)):
            if map_ is not None:
                predictions.setdefault(name, np.empty(size, np.float32))[tile.kept] = map_
        ood_scores.append(answer.ood_score)
    return Predictions(**predictions, ood_score=mean_ood_score(ood_scores))


def tiles(size_px: tuple[int, ...], halo_px: int, tile_px: int = TILE_PX) -> Iterator[Tile]:
    """An image's tiles, row by row, all of one size.

    The image is mirrored beyond its lower and right edge up to multiples of `BUCKET_PX`. Where it is larger than a
    tile, tiles overlap by twice the halo or a little more, and either keeps its half, so that each pixel comes from a
    tile that shows all that could change it. Tiles are cut at multiples of `BUCKET_PX`, as the network's grids are.

    Parameters
    ----------
    size_px
        Height and width.
    halo_px
        How far around a pixel the network sees: half of its receptive field.
    tile_px
        Largest side of a tile, a multiple of `BUCKET_PX`; where twice the halo leaves nothing of it, what does.

    Examples
    --------
    >>> [tile.kept[1] for tile in tiles((100, 500), halo_px=60, tile_px=320)]
    [slice(0, 256, None), slice(256, 500, None)]
    """
    halo_px = _up(halo_px)
    side_px = max(tile_px, 2 * halo_px + BUCKET_PX)
    for row, column in product(*(list(_windows(length, side_px, halo_px)) for length in size_px)):
        yield Tile((row[0], column[0]), (row[1], column[1]))


def predict_tile(
    predict: Callable[[NDArray[np.float32]], Predictions], image: NDArray[np.float32], tile: Tile
) -> Predictions:
    """What counts of the network's answer to one tile, of which `image` is what lies in the image."""
    sides = [shown.stop - shown.start for shown in tile.shown]
    padding = [(0, side - length) for side, length in zip(sides, image.shape)]
    answer = predict(np.ascontiguousarray(np.pad(image, (*padding, (0, 0)), mode="symmetric")))
    inside = tuple(slice(kept.start - shown.start, kept.stop - shown.start) for shown, kept in zip(*tile))
    return answer._replace(
        probability=answer.probability[inside], distance=None if answer.distance is None else answer.distance[inside]
    )


def mean_ood_score(ood_scores: Iterable[float | None]) -> float | None:
    """Of all tiles, None of a network that does not say."""
    known = [ood_score for ood_score in ood_scores if ood_score is not None]
    return float(np.mean(known)) if known else None


def _windows(length: int, tile_px: int, halo_px: int) -> Iterator[tuple[slice, slice]]:
    """What is shown and what is kept in one axis: as few tiles as will do, as small as will do."""
    padded = _up(length)
    n_tiles = max(1, -(-(padded - 2 * halo_px) // (tile_px - 2 * halo_px)))
    side = min(padded, _up(-(-(padded - 2 * halo_px) // n_tiles) + 2 * halo_px))
    # The last tile is moved back to the end.
    starts = [*(number * (side - 2 * halo_px) for number in range(n_tiles - 1)), padded - side]
    cuts = [0, *(start + halo_px for start in starts[1:]), length]
    for start, (begin, end) in zip(starts, pairwise(cuts)):
        yield slice(start, start + side), slice(begin, end)


def _up(length: int) -> int:
    return -(-length // BUCKET_PX) * BUCKET_PX
