import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ChannelNeededError
from app.experiments.layouts.fields import Field, Fields, find_fields, is_sidecar
from app.experiments.layouts.layout import read_layout

HTD = b'"HTSInfoFile", Version 1.0\r\n"NWavelengths", 2\r\n"WaveName1", "GFP"\r\n"WaveName2", "DAPI"\r\n"EndFile"\r\n'


def codes(found: Fields) -> list[str]:
    return [warning.code for warning in found.warnings]


def all_files(found: Fields) -> list[str]:
    """Every file, wherever it went."""
    used = [name for field in found.fields for name in (field.image, *(file for _, file in field.channels))]
    return sorted([*used, *(name for _, name in found.duplicates), *(name for name, _ in found.ignored)])


def test_channels_of_one_place_are_one_field() -> None:
    names = [
        f"p_{well}_s{site}_w{channel}.tif" for well in ("B10", "B02") for site in (10, 9) for channel in (2, 1, 10)
    ]
    found = find_fields(names, nuclear_channel="W2")
    assert [(field.well, field.site) for field in found.fields] == [
        ("B02", "9"),
        ("B02", "10"),
        ("B10", "9"),
        ("B10", "10"),
    ]
    assert found.fields[0] == Field(
        image="p_B02_s9_w2.tif",
        channels=(("w1", "p_B02_s9_w1.tif"), ("w10", "p_B02_s9_w10.tif")),
        plate="p",
        well="B02",
        site="9",
        plane=None,
    )
    assert (found.nuclear_channel, found.is_assumed) == ("w2", False)


def test_the_order_of_the_files_does_not_matter() -> None:
    names = [f"p_A{well:02d}_s{site}_w{channel}.tif" for well in (1, 2) for site in (1, 2) for channel in (1, 2)]
    names += ["p_A01_s1_w1.png", "odd.tif", "p_A01_s1_w1_thumb.tif"]
    expected = find_fields(names, nuclear_channel="w1")
    for seed in range(5):
        mixed = [*names, *names]
        random.Random(seed).shuffle(mixed)
        assert find_fields(iter(mixed), nuclear_channel="w1") == expected


def test_a_lone_channel_shows_the_nuclei() -> None:
    assert find_fields(["A01_w3.tif"]).is_assumed
    assert not find_fields(["A1_DAPI_z01_t01.tif"]).is_assumed
    assert not find_fields(["A01.tif"]).is_assumed
    assert [field.image for field in find_fields(["A01.tif", "A02.tif"]).fields] == ["A01.tif", "A02.tif"]


def test_the_name_of_a_nuclear_stain_tells_its_channel() -> None:
    names = [f"A1_02_1_1_{channel}_001.tif" for channel in ("Bright Field", "DAPI 377,447", "GFP 469,525")]
    found = find_fields(names)
    assert found.nuclear_channel == "DAPI 377,447"
    assert found.fields[0].channels == (("Bright Field", names[0]), ("GFP 469,525", names[2]))


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (["Channel1-01-A-01.tif", "Channel2-01-A-01.tif"], "one of: Channel1, Channel2."),
        (["A1_DAPI_z01_t01.tif", "A1_HOECHST_z01_t01.tif", "A1_GFP_z01_t01.tif"], "one of: DAPI, GFP, HOECHST."),
        (["A01.tif", "A02_w1.tif"], "one of: the one without a name, w1."),
    ],
)
def test_several_channels_none_of_which_is_clearly_nuclear(names: list[str], listed: str) -> None:
    with pytest.raises(ChannelNeededError, match="say which with nuclear_channel") as refused:
        find_fields(names)
    assert str(refused.value).endswith(listed)
    assert len(refused.value.channels) == listed.count(",") + 1


def test_a_channel_that_was_asked_for_may_still_come() -> None:
    found = find_fields(["A01_w1.tif", "A02_w1.tif"], nuclear_channel="w2")
    assert found.fields == ()
    assert [why for _, why in found.ignored] == ["Its field has no file of channel 'w2', which shows the nuclei."] * 2
    assert codes(found) == ["nuclear_channel_missing"]


def test_files_that_belong_nowhere_are_fields_of_their_own_and_told() -> None:
    found = find_fields(["b.tif", "a/b.tif", "A01_w1.tif"])
    assert found.unmatched == ("a/b.tif", "b.tif")
    assert [(field.image, field.well) for field in found.fields] == [
        ("a/b.tif", None),
        ("b.tif", None),
        ("A01_w1.tif", "A01"),
    ]


def test_two_files_at_one_place() -> None:
    found = find_fields(["copy/p_A01_s1_w1.tif", "p_A01_s1_w1.tif", "p_A01_s1_w1.png"])
    assert [field.image for field in found.fields] == ["copy/p_A01_s1_w1.tif"]
    assert found.duplicates == (
        ("copy/p_A01_s1_w1.tif", "p_A01_s1_w1.png"),
        ("copy/p_A01_s1_w1.tif", "p_A01_s1_w1.tif"),
    )


def test_previews_and_sidecars_are_ignored_and_told() -> None:
    found = find_fields(["p_A01_w1.tif", "p_A01_w1_thumb.tif", "p.HTD"])
    assert [field.image for field in found.fields] == ["p_A01_w1.tif"]
    assert [name for name, _ in found.ignored] == ["p_A01_w1_thumb.tif", "p.HTD"]
    assert is_sidecar("p.HTD")


def test_stitched_fields_do_not_count_twice() -> None:
    stitched, single = "B2_-1_1_1_Stitched[DAPI 377,447]_001.tif", "B2_02_1_{}_DAPI 377,447_001.tif"
    assert [field.image for field in find_fields([stitched]).fields] == [stitched]
    found = find_fields([stitched, single.format(1), single.format(2), stitched.replace("B2", "B3")])
    assert [(field.well, field.site) for field in found.fields] == [("B02", "1"), ("B02", "2"), ("B03", None)]
    assert [name for name, _ in found.ignored] == [stitched]


def test_planes_are_told_where_there_are_several() -> None:
    name = "r01c01f01p{z:02d}-ch1sk{t}fk1fl1.tiff"
    assert [field.plane for field in find_fields([name.format(z=1, t=1)]).fields] == [None]
    found = find_fields([name.format(z=z, t=1) for z in (10, 9)])
    assert [field.plane for field in found.fields] == ["z9", "z10"]
    assert codes(found) == ["several_planes"]
    assert [field.plane for field in find_fields([name.format(z=z, t=z) for z in (1, 2)]).fields] == ["t1z1", "t2z2"]


def test_metaxpress_names_its_channels_beside_the_images() -> None:
    names = ["p1/TimePoint_1/p_A01_s1_w1.tif", "p1/TimePoint_1/p_A01_s1_w2.tif"]
    found = find_fields(names, sidecars={"p1/p.HTD": HTD})
    assert found.nuclear_channel == "DAPI"
    assert found.fields[0].channels == (("GFP", names[0]),)
    # Both words for it are understood.
    assert find_fields(names, nuclear_channel="w1", sidecars={"p1/p.HTD": HTD}).fields[0].image == names[0]
    assert find_fields(names, nuclear_channel="gfp", sidecars={"p1/p.HTD": HTD}).fields[0].image == names[0]
    # It says nothing of other plates.
    with pytest.raises(ChannelNeededError):
        find_fields([name.replace("p1", "p2") for name in names], sidecars={"p1/p.HTD": HTD})


def test_a_sidecar_that_counts_from_one_names_no_channels_that_count_from_zero() -> None:
    names = [f"_t0_C05_s0_w{channel}_z0.tif" for channel in (0, 1)]
    with pytest.raises(ChannelNeededError, match="one of: w0, w1"):
        find_fields(names, sidecars={"p.HTD": HTD})


def test_wells_of_files_whose_names_do_not_say_them() -> None:
    mlf = (
        '<bts:MeasurementData xmlns:bts="x"><bts:MeasurementRecord bts:Type="IMG" bts:Row="2" bts:Column="3" '
        'bts:FieldIndex="4" bts:TimePoint="1" bts:ZIndex="1" bts:Ch="1">odd.tif</bts:MeasurementRecord>'
        '<bts:MeasurementRecord bts:Type="ERR" bts:Row="2" bts:Column="4" bts:Ch="1">worse.tif</bts:MeasurementRecord>'
        "</bts:MeasurementData>"
    )
    found = find_fields(["p/odd.tif", "p/worse.tif"], sidecars={"p/MeasurementData.mlf": mlf.encode()})
    assert found.fields[1] == Field("p/odd.tif", (), "p", "B03", "4", None)
    assert found.unmatched == ("p/worse.tif",)


def test_a_sidecar_that_is_damaged_is_told() -> None:
    found = find_fields(["A01_w1.tif"], sidecars={"Index.xml": b"<EvaluationInputData><Ima"})
    assert codes(found) == ["sidecar_unreadable"]


def test_plates_are_called_as_the_layout_calls_them() -> None:
    layout = read_layout(b"plate,well,condition\nday 1,A1,x\nday 2,A1,y\n")
    names = ["day 1/IXM_A01_s1_w1.tif", "day 2/IXM_A01_s1_w1.tif"]
    found = find_fields(names, layout)
    assert [field.plate for field in found.fields] == ["day 1", "day 2"]
    assert [layout.of(field.plate, field.well, field.image) for field in found.fields] == [
        row.values for row in layout.rows
    ]
    # Without it they are doubles.
    assert len(find_fields(names).duplicates) == 1


def test_the_one_plate_of_a_layout_is_that_of_images_that_name_none() -> None:
    layout = read_layout(b"plate,well,condition\n7,A1,x\n")
    assert [field.plate for field in find_fields(["A01_w1.tif"], layout).fields] == ["7"]
    strange = find_fields(["other_A01_w1.tif"], layout)
    assert [field.plate for field in strange.fields] == ["other"]
    assert codes(strange) == ["plates_not_in_layout"]


def test_a_layout_without_plates_is_that_of_each() -> None:
    layout = read_layout(b"well,condition\nA1,x\n")
    found = find_fields(["p_A01_w1.tif", "q_A01_w1.tif"], layout)
    assert codes(found) == ["layout_for_all_plates"]
    assert all(layout.of(field.plate, field.well, field.image) for field in found.fields)
    assert codes(find_fields(["p_A01_w1.tif"], layout)) == []


def test_the_layout_says_where_files_belong() -> None:
    layout = read_layout(
        b"image,well,channel,condition\nx.tif,A1,DAPI,a\ny.tif,A1,GFP,a\nz.tif,A1,DAPI,a\nw.tif,A1,GFP,a\nlone.tif,,,b\n"
    )
    found = find_fields(["in/w.tif", "in/x.tif", "in/y.tif", "in/z.tif", "in/lone.tif"], layout)
    assert found.unmatched == ()
    assert [(field.image, field.well, field.site) for field in found.fields] == [
        *(("in/lone.tif", None, None), ("in/x.tif", "A01", "1"), ("in/z.tif", "A01", "2")),
    ]
    assert found.fields[1].channels == (("GFP", "in/y.tif"),)


def test_the_layout_is_followed_where_names_say_another_well() -> None:
    layout = read_layout(b"image,well,condition\np_A01_s3_w1.tif,B2,x\n")
    found = find_fields(["p_A01_s3_w1.tif"], layout)
    assert [(field.plate, field.well, field.site) for field in found.fields] == [("p", "B02", "3")]
    assert codes(found) == ["layout_contradicts_names"]


def test_a_name_in_the_layout_that_fits_several_files_is_told() -> None:
    layout = read_layout(b"image,condition\na.tif,x\n")
    found = find_fields(["1/a.tif", "2/a.tif"], layout)
    assert codes(found) == ["images_ambiguous"]
    assert "1/a.tif, 2/a.tif" in found.warnings[0].message


def test_a_list_of_images_says_all() -> None:
    layout = read_layout(
        b"FileName_OrigDNA,PathName_OrigDNA,FileName_OrigER,PathName_OrigER,Metadata_Plate,Metadata_Well,Metadata_Site\n"
        b"1.tif,/d/p,2.tif,/d/p,BR1,A01,3\n"
    )
    found = find_fields(["p/1.tif", "p/2.tif"], layout)
    assert found.fields == (Field("p/1.tif", (("ER", "p/2.tif"),), "BR1", "A01", "3", None),)


PARTS = st.sampled_from(
    ["p_", "q_", "A01", "B02", "_s1", "_s2", "_w1", "_w2", "_thumb", ".tif", ".png", "x/", "odd", "_t0_", "_z1"]
)


@given(
    st.lists(st.lists(PARTS, min_size=1, max_size=8).map("".join), max_size=30), st.sampled_from([None, "w1", "none"])
)
def test_no_file_is_lost_or_used_twice(names: list[str], asked: str | None) -> None:
    try:
        found = find_fields(names, nuclear_channel=asked)
    except ChannelNeededError:
        assert asked is None
        return
    assert all_files(found) == sorted(set(names))
