"""What the samples of a pixel are: grey values, colours, numbers of colours, alpha, channels."""

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from app.errors import ChannelNeededError, UnsupportedImageError
from app.reading.decode import decode_image, decode_mask
from app.reading.image_statistics import image_statistics
from app.reading.large_tiff import describe, unpack
from app.reading.memmap import MemmapArray
from app.reading.stack import DecodedImage, PixelSize
from tests.synthetic import tiff

LIMIT = 1_000_000
GREY = (np.arange(80 * 90).reshape(80, 90) // 29).astype(np.uint8)
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
RAMP = np.arange(256) * 257
BLUE = np.stack([0 * RAMP, 0 * RAMP, RAMP]).astype(np.uint16)
FIRE = np.stack([np.clip(3 * RAMP, 0, 65535), np.clip(3 * RAMP - 65535, 0, 65535), RAMP // 2]).astype(np.uint16)
MIXED = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype(np.uint16)


def codes(decoded: DecodedImage) -> list[str]:
    return [warning.code for warning in decoded.warnings if warning.code not in ("low_contrast", "noisy", "saturated")]


def out_of_core(data: bytes, path: Path, channel: int | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """What is segmented and measured of a large image, and what is said."""
    path.write_bytes(data)
    image = describe(path, LIMIT, channel, 0)
    pixels = MemmapArray(path.with_suffix(".pixels"), (image.height, image.width, image.n_channels), image.dtype)
    for first in range(0, image.height, 30):
        unpack(path, image.page, first, min(first + 30, image.height), pixels)
    statistics = image_statistics(pixels, image)
    told = [warning.code for warning in (*image.warnings, *statistics.warnings)]
    return *statistics.look(pixels[0 : image.height, 0 : image.width]), told


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("description", [None, "ImageJ=1.54f\nmin=0.0\nmax=255.0\n"])
def test_a_lookup_table_of_one_hue_shows_values(inverted: bool, description: str | None) -> None:
    colours = BLUE[:, ::-1] if inverted else BLUE
    data = tiff(GREY, photometric="palette", colormap=colours, description=description, metadata=None)
    decoded = decode_image(data, LIMIT)
    np.testing.assert_array_equal(decoded.image, GREY)
    assert (decoded.n_channels, decoded.axes, codes(decoded)) == (1, "YX", [])


def test_false_colours_show_values_and_it_is_said() -> None:
    decoded = decode_image(tiff(GREY, photometric="palette", colormap=FIRE), LIMIT)
    np.testing.assert_array_equal(decoded.image, GREY)
    assert codes(decoded) == ["palette_ignored"]


@pytest.mark.parametrize("low", [False, True])
def test_a_palette_of_a_picture_gives_its_colours(low: bool, tmp_path: Path) -> None:
    data = tiff(GREY, photometric="palette", colormap=MIXED >> 8 if low else MIXED, compression="zlib", rowsperstrip=7)
    decoded = decode_image(data, LIMIT)
    expected = (MIXED >> 8).T[GREY]
    np.testing.assert_array_equal(decoded.image, expected)
    assert (decoded.dtype, decoded.n_channels, decoded.axes) == ("uint8", 3, "YXC")
    np.testing.assert_array_equal(out_of_core(data, tmp_path / "a.tif")[0], expected)
    np.testing.assert_array_equal(decode_mask(data, LIMIT).values[..., 0], GREY)


def test_a_palette_that_is_too_short_is_damage() -> None:
    data = tiff(GREY, photometric="palette", colormap=MIXED).replace(
        struct.pack("<HHI", 320, 3, 768), struct.pack("<HHI", 320, 3, 30)
    )
    with pytest.raises(Exception, match="damaged"):
        decode_image(data, LIMIT)


@pytest.mark.parametrize("file_format", ["PNG", "BMP"])
def test_other_files_with_a_lookup_table_show_values_too(file_format: str) -> None:
    picture, buffer = Image.fromarray(GREY, "P"), io.BytesIO()
    picture.putpalette((BLUE >> 8).T.astype(np.uint8).tobytes())
    picture.save(buffer, file_format)
    np.testing.assert_array_equal(decode_image(buffer.getvalue(), LIMIT).image, GREY)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_imagejs_inverted_lookup_table_changes_no_value(dtype: type) -> None:
    image: np.ndarray = GREY.astype(dtype)
    options: dict[str, Any] = {"photometric": "miniswhite", "metadata": None}
    ours = decode_image(tiff(image, description="ImageJ=1.54f\nmin=0\nmax=255\n", **options), LIMIT)
    np.testing.assert_array_equal(ours.image, image)
    assert codes(ours) == []
    other = decode_image(tiff(image, **options), LIMIT)
    if dtype == np.float32:
        np.testing.assert_array_equal(other.image, image)
        assert codes(other) == ["inversion_ignored"]
    else:
        np.testing.assert_array_equal(other.image, np.iinfo(dtype).max - image)


def test_white_is_the_highest_value_of_the_bits_there_are(tmp_path: Path) -> None:
    data = tiff(GREY.astype(np.uint16), photometric="miniswhite", bitspersample=12)
    np.testing.assert_array_equal(decode_image(data, LIMIT).image, 4095 - GREY.astype(np.uint16))
    black = tiff(GREY > 100, photometric="miniswhite")
    np.testing.assert_array_equal(decode_image(black, LIMIT).image, np.where(GREY > 100, 0, 255))
    large = tiff(GREY, photometric="miniswhite", compression="zlib", rowsperstrip=9)
    np.testing.assert_array_equal(out_of_core(large, tmp_path / "a.tif")[0], 255 - GREY)


def test_the_brightest_of_pages_whose_zero_is_white_is_the_brightest() -> None:
    stack = np.stack([GREY, GREY[::-1]])
    data = tiff(stack, photometric="miniswhite", metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(decode_image(data, LIMIT, page="max").image, (255 - stack).max(axis=0))


def test_what_is_no_number_is_no_maximum() -> None:
    stack = np.stack([GREY, GREY[::-1]]).astype(np.float32)
    stack[0, 3, 4] = stack[:, 5, 6] = np.nan
    decoded = decode_image(tiff(stack, photometric="minisblack", metadata={"axes": "ZYX"}), LIMIT, page="max")
    assert decoded.image[3, 4] == stack[1, 3, 4]
    assert decoded.image[5, 6] == decoded.image.min()
    assert codes(decoded) == ["non_finite_pixels"]


def test_without_a_colour_model_black_is_zero() -> None:
    data = tiff(GREY, metadata=None).replace(struct.pack("<HHI", 262, 3, 1), struct.pack("<HHI", 60000, 3, 1))
    np.testing.assert_array_equal(decode_image(data, LIMIT).image, GREY)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(("alpha", "said"), [(255, []), (80, ["alpha_ignored"])])
def test_grey_and_alpha_are_one_channel(planar: str, alpha: int, said: list[str], tmp_path: Path) -> None:
    samples = np.dstack([GREY, np.full_like(GREY, alpha)])
    written = samples if planar == "contig" else np.moveaxis(samples, 2, 0)
    data = tiff(written, photometric="minisblack", planarconfig=planar, extrasamples=["unassalpha"])
    decoded = decode_image(data, LIMIT)
    np.testing.assert_array_equal(decoded.image, GREY)
    np.testing.assert_array_equal(decoded.channels[..., 0], GREY)
    assert (decoded.channels.shape[2], decoded.channel, codes(decoded)) == (1, 0, said)
    shown, measured, told = out_of_core(data, tmp_path / "a.tif")
    np.testing.assert_array_equal(shown, GREY)
    assert (measured.shape[2], [code for code in told if code == "alpha_ignored"]) == (1, said)


def test_grey_and_alpha_are_grey_in_png_too() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([GREY, 255 - GREY]), "LA").save(buffer, "PNG")
    decoded = decode_image(buffer.getvalue(), LIMIT)
    np.testing.assert_array_equal(decoded.image, GREY)
    assert codes(decoded) == ["alpha_ignored"]


def test_grey_samples_of_unknown_kind_are_channels() -> None:
    data = tiff(RGB[..., :2], photometric="minisblack", planarconfig="contig", extrasamples=["unspecified"])
    with pytest.raises(ChannelNeededError):
        decode_image(data, LIMIT)
    np.testing.assert_array_equal(decode_image(data, LIMIT, 1).image, RGB[..., 1])


@pytest.mark.parametrize("extra", [["unspecified"], ["unspecified", "unspecified"], ["unassalpha", "unspecified"]])
def test_samples_after_colours_that_are_not_alpha_are_channels(extra: list[str], tmp_path: Path) -> None:
    more = [np.full_like(GREY, 255) if kind == "unassalpha" else GREY.T.reshape(GREY.shape) for kind in extra]
    data = tiff(np.dstack([RGB, *more]), photometric="rgb", extrasamples=extra)
    whole = decode_image(data, LIMIT)
    np.testing.assert_array_equal(whole.image, RGB)
    expected = np.dstack([RGB, *(one for one, kind in zip(more, extra) if kind != "unassalpha")])
    np.testing.assert_array_equal(whole.channels, expected)
    assert (whole.channel, whole.n_channels, codes(whole)) == (None, 3 + len(extra), [])
    np.testing.assert_array_equal(decode_image(data, LIMIT, 3).image, expected[..., 3])
    np.testing.assert_array_equal(decode_image(data, LIMIT, "blue").image, RGB[..., 2])
    shown, measured, _ = out_of_core(data, tmp_path / "a.tif")
    np.testing.assert_array_equal(shown, RGB)
    np.testing.assert_array_equal(measured, expected)
    np.testing.assert_array_equal(out_of_core(data, tmp_path / "a.tif", 3)[0], expected[..., 3])


def test_grey_colours_with_a_further_channel_keep_it() -> None:
    grey = np.dstack([GREY, GREY, GREY, 255 - GREY])
    decoded = decode_image(tiff(grey, photometric="rgb", extrasamples=["unspecified"]), LIMIT)
    np.testing.assert_array_equal(decoded.channels, grey)
    np.testing.assert_array_equal(decoded.image, grey[..., :3])


def lsm_info(n_times: int, n_depths: int) -> bytes:
    """The beginning of CZ_LSMINFO; a pixel is 0.5 x 0.25 micrometres large."""
    sizes = (90, 80, n_depths, 2, n_times, 1, 0, 0)
    return struct.pack("<II8i3d", 0x0400494C, 64, *sizes, 0.25e-6, 0.5e-6, 1e-6)


@pytest.mark.parametrize("n_channels", [3, 4])
def test_the_channels_of_an_lsm_are_no_colours(n_channels: int) -> None:
    planes = np.stack([GREY + n for n in range(n_channels)])
    colours: dict[str, Any] = {"photometric": "rgb", "planarconfig": "separate", "metadata": None}
    if n_channels == 4:
        colours["extrasamples"] = ["unassalpha"]
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for page in range(6):
            said: Any = [(34412, 7, 64, lsm_info(2, 3), False)] if page == 0 else None
            writer.write(planes + page, subfiletype=0, extratags=said, **colours)
            writer.write(RGB[::4, ::4], metadata=None, photometric="rgb", subfiletype=1)
    data = buffer.getvalue()
    with pytest.raises(ChannelNeededError, match=f"{n_channels} channels"):
        decode_image(data, LIMIT)
    decoded = decode_image(data, LIMIT, n_channels - 1, 4)
    np.testing.assert_array_equal(decoded.image, planes[-1] + 4)
    np.testing.assert_array_equal(decoded.channels, np.moveaxis(planes, 0, -1) + 4)
    assert (decoded.axes, decoded.n_pages, decoded.n_scenes, codes(decoded)) == ("TZCYX", 6, 1, [])
    assert decoded.pixel_size == PixelSize(0.5, 0.25)


@pytest.mark.parametrize("photometric", ["cielab", "icclab", "itulab", "ycbcr", "linear_raw", "logluv"])
def test_colour_models_that_are_not_read_are_named(photometric: str) -> None:
    with pytest.raises(UnsupportedImageError, match=rf"colour model {photometric.upper()}; save"):
        decode_image(tiff(RGB, photometric=photometric, compression="zlib"), LIMIT)


def test_inks_are_refused() -> None:
    with pytest.raises(UnsupportedImageError, match="colour model SEPARATED; save"):
        decode_image(tiff(np.dstack([RGB, GREY]), photometric="separated"), LIMIT)


def test_a_composite_of_imagej_whose_samples_are_channels() -> None:
    planes = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=2).astype(np.uint16) * 9
    said = "ImageJ=1.52v\nimages=3\nchannels=3\nmode=composite\n"
    data = tiff(planes, photometric="rgb", metadata=None, description=said)
    with pytest.raises(ChannelNeededError, match="3 channels"):
        decode_image(data, LIMIT)
    decoded = decode_image(data, LIMIT, 1)
    np.testing.assert_array_equal(decoded.channels, planes)
    assert (decoded.channel, decoded.n_pages, codes(decoded)) == (1, 1, [])


def test_signed_values_of_imagej_are_moved() -> None:
    values = GREY.astype(np.int16) * 9 - 100
    stored = (values.astype(np.int32) + 32_768).astype(np.uint16)
    said = "ImageJ=1.54f\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=Gray Value\n"
    decoded = decode_image(tiff(stored, metadata=None, description=said), LIMIT)
    np.testing.assert_array_equal(decoded.image, values)
    assert (decoded.dtype, codes(decoded)) == ("int16", [])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("cf=0\nc0=10\nc1=0.5\nvunit=OD\n", ["calibration_ignored"]),
        ("cf=21\n", ["calibration_ignored"]),
        ("cf=0\nc0=0\nc1=1\n", []),
        ("cf=one\n", []),
        ("c0=5\n", []),
    ],
)
def test_other_calibrations_of_imagej_are_told(said: str, expected: list[str]) -> None:
    decoded = decode_image(tiff(GREY, metadata=None, description=f"ImageJ=1.54f\n{said}"), LIMIT)
    np.testing.assert_array_equal(decoded.image, GREY)
    assert codes(decoded) == expected


def test_three_planes_that_may_be_stains_are_told() -> None:
    planes = np.stack([GREY, GREY[::-1], GREY[:, ::-1]])
    decoded = decode_image(tiff(planes, photometric="rgb", planarconfig="separate"), LIMIT)
    np.testing.assert_array_equal(decoded.image, np.moveaxis(planes, 0, -1))
    assert codes(decoded) == ["colour_assumed"]


def test_the_colours_of_aperios_jpeg_2000_are_red_green_blue() -> None:
    stored = cv2.cvtColor(RGB, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    lossless: dict[str, Any] = {"compressionargs": {"level": 0, "mct": False, "reversible": True}}
    for photometric in ("rgb", "ycbcr"):
        data = tiff(stored, photometric=photometric, compression="APERIO_JP2000_YCBC", metadata=None, **lossless)
        decoded = decode_image(data, LIMIT)
        np.testing.assert_allclose(decoded.image.astype(int), RGB, atol=3)
