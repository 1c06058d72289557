"""Tables as text (CSV, TSV, as spreadsheets save them) to columns of text, numbers with a decimal point."""

import codecs
import csv
import io
import re
from collections.abc import Iterator

from app.errors import TableError

MOST_BYTES = 64 * 2**20
MOST_CELLS = 5_000_000
NO_TEXT = "This is no text that can be read; save the table as CSV with UTF-8."
_DELIMITERS = "\t;,"
# Byte-order marks; the longer first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "It is a zip or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "It is an old Excel workbook"),
    (b"%PDF", "It is a PDF"),
    (b"\x89PNG", "It is a picture"),
    (b"\xff\xd8\xff", "It is a picture"),
    (b"II*\x00", "It is a picture"),
    (b"MM\x00*", "It is a picture"),
    (b"\x1f\x8b", "It is packed"),
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
# What Excel writes, and takes, before the table: the delimiter.
_SEP_LINE = re.compile(r'"?sep=(.)"?[\t;,]*', re.IGNORECASE)
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
    text, _ = read_text(data)
    rows, delimiter = split_rows(text)
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


def read_text(data: bytes) -> tuple[str, bool]:
    """The text of a file, and whether its encoding is certain; otherwise letters beyond ASCII may be others.

    Raises
    ------
    TableError
        It is no text.
    """
    for start, what in _OTHER_FILES:
        if data.startswith(start):
            raise TableError(f"{what}, and no table as text; save the sheet as CSV.")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None and data[:2000].count(0) > min(len(data), 2000) // 4:
        # Every other byte of UTF-16 is zero, in what is mostly Latin.
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    is_certain = True
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as exc:
        if encoding is not None:
            raise TableError(NO_TEXT) from exc
        # What Excel writes where nobody chose otherwise.
        text, is_certain = data.decode("cp1252", "replace"), False
    if _CONTROL.search(text) or ("\ufffd" in text and not is_certain):
        raise TableError(NO_TEXT)
    return text, is_certain


def split_rows(text: str) -> tuple[Iterator[tuple[int, list[str]]], str]:
    """Rows that hold anything, each with the number of its line and cells without blanks around them; the delimiter.

    Raises
    ------
    TableError
        While the rows are read: a quotation mark is not closed.
    """
    first, _, rest = text.partition("\n")
    said = _SEP_LINE.fullmatch(first.strip("\r "))
    delimiter = said[1] if said else _delimiter(text)
    return _rows(rest if said else text, delimiter, 1 if said else 0), delimiter


def _delimiter(text: str) -> str:
    """What is most often between the cells of the first line that has several."""
    for line in io.StringIO(text):
        bare = re.sub(r'"[^"]*"', "", line.strip("\r\n"))
        counts = {sign: bare.count(sign) for sign in _DELIMITERS}
        if any(counts.values()):
            return max(_DELIMITERS, key=lambda sign: counts[sign])
    return ","


def _rows(text: str, delimiter: str, n_before: int) -> Iterator[tuple[int, list[str]]]:
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
            f"Line {n_before + n_read + 1} has a quotation mark that is not closed, or text after a closed one; put one"
            " at both ends of the cell, and double those inside."
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
