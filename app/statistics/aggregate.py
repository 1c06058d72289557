"""Images to wells, wells to replicates: level by level, so that none is skipped.

Each level is the plain mean of the one below (counts of wells are sums): an image with many nuclei weighs no more than
one with few, and a well with many images no more than another.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Table = dict[str, Values]
Index = NDArray[np.intp]


def group_index(*columns: Sequence[Any]) -> tuple[list[tuple[Any, ...]], Index]:
    """The combinations that occur in columns of N rows, in order of appearance, and which one each row has, `(N,)`.

    Examples
    --------
    >>> group_index(["P1", "P1", "P2"], ["B02", "B02", "B02"])
    ([('P1', 'B02'), ('P2', 'B02')], array([0, 0, 1]))
    """
    known: dict[tuple[Any, ...], int] = {}
    index = [known.setdefault(combination, len(known)) for combination in zip(*columns, strict=True)]
    return list(known), np.array(index, np.intp)


def of_wells(images: Mapping[str, Values], well_of: Index, n_wells: int) -> Table:
    """Endpoints of each well, from its images: counts are summed, everything else is the images' mean.

    Parameters
    ----------
    images
        `(n_images,)` each, `count` among them; NaN is left out.
    well_of
        `(n_images,)`: the well of each image, from 0.

    Returns
    -------
    Table
        `(n_wells,)` each, and `n_images` (those with a count) and `count_per_image`, which can be compared where
        images of some wells are missing.
    """
    wells = {name: mean_of(values, well_of, n_wells) for name, values in images.items() if name != "count"}
    n_images = np.bincount(well_of[np.isfinite(images["count"])], minlength=n_wells).astype(np.float64)
    count_per_image = mean_of(images["count"], well_of, n_wells)
    return {"n_images": n_images, "count": count_per_image * n_images, "count_per_image": count_per_image, **wells}


def of_replicates(wells: Mapping[str, Values], replicate_of: Index, n_replicates: int) -> Table:
    """Endpoints of each replicate, `(n_replicates,)` each: the mean of its wells, of counts too. NaN is left out."""
    return {name: mean_of(values, replicate_of, n_replicates) for name, values in wells.items()}


def mean_of(values: NDArray[Any], group_of: Index, n_groups: int) -> Values:
    """Means of groups, `(n_groups,)`, without the values that are NaN; NaN where a group has none.

    Examples
    --------
    >>> mean_of(np.array([1.0, 3.0, np.nan, np.nan]), np.array([0, 0, 0, 1]), 2)
    array([ 2., nan])
    """
    known = np.isfinite(values)
    n = np.bincount(group_of[known], minlength=n_groups)
    sums = np.bincount(group_of[known], np.asarray(values, np.float64)[known], n_groups)
    means: Values = np.divide(sums, n, out=np.full(n_groups, np.nan), where=n > 0)
    return means


def relative_to_control(values: Values, plate_of: Index, is_control: NDArray[np.bool_]) -> Values:
    """Values of wells divided by the mean of their plate's negative controls; NaN on plates where that is not above 0.

    Examples
    --------
    >>> relative_to_control(np.array([50.0, 100, 30, 10]), np.array([0, 0, 1, 1]), np.array([False, True, False, True]))
    array([0.5, 1. , 3. , 1. ])
    """
    n_plates = int(plate_of.max(initial=-1)) + 1
    controls = mean_of(np.where(is_control, values, np.nan), plate_of, n_plates)[plate_of]
    relative: Values = np.divide(values, controls, out=np.full(values.size, np.nan), where=controls > 0)
    return relative
