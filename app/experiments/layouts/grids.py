"""Plates as they look in a spreadsheet: a grid with numbers above its columns and letters beside its rows."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.errors import LayoutError
from app.experiments.layouts.columns import CORE, column_key, listed, our_name, with_unit
from app.experiments.layouts.names import N_COLUMNS, row_number, well_at
from app.experiments.layouts.records import Record, Records
from app.experiments.layouts.sheet import Row, Sheet, is_missing, read_numbers

_LETTER = re.compile(r"A[A-F]|[A-Z]", re.IGNORECASE)
_NUMBER = re.compile(r"0?[1-9]|[1-9][0-9]")
_PLACES = ("well", "row", "column", "image", "site", "channel")


@dataclass(frozen=True)
class Grid:
    """One grid: what is in each well, with the number of its line; `title` is empty where there is none."""

    line: int
    title: str
    wells: dict[str, tuple[int, str]]


def has_grids(rows: Sequence[Row]) -> bool:
    """Whether rows are those of grids, and not of a table with one line a well."""
    for row, below in pairwise(rows[:4]):
        if _columns(row):
            return _letter(below) is not None
        if sum(map(bool, row.cells)) > 1:
            return False
    return False


def read_grids(rows: Sequence[Row]) -> list[Grid]:
    """All grids, below one another, each perhaps with a title above it or in its corner.

    Raises
    ------
    LayoutError
        A line belongs to no grid, or a row's letter is wrong.
    """
    return list(_grids(rows))


def grid_records(sheet: Sheet) -> Records:
    """A record a well, of one grid for the conditions and others for what their titles say.

    Raises
    ------
    LayoutError
        A title is there twice or not at all, or a cell is no number or belongs to no condition.
    """
    grids = _by_name(read_grids(sheet.rows))
    conditions = grids.pop("condition", None)
    if conditions is None:
        raise LayoutError(f"There is no grid condition, only {listed(list(grids))}; give one grid that title.")
    for name, grid in grids.items():
        for well, (line, cell) in grid.wells.items():
            if well not in conditions.wells:
                raise LayoutError(
                    f"Line {line} has {cell[:60]!r} as {name} of well {well}, which has no condition; give it one, or "
                    "empty this cell."
                )
    doses: dict[str, float | None] = {}
    unit = None
    if "dose" in grids:
        grid = grids.pop("dose")
        doses = dict(zip(grid.wells, read_numbers(grid.wells.values(), "dose", sheet.delimiter), strict=True))
        unit = with_unit(column_key(grid.title))[1]
    records = []
    for well, (line, condition) in conditions.wells.items():
        said = {name: grid.wells[well][1] for name, grid in grids.items() if well in grid.wells}
        record = Record(line, said.pop("plate", None), well, condition=condition, dose=doses.get(well))
        record.dose_unit = said.pop("dose_unit", unit if record.dose is not None else None)
        record.replicate, record.control = said.pop("replicate", None), said.pop("control", None)
        record.further = {name: said.get(name) for name in grids if name not in (*CORE, "plate")}
        records.append(record)
    return Records(records, tuple(name for name in grids if name not in (*CORE, "plate")))


def _by_name(grids: Sequence[Grid]) -> dict[str, Grid]:
    by_name: dict[str, Grid] = {}
    for grid in grids:
        name = our_name(grid.title) or grid.title or "condition"
        if name in _PLACES:
            raise LayoutError(
                f"Line {grid.line} begins a grid of {name}, which grids say by their rows and columns; give it another "
                "title."
            )
        if name in by_name:
            raise LayoutError(
                f"Line {grid.line} begins a second grid of {name[:60]}; give each a title of its own, such as "
                "condition, dose or replicate. Several plates need a table with the columns plate, well and condition."
            )
        by_name[name] = grid
    return by_name


def _grids(rows: Sequence[Row]) -> Iterator[Grid]:
    number, title = 0, ""
    while number < len(rows):
        row = rows[number]
        columns = _columns(row)
        if columns:
            n_rows = _n_rows(rows[number + 1 :])
            if not n_rows:
                raise LayoutError(f"Line {row.line} begins a grid without rows; begin each row with its letter.")
            corner = row.cells[0] if row.cells[0] and 0 not in columns else title
            yield Grid(row.line, corner, dict(_wells(columns, rows[number + 1 : number + 1 + n_rows])))
            number, title = number + 1 + n_rows, ""
            continue
        texts = [cell for cell in row.cells if cell]
        if len(texts) != 1 or title:
            raise LayoutError(
                f"Line {row.line} belongs to no grid; give each grid a line with the numbers of its columns, and one "
                "line with a title above it."
            )
        number, title = number + 1, texts[0]
    if title:
        raise LayoutError(f"Line {rows[-1].line} is a title without a grid below it; leave it out.")


def _columns(row: Row) -> dict[int, int]:
    """The plate's columns by those of the sheet; empty where a line does not number them."""
    numbered = {place: cell for place, cell in enumerate(row.cells) if cell and _NUMBER.fullmatch(cell)}
    others = [place for place, cell in enumerate(row.cells) if cell and place not in numbered]
    # In the corner there may be a title; a number alone there is one.
    if set(numbered) <= {0} or others not in ([], [0]):
        return {}
    columns = {place: int(cell) for place, cell in numbered.items()}
    found = list(columns.values())
    if found != sorted(set(found)):
        raise LayoutError(
            f"Line {row.line} numbers columns twice or out of order; put grids below one another, each with its "
            "columns from left to right."
        )
    if found[-1] > N_COLUMNS:
        return {}
    return columns


def _letter(row: Row) -> str | None:
    return row.cells[0].upper() if _LETTER.fullmatch(row.cells[0]) else None


def _n_rows(rows: Sequence[Row]) -> int:
    """How many rows follow whose letters rise."""
    last = 0
    for number, row in enumerate(rows):
        letter = _letter(row)
        # A title may be one letter, but not with values beside it.
        if letter is None or row_number(letter) <= last:
            return number
        last = row_number(letter)
    return len(rows)


def _wells(columns: dict[int, int], rows: Sequence[Row]) -> Iterator[tuple[str, tuple[int, str]]]:
    for row in rows:
        letter = _letter(row) or ""
        for place, cell in enumerate(row.cells[1:], 1):
            if is_missing(cell):
                continue
            well = well_at(row_number(letter), columns.get(place, 0))
            if well is None:
                raise LayoutError(
                    f"Line {row.line} has {cell[:60]!r} in a column without a number; number all columns of the grid."
                )
            yield well, (row.line, cell)
