import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.errors import (
    ChannelNeededError,
    ImageError,
    ImageTooLargeError,
    KaryometerError,
    OptionError,
    UnreadableImageError,
)
from app.reading.decode import claimed_pixels, decode_image
from app.reading.stack import PixelSize
from app.reading.tiff_header import tiff_size
from tests.synthetic import tiff

LIMIT = 1_000_000
RAMP = np.arange(40 * 50).reshape(40, 50)


def codes(decoded: Any) -> list[str]:
    return [warning.code for warning in decoded.warnings]


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_number_type_keeps_its_values(dtype: str, byteorder: str) -> None:
    image = (RAMP % 100 - (50 if dtype[0] != "u" else 0)).astype(dtype)
    decoded = decode_image(tiff(image, byteorder=byteorder), LIMIT)
    np.testing.assert_array_equal(decoded.image, image)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw"},
        {"compression": "zlib", "predictor": True},
        {"compression": "zstd"},
        {"compression": "packbits"},
        {"tile": (16, 16)},
        {"tile": (16, 32), "compression": "zlib"},
        {"rowsperstrip": 7},
        {"bigtiff": True},
        {"ome": True},
        {"imagej": True},
        {"photometric": "miniswhite"},
    ],
)
def test_every_layout_holds_the_same_pixels(options: dict) -> None:
    image = (RAMP * 30).astype(np.uint16)
    written = 65_535 - image if "photometric" in options else image
    np.testing.assert_array_equal(decode_image(tiff(written, **options), LIMIT).image, image)


def test_jpeg_in_tiff_and_planes_of_colours() -> None:
    colours = np.stack([RAMP % 256, RAMP % 200, 255 - RAMP % 256], axis=2).astype(np.uint8)
    planes = decode_image(tiff(np.moveaxis(colours, 2, 0), photometric="rgb", planarconfig="separate"), LIMIT)
    np.testing.assert_array_equal(planes.image, colours)
    assert (planes.axes, planes.channel) == ("CYX", None)
    smooth = np.repeat((RAMP // 50 * 6).astype(np.uint8)[..., np.newaxis], 3, axis=2)
    buffer = io.BytesIO()
    Image.fromarray(smooth).save(buffer, "TIFF", compression="jpeg")
    lossy = decode_image(buffer.getvalue(), LIMIT).image
    assert np.abs(lossy.astype(int) - smooth).mean() < 3


def test_binary_pixels_become_black_and_white() -> None:
    assert np.unique(decode_image(tiff(RAMP % 3 == 0), LIMIT).image).tolist() == [0, 255]


STACK = np.stack([[RAMP + 100 * z + 10_000 * c for c in range(2)] for z in range(3)]).astype(np.uint16)


@pytest.mark.parametrize(
    "data",
    [
        tiff(STACK, imagej=True, metadata={"axes": "ZCYX", "Labels": ["Hoechst 33342", "GFP"] * 3}),
        tiff(STACK, ome=True, metadata={"axes": "ZCYX", "Channel": {"Name": ["nuclei", "GFP"]}}),
        tiff(np.swapaxes(STACK, 0, 1), ome=True, metadata={"axes": "CTYX", "Channel": {"Name": ["DAPI", "GFP"]}}),
    ],
    ids=["ImageJ", "OME", "channels first"],
)
def test_stacks_give_the_page_and_the_channel_that_are_asked_for(data: bytes) -> None:
    first = decode_image(data, LIMIT)
    np.testing.assert_array_equal(first.image, STACK[0, 0])
    np.testing.assert_array_equal(first.channels, np.moveaxis(STACK[0], 0, -1))
    assert (first.n_pages, first.n_channels, first.channel, first.page) == (3, 2, 0, 0)
    assert codes(first) == ["pages_ignored"]
    for page in range(3):
        for channel in (0, 1):
            chosen = decode_image(data, LIMIT, channel, page)
            np.testing.assert_array_equal(chosen.image, STACK[page, channel])
            assert codes(chosen) == []
    by_name = decode_image(data, LIMIT, "gfp", "max")
    np.testing.assert_array_equal(by_name.image, STACK.max(axis=0)[1])
    assert (by_name.channel, by_name.page) == (1, "max")
    with pytest.raises(OptionError, match="There is no page 3; the file has 3"):
        decode_image(data, LIMIT, 0, 3)
    with pytest.raises(OptionError, match="There is no channel 2; the image has 2"):
        decode_image(data, LIMIT, 2)
    with pytest.raises(OptionError, match=r"There is no channel 'Cy5'; the image has .*, GFP"):
        decode_image(data, LIMIT, "Cy5")


@pytest.mark.parametrize(
    "data",
    [
        tiff(STACK[0], metadata={"axes": "CYX"}, photometric="minisblack"),
        tiff(STACK[0], photometric="minisblack", planarconfig="separate"),
        tiff(np.moveaxis(STACK[0], 0, -1), photometric="minisblack", planarconfig="contig"),
        tiff(STACK[0], ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["GFP", "Cy5"]}}),
        tiff(STACK[0], ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "nuclei"]}}),
    ],
)
def test_of_several_channels_one_must_be_clearly_nuclear(data: bytes) -> None:
    with pytest.raises(ChannelNeededError, match="add channel, one of"):
        decode_image(data, LIMIT)
    np.testing.assert_array_equal(decode_image(data, LIMIT, 1).image, STACK[0, 1])


def test_a_colour_may_be_chosen_as_a_channel() -> None:
    colours = np.stack([RAMP % 256, RAMP % 200, 255 - RAMP % 256], axis=2).astype(np.uint8)
    data = tiff(colours, photometric="rgb")
    np.testing.assert_array_equal(decode_image(data, LIMIT, "blue").image, colours[..., 2])
    np.testing.assert_array_equal(decode_image(data, LIMIT, 1).image, colours[..., 1])


def test_axes_without_a_name_are_pages_and_said_so() -> None:
    assert codes(decode_image(tiff(STACK[0], photometric="minisblack"), LIMIT)) == ["axes_assumed", "pages_ignored"]
    assert codes(decode_image(tiff(STACK[0], photometric="minisblack", metadata=None), LIMIT, 0, 1)) == ["axes_assumed"]


def test_all_pages_together_stay_within_the_limit() -> None:
    with pytest.raises(KaryometerError, match="the limit is 5000"):
        decode_image(tiff(STACK, imagej=True, metadata={"axes": "ZCYX"}), 5000, 0, "max")


@pytest.mark.parametrize(
    ("options", "pixel_size_um", "said"),
    [
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}}, 0.5, []),
        ({"ome": True, "metadata": {"PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm"}}, 0.325, []),
        ({"ome": True, "metadata": {"PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel"}}, None, []),
        ({"imagej": True, "resolution": (4, 4), "metadata": {"unit": "um"}}, 0.25, []),
        ({"imagej": True, "resolution": (4, 4), "metadata": {"unit": "\\u00B5m"}}, 0.25, []),
        ({"imagej": True, "resolution": (4, 4)}, None, []),
        ({"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}, 0.5, []),
        ({"resolution": (50_800, 50_800), "resolutionunit": "INCH"}, 0.5, []),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None, ["pixel_size_ignored"]),
        ({"ome": True, "metadata": {"PhysicalSizeX": -1}}, None, ["pixel_size_ignored"]),
        ({"ome": True, "metadata": {"PhysicalSizeX": float("nan")}}, None, ["pixel_size_ignored"]),
        ({}, None, []),
    ],
)
def test_pixel_sizes_come_from_the_file_if_they_can_be_believed(
    options: dict, pixel_size_um: float | None, said: list[str]
) -> None:
    decoded = decode_image(tiff((RAMP * 30).astype(np.uint16), **options), LIMIT)
    assert decoded.pixel_size_um == (None if pixel_size_um is None else pytest.approx(pixel_size_um))
    assert codes(decoded) == said


@pytest.mark.parametrize(
    "options",
    [
        {"ome": True, "metadata": {"PhysicalSizeX": 0.5, "PhysicalSizeY": 1000, "PhysicalSizeYUnit": "nm"}},
        {"imagej": True, "resolution": (2, 1), "metadata": {"unit": "um"}},
        {"resolution": (20_000, 10_000), "resolutionunit": "CENTIMETER"},
    ],
)
def test_both_sides_of_a_pixel_come_from_the_file(options: dict) -> None:
    decoded = decode_image(tiff((RAMP * 30).astype(np.uint16), **options), LIMIT)
    assert decoded.pixel_size == PixelSize(row_um=1, col_um=0.5)
    assert decoded.pixel_size_um is None


def test_what_is_no_number_becomes_the_lowest_value() -> None:
    image = RAMP.astype(np.float32)
    image[3, 4], image[5, 6], image[7, 8] = np.nan, np.inf, -np.inf
    decoded = decode_image(tiff(image), LIMIT)
    assert codes(decoded) == ["non_finite_pixels"]
    assert decoded.image[3, 4] == decoded.image[5, 6] == decoded.image[7, 8] == 0
    nothing = decode_image(tiff(np.full((5, 5), np.nan, np.float32)), LIMIT)
    assert codes(nothing) == ["non_finite_pixels", "low_contrast"]
    assert not nothing.image.any()


def test_planes_beyond_the_end_of_the_file_are_damage() -> None:
    data = tiff(STACK, imagej=True, metadata={"axes": "ZCYX"})
    with pytest.raises(UnreadableImageError):
        decode_image(data[: len(data) // 2], LIMIT, 1, 2)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_any_stack_gives_its_pages_or_a_domain_error(data: st.DataObject) -> None:
    axes = data.draw(st.permutations("TZC").flatmap(lambda order: st.integers(0, 3).map(lambda n: "".join(order[:n]))))
    shape = (*(data.draw(st.integers(1, 3)) for _ in axes), *(data.draw(st.integers(2, 40)) for _ in "YX"))
    dtype = data.draw(st.sampled_from(["u1", "u2", "i2", "f4"]))
    image = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    kind = data.draw(st.sampled_from(["plain", "ome"]))
    written = tiff(
        image,
        byteorder=data.draw(st.sampled_from("<>")),
        bigtiff=data.draw(st.booleans()),
        photometric="minisblack",
        ome=kind == "ome",
        metadata={"axes": f"{axes}YX"},
    )
    n_channels = shape[axes.index("C")] if "C" in axes else 1
    pages = np.moveaxis(image, axes.index("C"), 0) if "C" in axes else image[np.newaxis]
    pages = pages.reshape(n_channels, -1, *shape[-2:])
    channel, page = data.draw(st.integers(0, n_channels - 1)), data.draw(st.integers(0, pages.shape[1] - 1))
    np.testing.assert_array_equal(decode_image(written, LIMIT, channel, page).image, pages[channel, page])


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_the_size_is_read_without_the_rest_of_the_header(byteorder: str, bigtiff: bool) -> None:
    pages = tiff(np.zeros((3, 70, 80), np.uint8), photometric="minisblack", byteorder=byteorder, bigtiff=bigtiff)
    assert tiff_size(pages) == (70, 80, 3)
    assert claimed_pixels(pages, None, LIMIT) == 70 * 80
    assert claimed_pixels(pages, "all", LIMIT) == 3 * 70 * 80
    assert claimed_pixels(pages, "all", 2 * 70 * 80) == 2 * 70 * 80


@pytest.mark.parametrize("rest", [bytes(4), b"\x08\0\0\0" + bytes(6)], ids=["no page", "no tags"])
def test_a_tiff_without_a_page_or_a_size_is_damaged(rest: bytes) -> None:
    with pytest.raises(ValueError, match=r"no pages|no size"):
        tiff_size(b"II*\0" + rest)
    assert claimed_pixels(b"II*\0" + rest, None, LIMIT) == 0
    with pytest.raises(ImageError):
        decode_image(b"II*\0" + rest, LIMIT)


@pytest.mark.parametrize("shape", [(1, LIMIT // 64 + 1), (LIMIT // 64 + 1, 1)])
def test_narrow_images_count_as_wide_as_the_network_sees_them(shape: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLargeError, match="sides below 64 count as 64"):
        decode_image(tiff(np.zeros(shape, np.uint8)), LIMIT)
    assert claimed_pixels(tiff(np.zeros(shape, np.uint8)), None, 2 * LIMIT) > LIMIT
