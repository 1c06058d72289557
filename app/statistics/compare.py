"""Treated against control: one comparison, several that share a control, and both within shared blocks.

t intervals are the default because they hold at laboratory sizes: in 1,000 simulated experiments a nominal 95 %
interval covered in 95 to 96 % with Welch's t at n = 3 to 8, and in 79 to 90 % with the bootstrap. There is no mixed
model: on the replicates' means a paired t test is the mixed model of a balanced design, with the right degrees of
freedom.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.statistics.contrasts import (
    Contrast,
    Groups,
    Values,
    deviation_of,
    dunnett,
    dunnett_in_blocks,
    on_both_scales,
    paired_t,
    pooled_deviation,
    welch,
)
from app.statistics.effect_size import hedges_g, hedges_g_interval, ssmd
from app.statistics.power import ALPHA, PowerNote, power_note
from app.statistics.results import FEWEST_REPLICATES, LEVEL, Estimate, Interval, StatisticsWarning

# Unequal variances are told where equal ones would look as different once in a hundred plates.
_UNEQUAL = 0.01


@dataclass(frozen=True)
class Comparison:
    """One treated group against its control. The differences are treated minus control, in the endpoint's unit.

    Attributes
    ----------
    method
        The test, with the field's name.
    n_treated, n_control
        Replicates; in blocks the number of blocks that hold both.
    mean_treated, mean_control, sd_treated, sd_control
        Of the replicates; a standard deviation is None for one replicate.
    difference
        With its interval and p; of several comparisons p and interval are those of the whole family.
    ratio
        Of geometric means, with an interval that is symmetric on the logarithm; None where a value is not above 0.
    hedges_g
        The difference in pooled standard deviations, of pairs in those of the replicates; None without variation.
    ssmd
        The strictly standardised mean difference; of pairs that of their differences.
    power
        What could have been seen; None where no deviation is known.
    paired
        Whether treated and control share their blocks.
    warnings
        What keeps a number out, or should be known before one is used.
    """

    method: str
    n_treated: int
    n_control: int
    mean_treated: float
    mean_control: float
    sd_treated: float | None
    sd_control: float | None
    difference: Estimate
    ratio: Estimate | None
    hedges_g: float | None
    ssmd: float | None
    power: PowerNote | None
    paired: bool
    warnings: tuple[StatisticsWarning, ...]

    @property
    def p_value(self) -> float | None:
        """Two-sided p of no difference; None where there is none, and a warning says why."""
        return self.difference.p_value

    def hedges_g_interval(self, level: float = LEVEL) -> Interval | None:
        """Interval of `hedges_g`; None for pairs and for fewer than 3 replicates."""
        if self.hedges_g is None or self.paired or min(self.n_treated, self.n_control) < FEWEST_REPLICATES:
            return None
        return hedges_g_interval(self.hedges_g, self.n_treated, self.n_control, level)


def compare(treated: Values, control: Values) -> Comparison:
    """Two independent groups of replicates, by Welch's t test.

    Examples
    --------
    >>> result = compare(np.array([80.0, 85.0, 90.0]), np.array([100.0, 101.0, 108.0]))
    >>> result.difference.value, round(result.p_value, 4), round(result.ratio.value, 3)
    (-18.0, 0.0097, 0.825)
    """
    return compare_with_control({"": treated}, control)[""]


def compare_with_control(groups: Groups, control: Values) -> dict[str, Comparison]:
    """Several independent groups of replicates against one control: Dunnett's test, of a single group Welch's.

    Parameters
    ----------
    groups
        The replicates, `(N,)`, of each treatment or dose.
    control
        `(M,)` replicates of the control, which they share.

    Returns
    -------
    dict
        A comparison for each group. p and intervals are those of the family: in at most 5 % of the experiments in which
        nothing differs is any p below 0.05, and in 95 % all intervals cover. Groups with fewer than 3 replicates are
        not in the family and have estimates only.
    """
    family = {label: values for label, values in groups.items() if min(values.size, control.size) >= FEWEST_REPLICATES}
    several = len(family) > 1
    contrasts = on_both_scales(dunnett if several else welch, family, control)
    pooled = [*family.values(), control]
    unequal = _unequal_variances(pooled) if several else ()
    of_family = pooled_deviation(pooled), sum(one.size - 1 for one in pooled)
    compared = {}
    for label, values in groups.items():
        degrees_of_freedom = values.size + control.size - 2
        deviation = pooled_deviation([values, control])
        noted = of_family if label in family else (deviation, degrees_of_freedom)
        compared[label] = _comparison(
            values,
            control,
            "Dunnett's test" if several else "Welch's t test",
            contrasts.get(label),
            g=hedges_g(values.mean() - control.mean(), deviation, degrees_of_freedom) if deviation else None,
            ssmd_value=ssmd(values, control),
            power=_power(noted[0], float(control.mean()), (values.size, control.size), len(family), noted[1]),
            warnings=unequal if label in family else (),
        )
    return compared


def compare_in_blocks(groups: Groups, control: Values) -> dict[str, Comparison]:
    """Groups against a control that shares their blocks (plates, days), on one mean a block.

    Parameters
    ----------
    groups
        For each treatment or dose `(B,)` means of the blocks; NaN where a block has none.
    control
        `(B,)` means of the control in the same blocks.

    Returns
    -------
    dict
        A comparison for each group: of a single one by the paired t test; of several by Dunnett's test with the blocks
        taken out if every block holds all of them, else by paired t tests on the blocks that each shares with the
        control, with Bonferroni's correction.
    """
    shared = {label: np.isfinite(values) & np.isfinite(control) for label, values in groups.items()}
    family = {label: values for label, values in groups.items() if shared[label].sum() >= FEWEST_REPLICATES}
    complete = all(shared[label].all() for label in family)
    method = "paired t test"
    if len(family) > 1:
        method = "Dunnett's test in blocks" if complete else "paired t test, Bonferroni's correction"
    contrasts = on_both_scales(dunnett_in_blocks if len(family) > 1 and complete else paired_t, family, control)
    compared = {}
    for label, values in groups.items():
        ours, theirs = values[shared[label]], control[shared[label]]
        deviation = deviation_of(ours - theirs, [ours, theirs])
        within = math.hypot(deviation_of(ours), deviation_of(theirs)) / math.sqrt(2)
        compared[label] = _comparison(
            ours,
            theirs,
            method,
            contrasts.get(label),
            g=hedges_g((ours - theirs).mean(), within, ours.size - 1) if within and ours.size > 1 else None,
            ssmd_value=float((ours - theirs).mean() / deviation) if deviation else None,
            power=_power(deviation, float(theirs.mean()), (ours.size, None), len(family), ours.size - 1),
            warnings=(),
            paired=True,
        )
    return compared


def estimates(treated: Values, control: Values, reason: StatisticsWarning) -> Comparison:
    """Means, difference and ratio of groups that must not be tested, for `reason`."""
    return replace(
        _comparison(treated, control, "", None, g=None, ssmd_value=None, power=None, warnings=()), warnings=(reason,)
    )


def _comparison(
    treated: Values,
    control: Values,
    method: str,
    contrasts: tuple[Contrast | None, Contrast | None] | None,
    *,
    g: float | None,
    ssmd_value: float | None,
    power: PowerNote | None,
    warnings: tuple[StatisticsWarning, ...],
    paired: bool = False,
) -> Comparison:
    difference, log_ratio = contrasts or (None, None)
    positive = bool((treated > 0).all() and (control > 0).all())
    ratio = float(np.exp(np.log(treated).mean() - np.log(control).mean())) if positive else None
    return Comparison(
        method=method if contrasts else "estimates only",
        n_treated=treated.size,
        n_control=control.size,
        mean_treated=float(treated.mean()),
        mean_control=float(control.mean()),
        sd_treated=deviation_of(treated) if treated.size > 1 else None,
        sd_control=deviation_of(control) if control.size > 1 else None,
        difference=_estimate(float(treated.mean() - control.mean()), difference, is_ratio=False),
        ratio=None if ratio is None else _estimate(ratio, log_ratio, is_ratio=True),
        hedges_g=g,
        ssmd=ssmd_value,
        power=power,
        paired=paired,
        warnings=(*_shortfalls(treated, control, difference, positive), *warnings),
    )


def _estimate(value: float, contrast: Contrast | None, is_ratio: bool) -> Estimate:
    if contrast is None:
        return Estimate(value, is_ratio=is_ratio)
    return Estimate(value, contrast.standard_error, contrast.reference, is_ratio)


def _power(
    deviation: float, control_mean: float, sizes: tuple[int, int | None], n_comparisons: int, degrees_of_freedom: int
) -> PowerNote | None:
    """The note of a comparison; `sizes` are those of the groups, None the control's where they are pairs."""
    if not deviation or degrees_of_freedom < 1:
        return None
    alpha = ALPHA / max(n_comparisons, 1)
    return power_note(deviation, control_mean, *sizes, alpha, degrees_of_freedom)


def _shortfalls(
    treated: Values, control: Values, contrast: Contrast | None, positive: bool
) -> tuple[StatisticsWarning, ...]:
    """Why numbers of a comparison are missing."""
    found = []
    n = min(treated.size, control.size)
    if n < FEWEST_REPLICATES:
        found.append(
            StatisticsWarning(
                "too_few_replicates",
                f"A group has {n} replicate{'' if n == 1 else 's'}; below {FEWEST_REPLICATES} there are estimates but "
                "no p and no interval. Repeat the experiment.",
            )
        )
    elif contrast is None:
        found.append(
            StatisticsWarning(
                "zero_variance",
                "The replicates do not differ from each other at all, so that there is no p and no interval. Check "
                "that the table holds measurements of different wells.",
            )
        )
    if not positive:
        found.append(
            StatisticsWarning(
                "ratio_needs_positive",
                "A value is 0 or below, of which there is no logarithm, so that there is no ratio; use the difference.",
            )
        )
    return tuple(found)


def _unequal_variances(groups: Sequence[Values]) -> tuple[StatisticsWarning, ...]:
    # Each start would wait for it.
    from scipy.stats import bartlett

    varying = [values for values in groups if deviation_of(values)]
    if len(varying) == len(groups) and bartlett(*groups).pvalue >= _UNEQUAL:
        return ()
    if not varying:
        return ()
    return (
        StatisticsWarning(
            "unequal_variances",
            "The groups' standard deviations differ more than chance allows, while Dunnett's test takes them as "
            "equal: for groups that vary more than the rest p is too small, for others too large. Compare single "
            "groups with the control before you rely on a p near 0.05.",
        ),
    )
