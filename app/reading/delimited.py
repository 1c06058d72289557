"""Tables as text (CSV, TSV, as spreadsheets save them) to columns of text, numbers with a decimal point."""

import codecs
import csv
import io
import re
from collections.abc import Iterator

from app.errors import TableError

MOST_BYTES = 64 * 2**20
MOST_CELLS = 5_000_000
_DELIMITERS = (",", ";", "\t")
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_POINT_NUMBER = re.compile(r"[+-]?\d+\.\d+")
_COMMA_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+([eE][+-]?\d+)?")
# A comma or a point before three digits may mean thousands.
_THOUSANDS_BY_COMMA = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_THOUSANDS_BY_POINT = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")


def read_columns(data: bytes) -> dict[str, list[str]]:
    r"""Read a table whose first line names the columns.

    Commas, semicolons and tabs are recognised as delimiters, UTF-8, UTF-16 and Windows-1252 as encodings. Decimal
    commas become points and thousands lose their commas; lines without any value, and columns without a name, are left
    out.

    Parameters
    ----------
    data
        The file.

    Returns
    -------
    dict
        For each column its cells as text without spaces around, all of one length.

    Raises
    ------
    TableError
        It is no such table, or too large; the message names the line.

    Examples
    --------
    >>> read_columns(b"\xef\xbb\xbfwell;dose\r\nA1;0,5\r\nA2;1\r\n")
    {'well': ['A1', 'A2'], 'dose': ['0.5', '1']}
    """
    if len(data) > MOST_BYTES:
        raise TableError(
            f"The table has {len(data)} bytes; {MOST_BYTES} are read. Leave out columns that are not asked for."
        )
    text = _decoded(data)
    delimiter, start = _delimiter(text)
    rows = _rows(text[start:], delimiter, text.count("\n", 0, start))
    _, header = next(rows, (0, []))
    names = _names(header)
    columns: dict[str, list[str]] = {name: [] for name in names if name}
    lines: list[int] = []
    for line, row in rows:
        if len(row) > len(names) and any(row[len(names) :]):
            raise TableError(f"Line {line} has {len(row)} cells, and the first line names {len(names)} columns.")
        if len(row) < len(names):
            raise TableError(
                f"Line {line} has {len(row)} cells where there are {len(names)} columns; is the table cut off?"
            )
        if (len(lines) + 1) * len(names) > MOST_CELLS:
            raise TableError(
                f"The table has more than {MOST_CELLS} cells by line {line}; leave out columns that are not asked for."
            )
        lines.append(line)
        for name, cell in zip(names, row):
            if name:
                columns[name].append(cell)
    if not lines:
        raise TableError("The table has no rows; its first line must name the columns, and the others hold the values.")
    return _with_points(columns, delimiter, lines)


def _decoded(data: bytes) -> str:
    if data.startswith(_WORKBOOKS):
        raise TableError("This is a spreadsheet's own file, or a zip; save the sheet as CSV and send that.")
    encodings = ["utf-8-sig", "cp1252"]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif b"\0" in data[:2]:
        encodings = ["utf-16-be" if data[0] == 0 else "utf-16-le"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise TableError("This is no text; save the table as CSV in UTF-8 and send that.")


def _delimiter(text: str) -> tuple[str, int]:
    """What separates the cells, and where the line that names the columns begins."""
    first, _, rest = text.partition("\n")
    # What Excel writes, and takes, before the table.
    said = re.fullmatch(r"\"?sep=(.)\"?\s*", first)
    if said:
        return said[1], len(text) - len(rest)
    header = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=unquoted.count), 0


def _rows(text: str, delimiter: str, n_before: int) -> Iterator[tuple[int, list[str]]]:
    """Lines that hold anything, with their numbers."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    n_read = 0
    try:
        for row in reader:
            line, n_read = n_before + n_read + 1, reader.line_num
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
    except csv.Error as exc:
        raise TableError(
            f"Line {n_before + n_read + 1} cannot be taken apart; look for a quotation mark without its other."
        ) from exc


def _names(header: list[str]) -> list[str]:
    for name in header:
        if name and header.count(name) > 1:
            raise TableError(f"Two columns are named {name!r}; rename one of them.")
    return header


def _with_points(columns: dict[str, list[str]], delimiter: str, lines: list[int]) -> dict[str, list[str]]:
    """Decimal commas as points, and thousands without commas, column by column."""
    decimal = {name for name, cells in columns.items() if _has_decimal_commas(name, cells, delimiter, lines)}
    for name, cells in columns.items():
        if name in decimal:
            columns[name] = [_with_point(cell) for cell in cells]
            continue
        by_point = {row for row, cell in enumerate(cells) if decimal and _THOUSANDS_BY_POINT.fullmatch(cell)}
        if by_point:
            raise _unclear(name, cells, lines, by_point)
        columns[name] = [
            cell.replace(",", "") if "," in cell and _THOUSANDS_BY_COMMA.fullmatch(cell) else cell for cell in cells
        ]
    return columns


def _has_decimal_commas(name: str, cells: list[str], delimiter: str, lines: list[int]) -> bool:
    """Whether commas in the numbers of a column stand for points.

    Raises
    ------
    TableError
        They may as well stand between thousands, or points and commas are mixed.
    """
    with_comma = [row for row, cell in enumerate(cells) if "," in cell]
    by_decimals = {row for row in with_comma if _COMMA_NUMBER.fullmatch(cells[row])}
    by_thousands = {row for row in with_comma if _THOUSANDS_BY_COMMA.fullmatch(cells[row])}
    pointed = {row for row, cell in enumerate(cells) if _POINT_NUMBER.fullmatch(cell)}
    surely_thousands = (by_thousands - by_decimals) | pointed
    if by_decimals - by_thousands or (by_decimals and delimiter == ";"):
        if surely_thousands:
            raise _unclear(name, cells, lines, surely_thousands)
        return True
    if by_decimals and not surely_thousands:
        raise _unclear(name, cells, lines, by_decimals)
    return False


def _with_point(cell: str) -> str:
    return cell.replace(".", "").replace(",", ".") if _COMMA_NUMBER.fullmatch(cell) else cell


def _unclear(name: str, cells: list[str], lines: list[int], rows: set[int]) -> TableError:
    row = min(rows)
    return TableError(
        f"Line {lines[row]}, column {name!r}, holds {cells[row]}: whether its comma or point stands for decimals or "
        "thousands cannot be told from the column. Write numbers with a decimal point, and none between thousands."
    )
