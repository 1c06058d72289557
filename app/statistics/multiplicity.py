"""Several p values at once: the corrections of Holm and of Benjamini and Hochberg."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Correction = Literal["holm", "benjamini-hochberg"]


def adjust(p_values: Sequence[float | None], correction: Correction = "holm") -> list[float | None]:
    """Correct p values for their number; those that are None stay so and are not counted.

    Parameters
    ----------
    p_values
        Of one family, in any order.
    correction
        `holm` bounds the chance of any false alarm (Holm 1979); `benjamini-hochberg` the share of false alarms among
        all alarms (Benjamini and Hochberg 1995).

    Examples
    --------
    >>> adjust([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    given = np.array([p for p in p_values if p is not None])
    order = np.argsort(given, kind="stable")
    n = given.size
    if correction == "holm":
        stepped = np.maximum.accumulate(given[order] * np.arange(n, 0, -1))
    else:
        stepped = np.minimum.accumulate((given[order] * n / np.arange(1, n + 1))[::-1])[::-1]
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(stepped, 1)
    remaining = iter(adjusted.tolist())
    return [None if p is None else next(remaining) for p in p_values]
