"""Metadata that cannot be parsed, or say a size in a form of their own: the pixels are read all the same."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.reading.decode import decode_image
from app.reading.stack import DecodedImage
from tests.reading.test_tiff_scenes import ome, pages, pixels_xml
from tests.synthetic import tiff

LIMIT = 1_000_000
IMAGE = (np.arange(80 * 90).reshape(80, 90) * 9).astype(np.uint16)
SIZES = {"PhysicalSizeX": "0.65", "PhysicalSizeY": "0.65", "PhysicalSizeXUnit": "um", "PhysicalSizeYUnit": "um"}


def codes(decoded: DecodedImage) -> list[str]:
    return [warning.code for warning in decoded.warnings]


def channels(*names: str) -> str:
    return "".join(f'<Channel Name="{name}"/>' for name in names) + '<TiffData IFD="0"/>'


@pytest.mark.parametrize(
    "name", ["DAPI & GFP", "a\x01b", "&#x1;", "&#0;", "\x0b", "&nbsp;", "\ufffe", "caf\u00e9", "\u00b5"], ids=ascii
)
def test_characters_that_xml_does_not_have_are_mended(name: str) -> None:
    description = ome(pixels_xml(None, inside=channels(name), **SIZES)).encode("utf-8")
    decoded = decode_image(pages(IMAGE, description=description), LIMIT)
    np.testing.assert_array_equal(decoded.image, IMAGE)
    assert decoded.pixel_size_um == 0.65
    assert codes(decoded) == ([] if name in ("caf\u00e9", "\u00b5") else ["metadata_unreadable"])


@pytest.mark.parametrize("end", ["</OME>", "", "</P</OME>", "<"])
def test_xml_that_is_cut_is_read_as_far_as_it_goes(end: str) -> None:
    whole = ome(pixels_xml(None, inside=channels("DAPI"), **SIZES))
    for part in range(60, len(whole) - 1, 7):
        decoded = decode_image(pages(IMAGE, description=whole[:part] + end), LIMIT)
        np.testing.assert_array_equal(decoded.image, IMAGE)
        assert codes(decoded) == ["metadata_unreadable"]
        assert decoded.pixel_size_um in (None, 0.65)


@pytest.mark.parametrize(
    ("sizes", "pixel_size_um", "said"),
    [
        ({"PhysicalSizeX": "0,65", "PhysicalSizeY": "0,65"}, 0.65, []),
        ({"PhysicalSizeX": "0.65 um"}, 0.65, []),
        ({"PhysicalSizeX": "650 nm", "PhysicalSizeY": "650nm"}, 0.65, []),
        ({"PhysicalSizeX": "650", "PhysicalSizeXUnit": "nm", "PhysicalSizeY": "0.65"}, 0.65, []),
        ({"PhysicalSizeX": "0.65", "PhysicalSizeXUnit": "micrometers"}, 0.65, []),
        ({"PhysicalSizeX": "6500", "PhysicalSizeXUnit": "\u00c5"}, 0.65, []),
        ({"PhysicalSizeX": "", "PhysicalSizeY": ""}, None, []),
        ({"PhysicalSizeX": "0.65", "PhysicalSizeY": ""}, 0.65, []),
        ({"PhysicalSizeX": "about one"}, None, ["pixel_size_ignored"]),
        ({"PhysicalSizeX": "0.65", "PhysicalSizeXUnit": "furlong"}, None, ["pixel_size_ignored"]),
        ({"PhysicalSizeX": "0.65 nm", "PhysicalSizeXUnit": "um"}, None, ["pixel_size_ignored"]),
        ({"PhysicalSizeX": "0.65", "PhysicalSizeXUnit": "pixel"}, None, []),
        ({"PhysicalSizeX": "0"}, None, ["pixel_size_ignored"]),
        ({"PhysicalSizeX": "1e999"}, None, ["pixel_size_ignored"]),
    ],
)
def test_ome_sizes_in_every_form(sizes: dict[str, str], pixel_size_um: float | None, said: list[str]) -> None:
    decoded = decode_image(pages(IMAGE, description=ome(pixels_xml(0, **sizes)).encode()), LIMIT)
    np.testing.assert_array_equal(decoded.image, IMAGE)
    assert (decoded.pixel_size_um, codes(decoded)) == (pytest.approx(pixel_size_um), said)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"SizeC": ""}, ["metadata_unreadable"]),
        ({"SizeZ": "", "SizeT": "one"}, ["metadata_unreadable"]),
        ({"SizeC": "-1"}, ["metadata_unreadable"]),
        ({"SizeC": "0"}, ["metadata_unreadable"]),
        ({"SizeC": "2"}, ["planes_missing"]),
        ({"SizeT": "999999999"}, ["planes_missing"]),
        ({"SizeC": "999999999", "SizeZ": "999999999", "SizeT": "999999999"}, ["metadata_unreadable"]),
        ({"DimensionOrder": "YXZZT"}, []),
    ],
)
def test_numbers_of_planes_that_do_not_fit_are_said(attributes: dict[str, str], said: list[str]) -> None:
    size_c = attributes.pop("SizeC", "1")
    decoded = decode_image(pages(IMAGE, description=ome(pixels_xml(0, size_c, **attributes))), LIMIT)
    np.testing.assert_array_equal(decoded.image, IMAGE)
    assert codes(decoded) == said


def test_more_names_than_channels_are_left_out() -> None:
    decoded = decode_image(
        pages(IMAGE, description=ome(pixels_xml(None, inside=channels("DAPI", "GFP", "Cy5")))), LIMIT
    )
    assert (decoded.channel_names, codes(decoded)) == (("DAPI",), ["metadata_unreadable"])


@pytest.mark.parametrize(
    "description",
    [
        '<!DOCTYPE OME [<!ENTITY a "b">]><OME><Image><Pixels SizeC="&a;"/></Image></OME>',
        '<!DOCTYPE OME [<!ENTITY a "aa"><!ENTITY b "&a;&a;&a;">]><OME>&b;</OME>',
        "<OME>" + "<a>" * 5000,
        "<OME>"
        + '<Image><Pixels SizeC="1" SizeZ="1" SizeT="99999"><TiffData PlaneCount="99999"/></Pixels></Image>' * 5000,
        "<OME><Image/><Image/></OME>",
        "<ome:OME><ome:Image><ome:Pixels/></ome:Image></ome:OME>",
        "ImageJ=",
        "ImageJ=1\nimages=99999999999999999999\nchannels=x\nslices=-4\nunit=\n",
        '{"shape": [0]}',
        '{"shape": "a", "axes": 3}',
        '{"shape": [80, 90], "axes": "Q"}',
        '{"shape": null}',
        "{" * 5000,
        "<MetaData><prop id='spatial-calibration-x' value='0,65'",
        "Aperio|MPP = 1.2.3|",
    ],
    ids=lambda text: text[:30],
)
def test_descriptions_that_mean_harm_or_nothing_do_none(description: str) -> None:
    decoded = decode_image(pages(IMAGE, description=description), LIMIT)
    np.testing.assert_array_equal(decoded.image, IMAGE)


KEYS = st.sampled_from(
    "OME Image Pixels Channel TiffData UUID BinaryOnly Name SizeC SizeZ SizeT IFD FirstC PlaneCount PhysicalSizeX "  # noqa: SIM905
    "PhysicalSizeXUnit ImageJ= images= channels= slices= frames= unit= <MetaData> prop Aperio MPP".split()
)
PIECES = st.one_of(
    KEYS,
    st.sampled_from(["<", ">", "/>", '="', '" ', "\n", "1", "2", "-1", "0,5", "um", "[80, 90]", "}", "|"]),
    st.text(max_size=3),
)
STARTS = st.sampled_from(
    ["", "<OME>", '<OME><Image><Pixels SizeC="1" ', "ImageJ=1.54f\n", '{"shape": ', "<MetaData>", "Aperio|MPP = "]
)


@settings(deadline=None, max_examples=300)
@given(STARTS, st.lists(PIECES, max_size=20))
def test_whatever_the_description_says_the_image_is_read(start: str, pieces: list[str]) -> None:
    description = (start + "".join(pieces)).encode("utf-8", "replace")
    decoded = decode_image(pages(IMAGE, description=description or None), LIMIT)
    np.testing.assert_array_equal(decoded.image, IMAGE)
    assert {*codes(decoded)} <= {"metadata_unreadable", "metadata_elsewhere", "planes_missing", "pixel_size_ignored"}


def metamorph(state: str = "on", unit: str = "um", size: str = "0.656") -> str:
    return (
        f'<MetaData><PlaneInfo><prop id="spatial-calibration-state" type="bool" value="{state}"/>'
        f'<prop id="spatial-calibration-x" type="float" value="{size}"/>'
        f'<prop id="spatial-calibration-y" type="float" value="{size}"/>'
        f'<prop id="spatial-calibration-units" type="string" value="{unit}"/></PlaneInfo></MetaData>'
    )


CM = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}


@pytest.mark.parametrize(
    ("options", "pixel_size_um", "said"),
    [
        ({"description": metamorph()}, 0.656, []),
        ({"description": metamorph(unit="nm", size="656")}, 0.656, []),
        ({"description": metamorph(unit="pixel", size="1")}, None, []),
        ({"description": metamorph(state="off")}, None, []),
        ({"description": metamorph(size="0,656")}, 0.656, []),
        ({"description": metamorph()[:-20]}, 0.656, ["metadata_unreadable"]),
        ({"description": "Aperio Image Library v12\r\n90x80 [0,0 90x80]|AppMag = 40|MPP = 0.2520|Left = 0"}, 0.252, []),
        ({"description": "Aperio Image Library v12\r\n|MPP=0,252"}, 0.252, []),
        ({"description": "Aperio Image Library v12", **CM}, 0.5, []),
        ({"description": "ImageJ=1.54f\nunit=cm\n", **CM}, 0.5, []),
        ({"description": "ImageJ=1.54f\nunit=mm\n", "resolution": (2000, 2000)}, 0.5, []),
        ({"description": "ImageJ=1.54f\nunit=inch\n", "resolution": (50_800, 50_800)}, 0.5, []),
        ({"description": "ImageJ=1.54f\nunit=nm\n", "resolution": (0.002, 0.002)}, 0.5, []),
        ({"description": "ImageJ=1.54f\nunit=micrometers\n", "resolution": (2, 2)}, 0.5, []),
        ({"description": "ImageJ=1.54f\nunit=pixel\n", "resolution": (2, 2)}, None, []),
        ({"description": "ImageJ=1.54f\nunit=smoot\n", "resolution": (2, 2)}, None, ["pixel_size_ignored"]),
        ({"description": "ImageJ=1.54f\n", **CM}, 0.5, []),
        # The tags have a unit, and the description another.
        ({"description": "ImageJ=1.54f\nunit=micron\n", **CM}, 0.5, []),
        ({"description": "ImageJ=1.54f\nunit=um\n", "resolution": (2, 2), "resolutionunit": "INCH"}, 0.5, []),
        ({"description": "ImageJ=1.54f\nunit=pixel\n", **CM}, None, []),
        (
            {"description": "ImageJ=1.54f\nunit=um\n", "resolution": (5000, 5000), "resolutionunit": "CENTIMETER"},
            None,
            ["pixel_size_ignored"],
        ),
        ({"resolution": (50_800, 50_800), "resolutionunit": "INCH"}, 0.5, []),
        ({"resolution": (0, 0), "resolutionunit": "INCH"}, None, []),
    ],
)
def test_sizes_of_other_programs(options: dict[str, Any], pixel_size_um: float | None, said: list[str]) -> None:
    decoded = decode_image(tiff(IMAGE, metadata=None, **options), LIMIT)
    assert decoded.pixel_size_um == (None if pixel_size_um is None else pytest.approx(pixel_size_um, rel=1e-6))
    assert codes(decoded) == said
