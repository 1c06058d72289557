"""The words of a report: the answer in two sentences, its numbers and its warnings."""

import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from app.statistics.power import ALPHA
from app.statistics.results import StatisticsWarning
from app.statistics.schema import ConditionCurve, ConditionEffect, Effects, EndpointEffects

_WORDS = {
    "count": "number of nuclei",
    "count_per_image": "nuclei an image",
    "density_per_mm2": "nuclei a mm²",
    "area_median_px": "median nuclear area, px",
    "area_median_um2": "median nuclear area, µm²",
    "area_mean_px": "mean nuclear area, px",
    "area_mean_um2": "mean nuclear area, µm²",
    "positive_fraction": "fraction of positive nuclei",
    "condensed_fraction": "fraction of condensed nuclei",
    "g1_fraction": "fraction of nuclei in G1",
    "g2_fraction": "fraction of nuclei in G2",
}
_MOST_CURVES = 2
_MOST_ENDPOINTS = 3
_P_VALUE = re.compile(r" \(p [^)]*\)")


def endpoint_words(endpoint: str) -> str:
    """What an endpoint is called where its unit is told."""
    return _WORDS.get(endpoint, endpoint)


def endpoint_name(endpoint: str) -> str:
    """The same without the unit, which a sentence about changes in percent does not need."""
    return _WORDS[endpoint].split(",", 1)[0] if endpoint in _WORDS else endpoint


def value_words(endpoint: str, normalise: str) -> str:
    """What the values of an endpoint are called where they are drawn."""
    return endpoint_words(endpoint) if normalise == "none" else f"B-score of the {endpoint_name(endpoint)}"


def treatment_words(condition: str, dose: float | None, unit: str | None) -> str:
    """A condition and its dose.

    Examples
    --------
    >>> treatment_words("taxol", 0.1, "uM"), treatment_words("salt", 12500.0, "nM"), treatment_words("heat", None, None)
    ('taxol 0.1 uM', 'salt 12500 nM', 'heat')
    """
    if dose is None:
        return condition
    said = f"{dose:.0f}" if 1000 <= dose < 1e6 else f"{dose:.4g}"
    return " ".join(filter(None, [condition, said, unit]))


def number(value: float | None) -> str:
    """Three digits, as one would write them; a dash where there is none.

    Examples
    --------
    >>> number(1234.5), number(0.01234), number(None), number(-0.0)
    ('1234', '0.0123', '-', '0')
    """
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def p_words(p_value: float | None) -> str:
    """P as papers write it.

    Examples
    --------
    >>> p_words(0.0123), p_words(1e-7), p_words(None)
    ('0.012', '< 0.0001', '-')
    """
    if p_value is None:
        return "-"
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.2g}"


def percent(value: float | None) -> str:
    """A change with its sign.

    Examples
    --------
    >>> percent(-12.34), percent(None)
    ('-12.3', '-')
    """
    return "-" if value is None else f"{value:+.1f}"


def change_percent(effect: ConditionEffect) -> tuple[float, tuple[float, float] | None] | None:
    """The difference, and its interval, in percent of the control's mean; None where there is none."""
    if effect.change_percent is None:
        return None
    low, high = effect.change_percent_interval or (None, None)
    return effect.change_percent, None if low is None or high is None else (low, high)


def answer_sentences(effects: Effects | None, why_no_effects: str | None) -> tuple[str, str]:
    """What the experiment says, and what it could not say."""
    if effects is None:
        return "This report shows what was measured; it does not say whether a treatment changed it.", (
            why_no_effects or "No effects were asked for."
        )
    shown = effects.endpoints[:_MOST_ENDPOINTS]
    first = " ".join(_found(endpoint) for endpoint in shown)
    left = len(effects.endpoints) - len(shown)
    more = f" {left} more endpoints are below." if left else ""
    limits = _limits(shown[0])
    if len(effects.endpoints) > 1:
        limits = f"For the {endpoint_name(shown[0].endpoint)}, {limits[:1].lower()}{limits[1:]}"
    scale = " Values are B-scores, without the effects of rows and columns." if effects.normalise == "b_score" else ""
    return first + more + scale, limits


def answered(effects: Effects) -> dict[str, Any]:
    """The answer as JSON holds it: its two sentences, `answer` and `limits`, and the numbers."""
    answer, limits = answer_sentences(effects, None)
    return {"answer": answer, "limits": limits} | effects.as_dict()


def _found(endpoint: EndpointEffects) -> str:
    words, comparisons = endpoint_name(endpoint.endpoint), endpoint.comparisons
    if not comparisons:
        return f"Nothing could be compared for the {words}; the warnings say why."
    tested = [one for one in comparisons if one.p_adjusted is not None]
    changed = [one for one in tested if one.p_adjusted is not None and one.p_adjusted <= ALPHA]
    if not tested:
        largest = max(comparisons, key=_size)
        return (
            f"Whether the treatment changed the {words} cannot be tested: {_name(largest)} lies {_change(largest)} "
            f"from the control, {_replicates(largest)}."
        )
    if len(comparisons) == 1:
        (only,) = comparisons
        verb = "changed" if changed else "did not detectably change"
        return f"{_name(only)} {verb} the {words}: {_change(only)} ({_details(only)})."
    if not changed:
        largest = max(tested, key=_size)
        return (
            f"None of {len(tested)} treatments changed the {words} detectably; the largest difference is "
            f"{_name(largest)}, {_change(largest)} ({_details(largest)})."
        )
    largest = max(changed, key=_size)
    return (
        f"Of {len(tested)} treatments (conditions and doses) {len(changed)} changed the {words}; the largest change is "
        f"{_name(largest)}, {_change(largest)} ({_details(largest)})."
    )


def _limits(endpoint: EndpointEffects) -> str:
    """EC50 where doses tell one, and what could have been seen."""
    parts = list(filter(None, [_ec50_sentence(endpoint.curves)]))
    notes = [one.power for one in endpoint.comparisons if one.power is not None]
    percents = [note.detectable_percent for note in notes if note.detectable_percent is not None]
    if percents:
        needed = [note.replicates_for_ten_percent for note in notes if note.replicates_for_ten_percent is not None]
        tail = f", and to find one of 10 % takes {statistics.median_high(needed)} replicates a group" if needed else ""
        parts.append(
            f"{'changes' if parts else 'Changes'} smaller than {statistics.median(percents):.2g} % are easily missed "
            f"with so many replicates (power 80 %){tail}"
        )
    elif notes:
        least = number(statistics.median(note.detectable_difference for note in notes))
        said = f"differences smaller than {least} are easily missed with so many replicates (power 80 %)"
        parts.append(said if parts else said[0].upper() + said[1:])
    elif not parts:
        parts.append("The replicates do not tell what change would have been found")
    return "; ".join(parts) + "."


def _ec50_sentence(curves: Sequence[ConditionCurve]) -> str:
    told = [one for one in curves if one.ec50 is not None and None not in one.ec50_interval]
    if not curves:
        return ""
    if not told:
        return f"The doses do not tell the EC50 of {'the' if len(curves) == 1 else 'any'} dose series"
    if len(curves) > _MOST_CURVES:
        return f"The doses tell the EC50 of {len(told)} of {len(curves)} dose series"
    return "The EC50 is " + " and ".join(
        f"{number(one.ec50)} {one.dose_unit or '(no unit)'} for {one.condition} (95 % interval "
        f"{number(one.ec50_interval.low)} to {number(one.ec50_interval.high)})"
        for one in told
    )


def _name(effect: ConditionEffect) -> str:
    return treatment_words(effect.condition, effect.dose, effect.dose_unit)


def _size(effect: ConditionEffect) -> float:
    found = change_percent(effect)
    return abs(found[0] if found else effect.difference)


def _change(effect: ConditionEffect) -> str:
    found = change_percent(effect)
    if found is None:
        return f"a difference of {number(effect.difference)}"
    return f"{percent(found[0])} %"


def _details(effect: ConditionEffect) -> str:
    found = change_percent(effect)
    parts = []
    if found and found[1]:
        parts.append(f"95 % interval {percent(found[1][0])} to {percent(found[1][1])} %")
    p_value = p_words(effect.p_adjusted)
    parts.append(f"p {p_value}" if p_value.startswith("<") else f"p = {p_value}")
    return "; ".join([*parts, _replicates(effect)])


def _replicates(effect: ConditionEffect) -> str:
    unit, plural = effect.replicate, "" if effect.n_treated == 1 else "s"
    if effect.block:
        return f"n = {effect.n_treated} {unit}{plural} that hold both"
    return f"n = {effect.n_treated} {unit}{plural} against {effect.n_control}"


def all_warnings(effects: Effects) -> Iterator[tuple[str, StatisticsWarning]]:
    """Every warning once, with what it is about: the table, an endpoint, a plate, or treatments."""
    where: dict[tuple[str, str], tuple[list[str], list[StatisticsWarning]]] = {}
    for about, warnings in _places(effects):
        for warning in warnings:
            places, told = where.setdefault((warning.code, _P_VALUE.sub("", warning.message)), ([], []))
            places.append(about)
            told.append(warning)
    for (code, alike), (places, told) in where.items():
        names = list(dict.fromkeys(filter(None, places)))
        # Where p alone differs it is one warning, and the tables have each p.
        warning = told[0] if len(set(told)) == 1 else StatisticsWarning(code, alike)
        yield ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else ""), warning


def _places(effects: Effects) -> Iterator[tuple[str, Iterable[StatisticsWarning]]]:
    yield "", effects.warnings
    for endpoint in effects.endpoints:
        words = endpoint_words(endpoint.endpoint) if len(effects.endpoints) > 1 else ""
        yield words, endpoint.warnings
        for plate in endpoint.plates:
            yield f"plate {plate.plate}" if plate.plate else "the plate", plate.warnings
        for effect in endpoint.comparisons:
            yield _name(effect), effect.warnings
        for curve in endpoint.curves:
            yield f"curve of {curve.condition}", curve.warnings
        for ratio in endpoint.ec50_ratios:
            yield f"{ratio.condition} and {ratio.reference}", ratio.warnings
        for rate in endpoint.growth_rates:
            yield f"growth rate of {rate.condition}", rate.warnings
