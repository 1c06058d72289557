from typing import Any

import pytest

from app.errors import TableError
from app.experiments.layouts.layout import read_layout
from app.experiments.reports.measurements import read_measurements

LAYOUT = b"plate,well,condition,dose,dose_unit,control\nP1,A1,DMSO,,,negative\nP1,A2,taxol,2,uM,\n"


def columns(text: str, layout: bytes | None = None) -> dict[str, Any]:
    return dict(read_measurements(text.encode(), read_layout(layout) if layout else None).columns)


@pytest.mark.parametrize(
    "text",
    [
        "plate,well,count,area_median_px\nP1,A1,10,40\nP1,a02,20,50\n",
        "Metadata_Plate,Metadata_Well,Image_Count_Nuclei,area_median_px\nP1,A01,10,40\nP1,A02,20,50\n",
        "Image_Metadata_Plate,Image_Metadata_Well,Count_Nuclei,area_median_px\nP1,A01,10,40\nP1,A02,20,50\n",
        "PlateName\tWellName\tNuclei - Number of Objects\tarea_median_px\nP1\tA1\t10\t40\nP1\tA2\t20\t50\n",
        "Database\tX\nPlate Name\tP1\n\n[Data]\nRow\tColumn\tNuclei - Number of Objects\tarea_median_px\n"
        "1\t1\t10\t40\n1\t2\t20\t50\n",
    ],
)
def test_tables_of_other_programs(text: str) -> None:
    found = columns(text)
    assert {name: list(found[name]) for name in ("plate", "well", "count", "area_median_px")} == {
        "plate": ["P1", "P1"],
        "well": ["A01", "A02"],
        "count": ["10", "20"],
        "area_median_px": ["40", "50"],
    }


def test_names_of_images_say_the_well() -> None:
    found = columns('Count_nuclei,FileName_images\n728,"B10_-1_1_1_Stitched[DAPI 377,447]_001.tif"\n')
    assert (found["well"], found["count"]) == (["B10"], ["728"])
    assert "well" not in columns(
        "image,count\nB10_-1_1_1_Stitched[DAPI 377,447]_001.tif,1\nother.tif,2\n".replace("377,447", "377")
    )


def test_a_unit_in_the_header_is_that_of_the_doses() -> None:
    assert columns("well,count,dose_um\nA1,1,5\n")["dose_unit"] == ["uM"]


def test_of_two_columns_for_one_thing_the_plain_one_is_taken() -> None:
    found = columns("Metadata_Well,well,Count_Nuclei,count\nB1,A1,1,2\n")
    assert (found["well"], found["Metadata_Well"], found["count"], found["Count_Nuclei"]) == (
        ["A01"],
        ["B1"],
        ["2"],
        ["1"],
    )


def test_a_layout_says_what_each_well_got() -> None:
    text = "plate,well,count\nP1,A1,10\nP1,A2,20\nP1,A3,30\n"
    found = read_measurements(text.encode(), read_layout(LAYOUT))
    assert dict(found.columns) == {
        "plate": ["P1", "P1"],
        "well": ["A01", "A02"],
        "count": ["10", "20"],
        "condition": ["DMSO", "taxol"],
        "dose": [None, 2.0],
        "dose_unit": [None, "uM"],
        "replicate": [None, None],
        "control": ["negative", None],
    }
    (warning,) = found.warnings
    assert warning.code == "rows_not_in_layout"
    assert "1 of 3 rows" in warning.message


def test_the_layout_goes_before_the_table() -> None:
    found = read_measurements(b"plate,well,count,condition\nP1,A1,10,old\n", read_layout(LAYOUT))
    assert found.columns["condition"] == ["DMSO"]
    assert {warning.code for warning in found.warnings} == {"layout_taken"}


def test_what_cannot_be_joined_is_refused() -> None:
    with pytest.raises(TableError, match="knows no row"):
        columns("plate,well,count\nP2,A1,10\n", LAYOUT)
    with pytest.raises(TableError, match="no column 'well' or 'image'"):
        columns("plate,count\nP1,10\n", LAYOUT)
    assert columns("row,column,count\nX,99,10\n")["well"] == ["X/99"]
