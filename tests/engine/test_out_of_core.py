import errno
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from app.engine import blocks, out_of_core
from app.engine.engine import Engine, Limits
from app.engine.result import PlaneResult, Result
from app.errors import ImageTooLargeError, NoRoomError, OptionError
from app.export.formats import FileFormat, write
from app.inference.load import Model, load_model
from app.inference.model_card import Calibration, Confidence, Contract
from app.inference.predictions import Predictions, Predictor
from app.inference.tiling import predict_tiled
from app.options import SegmentationOptions
from app.reading import image_statistics
from app.settings import DEFAULT_MODEL, MIN_STREAM_BYTES
from tests import fakes
from tests.conftest import DATA, REAL_IMAGES
from tests.synthetic import discs, picture, png, tiff

REACH_PX = 5
LIMIT = 10**8
MIN_BYTES = 2**30
CALIBRATION = Calibration(
    threshold=0.4, marker_depth=0.1, min_area_px=4, confidence=Confidence(distance_slope=1), largest_unlikeness=0.5
)


class Opened(Predictor):
    """Answers as exactly as a network does not, but sees as far as one: brightness, opened, and eroded as distance."""

    dtype = "float32"

    def __init__(self, has_distance: bool = True) -> None:
        self._has_distance = has_distance

    def predict(self, image: NDArray[np.float32]) -> Predictions:
        """They depend on nothing that is farther than `REACH_PX`; the image is mirrored as for a network."""
        return predict_tiled(self._look, image, REACH_PX)

    def _look(self, image: NDArray[np.float32]) -> Predictions:
        bright = np.ascontiguousarray(image.mean(axis=2, dtype=np.float64).astype(np.float32))
        opened = cv2.dilate(cv2.erode(bright, np.ones((5, 5))), np.ones((5, 5)))
        distance = np.asarray(cv2.erode(bright, np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1))), np.float32)
        return Predictions(np.asarray(opened, np.float32), distance if self._has_distance else None, ood_score=0.75)


def engine(has_distance: bool = True, max_pixels: int = 0) -> Engine:
    """Everything that has more than `max_pixels` is worked on out of core."""
    card = fakes.card(contract=Contract(reach_px=REACH_PX), calibration=CALIBRATION)
    return Engine(Model(Opened(has_distance), card), Limits(max_pixels, LIMIT, MIN_BYTES))


@contextmanager
def both(
    data: bytes, options: SegmentationOptions, has_distance: bool = True
) -> Iterator[tuple[PlaneResult, PlaneResult]]:
    """What is found block by block, and in the whole image."""
    whole = engine(has_distance, LIMIT).segment(data, options, "image.tif")
    with engine(has_distance).segment(data, options, "image.tif") as found:
        assert [result.planes[0].is_in_memory for result in (found, whole)] == [False, True]
        yield found.planes[0], whole.planes[0]


def assert_same(found: PlaneResult, whole: PlaneResult) -> None:
    np.testing.assert_array_equal(np.concatenate(list(found.label_rows(50))), whole.labels)
    np.testing.assert_array_equal(found.labels, whole.labels)
    assert list(found.nuclei) == list(whole.nuclei)
    for name, values in whole.nuclei.items():
        assert found.nuclei[name].dtype == values.dtype
        np.testing.assert_allclose(found.nuclei[name], values, rtol=1e-12, atol=1e-12, err_msg=name)
    assert found.warnings == whole.warnings
    assert found.provenance == whole.provenance
    assert found.summary == whole.summary
    assert (found.count, found.n_pixels) == (whole.count, whole.n_pixels)


def scene(height: int, width: int, n_channels: int, dtype: type, size_px: int, seed: int) -> NDArray[Any]:
    """Blurred noise, saturated: blobs of every form and size."""
    noise = np.random.default_rng(seed).random((height, width, n_channels), np.float32)
    smooth = np.atleast_3d(cv2.GaussianBlur(noise, (0, 0), size_px))
    centred = (smooth - smooth.mean()) / (smooth.std() or 1)
    image: NDArray[Any] = (np.clip(centred / 4 + 0.4, 0, 1) * np.iinfo(dtype).max).astype(dtype)
    return image if n_channels > 1 else image[..., 0]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 500), st.integers(1, 500)),
    n_channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    size_px=st.integers(1, 8),
    seed=st.integers(0, 2**32),
    block_px=st.integers(20, 300),
    band_px=st.integers(1, 100_000),
    has_distance=st.booleans(),
    options=st.fixed_dictionaries(
        {
            "threshold": st.sampled_from(["model", 0.3, 0.6]),
            "split_touching": st.booleans(),
            "exclude_border": st.booleans(),
            "pixel_size_um": st.sampled_from([None, 0.5]),
            "scale": st.sampled_from([1, 0.5, 0.23]),
        }
    ),
)
def test_out_of_core_is_found_what_the_whole_image_holds(
    size: tuple[int, int],
    n_channels: int,
    dtype: type,
    size_px: int,
    seed: int,
    block_px: int,
    band_px: int,
    has_distance: bool,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_PX", block_px)
    monkeypatch.setattr(image_statistics, "_BAND_PX", band_px)
    image = scene(*size, n_channels, dtype, size_px, seed)
    # Pixels of half a micrometre by one.
    data = tiff(
        image, photometric="rgb" if n_channels == 3 else "minisblack", resolution=(20_000, 10_000), resolutionunit=3
    )
    with both(data, SegmentationOptions(**options), has_distance) as results:
        assert_same(*results)


@pytest.mark.parametrize("name", REAL_IMAGES)
@pytest.mark.parametrize("block_px", [70, 1024])
@pytest.mark.parametrize("has_distance", [True, False])
def test_real_images_have_the_same_nuclei_block_by_block(
    name: str, block_px: int, has_distance: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_PX", block_px)
    image = tifffile.imread(DATA / name) if name.endswith("tif") else np.asarray(Image.open(DATA / name).convert("RGB"))
    options = SegmentationOptions(scale=1)
    with both(tiff(image, tile=(64, 64), compression="zlib"), options, has_distance) as (found, whole):
        assert_same(found, whole)
        assert found.count > 2
        assert "unlike_training_data" in [warning.code for warning in found.warnings]


CHANNELS = np.stack([picture(discs((120, 90), (30, 30, 9), (80, 40 + 3 * n, 12))) for n in range(3)])

GENERATOR = np.random.default_rng(0)
FIELD = (CHANNELS[0].astype(np.uint16) * 10 + GENERATOR.integers(300, 400, (120, 90))).astype(np.uint16)


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (tiff(CHANNELS, photometric="minisblack", metadata={"axes": "CYX"}, ome=True), {"channel": 1}),
        (tiff(CHANNELS, photometric="minisblack", metadata={"axes": "ZYX"}, ome=True), {"page": 2}),
        (tiff(CHANNELS, photometric="minisblack", metadata={"axes": "ZYX"}, ome=True), {}),
        (tiff(np.moveaxis(CHANNELS, 0, -1), photometric="rgb"), {"channel": 2}),
        (tiff(np.repeat(CHANNELS[0, ..., np.newaxis], 3, axis=2), photometric="rgb"), {}),
        (tiff(255 - CHANNELS[0], photometric="miniswhite"), {}),
        (tiff(255 - CHANNELS[0]), {}),
        (tiff(np.dstack([*CHANNELS, CHANNELS[0]]), photometric="rgb", extrasamples=["unassalpha"]), {}),
        (tiff(np.dstack([*CHANNELS, 0 * CHANNELS[0] + 255]), photometric="rgb", extrasamples=["unassalpha"]), {}),
        (tiff(np.full((50, 60), 7, np.uint8)), {}),
        (tiff(np.pad(FIELD, ((30, 0), (20, 40)))), {}),
        (tiff(np.pad(FIELD, 33, constant_values=65_535)), {}),
        (tiff(np.where(np.add.outer(np.arange(120), np.arange(90)) < 60, 65_535, FIELD)), {}),
        (tiff(np.where(GENERATOR.random(FIELD.shape) < 0.02, 65_535, FIELD).astype(np.uint16)), {}),
        (tiff(np.full((50, 60), 60_000, np.uint16) + (discs((50, 60), (20, 20, 2)) > 0).astype(np.uint16)), {}),
    ],
    ids=[
        "one of several channels",
        "a page",
        "the first of several pages",
        "one of the colours",
        "grey as colour",
        "inverted",
        "dark",
        "transparent",
        "opaque",
        "constant",
        "black border",
        "white border",
        "missing corner",
        "hot pixels",
        "hardly exposed",
    ],
)
def test_every_kind_is_found_block_by_block_as_it_is_whole(data: bytes, options: dict[str, Any]) -> None:
    with both(data, SegmentationOptions(**options)) as results:
        assert_same(*results)


class Darkness(Opened):
    """Finds what is dark."""

    def _look(self, image: NDArray[np.float32]) -> Predictions:
        return super()._look(1 - image)


@pytest.mark.parametrize(
    ("pixels", "options", "is_warned"),
    [
        (np.moveaxis(255 - CHANNELS, 0, -1), {"channel": 1}, True),
        (np.moveaxis(255 - CHANNELS, 0, -1), {}, False),
        (np.repeat(255 - CHANNELS[0, ..., np.newaxis], 3, axis=2), {}, True),
    ],
    ids=["one channel", "colour", "grey as colour"],
)
@pytest.mark.parametrize("max_pixels", [0, LIMIT], ids=["out of core", "whole"])
def test_dark_nuclei_are_told_of_but_in_colour(
    pixels: NDArray[Any], options: dict[str, Any], is_warned: bool, max_pixels: int
) -> None:
    card = fakes.card(contract=Contract(reach_px=REACH_PX), calibration=CALIBRATION)
    dark = Engine(Model(Darkness(), card), Limits(max_pixels, LIMIT, MIN_BYTES))
    with dark.segment(tiff(pixels, photometric="rgb"), SegmentationOptions(**options)) as result:
        plane = result.planes[0]
        assert plane.is_in_memory is (max_pixels == LIMIT)
        assert plane.count
        assert ("dark_nuclei" in [warning.code for warning in plane.warnings]) is is_warned


def written(result: PlaneResult, file_format: FileFormat) -> bytes:
    file = io.BytesIO()
    write(Result((result,)), file_format, file)
    return file.getvalue()


@pytest.mark.parametrize("exclude_border", [False, True])
@pytest.mark.parametrize("value", [0, 65_535])
def test_a_border_is_cut_off_whatever_the_tiles(
    value: int, exclude_border: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_of_core, "tile_side", lambda _: 192)
    hot = np.where(GENERATOR.random((320, 310)) < 0.02, 60_000, np.tile(FIELD, (3, 4))[:320, :310]).astype(np.uint16)
    bordered = np.pad(hot, ((70, 3), (33, 90)), constant_values=value)
    options = SegmentationOptions(threshold=0.1, exclude_border=exclude_border)
    with both(tiff(bordered, tile=(64, 64)), options) as (found, whole):
        assert_same(found, whole)
        assert {warning.code for warning in whole.warnings} >= {"border_excluded", "bright_outliers"}
        assert whole.count > (15 if exclude_border else 20)
        assert whole.nuclei["touches_border"].any() != exclude_border
        for plane in (found, whole):
            is_outside = plane.labels[70:-3, 33:-90] == 0
            assert plane.summary["foreground_fraction"] == np.count_nonzero(~is_outside) / hot.size
            assert plane.summary["intensity_background"] == np.median(hot[is_outside])
            assert 0 < plane.nuclei["intensity_background"].min() <= plane.nuclei["intensity_background"].max() < 60_000


@pytest.mark.parametrize("n_discs", [0, 5])
def test_files_hold_what_those_of_smaller_images_hold(n_discs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.export.out_of_core._TABLE_ROWS", 2)
    labels = discs((300, 520), *((50 * n + 20, 100 * n + 20, 9) for n in range(n_discs)))
    formats: tuple[FileFormat, ...] = ("labels", "mask", "csv")
    with both(tiff(picture(labels)), SegmentationOptions()) as results:
        found, whole = ({name: written(result, name) for name in formats} for result in results)
    with tifffile.TiffFile(io.BytesIO(found["labels"])) as one, tifffile.TiffFile(io.BytesIO(whole["labels"])) as other:
        np.testing.assert_array_equal(one.asarray(), other.asarray())
        for tag in ("ImageDescription", "Software", "BitsPerSample", "SampleFormat"):
            assert one.pages.first.tags.valueof(tag) == other.pages.first.tags.valueof(tag)
    mask, expected_mask = (
        cv2.imdecode(np.frombuffer(files["mask"], np.uint8), cv2.IMREAD_UNCHANGED) for files in (found, whole)
    )
    np.testing.assert_array_equal(mask, expected_mask)
    table, expected_table = (pandas.read_csv(io.BytesIO(files["csv"])) for files in (found, whole))
    pandas.testing.assert_frame_equal(table, expected_table, rtol=1e-12)
    assert len(table) == n_discs


def test_more_nuclei_and_pixels_take_larger_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.export.out_of_core._LARGEST_TIFF_BYTES", 40 * 40)
    monkeypatch.setattr(PlaneResult, "count", 70_000)
    with engine().segment(tiff(picture(discs((40, 40), (20, 20, 9)))), SegmentationOptions()) as result:
        data = written(result.planes[0], "labels")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.is_bigtiff
        assert file.asarray().dtype == np.uint32
        assert file.asarray().max() == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"threshold": "mean"}, "threshold takes model or a number"),
        ({"threshold": "otsu"}, "threshold takes model or a number"),
        ({"quality": "best"}, "quality takes fast"),
        ({"page": "max"}, "one page is measured"),
        ({"page": "all"}, "one page is measured"),
    ],
)
def test_what_needs_the_whole_image_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        engine().segment(tiff(CHANNELS[0]), SegmentationOptions(**options))


def test_models_that_resize_every_image_are_refused() -> None:
    with pytest.raises(OptionError, match="fake/1 resizes every image; take one that does not"):
        fakes.engine(max_pixels=0).segment(tiff(CHANNELS[0]), SegmentationOptions())


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files lie, and nothing else."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_disk_without_room_is_told_before_the_work(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 120 * 90 * 13 - 1}))
    with pytest.raises(NoRoomError, match=r"no room for the image's temporary files.* TMPDIR"):
        engine().segment(tiff(CHANNELS[0]), SegmentationOptions())
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 120 * 90 * 13}))
    with engine().segment(tiff(CHANNELS[0]), SegmentationOptions()) as result:
        assert result.count == 2
        assert list(temporary.iterdir()) != []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "error", "sentence"),
    [(errno.ENOSPC, NoRoomError, "no room for the image's temporary files"), (errno.EIO, OSError, "trouble")],
)
def test_a_disk_that_fills_up_is_told_and_other_trouble_is_not_taken_for_it(
    code: int, error: type[Exception], sentence: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(code, "trouble")

    monkeypatch.setattr("app.reading.memmap.MemmapArray.__setitem__", fail)
    with pytest.raises(error, match=sentence):
        engine().segment(tiff(CHANNELS[0]), SegmentationOptions())
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("is_path", [True, False])
def test_only_large_tiffs_are_worked_on_out_of_core(is_path: bool, tmp_path: Path) -> None:
    def is_in_memory(data: bytes, max_pixels: int) -> bool:
        (tmp_path / "image").write_bytes(data)
        with engine(max_pixels=max_pixels).segment(
            tmp_path / "image" if is_path else data, SegmentationOptions()
        ) as result:
            return result.planes[0].is_in_memory

    assert is_in_memory(tiff(CHANNELS[0]), 120 * 90)
    assert not is_in_memory(tiff(CHANNELS[0]), 120 * 90 - 1)
    with pytest.raises(ImageTooLargeError):
        is_in_memory(png(CHANNELS[0]), 1)


def test_what_is_wanted_of_the_whole_image_is_refused_of_a_large_one_before_the_work() -> None:
    with pytest.raises(ImageTooLargeError, match="Of so large an image there is no json or rois; ask for labels"):
        engine().segment(tiff(CHANNELS[0]), SegmentationOptions(), whole_for=["json", "rois"])
    assert engine(max_pixels=LIMIT).segment(tiff(CHANNELS[0]), SegmentationOptions(), whole_for=["json"]).count == 2


def test_the_shipped_network_finds_the_same_block_by_block() -> None:
    model = load_model(DEFAULT_MODEL, "cpu")
    data = tiff(np.tile(tifffile.imread(DATA / "fluorescence.tif"), (3, 2)), tile=(128, 128))
    whole = Engine(model, Limits(LIMIT)).segment(data, SegmentationOptions()).planes[0]
    assert out_of_core.tile_side(MIN_STREAM_BYTES) == 640
    with Engine(model, Limits(0, LIMIT, MIN_STREAM_BYTES)).segment(data, SegmentationOptions()) as result:
        assert result.count == whole.count > 200
        np.testing.assert_array_equal(result.planes[0].labels, whole.labels)


@pytest.mark.parametrize("max_pixels", [70 * 80, 70 * 80 - 1])
def test_the_work_is_the_pixels_in_memory_or_out_of_core_and_none_of_what_is_refused(max_pixels: int) -> None:
    limited = Engine(engine().model, Limits(max_pixels, 70 * 80, MIN_BYTES))
    assert limited.pixels_to_segment(tiff(np.zeros((70, 80), np.uint8)), SegmentationOptions()) == 70 * 80
    assert limited.pixels_to_segment(tiff(np.zeros((70, 81), np.uint8)), SegmentationOptions()) == 0
