"""Differences from a control with their standard errors: what the tests of `compare` are made of."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.statistics.distributions import Dunnett, Student
from app.statistics.effect_size import standard_deviation
from app.statistics.results import Reference

Values = NDArray[np.float64]
Groups = Mapping[str, Values]
# Below this part of the values themselves a deviation is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Contrast:
    """A difference, its standard error and what that is held against."""

    difference: float
    standard_error: float
    reference: Reference


def on_both_scales(
    contrast: Callable[[Groups, Values], dict[str, Contrast | None]], family: Groups, control: Values
) -> dict[str, tuple[Contrast | None, Contrast | None]]:
    """The contrasts of the values and, of those groups that are above 0 throughout, of their logarithms."""
    differences = contrast(family, control)
    positive = {label: np.log(values) for label, values in family.items() if not (values <= 0).any()}
    log_ratios = {} if (control <= 0).any() or not positive else contrast(positive, np.log(control))
    return {label: (differences[label], log_ratios.get(label)) for label in family}


def welch(groups: Groups, control: Values) -> dict[str, Contrast | None]:
    """Each group for itself, without the assumption that deviations are equal."""
    return {label: _welch_of(values, control) for label, values in groups.items()}


def _welch_of(treated: Values, control: Values) -> Contrast | None:
    variances = [deviation_of(values) ** 2 / values.size for values in (treated, control)]
    if not any(variances):
        return None
    squares = sum(variance**2 / (values.size - 1) for variance, values in zip(variances, (treated, control)))
    reference = Student(sum(variances) ** 2 / squares)
    return Contrast(float(treated.mean() - control.mean()), math.sqrt(sum(variances)), reference)


def paired_t(groups: Groups, control: Values) -> dict[str, Contrast | None]:
    """Each group on the blocks that it shares with the control."""
    contrasts: dict[str, Contrast | None] = {}
    for label, values in groups.items():
        shared = np.isfinite(values) & np.isfinite(control)
        differences = (values - control)[shared]
        deviation = deviation_of(differences, [values[shared], control[shared]])
        standard_error = deviation / math.sqrt(differences.size)
        reference = Student(differences.size - 1, len(groups))
        contrasts[label] = Contrast(float(differences.mean()), standard_error, reference) if deviation else None
    return contrasts


def dunnett(groups: Groups, control: Values) -> dict[str, Contrast | None]:
    """All groups together, with one pooled standard deviation."""
    every = [*groups.values(), control]
    deviation = pooled_deviation(every)
    if not deviation:
        return dict.fromkeys(groups)
    loadings = tuple(math.sqrt(values.size / (values.size + control.size)) for values in groups.values())
    reference = Dunnett(sum(values.size - 1 for values in every), loadings)
    return {
        label: Contrast(
            float(values.mean() - control.mean()),
            deviation * math.sqrt(1 / values.size + 1 / control.size),
            reference,
        )
        for label, values in groups.items()
    }


def dunnett_in_blocks(groups: Groups, control: Values) -> dict[str, Contrast | None]:
    """Of complete blocks: the error is what group and block, added up, leave over."""
    table = np.stack([*groups.values(), control])
    left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    n_groups, n_blocks = table.shape
    degrees_of_freedom = (n_groups - 1) * (n_blocks - 1)
    deviation = math.sqrt((left**2).sum() / degrees_of_freedom)
    if deviation <= _ROUNDING * np.abs(table).max():
        return dict.fromkeys(groups)
    reference = Dunnett(degrees_of_freedom, (math.sqrt(0.5),) * len(groups))
    standard_error = deviation * math.sqrt(2 / n_blocks)
    return {
        label: Contrast(float((values - control).mean()), standard_error, reference) for label, values in groups.items()
    }


def deviation_of(values: Values, scale: Sequence[Values] = ()) -> float:
    """Standard deviation; 0 for a single value, and where it is but rounding.

    `scale` are the values of which these are differences: what rounding is, they decide.
    """
    if values.size < 2:
        return 0.0
    deviation = standard_deviation(values)
    largest = max(float(np.abs(part).max()) for part in (values, *scale))
    return deviation if deviation > _ROUNDING * largest else 0.0


def pooled_deviation(groups: Sequence[Values]) -> float:
    """The standard deviation within groups; 0 where no group has two values, or none varies."""
    degrees_of_freedom = sum(values.size - 1 for values in groups)
    squares = sum(deviation_of(values) ** 2 * (values.size - 1) for values in groups)
    return math.sqrt(squares / degrees_of_freedom) if degrees_of_freedom else 0.0
