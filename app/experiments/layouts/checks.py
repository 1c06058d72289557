"""What a layout may not say: two things of one well, words that are no controls, doses in two units."""

from collections.abc import Sequence

from app.errors import LayoutError
from app.experiments.layouts.columns import normal_unit
from app.experiments.layouts.records import Record, Records

NEGATIVE, POSITIVE = "negative", "positive"


def checked(found: Records) -> list[Record]:
    """The records, each once, with controls and units in one spelling.

    Raises
    ------
    LayoutError
        They contradict one another.
    """
    for record in found.records:
        if record.condition is None and found.needs_condition:
            raise LayoutError(
                f"Line {record.line} has no condition; name what the well got, or leave out the lines of empty wells."
            )
        if record.well is None and any(channel is not None for channel, _ in record.files):
            raise LayoutError(
                f"Line {record.line} names the channel of an image and no well; name the well too, so that channels "
                "of one field are found."
            )
        if record.control is not None:
            record.control = _control(record)
        if record.dose_unit is not None:
            record.dose_unit = normal_unit(record.dose_unit)
    _check_plates(found.records)
    _check_units(found.records)
    return _once(found.records)


def _control(record: Record) -> str:
    word = str(record.control).lower()
    if word not in (NEGATIVE, POSITIVE):
        raise LayoutError(
            f"Line {record.line} has {str(record.control)[:40]!r} as its control; write negative or positive, and "
            "nothing for wells that are none."
        )
    return word


def _check_plates(records: Sequence[Record]) -> None:
    without = [record for record in records if record.plate is None and record.well is not None]
    if without and any(record.plate is not None for record in records):
        raise LayoutError(f"Line {without[0].line} has no plate, and others have one; name the plate in every line.")


def _check_units(records: Sequence[Record]) -> None:
    """One unit a condition; where a dose is 0 the unit says nothing."""
    first: dict[str | None, Record] = {}
    for record in records:
        if record.dose and record.dose_unit:
            one = first.setdefault(record.condition, record)
            if one.dose_unit != record.dose_unit:
                raise LayoutError(
                    f"Lines {one.line} and {record.line} give condition {str(record.condition)[:60]!r} doses in "
                    f"{one.dose_unit} and {record.dose_unit}; convert them to one unit."
                )


def _once(records: Sequence[Record]) -> list[Record]:
    """The records without those that repeat another."""
    wells: dict[tuple[str | None, str], Record] = {}
    whole_wells: dict[tuple[str | None, str], Record] = {}
    images: dict[str, Record] = {}
    kept = []
    for record in records:
        # A line with a well alone is the well's; one with images is theirs, and must agree with the well's others.
        others = [images[path] for _, path in record.files if path in images]
        if record.well is not None:
            key = (record.plate, record.well)
            _check_same_well(wells.setdefault(key, record), record)
            if not record.files:
                others = [whole_wells[key]] if key in whole_wells else []
                whole_wells.setdefault(key, record)
        for _, path in record.files:
            images.setdefault(path, record)
        for other in others:
            _check_repeated(other, record)
        if not others:
            kept.append(record)
    return kept


def _check_same_well(one: Record, other: Record) -> None:
    for name in ("condition", "dose", "dose_unit", "control"):
        said, told = getattr(one, name), getattr(other, name)
        if said != told:
            raise LayoutError(
                f"Lines {one.line} and {other.line} are both well {other.well}{_on(other)}, with {name} "
                f"{_quoted(said)} and {_quoted(told)}; a well has one. Name what it got together as one condition."
            )


def _check_repeated(one: Record, other: Record) -> None:
    said = [path for _, path in one.files]
    shared = next((path for _, path in other.files if path in said), None)
    what = f"image {shared[-60:]!r}" if shared is not None else f"well {other.well}"
    differs = (one.plate, one.well, one.site, one.files) != (other.plate, other.well, other.site, other.files)
    if differs or _values(one) != _values(other):
        hint = (
            "write its folder too if these are two files, and else leave one line out"
            if other.files
            else "leave one out"
        )
        raise LayoutError(f"Lines {one.line} and {other.line} say different things of {what}{_on(other)}; {hint}.")


def _values(record: Record) -> tuple[object, ...]:
    return (record.condition, record.dose, record.dose_unit, record.replicate, record.control, record.further)


def _on(record: Record) -> str:
    return f" of plate {record.plate[:40]!r}" if record.plate else ""


def _quoted(value: str | float | None) -> str:
    return "none" if value is None else repr(value[:60]) if isinstance(value, str) else f"{value:g}"
