"""Strips and tiles whose bytes are counted wrong, of pages whose pixels are there or are not."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile

from app.errors import UnreadableImageError
from app.reading.decode import decode_image
from app.reading.large_tiff import describe, unpack
from app.reading.memmap import MemmapArray
from tests.synthetic import tiff

LIMIT = 1_000_000
IMAGE = np.random.default_rng(0).integers(0, 60_000, (150, 90)).astype(np.uint16)
_COUNTS = {"strips": 279, "tiles": 325}


def counted(data: bytes, change: list[int] | None) -> bytes:
    """A TIFF with other byte counts, or without them."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag = file.pages.first.tags.get(279) or file.pages.first.tags[325]
        place, at, n, dtype = tag.offset, tag.valueoffset, tag.count, {3: "<u2", 4: "<u4"}[tag.dtype]
    made = bytearray(data)
    if change is None:
        made[place : place + 2] = (60_000).to_bytes(2, "little")
    else:
        assert len(change) == n
        made[at : at + n * np.dtype(dtype).itemsize] = np.array(change, dtype).tobytes()
    return bytes(made)


def read_both_ways(data: bytes, folder: Path) -> np.ndarray:
    """What is read in memory, which is what is read out of core."""
    path = folder / "image.tif"
    path.write_bytes(data)
    image = describe(path, LIMIT, None, None)
    pixels = MemmapArray(folder / "pixels", (image.height, image.width, 1), image.dtype)
    for first in range(0, image.height, 70):
        unpack(path, 0, first, min(first + 70, image.height), pixels)
    whole = decode_image(data, LIMIT).image
    np.testing.assert_array_equal(pixels[0 : image.height, 0 : image.width][..., 0], whole)
    return whole


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        (40, [7200, 7200, 7200, 7200]),
        (40, [7200, 7200, 7200, 0]),
        (40, [0, 0, 0, 0]),
        (40, [1, 1, 1, 1]),
        (40, [9000, 9000, 9000, 65_000]),
        (40, None),
        (150, [27_002]),
        (150, [26_998]),
        (150, [0]),
        (150, [65_000]),
        (150, None),
    ],
)
def test_pixels_that_are_there_are_read_whatever_their_bytes_are_said_to_be(
    rows: int, counts: list[int] | None, tmp_path: Path
) -> None:
    data = counted(tiff(IMAGE, rowsperstrip=rows, metadata=None), counts)
    np.testing.assert_array_equal(read_both_ways(data, tmp_path), IMAGE)


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits", "zstd"])
@pytest.mark.parametrize("counts", [[60_000], [0]])
def test_a_compressed_strip_ends_with_the_file(compression: str, counts: list[int], tmp_path: Path) -> None:
    data = tiff(IMAGE, compression=compression, rowsperstrip=150, metadata=None)
    np.testing.assert_array_equal(read_both_ways(counted(data, counts), tmp_path), IMAGE)


def test_tiles_are_whole(tmp_path: Path) -> None:
    data = tiff(IMAGE, tile=(64, 64), metadata=None)
    np.testing.assert_array_equal(read_both_ways(counted(data, [9999] * 6), tmp_path), IMAGE)


@pytest.mark.parametrize(
    "options", [{"rowsperstrip": 40}, {"rowsperstrip": 150}, {"compression": "lzw"}, {"tile": (64, 64)}]
)
@pytest.mark.parametrize("n_missing", [2, 200])
def test_pixels_that_are_not_there_are_damage(options: dict, n_missing: int) -> None:
    # The last byte may be LZW's sign that it ends.
    data = tiff(IMAGE, metadata=None, **options)
    with pytest.raises(UnreadableImageError):
        decode_image(data[:-n_missing], LIMIT)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tile_that_was_never_written_is_told(compression: str | None, tmp_path: Path) -> None:
    data = bytearray(tiff(IMAGE, tile=(64, 64), compression=compression, metadata=None))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        for code in (324, 325):
            tag = file.pages.first.tags[code]
            at = tag.valueoffset + 2 * np.dtype("<u4" if tag.dtype == 4 else "<u2").itemsize
            data[at : at + (4 if tag.dtype == 4 else 2)] = bytes(4 if tag.dtype == 4 else 2)
    expected = IMAGE.copy()
    expected[64:128, :64] = 0
    np.testing.assert_array_equal(read_both_ways(bytes(data), tmp_path), expected)
    assert "pixels_missing" in [warning.code for warning in decode_image(bytes(data), LIMIT).warnings]
    assert "pixels_missing" not in [warning.code for warning in decode_image(tiff(IMAGE), LIMIT).warnings]
