"""Layouts that are broken: each is refused in one sentence that says where and what to do."""

import struct

import pytest

from app.errors import LayoutError
from app.experiments.layouts import plate_maps, sheet
from app.experiments.layouts.layout import read_layout
from tests.experiments.layouts.test_layout import MAP, check_sentence, zipped

HEAD = "well,condition,dose,dose_unit,control\n"
BARCODES = "Assay_Plate_Barcode,Plate_Map_Name\n"
FRACTAL = "row,column,drug,concentration\n"


def encrypted() -> bytes:
    """A zip whose one entry says that it needs a password."""
    data = bytearray(zipped({"a.csv": "well,condition\nA1,x\n"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.index(mark) + offset
        data[place : place + 2] = struct.pack("<H", 1)
    return bytes(data)


REFUSED: dict[str, tuple[str | bytes, str]] = {
    # No table.
    "nothing": (b"", "The layout is empty"),
    "blank lines": ("\n\n , \n", "The layout is empty"),
    "a byte-order mark alone": (b"\xef\xbb\xbf", "The layout is empty"),
    "binary": (bytes(range(256)), "no text that can be read"),
    "zeros": (b"\0" * 100, "no text that can be read"),
    "half of UTF-16": ("well,condition\nA1,x\n".encode("utf-16")[:-1], "no text that can be read"),
    "control characters": ("well,condition\nA1,\x01\x02\n", "no text that can be read"),
    "an Excel workbook": (zipped({"[Content_Types].xml": "<x/>", "xl/workbook.xml": "<x/>"}), "save the layout as CSV"),
    "an OpenDocument sheet": (zipped({"mimetype": "application/vnd.oasis"}), "save the layout as CSV"),
    "an old Excel workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook"),
    "a PDF": (b"%PDF-1.7\n", "a PDF"),
    "a PNG": (b"\x89PNG\r\n\x1a\n", "a picture"),
    "a JPEG": (b"\xff\xd8\xff\xe0", "a picture"),
    "a TIFF": (b"II*\x00\x08\x00\x00\x00", "a picture"),
    "a TIFF of the other order": (b"MM\x00*\x00\x00\x00\x08", "a picture"),
    "gzip": (b"\x1f\x8b\x08\x00", "packed"),
    "a web page": ("<html><body>Not found</body></html>", "names no column well or image"),
    "JSON": ('{"A1": "DMSO"}', "names no column well or image"),
    # Zips.
    "a damaged zip": (b"PK\x03\x04 and no more", "zip is damaged"),
    "a zip with a password": (encrypted(), "zip is damaged or has a password"),
    "an empty zip": (zipped({"README.md": "x"}), "has no tables"),
    "a zip of two layouts": (
        zipped({"a.csv": "well,condition\nA1,x\n", "b.csv": "well,condition\nA1,y\n"}),
        "a.csv, b.csv",
    ),
    "a fault in a zip": (zipped({"maps/C-1.txt": f"{MAP}C-1\tA0\tx\t1\t\n"}), "maps/C-1.txt: 'A0' in line 2"),
    # Barcodes.
    "barcodes alone": (f"{BARCODES}SQ1,C-1\n", "with the plate maps"),
    "barcodes without a map": (f"{BARCODES}SQ1,\n", "Line 2 lacks the barcode"),
    "two maps of a plate": (f"{BARCODES}SQ1,C-1\nSQ1,C-2\n", "Line 3 gives plate 'SQ1' a second plate map"),
    "a map that is missing": (
        zipped({"b.csv": f"{BARCODES}SQ1,C-9\n", "m.txt": f"{MAP}C-1\tA01\tx\t1\t\n"}),
        "plate map 'C-9' is not there",
    ),
    "two tables of barcodes that differ": (
        zipped({"a.csv": f"{BARCODES}SQ1,C-1\n", "b.csv": f"{BARCODES}SQ1,C-2\n", "m.txt": f"{MAP}C-1\tA01\tx\t1\t\n"}),
        "b.csv gives plate 'SQ1' a second plate map",
    ),
    "barcodes with a layout that is no plate map": (
        zipped({"b.csv": f"{BARCODES}SQ1,C-1\n", "m.csv": "well,condition\nA1,x\n"}),
        "send one layout",
    ),
    "a plate map without its name": (f"{MAP}\tA01\tx\t1\t\n", "Line 2 has no plate_map_name"),
    # Headers.
    "no header": ("A1,DMSO\nA2,taxol\n", "Line 1 names no column well or image"),
    "no well": ("plate,condition\np,x\n", "names no column well or image"),
    "no condition": ("well,dose\nA1,1\n", "Line 1 names no column condition"),
    "compound is no word of ours": ("well,compound\nA1,x\n", "There are 'well', 'compound'."),
    "a row without a column": ("row,condition\nA,x\n", "names no column well or image"),
    "a header alone": (HEAD, "a header and no rows"),
    "a column twice": ("well,condition,Condition \nA1,x,y\n", "names the column 'Condition' twice"),
    "a table of counts": ("cell_line,agent,concentration,cell_count\nMCF7,x,1,5\n", "a table of counts without wells"),
    "more cells than the header": ("well,condition,dose\nA1,x,0,5\n", "Line 2 has 4 cells, and the header has 3"),
    "a cell whose quotes do not close": ('well,condition\nA1,"x\nA2,y\n', "Line 2 has a quotation mark"),
    "text behind a quote": ('well,condition\nA1,"x"y\n', "Line 2 has a quotation mark"),
    "too many columns": ("well,condition," + ",".join(map(str, range(400))) + "\n", "402 columns"),
    "a huge cell": (f"well,condition\nA1,{'x' * 5000}\n", "a cell of 5000 characters"),
    "a cell beyond what the reader takes": (f"well,condition\nA1,{'x' * 200_000}\n", "Line 2 has"),
    # Wells.
    "no such well": (f"{HEAD}A0,x,1,uM,\n", "'A0' in line 2 is no well"),
    "a column beyond 48": (f"{HEAD}A49,x,1,uM,\n", "'A49' in line 2 is no well"),
    "a row beyond AF": (f"{HEAD}\nAG1,x,1,uM,\n", "'AG1' in line 3 is no well"),
    "a number for a well": (f"{HEAD}17,x,1,uM,\n", "'17' in line 2 is no well"),
    "several wells at once": (f"{HEAD}A1-A6,x,1,uM,\n", "'A1-A6' in line 2 is no well"),
    "a well that a spreadsheet made a date": (f"{HEAD}01.Jan,x,1,uM,\n", "'01.Jan' in line 2 is no well"),
    "a line without a well": (f"{HEAD},x,1,uM,\n", "Line 2 has no well"),
    "a line without well and image": ("image,well,condition\n,,x\n", "Line 2 has no well and no image"),
    "row 0": (f"{FRACTAL}0,1,x,1\n", "Row '0' and column '1' in line 2 are no well"),
    "column 1.5": (f"{FRACTAL}A,1.5,x,1\n", "Row 'A' and column '1.5' in line 2 are no well"),
    "a column alone": (f"{FRACTAL},1,x,1\n", "Row '' and column '1' in line 2 are no well"),
    "a well twice": (f"{HEAD}A1,x,1,uM,\nA01,y,1,uM,\n", "Lines 2 and 3 are both well A01, with condition 'x' and 'y'"),
    "a well with two doses": (f"{HEAD}A1,x,1,uM,\nA1,x,2,uM,\n", "with dose 1 and 2"),
    "a well that is a control and not": (f"{HEAD}A1,x,1,uM,\nA1,x,1,uM,positive\n", "control none and 'positive'"),
    "a well with two passages": (
        "well,condition,passage\nA1,x,1\nA1,x,2\n",
        "Lines 2 and 3 say different things of well A01",
    ),
    "a well of a plate twice": ("plate,well,condition\np,A1,x\np,A1,y\n", "well A01 of plate 'p'"),
    "an image twice": ("image,condition\na.tif,x\na.tif,y\n", "Lines 2 and 3 say different things of image 'a.tif'"),
    "an image in two wells": ("image,well,condition\na.tif,A1,x\na.tif,A2,x\n", "different things of image 'a.tif'"),
    "images of one well with two conditions": ("image,well,condition\na.tif,A1,x\nb.tif,A1,y\n", "are both well A01"),
    "a plate in some lines": ("plate,well,condition\np,A1,x\n,A2,y\n", "Line 3 has no plate"),
    # What wells got.
    "a line without a condition": (f"{HEAD}A1,,1,uM,\n", "Line 2 has no condition"),
    "a dose with its unit": (
        f"{HEAD}A1,x,10 uM,,\n",
        "'10 uM' in line 2, column 'dose', is no number; write the number alone",
    ),
    "a dose in words": (f"{HEAD}A1,x,high,,\n", "'high' in line 2, column 'dose', is no number; write a number"),
    "a dose in a spreadsheet's error": (f"{HEAD}A1,x,#REF!,,\n", "'#REF!' in line 2"),
    "an endless dose": (f"{HEAD}A1,x,inf,,\n", "'inf' in line 2"),
    "a dose that is too large": (f"{HEAD}A1,x,1e999,,\n", "'1e999' in line 2"),
    "a dose of other digits": (f"{HEAD}A1,x,\u0661\u0662,,\n", "is no number"),
    "a dose of two numbers": (f"{HEAD}A1,x,1-10,,\n", "'1-10' in line 2"),
    "a dose as a logarithm": (f"{HEAD}A1,x,-6,,\n", "'-6' in line 2, column 'dose', is negative"),
    "a dose that is one or a thousand": (
        f'{HEAD}A1,x,"1,000",,\n',
        "'1,000' in line 2, column 'dose', can be read in two ways",
    ),
    "the same with semicolons": ("well;condition;dose\nA1;x;1.000\n", "can be read in two ways"),
    "two decimal marks": (f'{HEAD}A1,x,0.5,,\nA2,x,"0,5",,\n', "has '0.5' in line 2 and '0,5' in line 3"),
    "two units": (f"{HEAD}A1,x,1,uM,\nA2,x,1,nM,\n", "Lines 2 and 3 give condition 'x' doses in uM and nM"),
    "another word for a control": (
        f"{HEAD}A1,x,1,uM,DMSO\n",
        "Line 2 has 'DMSO' as its control; write negative or positive",
    ),
    "a sign for a control": (f"{HEAD}A1,x,1,uM,1\n", "Line 2 has '1' as its control"),
    "another sign than -1, 0 and 1": ("Row,Column,Doses,Controls\nA,1,0,2\n", "Line 2 has '2' as its control"),
    "a drug at two concentrations": (f"{FRACTAL}A,1,x,1\nA,1,x,2\n", "Lines 2 and 3 give well A01 'x' at different"),
    # Grids.
    "a grid without conditions": ("dose;1;2\nA;1;2\n", "There is no grid condition, only 'dose'"),
    "two grids without titles": (";1;2\nA;x;y\n;1;2\nA;x;y\n", "Line 3 begins a second grid of condition"),
    "columns that repeat": (";1;2;1;2\nA;x;y;z;x\n", "Line 1 numbers columns twice or out of order"),
    "columns out of order": ("condition\n;2;1\nA;x;y\n", "Line 2 numbers columns twice or out of order"),
    "more columns than a plate": ("," + ",".join(map(str, range(1, 60))) + "\nA,x\n", "names no column well or image"),
    "a cell beside the columns": (";1;2\nA;x;y;z\n", "Line 2 has 'z' in a column without a number"),
    "a row letter twice": (";1;2\nA;x;y\nA;x;y\n", "Line 3 belongs to no grid"),
    "rows without letters": (";1;2\nA;x;y\n;x;y\n", "Line 3 belongs to no grid"),
    "a grid without rows": (";1;2\nA;x;y\ndose;1;2\n", "Line 3 begins a grid without rows"),
    "a title without a grid": (";1;2\nA;x;y\ndose\n", "Line 3 is a title without a grid"),
    "two titles": ("condition\nplate 1\n;1;2\nA;x;y\n", "Line 2 belongs to no grid"),
    "a dose of an empty well": (
        ";1;2\nA;x;\ndose;1;2\nA;1;2\n",
        "Line 4 has '2' as dose of well A02, which has no condition",
    ),
    "a word in a grid of doses": (";1;2\nA;x;y\ndose;1;2\nA;1;high\n", "'high' in line 4"),
    "a word in a grid of controls": (";1;2\nA;x;y\ncontrol;1;2\nA;blank;\n", "'blank' as its control"),
    "a title that is a place": (";1;2\nA;x;y\nwell;1;2\nA;1;2\n", "Line 3 begins a grid of well"),
    # LoadData.
    "a list of images without wells": (
        "Image_FileName_DNA\na.tif\n",
        "Line 2 names the channel of an image and no well",
    ),
    "a list of images without rows": ("Image_FileName_DNA,Metadata_Well\n", "a header and no rows"),
    "a channel without a well": ("image,channel,condition\na.tif,GFP,x\n", "Line 2 names the channel"),
    "a file of two fields": (
        "FileName_DNA,Metadata_Well,Metadata_condition\na.tif,A1,x\na.tif,A2,x\n",
        "write its folder too",
    ),
}


@pytest.mark.parametrize(("data", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_in_one_sentence(data: str | bytes, said: str) -> None:
    with pytest.raises(LayoutError) as refused:
        read_layout(data if isinstance(data, bytes) else data.encode(), "map.csv")
    assert said in str(refused.value)
    assert str(refused.value).startswith("map.csv: ")
    check_sentence(str(refused.value))


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MAX_BYTES", 20)
    with pytest.raises(LayoutError, match="has 24 bytes, and at most 20"):
        read_layout(b"well,condition\nA1,a\nA2,b")


def test_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MAX_ROWS", 2)
    assert len(read_layout(b"well,condition\nA1,a\nA2,b").rows) == 2
    with pytest.raises(LayoutError, match="more than 2 rows"):
        read_layout(b"well,condition\nA1,a\nA2,b\nA3,c")


def test_too_many_rows_of_all_plates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plate_maps, "MAX_ROWS", 2)
    files = {"b.csv": f"{BARCODES}S1,C-1\nS2,C-1\n", "m.txt": f"{MAP}C-1\tA01\tx\t1\t\n"}
    assert len(read_layout(zipped(files)).rows) == 2
    with pytest.raises(LayoutError, match="more than 2 wells"):
        read_layout(zipped(files | {"b.csv": f"{BARCODES}S1,C-1\nS2,C-1\nS3,C-1\n"}))


def test_a_zip_with_more_than_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped({"a.csv": b" " * 10_000})
    assert len(bomb) < 500
    monkeypatch.setattr(plate_maps, "MAX_BYTES", 9_999)
    with pytest.raises(LayoutError, match="more than 200 tables or 9999 bytes"):
        read_layout(bomb)
    with pytest.raises(LayoutError, match="more than 200 tables"):
        read_layout(zipped({f"{number}.csv": "" for number in range(201)}))


def test_a_zip_that_lies_about_its_size() -> None:
    data = bytearray(zipped({"a.csv": "well,condition\n" + "A1,x\n" * 1000}))
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = struct.pack("<I", 10)
    with pytest.raises(LayoutError, match="damaged"):
        read_layout(bytes(data))
