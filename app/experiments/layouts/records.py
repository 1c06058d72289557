"""A table with a line for each well or image, to records."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.errors import LayoutError
from app.experiments.layouts.columns import Columns
from app.experiments.layouts.names import normal_well, row_number, well_at
from app.experiments.layouts.sheet import Row, is_missing, read_numbers

_LETTER = re.compile(r"A[A-F]|[A-Z]", re.IGNORECASE)
# Programs that know no whole numbers with gaps write 3.0.
_NUMBER = re.compile(r"([0-9]{1,3})(?:\.0)?")


@dataclass
class Record:
    """What a layout says in one line; None is missing.

    Attributes
    ----------
    line
        Its number in the file.
    plate, well, site
        Where it is.
    condition, dose, dose_unit, replicate, control
        What is there.
    files
        Channel and path of the images that the line names; the channel is None where it is not said.
    further
        Other columns by their names.
    """

    line: int
    plate: str | None = None
    well: str | None = None
    site: str | None = None
    condition: str | None = None
    dose: float | None = None
    dose_unit: str | None = None
    replicate: str | None = None
    control: str | None = None
    files: tuple[tuple[str | None, str], ...] = ()
    further: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Records:
    """All that one file says.

    Attributes
    ----------
    records
        In the order of the file.
    further
        The names of further columns.
    warnings
        Codes and sentences.
    plate_maps
        Of a table of barcodes the plate map of each plate; then there are no records.
    is_plate_map
        Whether `plate` is the name of a map, which may be that of several plates.
    needs_condition
        Whether a line without a condition is a mistake.
    """

    records: list[Record] = field(default_factory=list)
    further: tuple[str, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    plate_maps: Mapping[str, str] = field(default_factory=dict)
    is_plate_map: bool = False
    needs_condition: bool = True


def read_table(columns: Columns, rows: Sequence[Row], delimiter: str) -> list[Record]:
    """A record a row.

    Raises
    ------
    LayoutError
        A row has no well and no image, an impossible well, or a dose that is no number.
    """
    doses: Sequence[float | None] = [None] * len(rows)
    if "dose" in columns.places:
        doses = read_numbers([(row.line, columns.cell(row, "dose")) for row in rows], "dose", delimiter)
    records = []
    for row, dose in zip(rows, doses, strict=True):
        said = {name: text_of(columns.cell(row, name)) for name in columns.places}
        image = said.get("image")
        record = Record(
            row.line,
            plate=said.get("plate"),
            well=_well(columns, row),
            site=said.get("site"),
            condition=said.get("condition"),
            dose=dose,
            dose_unit=said.get("dose_unit") or (columns.unit if dose is not None else None),
            replicate=said.get("replicate"),
            control=said.get("control"),
            files=((said.get("channel"), image),) if image else (),
            further={name: text_of(cell_at(row, number)) for number, name in columns.further.items()},
        )
        if record.well is None and not record.files:
            what = "no well and no image" if "image" in columns.places else "no well"
            raise LayoutError(f"Line {row.line} has {what}; every line needs one, so leave it out or name it.")
        records.append(record)
    return records


def cell_at(row: Row, number: int | None) -> str:
    """What is in a column; empty beyond the end of a row, or where there is no such column."""
    return row.cells[number] if number is not None and number < len(row.cells) else ""


def text_of(cell: str) -> str | None:
    """A cell, None where it says that there is nothing."""
    return None if is_missing(cell) else cell


def _well(columns: Columns, row: Row) -> str | None:
    if "well" in columns.places:
        said = columns.cell(row, "well")
        well = normal_well(said)
        if said and well is None:
            raise LayoutError(
                f"{said[:40]!r} in line {row.line} is no well; give a row's letter and a column's number, as in B02, "
                "up to AF48."
            )
        return well
    if not {"row", "column"} <= columns.places.keys():
        return None
    letter, number = columns.cell(row, "row"), columns.cell(row, "column")
    if not letter and not number:
        return None
    well = _well_at(letter, number)
    if well is None:
        raise LayoutError(
            f"Row {letter[:40]!r} and column {number[:40]!r} in line {row.line} are no well; give a row's letter and a "
            "column's number, up to AF and 48."
        )
    return well


def _well_at(letter: str, number: str) -> str | None:
    by_number, column = _NUMBER.fullmatch(letter), _NUMBER.fullmatch(number)
    if column is None or not (by_number or _LETTER.fullmatch(letter)):
        return None
    return well_at(int(by_number[1]) if by_number else row_number(letter), int(column[1]))
