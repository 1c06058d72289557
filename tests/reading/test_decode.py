import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from app.errors import (
    EmptyUploadError,
    ImageTooLargeError,
    KaryometerError,
    UnreadableImageError,
    UnsupportedImageError,
)
from app.reading.decode import claimed_pixels, decode_image, decode_mask
from tests.conftest import DATA, REAL_IMAGES
from tests.synthetic import jpeg, png, tiff

LIMIT = 1_000_000
GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)


def png16(image: np.ndarray) -> bytes:
    flipped = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", flipped)[1].tobytes()


def saved(image: np.ndarray, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(GREY), GREY),
        (png(RGB), RGB),
        (png(GREY.astype(np.uint16) * 257), GREY.astype(np.uint16) * 257),
        (png16(RGB.astype(np.uint16) * 257), RGB.astype(np.uint16) * 257),
        (tiff(GREY), GREY),
        (tiff(GREY.astype(np.uint16) * 257, byteorder=">"), GREY.astype(np.uint16) * 257),
        (tiff(RGB, photometric="rgb", compression="lzw"), RGB),
        (
            tiff(RGB.astype(np.uint16) * 257, photometric="rgb", compression="zlib", bigtiff=True),
            RGB.astype(np.uint16) * 257,
        ),
        (saved(RGB, "BMP"), RGB),
        (saved(RGB, "WEBP", lossless=True), RGB),
        (tiff(GREY, photometric="miniswhite"), 255 - GREY),
    ],
    ids=lambda value: "" if isinstance(value, np.ndarray) else value[:4].hex(),
)
def test_pixels_are_those_of_the_file(data: bytes, expected: np.ndarray) -> None:
    decoded = decode_image(data, LIMIT)
    np.testing.assert_array_equal(decoded.image, expected)
    assert decoded.image.dtype == expected.dtype.newbyteorder("=")
    assert decoded.axes == ("YX" if expected.ndim == 2 else "YXC")
    assert decoded.warnings == ()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_png_of_every_mode_shows_what_pillow_shows(mode: str) -> None:
    buffer = io.BytesIO()
    image = Image.fromarray(RGB).convert(mode)
    image.save(buffer, "PNG")
    shown = decode_image(buffer.getvalue(), LIMIT).image
    np.testing.assert_array_equal(shown, np.asarray(image.convert("L" if mode in "1L" else "RGB")))


@pytest.mark.parametrize(("alpha", "codes"), [(255, []), (100, ["alpha_ignored"])])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_alpha_is_dropped_and_said_so_where_it_shows(alpha: int, codes: list[str], kind: str) -> None:
    rgba = np.dstack([RGB, np.full_like(GREY, alpha)])
    data = png(rgba) if kind == "png" else tiff(rgba, photometric="rgb", extrasamples=["unassalpha"])
    decoded = decode_image(data, LIMIT)
    np.testing.assert_array_equal(decoded.image, RGB)
    assert decoded.n_channels == 4
    assert [warning.code for warning in decoded.warnings] == codes


def test_grey_colours_are_measured_once() -> None:
    decoded = decode_image(png(np.repeat(GREY[..., np.newaxis], 3, axis=2)), LIMIT)
    assert (decoded.image.shape, decoded.channels.shape) == ((3, 4, 3), (3, 4, 1))
    assert decode_image(png(RGB), LIMIT).channels.shape == (3, 4, 3)


@pytest.mark.parametrize("orientation", [None, *range(9)])
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "JPEG"])
def test_pictures_are_turned_upright(file_format: str, orientation: int | None) -> None:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    Image.fromarray(np.kron(RGB, np.ones((16, 16, 1), np.uint8))).save(
        buffer, file_format, exif=exif, dpi=(50_800, 25_400), **lossless
    )
    with Image.open(buffer) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    decoded = decode_image(buffer.getvalue(), LIMIT)
    np.testing.assert_array_equal(decoded.image, expected)
    if file_format == "PNG":
        assert decoded.pixel_size == pytest.approx((0.5, 1) if orientation in (5, 6, 7, 8) else (1, 0.5), rel=1e-3)
    if file_format != "JPEG":
        mask = decode_mask(buffer.getvalue(), LIMIT)
        np.testing.assert_array_equal(mask.values, expected)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_exif_that_cannot_be_read_is_told(file_format: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, file_format, exif=b"Exif\0\0MM\0*no")
    assert "metadata_unreadable" in [warning.code for warning in decode_image(buffer.getvalue(), LIMIT).warnings]


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_animations_are_told(file_format: str) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())
    buffer = io.BytesIO()
    first.save(buffer, file_format, save_all=True, append_images=[second], lossless=True)
    decoded = decode_image(buffer.getvalue(), LIMIT)
    np.testing.assert_array_equal(decoded.image, RGB)
    assert [warning.code for warning in decoded.warnings] == ["frames_ignored"]


def test_cmyk_jpeg_becomes_rgb() -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(buffer, "JPEG")
    assert decode_image(buffer.getvalue(), LIMIT).image.shape == (8, 8, 3)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP"])
def test_resolutions_are_pixel_sizes_if_a_microscope_could_have_them(file_format: str) -> None:
    fine, screen = (decode_image(saved(RGB, file_format, dpi=(dpi, dpi)), LIMIT) for dpi in (25_400, 72))
    assert (fine.pixel_size_um, fine.warnings) == (pytest.approx(1, rel=1e-3), ())
    assert (screen.pixel_size_um, screen.warnings) == (None, ())


def test_further_pages_are_left_out_and_said_so() -> None:
    decoded = decode_image(
        tiff(np.stack([GREY, 255 - GREY]), photometric="minisblack", metadata={"axes": "ZYX"}), LIMIT
    )
    np.testing.assert_array_equal(decoded.image, GREY)
    assert [warning.code for warning in decoded.warnings] == ["pages_ignored"]


@pytest.mark.parametrize(
    "data",
    [
        b"this is text",
        b"GIF89a" + bytes(20),
        tiff(GREY.astype(np.complex64)),
        tiff(np.zeros((9, 3, 4), np.uint8), photometric="minisblack", metadata={"axes": "CYX"}),
        tiff(RGB, photometric="cielab"),
        tiff(np.dstack([RGB, GREY]), photometric="separated"),
        tiff(RGB, photometric="ycbcr", compression="lzw", subsampling=(1, 1)),
    ],
)
def test_other_kinds_are_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedImageError, match=r"^The image.* (convert it|save|fewer)"):
        decode_image(data, LIMIT)


def test_empty_files_are_refused() -> None:
    with pytest.raises(EmptyUploadError, match="send the bytes"):
        decode_image(b"", LIMIT)


def png_claiming(height: int, width: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    )


@pytest.mark.parametrize(
    "data",
    [png_claiming(50_000, 50_000), png(np.zeros((1001, 1000), np.uint8)), tiff(np.zeros((1001, 1000), np.uint8))],
)
def test_the_pixel_limit_is_read_from_the_header(data: bytes) -> None:
    with pytest.raises(ImageTooLargeError, match="the limit is 1000000"):
        decode_image(data, LIMIT)


@pytest.mark.parametrize("encode", [png, jpeg])
def test_the_work_is_known_from_the_header_and_what_is_refused_is_none(encode: Callable[[np.ndarray], bytes]) -> None:
    data = encode(np.zeros((70, 80), np.uint8))
    assert claimed_pixels(data, None, 70 * 80) == 70 * 80
    assert claimed_pixels(data, None, 70 * 80 - 1) == 0
    assert claimed_pixels(data[:15], None, LIMIT) == 0


def test_a_png_that_does_not_begin_with_its_header_is_damaged() -> None:
    data = png(np.zeros((70, 80), np.uint8)).replace(b"IHDR", b"tEXt")
    assert claimed_pixels(data, None, LIMIT) == 0
    with pytest.raises(UnreadableImageError):
        decode_image(data, LIMIT)


@pytest.mark.parametrize("name", REAL_IMAGES)
@pytest.mark.parametrize("part", [0.01, 0.3, 0.9, 0.999])
def test_truncated_real_files_are_refused(name: str, part: float) -> None:
    data = (DATA / name).read_bytes()
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        decode_image(data[: int(len(data) * part)], LIMIT)


def test_truncated_jpeg_is_refused() -> None:
    data = jpeg(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    with pytest.raises(UnreadableImageError):
        decode_image(data[: len(data) // 2], LIMIT)


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    data = saved(np.zeros((40, 50), np.uint8), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(UnreadableImageError):
        decode_image(data[:-2] + data[scan:-2] * 100 + data[-2:], LIMIT)


_SEEDS = [png(GREY), png(RGB), jpeg(RGB), tiff(RGB, photometric="rgb", compression="lzw"), tiff(GREY)]


@settings(max_examples=300)
@given(st.sampled_from(_SEEDS), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8))
def test_damaged_files_decode_or_raise_a_domain_error(data: bytes, changes: list[tuple[float, int]]) -> None:
    damaged = bytearray(data)
    for position, value in changes:
        damaged[int(position * len(damaged))] = value
    try:
        image = decode_image(bytes(damaged), LIMIT).image
    except KaryometerError:
        return
    assert image.ndim in (2, 3)
    assert image.size > 0


def test_masks_keep_their_values() -> None:
    np.testing.assert_array_equal(
        decode_mask(tiff(GREY.astype(np.int32) * 70_000), LIMIT).values[..., 0], GREY * np.int64(70_000)
    )
    np.testing.assert_array_equal(decode_mask(png(RGB), LIMIT).values, RGB)
    inverted = tiff(GREY, photometric="miniswhite")
    np.testing.assert_array_equal(decode_mask(inverted, LIMIT).values[..., 0], GREY)
    fractions = tiff((GREY / 7).astype(np.float32))
    np.testing.assert_array_equal(decode_mask(fractions, LIMIT).values[..., 0], (GREY / 7).astype(np.float32))


def test_the_alpha_of_a_mask_is_no_channel() -> None:
    transparent = Image.fromarray(np.dstack([GREY, GREY[::-1]]), "LA")
    buffer = io.BytesIO()
    transparent.save(buffer, "PNG")
    values, alpha = decode_mask(buffer.getvalue(), LIMIT)
    np.testing.assert_array_equal(values, GREY[..., np.newaxis])
    np.testing.assert_array_equal(alpha, GREY[::-1])
    assert decode_mask(png(RGB), LIMIT).alpha is None


def test_palette_masks_are_their_indices() -> None:
    palette = Image.fromarray(GREY // 20, "P")
    palette.putpalette([200, 0, 0] * 256)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG")
    np.testing.assert_array_equal(decode_mask(buffer.getvalue(), LIMIT).values[..., 0], GREY // 20)


def test_sides_that_no_png_can_have_are_refused() -> None:
    with pytest.raises(ImageTooLargeError, match="1000000 a side"):
        decode_image(tiff(np.zeros((1, 1_000_001), np.uint8)), 10 * LIMIT)


def test_a_tiff_whose_pages_form_a_cycle_is_refused_at_once() -> None:
    data = bytearray(tiff(np.zeros((3, 8, 8), np.uint8), photometric="minisblack", metadata=None))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        first, last = file.pages[0].offset, file.pages[len(file.pages) - 1].offset
    n_tags = int.from_bytes(data[last : last + 2], "little")
    link = last + 2 + 12 * n_tags
    data[link : link + 4] = first.to_bytes(4, "little")
    with pytest.raises(UnreadableImageError):
        decode_image(bytes(data), LIMIT)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (jpeg(GREY), "JPEG"),
        (tiff(np.stack([GREY, GREY]), photometric="minisblack"), "more than one page"),
    ],
)
def test_masks_whose_values_cannot_be_trusted_are_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(UnsupportedImageError, match=sentence):
        decode_mask(data, LIMIT)
