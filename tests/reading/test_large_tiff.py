from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from app.errors import ImageTooLargeError, OptionError, UnreadableImageError, UnsupportedImageError
from app.reading import large_tiff
from app.reading.decode import decode_image
from app.reading.large_tiff import describe, tiff_pixels, unpack
from app.reading.memmap import MemmapArray
from tests.synthetic import tiff

LIMIT = 10**6
GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 60_000, (150, 90)).astype(np.uint16)
COLOUR = GENERATOR.integers(0, 255, (150, 90, 3)).astype(np.uint8)
PAGES = np.stack([GREY, GREY // 2, GREY // 3])
TILE = {"tile": (32, 16)}


OME_XML = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="90" SizeY="150" SizeC="1" '
    'SizeZ="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="1" PlaneCount="1"/></Pixels>'
    "</Image></OME>"
)


def unpacked(path: Path, page: int = 0, step: int = 37) -> np.ndarray:
    """All rows, some at a time."""
    image = describe(path, LIMIT, 0, page)
    with_alpha = (image.height, image.width, image.n_channels)
    pixels = MemmapArray(path.with_suffix(".pixels"), with_alpha, image.dtype)
    for first in range(0, image.height, step):
        unpack(path, image.page, first, min(first + step, image.height), pixels)
    return pixels[0 : image.height, 0 : image.width]


@pytest.mark.parametrize("image", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        TILE,
        TILE | {"compression": "zlib", "predictor": True},
        {"compression": "lzw", "rowsperstrip": 7},
        {"rowsperstrip": 11, "byteorder": ">"},
        {"byteorder": ">", "bigtiff": True},
        {"compression": "zstd", "rowsperstrip": 150},
    ],
    ids=str,
)
@pytest.mark.parametrize("step", [13, 64, 150])
def test_rows_are_those_of_the_page(image: np.ndarray, options: dict[str, Any], step: int, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    path.write_bytes(tiff(image, **options))
    np.testing.assert_array_equal(unpacked(path, step=step), image.reshape(150, 90, -1))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("layout", [{}, TILE])
def test_rows_of_planes_pages_and_inverted_images_are_those_of_the_page(
    compression: str | None, layout: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "image.tif"
    options = layout | {"compression": compression}
    planes = {"photometric": "rgb", "planarconfig": "separate"}
    stack = PAGES[np.newaxis].repeat(2, axis=0)
    for data in (
        tiff(np.moveaxis(COLOUR, 2, 0), **planes, **options),
        tiff(GREY, photometric="miniswhite", **options),
        tiff(PAGES, photometric="minisblack", metadata={"axes": "CYX"}, ome=True, **options),
        tiff(stack, photometric="minisblack", metadata={"axes": "ZCYX"}, ome=True, **options),
    ):
        path.write_bytes(data)
        whole = decode_image(data, LIMIT, 0, 0)
        np.testing.assert_array_equal(unpacked(path), whole.channels)
        image = describe(path, LIMIT, 0, 0)
        assert (image.channel, image.n_channels) == (whole.channel, whole.n_channels)


def test_what_the_file_says_is_said(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    path.write_bytes(tiff(PAGES, imagej=True, resolution=(2, 2), metadata={"axes": "ZYX", "unit": "um"}))
    whole, large = decode_image(path.read_bytes(), LIMIT), describe(path, LIMIT, None, None)
    assert large.pixel_size_um == whole.pixel_size_um == 0.5
    assert [warning.code for warning in large.warnings] == ["pages_ignored"]
    assert large.warnings == whole.warnings[:1]
    assert tiff_pixels(path) == GREY.size
    np.testing.assert_array_equal(unpacked(path, 2)[..., 0], PAGES[2])


def test_rows_that_are_decoded_together_are_unpacked_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.tif"
    path.write_bytes(tiff(GREY, compression="zlib", **TILE))
    assert describe(path, LIMIT, None, None).n_rows % 32 == 0
    monkeypatch.setattr(large_tiff, "_ROWS_BYTES", 7 * 90 * 2)
    assert describe(path, LIMIT, None, None).n_rows == 32
    path.write_bytes(tiff(GREY))
    assert describe(path, LIMIT, None, None).n_rows == 7
    monkeypatch.setattr(large_tiff, "MAX_ROWS_BYTES", 20 * 90 * 2)
    path.write_bytes(tiff(GREY, compression="zlib", rowsperstrip=21))
    with pytest.raises(UnsupportedImageError, match=r"strips or tiles of 21 rows.*; save it in tiles"):
        describe(path, LIMIT, None, None)


def test_what_cannot_be_unpacked_is_told(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    path.write_bytes(tiff(GREY.astype(np.float32)))
    with pytest.raises(UnsupportedImageError, match="of type float32; save so large an image with 8 or 16 bits"):
        describe(path, LIMIT, None, None)
    path.write_bytes(tiff(PAGES, photometric="minisblack"))
    with pytest.raises(OptionError, match="one page is measured"):
        describe(path, LIMIT, None, "max")
    with pytest.raises(OptionError, match="There is no page 3; the file has 3"):
        describe(path, LIMIT, None, 3)
    with pytest.raises(ImageTooLargeError, match=r"150 x 90 pixels, the limit is 99 .*; crop it.$") as told:
        describe(path, 99, None, None)
    assert told.value.setting == "max_out_of_core_pixels"


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    data = tiff(GREY, compression="zlib", rowsperstrip=50)
    path.write_bytes(data[:-3000])
    with pytest.raises(UnreadableImageError):
        unpacked(path)
    path.write_bytes(data[:300])
    with pytest.raises(UnreadableImageError):
        unpacked(path)
    for wrong in (b"II*\0", b"\x89PNG", b""):
        path.write_bytes(wrong)
        assert tiff_pixels(path) == 0


def test_headers_that_contradict_themselves_are_told(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    data = bytearray(tiff(GREY, compression="zlib", rowsperstrip=50))
    # The strips hold fewer rows than the header promises.
    place = data.index((150).to_bytes(4, "little"))
    data[place : place + 4] = (450).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(UnreadableImageError):
        unpacked(path)


def test_the_image_is_that_which_the_metadata_name_first(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(GREY[:64], description=OME_XML, metadata=None)
        writer.write(GREY, metadata=None)
    np.testing.assert_array_equal(decode_image(path.read_bytes(), LIMIT).image, GREY)
    np.testing.assert_array_equal(unpacked(path)[..., 0], GREY)
