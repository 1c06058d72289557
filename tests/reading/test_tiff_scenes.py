"""Which image of a TIFF is read, and what is said of the others."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from app.errors import OptionError, UnsupportedImageError
from app.reading.decode import decode_image
from app.reading.stack import DecodedImage
from app.reading.tiff import open_tiff
from tests.synthetic import tiff

LIMIT = 1_000_000
FIELD = (np.arange(128 * 160).reshape(128, 160) * 3).astype(np.uint16)
OTHER = FIELD[::-1].copy()
THUMBNAIL = FIELD[::8, ::8].astype(np.uint8)
PREVIEW = np.repeat(FIELD[::4, ::4, np.newaxis] >> 8, 3, axis=2).astype(np.uint8)
LABEL = np.full((40, 40), 7, np.uint8)


def codes(decoded: DecodedImage) -> list[str]:
    return [warning.code for warning in decoded.warnings]


def pages(
    *images: np.ndarray, description: str | bytes | None = None, subfile: Sequence[int] = (), **options: Any
) -> bytes:
    """A TIFF of pages that are no stack of tifffile's; the first has the description."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for number, image in enumerate(images):
            own: dict[str, Any] = {"photometric": "rgb" if image.ndim == 3 else "minisblack"}
            if description and number == 0:
                own["description"] = description
            if subfile:
                own["subfiletype"] = subfile[number]
            writer.write(image, metadata=None, **own, **options)
    return buffer.getvalue()


def pixels_xml(ifd: int | str | None, size_c: str = "1", inside: str = "", **attributes: str) -> str:
    data = inside or (f'<TiffData IFD="{ifd}"/>' if ifd is not None else "")
    sizes = {"SizeC": size_c, "SizeZ": "1", "SizeT": "1", "DimensionOrder": "XYCZT"} | attributes
    return f"<Pixels {' '.join(f'{name}={value!r}' for name, value in sizes.items())}>{data}</Pixels>"


def ome(*images: str, names: Sequence[str] = (), uuid: str = "") -> str:
    named = [*names, *["field"] * len(images)]
    inside = "".join(f'<Image ID="Image:{n}" Name="{named[n]}">{one}</Image>' for n, one in enumerate(images))
    said = f' UUID="{uuid}"' if uuid else ""
    return f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{said}>{inside}</OME>'


@pytest.mark.parametrize("other", [OTHER, OTHER[:100, :90], OTHER[:64, :80]], ids=["same", "cut", "half"])
def test_of_several_ome_images_the_first_is_read_and_each_can_be_chosen(other: np.ndarray) -> None:
    data = pages(other, FIELD, description=ome(pixels_xml(0), pixels_xml(1), names=["Pos0", "Pos1"]))
    first = decode_image(data, LIMIT)
    np.testing.assert_array_equal(first.image, other)
    assert (first.scene, first.n_scenes, codes(first)) == (0, 2, ["scenes_ignored"])
    assert "only scene 0 was read" in first.warnings[0].message
    second = decode_image(data, LIMIT, scene=1)
    np.testing.assert_array_equal(second.image, FIELD)
    assert (second.scene, second.n_scenes, codes(second)) == (1, 2, [])
    with pytest.raises(OptionError, match="There is no scene 2; the file has 2"):
        decode_image(data, LIMIT, scene=2)


@pytest.mark.parametrize(
    ("preview", "name"), [(THUMBNAIL, ""), (PREVIEW, "a"), (LABEL, "label image"), (LABEL, "macro")]
)
def test_a_preview_that_comes_first_is_not_the_image(preview: np.ndarray, name: str) -> None:
    data = pages(preview, FIELD, description=ome(pixels_xml(0), pixels_xml(1), names=[name]))
    decoded = decode_image(data, LIMIT)
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert (decoded.scene, codes(decoded)) == (1, ["scenes_ignored"])
    assert decode_image(data, LIMIT, scene=0).height == len(preview)


@pytest.mark.parametrize("preview", [THUMBNAIL, PREVIEW, np.repeat(PREVIEW, 4, 0).repeat(4, 1)])
def test_a_plain_thumbnail_that_comes_first_is_not_the_image(preview: np.ndarray) -> None:
    marked = decode_image(pages(preview, FIELD, subfile=[1, 0]), LIMIT)
    np.testing.assert_array_equal(marked.image, FIELD)
    assert (marked.n_scenes, codes(marked)) == (1, [])
    guessed = decode_image(pages(preview, FIELD), LIMIT)
    np.testing.assert_array_equal(guessed.image, FIELD)
    assert (guessed.scene, guessed.n_scenes, codes(guessed)) == (1, 2, ["scenes_ignored"])


def test_the_older_tag_marks_a_thumbnail_too() -> None:
    data = pages(THUMBNAIL, FIELD, extratags=[(255, 3, 1, 2, True)])
    # It is on both pages, and an image there must be.
    assert decode_image(data, LIMIT).height == len(THUMBNAIL)
    data = data.replace(b"\xff\0\3\0\1\0\0\0\2\0", b"\xff\0\3\0\1\0\0\0\1\0", 2).replace(
        b"\xff\0\3\0\1\0\0\0\1\0", b"\xff\0\3\0\1\0\0\0\2\0", 1
    )
    np.testing.assert_array_equal(decode_image(data, LIMIT).image, FIELD)


def test_pages_of_another_size_are_another_scene() -> None:
    data = pages(FIELD, OTHER, FIELD[:100], OTHER[:100])
    decoded = decode_image(data, LIMIT, page=1)
    np.testing.assert_array_equal(decoded.image, OTHER)
    assert (decoded.n_pages, codes(decoded)) == (2, ["scenes_ignored", "axes_assumed"])
    np.testing.assert_array_equal(decode_image(data, LIMIT, page=0, scene=1).image, FIELD[:100])


def test_the_levels_of_a_slide_are_no_scenes() -> None:
    data = pages(np.tile(FIELD, (2, 2)), FIELD, FIELD[::4, ::4], tile=(64, 64))
    decoded = decode_image(data, LIMIT)
    assert (decoded.height, decoded.n_scenes, codes(decoded)) == (256, 1, [])


def test_arrays_that_tifffile_wrote_one_after_the_other_are_scenes() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(np.stack([FIELD, OTHER]), metadata={"axes": "CYX"}, photometric="minisblack")
        writer.write(OTHER, photometric="minisblack")
    decoded = decode_image(buffer.getvalue(), LIMIT, 1)
    np.testing.assert_array_equal(decoded.image, OTHER)
    assert (decoded.axes, decoded.n_channels, decoded.n_scenes) == ("CYX", 2, 2)
    assert decode_image(buffer.getvalue(), LIMIT, scene=1).n_channels == 1


def test_pages_that_ome_does_not_describe_are_a_scene() -> None:
    decoded = decode_image(pages(FIELD, OTHER, OTHER, description=ome(pixels_xml(0))), LIMIT)
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert (decoded.n_pages, decoded.n_scenes, codes(decoded)) == (1, 2, ["scenes_ignored"])


@pytest.mark.parametrize("description", ["", ome(pixels_xml(0)), "ImageJ=1.54f\nimages=1\n"])
def test_one_page_is_one_scene(description: str) -> None:
    decoded = decode_image(pages(FIELD, description=description), LIMIT)
    assert (decoded.scene, decoded.n_scenes, codes(decoded)) == (0, 1, [])
    with pytest.raises(OptionError, match="no scene 1"):
        decode_image(pages(FIELD, description=description), LIMIT, scene=1)


def test_a_companion_elsewhere_is_said() -> None:
    description = '<OME UUID="urn:uuid:1"><BinaryOnly MetadataFile="plate.companion.ome" UUID="urn:uuid:2"/></OME>'
    decoded = decode_image(pages(FIELD, description=description), LIMIT)
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert codes(decoded) == ["metadata_elsewhere"]
    assert "plate.companion.ome" in decoded.warnings[0].message
    stack = decode_image(pages(FIELD, OTHER, description=description), LIMIT, page=1)
    assert codes(stack) == ["metadata_elsewhere", "axes_assumed"]


def of_set(uuid: str, **attributes: str) -> str:
    inside = "".join(
        f'<Channel Name="{name}"/><TiffData IFD="0" FirstC="{c}" PlaneCount="1">'
        f'<UUID FileName="{c}.tif">{c}</UUID></TiffData>'
        for c, name in enumerate(("DAPI", "18S"))
    )
    return ome(pixels_xml(None, "2", inside, **attributes), uuid=uuid)


@pytest.mark.parametrize(("uuid", "name"), [("0", "DAPI"), ("1", "18S")])
def test_of_a_set_of_files_that_at_hand_is_read(uuid: str, name: str) -> None:
    decoded = decode_image(pages(FIELD, description=of_set(uuid, PhysicalSizeX="0.5")), LIMIT)
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert (decoded.channel_names, decoded.n_channels, decoded.pixel_size_um) == ((name,), 1, 0.5)
    assert codes(decoded) == ["planes_missing"]
    assert "2 planes, of which 1" in decoded.warnings[0].message


def test_the_other_files_of_a_set_are_not_opened(tmp_path: Path) -> None:
    for uuid, image in (("0", FIELD), ("1", OTHER)):
        described = of_set(uuid, SizeX="160", SizeY="128", Type="uint16")
        (tmp_path / f"{uuid}.tif").write_bytes(pages(image, description=described))
    path = tmp_path / "0.tif"
    with tifffile.TiffFile(path) as file:
        # As tifffile follows names that anybody may have written into the file.
        assert len(file.series[0].pages) == 2
    stack = open_tiff(path, "image")
    assert (stack.n_pages, stack.n_channels) == (1, 1)
    np.testing.assert_array_equal(stack.read_page(0)[..., 0], FIELD)
    stack.close()


def test_a_file_of_a_set_that_does_not_say_which_it_is_is_read_plainly() -> None:
    decoded = decode_image(pages(FIELD, description=of_set("3")), LIMIT)
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert codes(decoded) == ["metadata_unreadable"]


def test_the_positions_of_a_set_that_are_in_other_files_are_none_of_this() -> None:
    images = [
        pixels_xml(None, inside=f'<TiffData IFD="0"><UUID FileName="{n}.tif">urn:{n}</UUID></TiffData>') for n in "ab"
    ]
    decoded = decode_image(pages(FIELD, description=ome(*images, names=["A", "B"], uuid="urn:b")), LIMIT)
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert (decoded.n_scenes, codes(decoded)) == (1, [])


def test_a_renamed_file_is_its_own() -> None:
    inside = '<TiffData IFD="0"><UUID FileName="a.tif">urn:a</UUID></TiffData>'
    assert codes(decode_image(pages(FIELD, description=ome(pixels_xml(0, inside=inside), uuid="urn:b")), LIMIT)) == []


def test_planes_lie_where_ome_says() -> None:
    inside = (
        '<Channel Name="GFP"/><Channel Name="DAPI"/><TiffData IFD="1" FirstC="0" PlaneCount="1"/>'
        '<TiffData IFD="0" FirstC="1" PlaneCount="1"/>'
    )
    decoded = decode_image(pages(FIELD, OTHER, description=ome(pixels_xml(None, "2", inside))), LIMIT)
    np.testing.assert_array_equal(decoded.channels, np.dstack([OTHER, FIELD]))
    assert (decoded.channel, decoded.channel_names, codes(decoded)) == (1, ("GFP", "DAPI"), [])


@pytest.mark.parametrize("order", ["XYCZT", "XYZCT", "XYTCZ"])
def test_planes_are_counted_in_the_order_that_ome_says(order: str) -> None:
    numbered = [np.full((70, 80), 1000 * n, np.uint16) for n in range(12)]
    sizes = {"C": 2, "Z": 3, "T": 2}
    inside = '<Channel Name="DAPI"/><Channel Name="GFP"/><TiffData/>'
    attributes = {f"Size{axis}": str(size) for axis, size in sizes.items()}
    data = pages(*numbered, description=ome(pixels_xml(None, "2", inside, DimensionOrder=order, **attributes)))
    step, steps = 1, {}
    for axis in order[2:]:
        steps[axis], step = step, step * sizes[axis]
    decoded = decode_image(data, LIMIT, "GFP", 0)
    assert decoded.image[0, 0] == 1000 * steps["C"]
    assert decoded.n_pages == 6
    assert decode_image(data, LIMIT, "DAPI", 5).image[0, 0] == 1000 * (2 * steps["Z"] + steps["T"])


@pytest.mark.parametrize("first", ['FirstT="0" IFD="{}"', 'FirstT="{}"', 'IFD="0" FirstT="{}" PlaneCount="1"'])
def test_entries_that_contradict_each_other_are_told_and_planes_counted(first: str) -> None:
    planes = [FIELD, OTHER, FIELD[:, ::-1], OTHER[:, ::-1]]
    entries = "".join(f"<TiffData {first.format(number)}/>" for number in range(4))
    data = pages(*planes, description=ome(pixels_xml(None, inside=entries, SizeT="4", PhysicalSizeX="0.5")))
    for page, plane in enumerate(planes):
        decoded = decode_image(data, LIMIT, page=page)
        np.testing.assert_array_equal(decoded.image, plane)
        assert (decoded.axes, decoded.pixel_size_um, codes(decoded)) == ("TYX", 0.5, ["metadata_unreadable"])


def test_a_series_that_was_stopped_keeps_its_whole_times() -> None:
    inside = '<Channel Name="DAPI"/><Channel Name="GFP"/><TiffData IFD="0" PlaneCount="3"/>'
    description = ome(pixels_xml(None, "2", inside, SizeT="5"))
    decoded = decode_image(pages(FIELD, OTHER, FIELD, description=description), LIMIT, "DAPI")
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert (decoded.n_pages, decoded.n_channels) == (1, 2)
    assert codes(decoded)[0] == "planes_missing"
    assert "10 planes, of which 2" in decoded.warnings[0].message


@pytest.mark.parametrize(
    ("labels", "axes", "names"),
    [
        (["DAPI", "GFP"] * 3, "ZCYX", [("DAPI", "GFP")] * 3),
        (
            ["DAPI 1", "GFP 1", "DAPI 2", "GFP 2", "DAPI 3", "GFP 3"],
            "ZCYX",
            [(f"DAPI {n}", f"GFP {n}") for n in (1, 2, 3)],
        ),
        (["a", "b", "c", "d", "e", "DAPI"], "ZYX", [("a",), ("b",), ("c",), ("d",), ("e",), ("DAPI",)]),
        (["DAPI"], "ZYX", [("DAPI",), ("",)]),
    ],
)
def test_imagej_names_each_plane(labels: list[str], axes: str, names: list[tuple[str, ...]]) -> None:
    shape = (3, 2, 70, 80) if axes == "ZCYX" else (6, 70, 80)
    data = tiff(np.zeros(shape, np.uint16), imagej=True, metadata={"axes": axes, "Labels": labels})
    for page, expected in enumerate(names):
        assert decode_image(data, LIMIT, 0, page).channel_names == expected
    together = decode_image(data, LIMIT, 0, "max").channel_names
    assert together == (names[0] if len(set(names)) == 1 else ())


def test_imagej_that_contradicts_its_pages_is_read_as_pages() -> None:
    description = "ImageJ=1.54f\nimages=2\nchannels=2\nslices=5\nhyperstack=true\n"
    decoded = decode_image(pages(FIELD, OTHER, description=description), LIMIT, page=1)
    np.testing.assert_array_equal(decoded.image, OTHER)
    assert codes(decoded) == ["metadata_unreadable", "axes_assumed"]


SIZE_OF_PREVIEW: dict[str, Any] = {"resolution": (2500, 2500), "resolutionunit": "CENTIMETER"}
SIZE_OF_FIELD: dict[str, Any] = {"resolution": (20_000, 10_000), "resolutionunit": "CENTIMETER"}


@pytest.mark.parametrize(("subfile", "scene", "said"), [(1, None, []), (0, None, ["scenes_ignored"]), (0, 1, [])])
def test_each_scene_has_the_pixel_size_of_its_own_pages(subfile: int, scene: int | None, said: list[str]) -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(THUMBNAIL, subfiletype=subfile, metadata=None, **SIZE_OF_PREVIEW)
        writer.write(FIELD, metadata=None, **SIZE_OF_FIELD)
    decoded = decode_image(buffer.getvalue(), LIMIT, scene=scene)
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert decoded.pixel_size == pytest.approx((1, 0.5))
    assert codes(decoded) == said


@pytest.mark.parametrize("separator", [" [0,0 640x512] (256x256)", ""])
def test_a_level_of_a_slide_has_larger_pixels_than_the_slide(separator: str) -> None:
    said = f"Aperio Image Library v11\r\n640x512{separator} -> 160x128 JPEG/RGB Q=30|AppMag = 20|MPP = 0.5"
    assert decode_image(pages(FIELD, description=said), LIMIT).pixel_size == (2, 2)


@pytest.mark.parametrize(
    "description",
    [
        json.dumps({"shape": [5, 128, 160]}),
        json.dumps({"shape": [1024, 1024]}),
        json.dumps({"shape": [5, 1024, 1024]}),
        "ImageJ=1.54f\nimages=30\nslices=30\n",
        "ImageJ=1.54f\nimages=4\nchannels=2\nframes=2\nhyperstack=true\n",
    ],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_description_that_an_image_kept_from_its_stack_is_told(description: str, compression: str | None) -> None:
    decoded = decode_image(pages(FIELD, description=description, compression=compression), LIMIT)
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert (decoded.n_pages, codes(decoded)) == (1, ["metadata_unreadable"])


@pytest.mark.parametrize(
    "said",
    [
        {"description": json.dumps({"shape": [3, 128, 160]})},
        {"description": "ImageJ=1.54f\nimages=3\nslices=3\n"},
        {"extratags": [(33629, 5, 3, tuple(range(6)), True)]},
    ],
)
def test_planes_without_pages_of_their_own_are_refused(said: dict[str, Any]) -> None:
    data = tiff(FIELD, metadata=None, **said) + FIELD.tobytes() * 2
    with pytest.raises(UnsupportedImageError, match=r"3 planes have no headers of their own.*save it with"):
        decode_image(data, LIMIT)


def test_a_stack_of_metamorph_whose_planes_are_not_there_is_told() -> None:
    decoded = decode_image(tiff(FIELD, metadata=None, extratags=[(33629, 5, 3, tuple(range(6)), True)]), LIMIT)
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert codes(decoded) == ["metadata_unreadable"]


def test_ome_comes_before_what_tifffile_says_beside_it() -> None:
    said = ome(pixels_xml(0, "2", inside='<Channel Name="GFP"/><Channel Name="DAPI"/><TiffData/>', PhysicalSizeX="0.5"))
    data = tiff(np.stack([OTHER, FIELD]), description=said, metadata={}, photometric="minisblack")
    decoded = decode_image(data, LIMIT)
    np.testing.assert_array_equal(decoded.image, FIELD)
    assert (decoded.channel_names, decoded.pixel_size_um, codes(decoded)) == (("GFP", "DAPI"), 0.5, [])


def test_a_turned_tiff_is_told() -> None:
    for orientation in (0, 1, 3, 6):
        decoded = decode_image(tiff(FIELD, extratags=[(274, 3, 1, orientation, True)]), LIMIT)
        np.testing.assert_array_equal(decoded.image, FIELD)
        assert codes(decoded) == (["orientation_ignored"] if orientation > 1 else [])
