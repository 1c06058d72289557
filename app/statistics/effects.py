"""The answer about a table: every condition against its control, its curve, and the plates it stands on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from app.errors import TableError
from app.statistics.aggregate import Values, group_index
from app.statistics.distributions import Dunnett, Student
from app.statistics.families import NO_BLOCK, Compared, compared
from app.statistics.normalise import normalised
from app.statistics.plate_quality import COUNT, plates_of
from app.statistics.results import Estimate, Interval, StatisticsWarning
from app.statistics.schema import VERSION, ConditionEffect, Effects, EndpointEffects, Normalisation
from app.statistics.table_curves import condition_curves
from app.statistics.table_growth import growth_rates
from app.statistics.well_table import LABELS, WellTable, well_table

Test = Literal["t", "rank", "permutation"]
Correction = Literal["holm", "benjamini-hochberg"]


@dataclass(frozen=True)
class EffectOptions:
    """What can be asked of a table.

    Attributes
    ----------
    endpoints
        Columns of numbers. More than one are corrected for.
    control
        The condition that is the negative control, where the column `control` does not say.
    replicate
        The column whose values are the replicates; see `families.compared`.
    block
        The column whose values treated and control share, or `none`; see `families.compared`.
    correction
        For several endpoints: `holm` or `benjamini-hochberg`.
    test
        `t` (Welch's, paired, or Dunnett's), or `rank` or `permutation`: these only where so many replicates can reach
        0.05.
    normalise
        `none`, or `b_score`: B-scores of each plate instead of the values; see `b_score.b_scores`.
    marker, marker_threshold
        Of an experiment's nuclei: the column, and above what a nucleus is positive; for `positive_fraction`.
    """

    endpoints: tuple[str, ...] = ("count",)
    control: str | None = None
    replicate: str | None = None
    block: str | None = None
    correction: Correction = "holm"
    test: Test = "t"
    normalise: Normalisation = "none"
    marker: str | None = None
    marker_threshold: float | None = None


def effects(
    table: Mapping[str, Sequence[Any]],
    options: EffectOptions = EffectOptions(),
    most_comparisons: int | None = None,
) -> Effects:
    """What the treatments of a table did.

    Parameters
    ----------
    table
        Columns of text or numbers, one row a well (or an image, of which those of a well are averaged): `well` (or
        `image`) and `condition`; perhaps `plate`, `dose`, `dose_unit`, `replicate`, `control` (`negative`,
        `positive`), `time0_count` (nuclei when the treatment began); and the endpoints. Empty cells and NA are missing.
    options
        What is asked.
    most_comparisons
        Conditions and doses, times endpoints, that are answered at once.

    Raises
    ------
    TableError
        The table cannot answer; the message says what to change.

    Examples
    --------
    >>> table = {
    ...     "well": ["A1", "A2", "A3", "B1", "B2", "B3"],
    ...     "condition": ["DMSO"] * 3 + ["drug"] * 3,
    ...     "control": ["negative"] * 3 + [""] * 3,
    ...     "count": [100, 101, 108, 80, 85, 90],
    ... }
    >>> (effect,) = effects(table).endpoints[0].comparisons
    >>> effect.n_treated, effect.difference, round(effect.p_value, 4)
    (3, -18.0, 0.0097)
    """
    if len(set(options.endpoints)) < len(options.endpoints):
        raise TableError("An endpoint was named twice; name each once.")
    if not options.endpoints:
        raise TableError("No endpoint was named; name at least one column of numbers.")
    block = None if options.block == NO_BLOCK else options.block
    named = {name for name in (options.replicate, block) if name is not None and name not in LABELS}
    wells = well_table(table, options.endpoints, options.control, sorted(named))
    n_groups = len(group_index(wells.condition.tolist(), np.nan_to_num(wells.dose, nan=-1).tolist())[0])
    if most_comparisons is not None and n_groups * len(options.endpoints) > most_comparisons:
        raise TableError(
            f"The table has {n_groups} conditions and doses and {len(options.endpoints)} endpoints were asked for; "
            f"{most_comparisons} comparisons are made at once. Ask for fewer endpoints, or send parts of the table."
        )
    wells = normalised(wells, options.normalise)
    answers = [_endpoint(wells, endpoint, options) for endpoint in options.endpoints]
    return Effects(
        version=VERSION,
        n_wells=wells.well.size,
        plates=tuple(np.unique(wells.plate).tolist()),
        control=tuple(np.unique(wells.condition[wells.is_negative]).tolist()),
        correction=options.correction,
        normalise=options.normalise,
        endpoints=tuple(_corrected(answers, options.correction)),
        warnings=wells.warnings,
    )


def _endpoint(wells: WellTable, endpoint: str, options: EffectOptions) -> EndpointEffects:
    values = wells.endpoints[endpoint]
    results = compared(wells, values, options.replicate, options.block)
    curves = condition_curves(wells, values)
    grown, not_grown = growth_rates(wells, values) if endpoint == COUNT and wells.are_amounts else ((), ())
    n_tested = max(sum(result.comparison.difference.standard_error is not None for result in results), 1)
    is_bounded = bool((values[np.isfinite(values)] >= 0).all())
    return EndpointEffects(
        endpoint=endpoint,
        comparisons=tuple(_effect(one, wells, options.test, n_tested, is_bounded=is_bounded) for one in results),
        curves=curves.curves,
        ec50_ratios=curves.ratios,
        growth_rates=grown,
        plates=plates_of(wells, endpoint),
        warnings=(*_missing(wells, values, results), *curves.warnings, *not_grown),
    )


def _effect(result: Compared, wells: WellTable, test: Test, n_comparisons: int, *, is_bounded: bool) -> ConditionEffect:
    comparison = result.comparison
    estimate, p_value = comparison.difference, comparison.p_value
    interval = estimate.confidence_interval()
    same = wells.condition == result.condition
    unit = str(wells.unit[same][0]) or None
    effect = ConditionEffect(
        condition=result.condition,
        dose=result.dose,
        dose_unit=unit if result.dose is not None else None,
        replicate=result.replicate,
        block=result.block,
        n_treated=comparison.n_treated,
        n_control=comparison.n_control,
        mean_treated=comparison.mean_treated,
        mean_control=comparison.mean_control,
        sd_treated=comparison.sd_treated,
        sd_control=comparison.sd_control,
        difference=estimate.value,
        difference_interval=interval,
        change_percent=_percent(estimate.value, comparison.mean_control),
        change_percent_interval=interval and _percent_interval(interval, comparison.mean_control, is_bounded),
        ratio=comparison.ratio.value if comparison.ratio else None,
        ratio_interval=comparison.ratio.confidence_interval() if comparison.ratio else None,
        test=comparison.method,
        statistic=estimate.statistic,
        degrees_of_freedom=_degrees_of_freedom(estimate),
        p_value=p_value,
        p_adjusted=p_value,
        hedges_g=comparison.hedges_g,
        hedges_g_interval=comparison.hedges_g_interval(),
        ssmd=comparison.ssmd,
        power=comparison.power,
        warnings=(*result.warnings, *comparison.warnings),
    )
    if not wells.are_amounts:
        effect = _without_ratios(effect)
    return effect if test == "t" else _permuted(effect, result, test, n_comparisons)


def _percent(difference: float | None, control: float) -> float | None:
    return 100 / control * difference if difference is not None and control > 0 else None


def _percent_interval(differences: Interval, control: float, is_bounded: bool) -> Interval:
    """No less than -100 where no value can be below 0: what is impossible takes nothing from the coverage."""
    ends = (_percent(end, control) for end in differences)
    return Interval(*(max(end, -100.0) if end is not None and is_bounded else end for end in ends))


def _without_ratios(effect: ConditionEffect) -> ConditionEffect:
    """The same of values whose 0 is not nothing."""
    power = effect.power and replace(effect.power, detectable_percent=None, replicates_for_ten_percent=None)
    return replace(
        effect,
        change_percent=None,
        change_percent_interval=None,
        ratio=None,
        ratio_interval=None,
        power=power,
        warnings=tuple(warning for warning in effect.warnings if warning.code != "ratio_needs_positive"),
    )


def _permuted(effect: ConditionEffect, result: Compared, test: Test, n_comparisons: int) -> ConditionEffect:
    """The same with the p of a rank or permutation test, by Bonferroni's bound for several comparisons."""
    if effect.p_value is None:
        return effect
    found = result.permutation(test == "rank", n_comparisons)
    names = (
        ("Mann-Whitney test", "Wilcoxon's signed-rank test")
        if test == "rank"
        else ("permutation test", "sign-flip test")
    )
    name = names[result.block is not None]
    if found.p_value is None:
        said = StatisticsWarning(
            "level_out_of_reach",
            f"So few replicates cannot reach 0.05 by a {name}: the smallest p is {found.smallest_p_value:.3g}, for "
            f"one of {n_comparisons} comparisons. Use the t test, or more replicates.",
        )
        return replace(effect, test=name, p_value=None, p_adjusted=None, warnings=(*effect.warnings, said))
    p_value = min(1.0, found.p_value * n_comparisons)
    return replace(effect, test=name, p_value=p_value, p_adjusted=p_value)


def _degrees_of_freedom(estimate: Estimate) -> float | None:
    return estimate.reference.degrees_of_freedom if isinstance(estimate.reference, (Student, Dunnett)) else None


def _corrected(answers: Sequence[EndpointEffects], correction: Correction) -> Iterator[EndpointEffects]:
    """Adjusts p over the endpoints of each condition and dose, and over all ratios of EC50."""
    of_condition: dict[tuple[str, float | None], list[float | None]] = {}
    for answer in answers:
        for effect in answer.comparisons:
            of_condition.setdefault((effect.condition, effect.dose), []).append(effect.p_value)
    adjusted = {key: iter(adjust(p_values, correction)) for key, p_values in of_condition.items()}
    p_of_ratios = np.array([ratio.p_value for answer in answers for ratio in answer.ec50_ratios])
    of_ratios = iter(_stepped(p_of_ratios, correction).tolist())
    for answer in answers:
        effects_of = (replace(one, p_adjusted=next(adjusted[one.condition, one.dose])) for one in answer.comparisons)
        ratios = tuple(replace(one, p_adjusted=next(of_ratios)) for one in answer.ec50_ratios)
        yield replace(answer, comparisons=tuple(effects_of), ec50_ratios=ratios)


def _missing(wells: WellTable, values: Values, results: Sequence[Compared]) -> Iterator[StatisticsWarning]:
    n_missing = int(np.isnan(values).sum())
    if n_missing:
        said = f"{n_missing} of {values.size} wells have no value and were left out."
        yield StatisticsWarning("missing_wells", said)
    compared_with = {(result.condition, result.dose) for result in results}
    doses = [None if np.isnan(dose) else float(dose) for dose in wells.dose]
    lost = {
        (condition, dose)
        for condition, dose, negative in zip(wells.condition.tolist(), doses, wells.is_negative)
        if not negative and (condition, dose) not in compared_with
    }
    if lost:
        names = ", ".join(sorted(condition if dose is None else f"{condition} at {dose:g}" for condition, dose in lost))
        yield StatisticsWarning("not_compared", f"No well with a value, or no control with one: {names}.")
    sizes = [result.comparison.n_treated for result in results]
    usual = max(sizes, key=lambda size: (sizes.count(size), size), default=0)
    fewer = [result for result in results if result.comparison.n_treated < usual]
    if fewer and not n_missing:
        names = ", ".join(one.condition if one.dose is None else f"{one.condition} at {one.dose:g}" for one in fewer)
        yield StatisticsWarning(
            "missing_wells", f"Fewer replicates than the usual {usual}: {names}. Are wells missing?"
        )


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
    remaining = iter(_stepped(given, correction).tolist())
    return [None if p is None else next(remaining) for p in p_values]


def _stepped(p_values: Values, correction: Correction) -> Values:
    """Corrected p, `(N,)`, by Holm's or Benjamini and Hochberg's steps."""
    order = np.argsort(p_values, kind="stable")
    n = p_values.size
    if correction == "holm":
        stepped = np.maximum.accumulate(p_values[order] * np.arange(n, 0, -1))
    else:
        stepped = np.minimum.accumulate((p_values[order] * n / np.arange(1, n + 1))[::-1])[::-1]
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
