import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import LayoutError
from app.experiments.layouts.columns import CORE
from app.experiments.layouts.layout import Layout, read_layout
from app.experiments.layouts.names import well_at

OURS = (
    "plate,well,condition,dose,dose_unit,replicate,control,passage\n"
    "p1,A1,DMSO,0,uM,1,negative,12\n"
    "p1,b02,taxol,10,uM,2,,13\n"
)
MAP = "plate_map_name\twell_position\tbroad_sample\tmmoles_per_liter\tsolvent\n"


def values(layout: Layout, well: str, plate: str | None = None, image: str = "x.tif") -> dict[str, Any]:
    """What is in a well, without what is missing."""
    row = layout.of(plate, well, image)
    assert row is not None
    return {name: value for name, value in row.items() if value is not None}


def codes(layout: Layout) -> list[str]:
    return [warning.code for warning in layout.warnings]


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_our_own_table() -> None:
    layout = read_layout(OURS.encode())
    assert layout.columns == (*CORE, "passage")
    assert layout.plates == ("p1",)
    assert values(layout, "A01", "p1") == {
        "condition": "DMSO",
        "dose": 0.0,
        "dose_unit": "uM",
        "replicate": "1",
        "control": "negative",
        "passage": "12",
    }
    assert values(layout, "B02", "p1") == {
        "condition": "taxol",
        "dose": 10.0,
        "dose_unit": "uM",
        "replicate": "2",
        "passage": "13",
    }
    assert layout.of("p2", "A01", "x.tif") is layout.of("p1", "A02", "x.tif") is layout.of("p1", None, "x.tif") is None
    assert layout.warnings == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_save(encoding: str, delimiter: str, end: str) -> None:
    rows = ["Well,Condition,Dose,Dose Unit,Note", "A1,caf\u00e9,0.5,\u00b5M,", ",,,,", "A2,\u00d8l,12,\u00b5M,"]
    layout = read_layout(end.join(row.replace(",", delimiter) for row in rows).encode(encoding))
    assert values(layout, "A01") == {"condition": "caf\u00e9", "dose": 0.5, "dose_unit": "uM"}
    assert values(layout, "A02")["condition"] == "\u00d8l"
    assert codes(layout) == (["encoding_assumed"] if encoding == "cp1252" else [])


@pytest.mark.parametrize(
    ("text", "doses"),
    [
        ("well;condition;dose\nA1;a;0,5\nA2;a;1,000\nA3;a;1000", [0.5, 1, 1000]),
        ('well,condition,dose\nA1,a,"0,5"\nA2,a,"1,000"\nA3,a,10', [0.5, 1, 10]),
        ("well\tcondition\tdose\nA1\ta\t0,125\nA2\ta\t1.234,5\nA3\ta\t2.000", [0.125, 1234.5, 2000]),
        ('well,condition,dose\nA1,a,0.5\nA2,a,"1,000"\nA3,a,"1,000,000"', [0.5, 1000, 1_000_000]),
        ("well,condition,dose\nA1,a,1e-6\nA2,a,2.5E+3\nA3,a,1 000", [1e-6, 2500, 1000]),
        ("well;condition;dose\nA1;a;1,5E-3\nA2;a;-0\nA3;a;+2", [0.0015, 0, 2]),
        ("well,condition,dose\nA1,a,1.000\nA2,a,.5\nA3,a,NA", [1, 0.5, None]),
        ("well;condition;dose\nA1;a;0.125\nA2;a;1.000\nA3;a;2.25", [0.125, 1, 2.25]),
        ("well;condition;dose\nA1;a;1,000\nA2;a;2,500\nA3;a;NA", [1, 2.5, None]),
        ("sep=;\nwell;condition;dose\nA1;a;1\nA2;a;2\nA3;a;", [1, 2, None]),
    ],
)
def test_doses_as_they_were_meant(text: str, doses: list[float | None]) -> None:
    layout = read_layout(text.encode())
    assert [row.values["dose"] for row in layout.rows] == doses


@given(
    st.lists(st.floats(0, 1e9).filter(lambda dose: dose == 0 or dose > 1e-9), min_size=1, max_size=40), st.booleans()
)
def test_doses_come_back(doses: list[float], is_comma: bool) -> None:
    # The last can be read in one way.
    texts = [repr(dose).replace(".", "," if is_comma else ".") for dose in [*doses, 0.5]]
    rows = [f"{well_at(1, column)};a;{text}" for column, text in enumerate(texts, 1)]
    layout = read_layout("\n".join(["well;condition;dose", *rows]).encode())
    assert [row.values["dose"] for row in layout.rows] == [*doses, 0.5]


def test_the_unit_of_a_header_or_an_option() -> None:
    said = read_layout("well,condition,Dose (\u03bcM)\nA1,a,1\nA2,b,\n".encode(), dose_unit="nM")
    assert (values(said, "A01")["dose_unit"], "dose_unit" in values(said, "A02")) == ("uM", False)
    assert codes(said) == []
    unsaid = b"well,condition,dose\nA1,a,1\n"
    assert codes(read_layout(unsaid)) == ["dose_unit_unknown"]
    assert values(read_layout(unsaid, dose_unit="nM"), "A01")["dose_unit"] == "nM"
    assert codes(read_layout(unsaid, dose_unit="nM")) == []


def test_the_examples_of_the_docs_are_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "plates.md").read_text()
    table, grids = (read_layout(block.encode()) for block in page.split("```")[1::2])
    assert values(table, "A02", "p1") == {"condition": "taxol", "dose": 10.0, "dose_unit": "nM", "replicate": "1"}
    assert values(grids, "A03") == {"condition": "taxol", "dose": 10.0, "dose_unit": "nM"}
    assert grids.of(None, "B03", "x.tif") is None


def test_none_and_null_may_be_what_a_well_got() -> None:
    layout = read_layout(b"well,condition,dose\nA1,none,none\nA2,null,null\n")
    assert [row.values["condition"] for row in layout.rows] == ["none", "null"]
    assert [row.values["dose"] for row in layout.rows] == [None, None]
    assert values(read_layout(b",1,2\nA,none,-\n"), "A01") == {"condition": "none"}


def test_lines_that_repeat_others_are_told() -> None:
    layout = read_layout(b"well,condition\nA1,a\nA01,a\nA2,a\n")
    assert [row.line for row in layout.rows] == [2, 4]
    assert codes(layout) == ["lines_repeated"]


def test_images_with_and_without_wells() -> None:
    layout = read_layout(b"image,well,condition,batch\na.tif,A1,x,1\nb.tif,A1,x,2\nday 1/c.tif,,y,\nday 2/c.tif,,z,\n")
    assert values(layout, "A01", image="in/a.tif") == {"condition": "x", "batch": "1"}
    # What the images of a well do not have in common is not the well's.
    assert values(layout, "A01", image="other.tif") == {"condition": "x"}
    assert values(layout, "", image="day 2/c.tif")["condition"] == "z"
    assert values(layout, "", image="plate/day 1/c.tif")["condition"] == "y"
    assert layout.of(None, None, "c.tif") is layout.of(None, None, "day 3/c.tif") is None
    assert [layout.place_of(path).site for path in ("a.tif", "b.tif", "day 1/c.tif")] == ["1", "2", None]


def test_an_image_is_found_by_the_longest_path_that_agrees() -> None:
    layout = read_layout(b"image,condition\na.tif,any\nx/a.tif,x\ny/x/a.tif,yx\n")
    names = {"a.tif": "any", "q/a.tif": "any", "x/a.tif": "x", "q/x/a.tif": "x", "q/y/x/a.tif": "yx", "./x\\a.tif": "x"}
    assert {name: values(layout, "", image=name)["condition"] for name in names} == names


def test_a_plate_map_alone() -> None:
    text = f"{MAP}C-1\tA01\t\t\tDMSO\nC-1\tA02\tBRD-K1\t10\tDMSO\nC-1\tA03\t\t5\t\n"
    layout = read_layout(text.encode())
    # It is that of any plate.
    assert layout.plates == ()
    control = {"condition": "DMSO", "control": "negative", "plate_map_name": "C-1", "solvent": "DMSO"}
    assert values(layout, "A01", "SQ1") == values(layout, "A01") == control
    assert values(layout, "A02") == {"condition": "BRD-K1", "dose": 10.0, "plate_map_name": "C-1", "solvent": "DMSO"}
    assert values(layout, "A03") == {"condition": "control", "control": "negative", "plate_map_name": "C-1"}
    assert codes(layout) == ["dose_unit_unknown"]
    assert "often wrong" in layout.warnings[0].message
    assert values(read_layout(text.encode(), dose_unit="uM"), "A02")["dose_unit"] == "uM"


def test_plate_maps_with_their_barcodes() -> None:
    barcodes = "Assay_Plate_Barcode,Plate_Map_Name\nSQ1,C-1\nSQ2,C-1\nSQ3,C-2\n"
    maps = {"platemap/C-1.txt": f"{MAP}C-1\tA01\tone\t1\tDMSO\n", "platemap/C-2.txt": f"{MAP}C-2\tA01\ttwo\t1\tDMSO\n"}
    layout = read_layout(
        zipped({"barcode_platemap.csv": barcodes, **maps, "README.md": "hello", "__MACOSX/._a.csv": b"\0"})
    )
    assert layout.plates == ("SQ1", "SQ2", "SQ3")
    assert [values(layout, "A01", plate)["condition"] for plate in layout.plates] == ["one", "one", "two"]
    alone = read_layout(zipped(maps))
    assert alone.plates == ("C-1", "C-2")
    assert "barcodes_missing" in codes(alone)


def test_combinations_of_drugs() -> None:
    head = "row,column,acquisition,drug,concentration,replicate\n"
    layout = read_layout(
        (head + "A,1,0,y,10,1\nA,1,0,x,1,1\nA,2,0,x,1,1\n1,3.0,0,NA,NA,1\nB,1,1,x,1,2\nB,1,1,y,10,2\n").encode()
    )
    assert [values(layout, well)["condition"] for well in ("A01", "A02", "B01")] == ["x + y", "x", "x + y"]
    assert "dose" not in values(layout, "A01")
    assert layout.of(None, "A03", "x.tif") is None
    assert "lines_without_condition" in codes(layout)
    # Wells of other doses are no replicates.
    several = read_layout(
        (head.replace("column", "col") + "A,1,,x,1,1\nA,1,,y,10,1\nA,2,,x,2.5,1\nA,2,,y,10,1\nA,3,,x,2.5,1\n").encode()
    )
    assert [values(several, well)["condition"] for well in ("A01", "A02", "A03")] == ["x 1 + y 10", "x 2.5 + y 10", "x"]
    assert "combination_doses" in codes(several)


def test_a_list_of_images_of_cellprofiler() -> None:
    head = (
        "Image_FileName_OrigDNA,Image_PathName_OrigDNA,Image_FileName_IllumDNA,FileName_GFP,PathName_GFP,"
        "Metadata_Plate,Metadata_Well,Metadata_Site"
    )
    rows = "1.tif,/data/p1/,i.npy,2.tif,/data/p1,p1,A01,1\n1.tif,C:\\data\\p2,i.npy,2.tif,C:\\data\\p2,p2,A01,2\n"
    layout = read_layout(
        f"{head},Metadata_condition,Metadata_Batch,Other\n{rows.replace(chr(10), ',x,7,ignored' + chr(10))}".encode()
    )
    assert layout.columns == (*CORE, "Metadata_Batch")
    path = layout.path_of("p1/1.tif")
    assert path is not None
    place = layout.place_of(path)
    assert (place.plate, place.well, place.site, place.channel) == ("p1", "A01", "1", "DNA")
    assert values(layout, "A01", "p2") == {"condition": "x", "Metadata_Batch": "7"}
    bare = read_layout(f"{head}\n{rows}".replace("2.tif", "").encode())
    assert codes(bare) == ["condition_missing"]
    assert len(bare.rows[0].files) == 1
    assert values(bare, "A01", "p1") == {}


def test_a_table_of_growth_rates_that_has_wells() -> None:
    text = (
        "cell_line,treatment,concentration,time,cell_count,well\n"
        "MCF7,-,0,72,10,A1\nMCF7,control,0,72,10,A2\nMCF7,lapatinib,0.1,72,7,A3\n"
    )
    layout = read_layout(text.encode())
    assert [values(layout, well)["condition"] for well in ("A01", "A02", "A03")] == ["control", "control", "lapatinib"]
    assert [values(layout, well).get("control") for well in ("A01", "A02", "A03")] == ["negative", "negative", None]
    assert values(layout, "A03")["cell_line"] == "MCF7"


def test_rows_columns_doses_and_controls_of_one_compound() -> None:
    text = "ImageNumber,Column,Row,SBS_Doses,SBS_Controls\n1,01,A,0,-1\n2,02,A,4,0\n3,12,H,10,1\n"
    layout = read_layout(text.encode())
    assert values(layout, "A01") == {
        "condition": "negative control",
        "dose": 0.0,
        "control": "negative",
        "ImageNumber": "1",
    }
    assert values(layout, "A02") == {"condition": "treatment", "dose": 4.0, "ImageNumber": "2"}
    assert values(layout, "H12")["control"] == "positive"
    assert "condition_assumed" in codes(layout)


def grid(cell: str, shape: tuple[int, int] = (8, 12), delimiter: str = "\t", corner: str = "") -> str:
    letters = [chr(65 + row) if row < 26 else f"A{chr(39 + row)}" for row in range(shape[0])]
    lines = [delimiter.join([corner, *map(str, range(1, shape[1] + 1))])]
    for row, letter in enumerate(letters):
        lines.append(delimiter.join([letter, *(cell.format(row=row, column=column) for column in range(shape[1]))]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("shape", [(2, 3), (8, 12), (16, 24), (32, 48)])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_a_lone_grid_is_the_conditions(shape: tuple[int, int], delimiter: str) -> None:
    layout = read_layout(grid("r{row} c{column}", shape, delimiter).encode())
    assert len(layout.rows) == shape[0] * shape[1]
    assert values(layout, "A02") == {"condition": "r0 c1"}
    assert layout.rows[-1].values["condition"] == f"r{shape[0] - 1} c{shape[1] - 1}"
    assert layout.rows[-1].line == shape[0] + 1


def test_grids_with_titles() -> None:
    text = (
        "condition;;\n;1;2;3\nA;DMSO;taxol;\nB;DMSO;taxol;NA\n\n"
        "Dose [nM];1;2\nA;0;0,5\nB;;1,5\n\n"
        "Control\n;1\nA;negative\nB;Negative\n"
        "passage;1;2\nA;7;8\n"
    )
    layout = read_layout(text.encode())
    assert layout.columns == (*CORE, "passage")
    assert values(layout, "A01") == {
        "condition": "DMSO",
        "dose": 0.0,
        "dose_unit": "nM",
        "control": "negative",
        "passage": "7",
    }
    assert values(layout, "B02") == {"condition": "taxol", "dose": 1.5, "dose_unit": "nM"}
    assert "dose" not in values(layout, "B01")
    assert layout.of(None, "A03", "x.tif") is layout.of(None, "B03", "x.tif") is None


def test_part_of_a_plate_may_be_a_grid() -> None:
    layout = read_layout(b",2,3\nC,a,b\nE,c,d\n")
    assert {row.well: row.values["condition"] for row in layout.rows} == {
        "C02": "a",
        "C03": "b",
        "E02": "c",
        "E03": "d",
    }


def test_a_table_of_rows_and_columns_is_no_grid() -> None:
    layout = read_layout(b"row,column,condition\nA,1,2\nB,2,3\n")
    assert [row.well for row in layout.rows] == ["A01", "B02"]


@given(st.binary(max_size=300))
def test_any_bytes_are_a_layout_or_one_sentence(data: bytes) -> None:
    check_any(data)
    check_any(b"well,condition,dose\n" + data)
    check_any(b"PK\x03\x04" + data)


@given(st.text("A1B2,;\t\n\"'.x-well\u00b5condition", max_size=200))
def test_any_text_is_a_layout_or_one_sentence(text: str) -> None:
    check_any(text.encode())
    check_any(f",1,2\nA,{text}".encode())


@given(st.data())
def test_a_damaged_zip_is_a_layout_or_one_sentence(data: st.DataObject) -> None:
    packed = bytearray(zipped({"a.txt": f"{MAP}C-1\tA01\tone\t1\tDMSO\n"}))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(4, len(packed) - 1))] = data.draw(st.integers(0, 255))
    check_any(bytes(packed))


def check_any(data: bytes) -> None:
    try:
        layout = read_layout(data)
    except LayoutError as exc:
        check_sentence(str(exc))
    else:
        assert layout.rows
        assert all(set(row.values) == set(layout.columns) for row in layout.rows)


def check_sentence(said: str) -> None:
    assert said.endswith(".")
    assert len(said) < 700
    assert "\n" not in said
    assert ";" in said or "There are" in said
