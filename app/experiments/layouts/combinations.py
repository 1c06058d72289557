"""Fractal's tables of conditions, where several rows of a well are what it got together."""

from collections.abc import Sequence

from app.errors import LayoutError
from app.experiments.layouts.records import Record, Records


def combined(records: Sequence[Record], further: tuple[str, ...]) -> Records:
    """One record a well, whose condition names all drugs: `A + B`.

    A combination at several doses is a condition for each set of doses, `A 1 + B 10`: a curve has one dose.

    Raises
    ------
    LayoutError
        A well has one drug at two concentrations.
    """
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        if record.condition is not None:
            groups.setdefault((record.plate, record.well, record.files), []).append(record)
    wells = [_distinct(group) for group in groups.values()]
    doses: dict[tuple[str | None, ...], set[tuple[float | None, ...]]] = {}
    for well in wells:
        doses.setdefault(_names(well), set()).add(tuple(record.dose for record in well))
    warnings = []
    are_named = {names for names, sets in doses.items() if len(names) > 1 and len(sets) > 1}
    for well in wells:
        if len(well) > 1:
            is_named = _names(well) in are_named
            well[0].condition = " + ".join(_told(record) if is_named else str(record.condition) for record in well)
            well[0].dose = well[0].dose_unit = None
    if are_named:
        said = "A combination of drugs at several doses is one condition for each set of doses, which its name tells."
        warnings.append(("combination_doses", said))
    n_without = sum(record.condition is None for record in records)
    if n_without:
        said = f"{n_without} lines name no drug and were left out, so that their wells have no condition."
        warnings.append(("lines_without_condition", said))
    return Records([well[0] for well in wells], further, tuple(warnings))


def _distinct(group: Sequence[Record]) -> list[Record]:
    """One record a drug, in the order of the drugs' names."""
    by_drug: dict[str, Record] = {}
    for record in group:
        first = by_drug.setdefault(str(record.condition), record)
        if first.dose != record.dose:
            raise LayoutError(
                f"Lines {first.line} and {record.line} give well {record.well} {record.condition!r} at different "
                "concentrations; a well has one."
            )
    return [by_drug[drug] for drug in sorted(by_drug)]


def _names(well: Sequence[Record]) -> tuple[str | None, ...]:
    return tuple(record.condition for record in well)


def _told(record: Record) -> str:
    return " ".join(
        part
        for part in (record.condition, f"{record.dose:g}" if record.dose is not None else "", record.dose_unit)
        if part
    )
