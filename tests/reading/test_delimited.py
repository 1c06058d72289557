import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import TableError
from app.reading import delimited
from app.reading.delimited import read_columns

PLAIN = {"well": ["A1", "A2"], "dose_unit": ["µM", "µM"], "count": ["1.5", "2"]}
COMMAS = "well,dose_unit,count\nA1,µM,1.5\nA2,µM,2\n"
SEMICOLONS = "well;dose_unit;count\r\nA1;µM;1,5\r\nA2;µM;2\r\n"


@pytest.mark.parametrize(
    "data",
    [
        COMMAS.encode(),
        COMMAS.encode("utf-8-sig"),
        COMMAS.encode("cp1252"),
        COMMAS.encode("utf-16"),
        COMMAS.encode("utf-16-le"),
        COMMAS.encode("utf-16-be"),
        COMMAS.replace("\n", "\r").encode(),
        COMMAS.replace(",", "\t").encode("utf-16"),
        COMMAS.replace(",", " , ").encode(),
        COMMAS.replace("\n", ",,\n").encode(),
        COMMAS.replace("\n", "\n\n,,\n").encode(),
        COMMAS.replace("A1", '"A1"').rstrip().encode(),
        SEMICOLONS.encode("cp1252"),
        SEMICOLONS.replace(";", "\t").encode(),
        b"sep=;\r\n" + SEMICOLONS.encode(),
        b'"sep=;"\r\n' + SEMICOLONS.encode(),
        COMMAS.replace("1.5", '"1,5"').encode(),
        COMMAS.replace("well", ",well").replace("A", "0,A").encode(),
    ],
)
def test_tables_as_programs_save_them(data: bytes) -> None:
    assert read_columns(data) == PLAIN


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (["1,234,567", "1,234"], ["1234567", "1234"]),
        (["1,234.5", "12"], ["1234.5", "12"]),
        (["0,125", "1,250"], ["0.125", "1.250"]),
        (["1.234,5", "2,5"], ["1234.5", "2.5"]),
        (["-1,5e-3", "x"], ["-1.5e-3", "x"]),
        (["BRD,K1", "a, b"], ["BRD,K1", "a, b"]),
        (["1.234", "2.5"], ["1.234", "2.5"]),
        (["1,234", "2.5"], ["1234", "2.5"]),
    ],
)
def test_commas_within_numbers(cells: list[str], read: list[str]) -> None:
    data = "\n".join(["a\tb", *(f"A\t{cell}" for cell in cells)])
    assert read_columns(data.encode())["b"] == read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\tb\nA\t1,234\n", "Line 2, column 'b', holds 1,234"),
        ("a\tb\nA\t1,5\nA\t1.5\n", "Line 3, column 'b', holds 1.5"),
        ("a\tb\nA\t1,5\nA\t1,234.5\n", "Line 3, column 'b', holds 1,234.5"),
        ("a;b\n1.234;1,5\n", "Line 2, column 'a', holds 1.234"),
        ("a,b\n1,2\n1,2,3\n", "Line 3 has 3 cells"),
        ("a,b\n1,2\n1\n", "Line 3 has 1 cells where there are 2 columns"),
        ('sep=,\na,b\n1,"2\n', "Line 3 has a quotation mark"),
        ("a,a\n1,2\n", "Two columns are named 'a'"),
        ("a,b\n", "no rows"),
        ("", "no rows"),
        ("a,b\n\0,1\n", "no text"),
        ("PK\x03\x04\x14\0", "save the sheet as CSV"),
    ],
)
def test_tables_that_are_refused(text: str, said: str) -> None:
    with pytest.raises(TableError, match=said):
        read_columns(text.encode())


def test_semicolons_mean_decimal_commas() -> None:
    assert read_columns(b"a;b\nA;1,234\n")["b"] == ["1.234"]


def test_large_tables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MOST_CELLS", 4)
    assert read_columns(b"a,b\n1,2\n3,4\n") == {"a": ["1", "3"], "b": ["2", "4"]}
    with pytest.raises(TableError, match="more than 4 cells by line 4"):
        read_columns(b"a,b\n1,2\n3,4\n5,6\n")
    monkeypatch.setattr(delimited, "MOST_BYTES", 4)
    with pytest.raises(TableError, match="5 bytes"):
        read_columns(b"a\n1\n2")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        columns = read_columns(data)
    except TableError:
        return
    assert len({len(cells) for cells in columns.values()}) <= 1


NAMES = st.text(st.characters(categories=["L"]), min_size=1, max_size=5)
CELLS = st.text(st.characters(exclude_categories=["C", "N", "Z"]) | st.sampled_from('",;\t\n'), max_size=8)


@given(st.lists(NAMES, min_size=2, max_size=4, unique=True), st.data(), st.sampled_from(",;\t"))
def test_what_is_written_is_read(names: list[str], data: st.DataObject, delimiter: str) -> None:
    rows = data.draw(st.lists(st.lists(CELLS.map(str.strip), min_size=len(names), max_size=len(names)), min_size=1))
    rows = [["x", *row[1:]] for row in rows]
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([names, *rows])
    assert read_columns(file.getvalue().encode("utf-8-sig")) == {
        name: [row[index] for row in rows] for index, name in enumerate(names)
    }
