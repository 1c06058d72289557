"""Pixels that are numbers of colours: a lookup table of intensities, or a picture of few colours."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# How often each colour may run through its whole range, from one end of a lookup table to the other. Ramps do it once,
# rainbows about twice; palettes of pictures, whose neighbours are not alike, many times.
_MOST_RUNS = 4
# Of the brightest colour's length, by which others may lie beside its line; tables were rounded.
_LARGEST_DEVIATION = 0.02


def is_lookup_table(colours: NDArray[Any]) -> bool:
    """Whether colours `(N, 3)` only show how large the values 0..N - 1 are, so that these are what was measured.

    Examples
    --------
    >>> blues = np.arange(256)[:, np.newaxis] * [0, 0, 1]
    >>> is_lookup_table(blues), is_lookup_table(np.random.default_rng(0).permutation(blues))
    (True, False)
    """
    levels = colours.astype(np.float64)
    runs = np.abs(np.diff(levels, axis=0)).sum(axis=0)
    return bool((runs <= _MOST_RUNS * max(1.0, levels.max(initial=0))).all())


def has_one_hue(colours: NDArray[Any]) -> bool:
    """Whether all colours `(N, 3)` are darker ones of the brightest, or greys."""
    levels = colours.astype(np.float64)
    brightest = levels[np.argmax(np.linalg.norm(levels, axis=1))]
    length = np.linalg.norm(brightest)
    if not length:
        return True
    along = levels @ brightest / length
    beside = np.linalg.norm(levels - np.outer(along, brightest / length), axis=1)
    return bool((beside <= _LARGEST_DEVIATION * length).all())
