from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.engine.preview import TILE_PX, Preview, level_sizes
from app.errors import ChannelNeededError, ImageTooLargeError, OptionError
from app.options import SegmentationOptions
from tests import fakes
from tests.synthetic import brightfield, dense, png, tiff

RAMP = np.arange(1300 * 700, dtype=np.uint32).reshape(1300, 700) // 16
NOISE = np.random.default_rng(0).integers(0, 4000, (1300, 700)).astype(np.uint16)


def preview(data: bytes, folder: Path, max_pixels: int = 10**7, max_bytes: int = 10**8, **options: Any) -> Preview:
    source = folder / "image"
    source.write_bytes(data)
    drawn = folder / "drawn"
    drawn.mkdir()
    return fakes.engine(max_pixels=max_pixels).preview(source, SegmentationOptions(**options), drawn, max_bytes)


def whole(drawn: Preview, level: int) -> NDArray[np.uint8]:
    """A level put together from its tiles."""
    height, width, _ = drawn.levels[level].shape
    rows = []
    for row in range(-(-height // TILE_PX)):
        tiles = [drawn.tile(level, column, row) for column in range(-(-width // TILE_PX))]
        rows.append(np.concatenate([tile for tile in tiles if tile is not None], axis=1))
    return np.concatenate(rows)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_each_level_is_half_of_the_next_and_the_first_fits_into_a_tile(height: int, width: int) -> None:
    sizes = level_sizes(height, width)
    assert sizes[-1] == (height, width)
    assert max(sizes[0]) <= TILE_PX
    for smaller, larger in pairwise(sizes):
        assert smaller == tuple(-(-side // 2) for side in larger)
        assert max(larger) > TILE_PX


def test_tiles_make_the_image_with_one_brightness(tmp_path: Path) -> None:
    drawn = preview(tiff(RAMP.astype(np.uint16)), tmp_path)
    shown = whole(drawn, 2)[..., 0]
    values = RAMP.astype(np.uint16)
    np.testing.assert_allclose(shown, 255 * (values / values.max()), atol=0.51)
    assert [level.shape for level in drawn.levels] == [(325, 175, 1), (650, 350, 1), (1300, 700, 1)]


def test_levels_are_means_of_the_next(tmp_path: Path) -> None:
    drawn = preview(tiff(NOISE[:1299, :699]), tmp_path)
    large, small = whole(drawn, 2)[..., 0].astype(float), whole(drawn, 1)[..., 0]
    large = np.pad(large, ((0, 1), (0, 1)), mode="edge")
    np.testing.assert_allclose(small, large.reshape(650, 2, 350, 2).mean(axis=(1, 3)), atol=0.51)


@pytest.mark.parametrize("values", [NOISE, brightfield(dense((600, 900)))], ids=["grey", "colour"])
def test_what_does_not_fit_into_the_memory_looks_the_same(tmp_path: Path, values: NDArray[Any]) -> None:
    data = tiff(values, tile=(64, 64), compression="zlib")
    folders = [tmp_path / name for name in ("small", "large")]
    for folder in folders:
        folder.mkdir()
    in_memory, out_of_core = (preview(data, folder, max_pixels) for folder, max_pixels in zip(folders, (10**7, 10**5)))
    for level in range(len(in_memory.levels)):
        np.testing.assert_array_equal(whole(in_memory, level), whole(out_of_core, level))
    assert in_memory.n_channels == out_of_core.n_channels
    assert in_memory.image.dtype == out_of_core.image.dtype


def test_hot_pixels_at_the_edge_of_what_is_drawn_together_look_as_in_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.reading.image_statistics._BAND_PX", 700 * 7)
    hot = NOISE.copy()
    hot[::7, ::90] = 65_000
    drawn = preview(tiff(hot), tmp_path)
    expected = fakes.engine(max_pixels=10**7).normalised(tiff(hot), SegmentationOptions())[..., 0]
    np.testing.assert_array_equal(whole(drawn, 2)[..., 0], np.round(expected * 255).astype(np.uint8))


def test_a_channel_is_chosen_or_the_first_is_shown_with_a_warning(tmp_path: Path) -> None:
    data = tiff(np.stack([NOISE, NOISE[::-1]]), ome=True, metadata={"axes": "CYX"})
    with pytest.raises(ChannelNeededError):
        fakes.segment(data)
    (tmp_path / "first").mkdir()
    first = preview(data, tmp_path / "first")
    assert (first.image.channel, first.n_channels) == (0, 2)
    assert [warning.code for warning in first.image.warnings][:1] == ["channel_needed"]
    second = preview(data, tmp_path, channel=1)
    np.testing.assert_array_equal(whole(second, 2), whole(first, 2)[::-1])


def test_grey_that_is_stored_as_colours_is_grey(tmp_path: Path) -> None:
    grey = np.repeat(dense((60, 80)).astype(np.uint8)[..., np.newaxis], 3, axis=2)
    drawn = preview(png(grey), tmp_path)
    assert (drawn.n_channels, drawn.levels[0].shape) == (1, (60, 80, 1))


def test_there_is_no_tile_beyond_the_image(tmp_path: Path) -> None:
    drawn = preview(tiff(NOISE), tmp_path)
    edge = drawn.tile(2, 1, 2)
    assert edge is not None
    assert edge.shape == (1300 - 1024, 700 - 512, 1)
    assert [drawn.tile(*numbers) for numbers in ((3, 0, 0), (2, 2, 0), (2, 0, 3), (0, 1, 0))] == [None] * 4


def test_pictures_that_take_too_much_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageTooLargeError, match="more than 1000000 bytes") as refused:
        preview(tiff(NOISE), tmp_path, max_bytes=10**6)
    assert refused.value.setting == "max_preview_bytes"


def test_a_page_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError):
        preview(tiff(NOISE), tmp_path, page=1)
