import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.experiments.layouts.names import N_COLUMNS, N_ROWS, ImagePlace, is_preview, normal_well, parse_name, well_at

GUID = "1CDA3A3A-0A1E-4F2C-9C5C-0123456789AB"

# Name, then plate, well, site, channel and plane.
KINDS = [
    # MetaXpress: the channel is one digit, whatever the GUID begins with.
    (f"plate_A01_s1_w1{GUID}.tif", "plate", "A01", "1", "w1", None),
    ("Week1_150607_B02_s4_w207447158-AC92-4844-8894-A48FC3D6D5AA.tif", "Week1_150607", "B02", "4", "w2", None),
    ("plate_H12_w3.TIF", "plate", "H12", None, "w3", None),
    (f"plate_P24_s10{GUID}.tif", "plate", "P24", "10", None, None),
    ("A01_s2_w1.tif", None, "A01", "2", "w1", None),
    ("plate_a01_s2_w1.tif", "plate", "A01", "2", "w1", None),
    ("p/TimePoint_2/ZStep_3/x_A01_s1_w1.tif", "x", "A01", "1", "w1", "t2z3"),
    ("plate_AF48_s1_w1.tif", "plate", "AF48", "1", "w1", None),
    ("plate_B07.ome.tif", "plate", "B07", None, None, None),
    ("day 1/C03.png", "day 1", "C03", None, None, None),
    ("p_B10_s10_w1.tif", "p", "B10", "10", "w1", None),
    # ImageXpress HCS.ai counts from 0.
    ("_t0_C05_s0_w0_z0.tif", None, "C05", "0", "w0", "t0z0"),
    ("my_run_t12_C05_s3_w1_z4.tif", "my_run", "C05", "3", "w1", "t12z4"),
    # Phenix and Operetta.
    ("r01c01f01p01-ch1sk1fk1fl1.tiff", None, "A01", "1", "ch1", "t1z1"),
    ("r16c24f12p03-ch4sk2fk1fl1.tiff", None, "P24", "12", "ch4", "t2z3"),
    ("r32c48f01p01-ch01t05.tiff", None, "AF48", "1", "ch01", "t5z1"),
    ("BR1__2020-11-08T18_18_00-Measurement1/Images/r02c03f01p01-ch2sk1fk1fl1.tiff", "BR1", "B03", "1", "ch2", "t1z1"),
    # CellVoyager.
    ("_A01_T0001F001L01A01Z01C01.tif", None, "A01", "1", "C01", "t1z1"),
    (
        "AssayPlate_Greiner_#655090_D03_T0002F014L01A02Z05C03.tif",
        "AssayPlate_Greiner_#655090",
        "D03",
        "14",
        "C03",
        "t2z5",
    ),
    # InCell.
    ("A - 01(fld 1 wv 390 - Blue).tif", None, "A01", "1", "390 - Blue", None),
    ("H - 12(fld 02 wv Green - dsRed z 3).tif", None, "H12", "2", "Green - dsRed", "z3"),
    ("B - 4(fld 1 wv DAPI - DAPI- time 3 - 400 ms).tif", None, "B04", "1", "DAPI - DAPI", "t3"),
    ("B - 03(fld 1 wv TL-Brightfield - Cy3 wix 2).tif", None, "B03", "1", "TL-Brightfield - Cy3", None),
    ("Plate1_A - 01(fld 1).tif", "Plate1", "A01", "1", None, None),
    # Cytation.
    ("A1_02_1_1_Bright Field_001.tif", None, "A01", "1", "Bright Field", "t1"),
    ("AF48_02_1_25_GFP 469,525_012.tif", None, "AF48", "25", "GFP 469,525", "t12"),
    ("B10_-1_1_1_Stitched[DAPI 377,447]_001.tif", None, "B10", None, "DAPI 377,447", "t1"),
    # Columbus.
    ("A1_HOECHST_33342_z01_t01.tiff", None, "A01", None, "HOECHST_33342", "t1z1"),
    ("screen 4/P12_Alexa 488_f3_z01_t02.tiff", "screen 4", "P12", "3", "Alexa 488", "t2z1"),
    # BBBC013 and CellProfiler's example.
    ("images/Channel1-01-A-01.tif", None, "A01", None, "Channel1", None),
    ("Channel2-96-H-12.png", None, "H12", None, "Channel2", None),
    # OME-Zarr.
    ("plate.zarr/A/1/0", "plate", "A01", "0", None, None),
    ("screens/p7.ome.zarr/AF/48/12", "p7", "AF48", "12", None, None),
]


@pytest.mark.parametrize(("name", "plate", "well", "site", "channel", "plane"), KINDS, ids=[kind[0] for kind in KINDS])
def test_names_of_each_kind(
    name: str, plate: str | None, well: str, site: str | None, channel: str | None, plane: str | None
) -> None:
    place = parse_name(name)
    assert place is not None
    assert (place.plate, place.well, place.site, place.channel, place.plane) == (plate, well, site, channel, plane)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", "holiday.jpg", "IMG_0001.tif", "cells.ome.tif", "A.tif", "A1.tif", "1.tif", ".tif", "A01"[:2]),
        # No plate has these.
        *(
            "plate_A00_s1_w1.tif",
            "plate_A49_s1_w1.tif",
            "plate_AG01_w1.tif",
            "r00c01f01p01-ch1.tiff",
            "r33c01f01p01-ch1.tiff",
        ),
        *(
            "Channel1-01-A-49.tif",
            "plate.zarr/A/0/0",
            "plate.zarr/AG/1/0",
            "plate.zarr/A/1",
            "plate.zarr/A/1/..",
            ".zarr/",
        ),
        # Words that only look like a well.
        *("mouse_T24.tif", "embryo_E25.tif", "model_Z10.tif", "sample_a1.tif", "plate_b02.tif", "take2B03.tif"),
        *("run_t10_s2.tif", "run_s10_w1.tif"),
        # Digits of other scripts, and parts without end.
        *(
            "plate_A\u0661\u0662_s1_w1.tif",
            "plate_A01_s1_w123.tif",
            "plate_A01_s1234567_w1.tif",
            "A - 01(fld 1 wv x",
            "A01\n.tif",
        ),
        "x" * 2000 + "_A01_s1_w1.tif",
    ],
)
def test_other_names_say_nothing(name: str) -> None:
    assert parse_name(name) is None


def test_folders_are_what_else_the_plate_may_be_called() -> None:
    place = parse_name("screen/plate 7/TimePoint_1/IXMtest_A01_s1_w1.tif")
    assert place == ImagePlace("IXMtest", "A01", "1", "w1", "t1", ("plate 7", "screen"))


def test_fields_that_were_stitched_are_told() -> None:
    stitched, single = parse_name("B10_-1_1_1_Stitched[DAPI 377,447]_001.tif"), parse_name("B10_02_1_1_DAPI_001.tif")
    assert stitched is not None
    assert single is not None
    assert (stitched.is_stitched, single.is_stitched) == (True, False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"plate_A01_s1_w1_thumb{GUID}.tif", True),
        ("plate_A01_w1_Thumb.tif", True),
        ("plate_A01_w1_thumbnail2.png", True),
        ("thumbs/plate_A01_w1.tif", True),
        ("DC_sCMOS #1_CAM1.tif", True),
        ("SC_BP445-45_40x_M10_CH01.tif", True),
        (f"plate_A01_s1_w1{GUID}.tif", False),
        ("thumb war_A01_w1.tif", False),
        ("DC_A01_w1.tif", False),
    ],
)
def test_previews(name: str, expected: bool) -> None:
    assert is_preview(name) is expected


@given(
    st.integers(1, N_ROWS), st.integers(1, N_COLUMNS), st.sampled_from(["", "0", "-", " - ", ":", "_"]), st.booleans()
)
def test_wells_are_written_in_one_way(row: int, column: int, between: str, is_lower: bool) -> None:
    well = well_at(row, column)
    assert well is not None
    letters, digits = well.rstrip("0123456789"), well.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    text = f" {letters}{between}{int(digits)} "
    assert normal_well(text.lower() if is_lower else text) == normal_well(f"r{row:02d}c{column:02d}") == well


@pytest.mark.parametrize(
    "text",
    ["", "A", "1", "A0", "A00", "A49", "AG1", "BA1", "A1B", "A 1 2", "A-", "r0c1", "r33c1", "r1c49", "A\u0661", "A1.0"],
)
def test_other_texts_are_no_wells(text: str) -> None:
    assert normal_well(text) is None


@given(st.text())
def test_any_text_is_a_place_or_none(text: str) -> None:
    for name in (text, f"{text}_A01_s1_w1.tif", f"{text}/A01.tif"):
        place = parse_name(name)
        assert place is None or normal_well(place.well or "") == place.well
        is_preview(name)


@given(st.text("A01_-stw()[] zfld.rcp\u0661", max_size=60))
def test_any_text_of_the_letters_of_names_is_a_place_or_none(text: str) -> None:
    place = parse_name(text)
    assert place is None or place.well is not None


@pytest.mark.parametrize(
    "part", ["A01_", "_A01_s1", "A1_x_z01_t01_", "A - 01(fld 1 wv ", "A1_01_1_1_", " - ", "DC_CAM"]
)
def test_names_that_almost_match_come_to_an_end(part: str) -> None:
    # Patterns that go back over a name again and again would not.
    name = f"{part * (990 // len(part))}!"
    assert parse_name(name) is None
    assert not is_preview(name)
