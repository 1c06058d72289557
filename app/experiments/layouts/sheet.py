"""A layout's table as rows of cells, of bounded size, and its doses as numbers, whatever the decimal mark."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from app.errors import LayoutError, TableError
from app.reading.delimited import NO_TEXT, read_text, split_rows

MAX_BYTES = 32 * 2**20
MAX_ROWS = 100_000
MAX_COLUMNS = 300
_MAX_CELL = 2000
_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:e[+-]?[0-9]{1,3})?", re.IGNORECASE)
# With marks of thousands, which are any of these signs.
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}([., '\u00a0\u202f])[0-9]{3}(?:\1[0-9]{3})*(?:[.,][0-9]+)?")
_MISSING = frozenset(("", "na", "n/a", "nan", "-"))
# Words that may name what a well got, but are no number.
_NO_NUMBER = _MISSING | {"none", "null"}


class Row(NamedTuple):
    """The cells of a row, without blanks around them and empty ones at the end; and the line in the file."""

    line: int
    cells: list[str]


@dataclass(frozen=True)
class Sheet:
    """What is in a file.

    Attributes
    ----------
    rows
        Those that are not empty.
    delimiter
        Between cells.
    is_certain
        Whether the encoding is; otherwise letters beyond ASCII may be others.
    """

    rows: list[Row]
    delimiter: str
    is_certain: bool


def read_sheet(data: bytes) -> Sheet:
    """The rows of a CSV or TSV file.

    Raises
    ------
    LayoutError
        It is no text, too large, empty, or has a quotation mark that is not closed.
    """
    if len(data) > MAX_BYTES:
        raise LayoutError(
            f"The layout has {len(data)} bytes, and at most {MAX_BYTES} are read; save only the columns that say what "
            "each well got."
        )
    try:
        text, is_certain = read_text(data)
        if "\ufffd" in text:
            raise LayoutError(NO_TEXT)
        found, delimiter = split_rows(text)
        rows = []
        for line, cells in found:
            rows.append(_checked(line, cells))
            if len(rows) > MAX_ROWS + 1:
                raise LayoutError(
                    f"The layout has more than {MAX_ROWS} rows; give one row a well, or divide the experiment."
                )
    except TableError as exc:
        raise LayoutError(str(exc)) from exc
    if not rows:
        raise LayoutError("The layout is empty; give a table with the columns well and condition.")
    return Sheet(rows, delimiter, is_certain)


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is nothing; `none` and `null` may be conditions.

    Examples
    --------
    >>> is_missing("NA"), is_missing(""), is_missing("none")
    (True, True, False)
    """
    return cell.lower() in _MISSING


def read_numbers(cells: Iterable[tuple[int, str]], column: str, delimiter: str) -> list[float | None]:
    """A column of doses, written with decimal points or, all of them, with decimal commas.

    `1,000` can be one or a thousand. It is one where another number of the column, or semicolons between the cells, say
    that commas are decimal marks; otherwise it is refused.

    Parameters
    ----------
    cells
        Number of the line, and what is in the cell.
    column
        Its name, for messages.
    delimiter
        Between the cells of the file.

    Raises
    ------
    LayoutError
        A cell is no number, negative, or can be read in two ways.

    Examples
    --------
    >>> read_numbers([(2, "0,5"), (3, "1,000"), (4, "NA")], "dose", ",")
    [0.5, 1.0, None]
    """
    read = [(line, None if cell.lower() in _NO_NUMBER else cell) for line, cell in cells]
    mark = _decimal_mark([(line, cell) for line, cell in read if cell is not None], column, delimiter)
    return [None if cell is None else _number(line, cell, column, mark) for line, cell in read]


def _checked(line: int, cells: list[str]) -> Row:
    while not cells[-1]:
        cells.pop()
    if len(cells) > MAX_COLUMNS:
        raise LayoutError(f"Line {line} has {len(cells)} columns, and at most {MAX_COLUMNS} are read; leave some out.")
    longest = max(map(len, cells))
    if longest > _MAX_CELL:
        raise LayoutError(
            f"Line {line} has a cell of {longest} characters, and at most {_MAX_CELL} are read; see that its quotation "
            "marks are right."
        )
    return Row(line, cells)


def _decimal_mark(present: list[tuple[int, str]], column: str, delimiter: str) -> str:
    """The sign before decimals, by those numbers that can be read in one way."""
    marks: dict[str, tuple[int, str]] = {}
    unsure: dict[str, tuple[int, str]] = {}
    for line, cell in present:
        signs = [sign for sign in ".," if sign in cell]
        if len(signs) == 2:
            marks.setdefault(max(signs, key=cell.rfind), (line, cell))
        elif signs and cell.count(signs[0]) > 1:
            marks.setdefault("," if signs[0] == "." else ".", (line, cell))
        elif signs:
            is_unsure = _GROUPED.fullmatch(cell) and not cell.lstrip("+-").startswith("0")
            (unsure if is_unsure else marks).setdefault(signs[0], (line, cell))
    if len(marks) == 2:
        (first, one), (second, other) = marks["."], marks[","]
        raise LayoutError(
            f"Column {column!r} has {one[:60]!r} in line {first} and {other[:60]!r} in line {second}; write all with "
            "one decimal mark."
        )
    if marks:
        return next(iter(marks))
    usual = "," if delimiter == ";" else "."
    for sign, (line, cell) in unsure.items():
        if sign != usual:
            raise LayoutError(
                f"{cell!r} in line {line}, column {column!r}, can be read in two ways; write whole numbers without "
                "marks, and decimals as in 0.5."
            )
    return usual


def _number(line: int, cell: str, column: str, mark: str) -> float:
    bare = cell.replace("\u2212", "-")
    if _GROUPED.fullmatch(bare):
        bare = "".join(sign for sign in bare if sign in f"0123456789+-{mark}")
    is_plain = _PLAIN.fullmatch(bare) and not set(bare) & (set(".,") - {mark})
    value = float(bare.replace(",", ".")) if is_plain else None
    if value is None or value == float("inf"):
        hint = (
            "write the number alone, and its unit in the column dose_unit" if cell[:1].isdigit() else "write a number"
        )
        raise LayoutError(f"{cell[:60]!r} in line {line}, column {column!r}, is no number; {hint}.")
    if value < 0:
        raise LayoutError(
            f"{cell[:60]!r} in line {line}, column {column!r}, is negative; give doses themselves, not their "
            "logarithms."
        )
    return value
