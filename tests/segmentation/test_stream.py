import errno
import io
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

from app.errors import NoRoomError, OptionError
from app.segmentation import blocks, stream, survey
from app.segmentation.encode import encode_csv, encode_labels, encode_mask
from app.segmentation.maps import Maps, Predictor
from app.segmentation.model_card import Calibration, Confidence, Contract
from app.segmentation.options import SegmentationOptions
from app.segmentation.pipeline import Segmenter
from app.segmentation.stream import StreamedFindings, Streamer
from app.segmentation.tiling import predict_tiled
from app.segmentation.write import STREAMED_FORMATS
from app.settings import DEFAULT_MODEL, MIN_STREAM_BYTES
from tests import fakes
from tests.conftest import DATA, REAL_IMAGES
from tests.synthetic import discs, picture, tiff

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

    def predict(self, image: NDArray[np.float32]) -> Maps:
        """Maps that depend on nothing that is farther than `REACH_PX`; the image is mirrored as for a network."""
        return predict_tiled(self._look, image, REACH_PX)

    def _look(self, image: NDArray[np.float32]) -> Maps:
        bright = np.ascontiguousarray(image.mean(axis=2, dtype=np.float64).astype(np.float32))
        opened = cv2.dilate(cv2.erode(bright, np.ones((5, 5))), np.ones((5, 5)))
        distance = np.asarray(cv2.erode(bright, np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1))), np.float32)
        return Maps(np.asarray(opened, np.float32), distance if self._has_distance else None, unlikeness=0.75)


def streamer(has_distance: bool = True, max_pixels: int = LIMIT) -> Streamer:
    card = fakes.card(contract=Contract(reach_px=REACH_PX), calibration=CALIBRATION)
    return Streamer(Segmenter(Opened(has_distance), card, max_pixels), LIMIT, MIN_BYTES)


def both(
    data: bytes, options: SegmentationOptions, folder: Path, has_distance: bool = True
) -> tuple[StreamedFindings, Any]:
    """What is found part by part, and in the whole image."""
    segmenting = streamer(has_distance)
    (folder / "image.tif").write_bytes(data)
    scratch = folder / "scratch"
    scratch.mkdir()
    found = segmenting.segment(folder / "image.tif", options, scratch, "image.tif")
    return found, segmenting.segmenter.segment(data, options, "image.tif")


def assert_same(found: StreamedFindings, whole: Any) -> None:
    np.testing.assert_array_equal(np.concatenate(list(found.rows(50))), whole.labels)
    assert list(found.nuclei) == list(whole.nuclei)
    for name, values in whole.nuclei.items():
        assert found.nuclei[name].dtype == values.dtype
        np.testing.assert_allclose(found.nuclei[name], values, rtol=1e-12, atol=1e-12, err_msg=name)
    assert found.caveats == whole.caveats
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
        }
    ),
)
def test_what_is_streamed_is_what_the_whole_image_holds(
    size: tuple[int, int],
    n_channels: int,
    dtype: type,
    size_px: int,
    seed: int,
    block_px: int,
    band_px: int,
    has_distance: bool,
    options: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_PX", block_px)
    monkeypatch.setattr(survey, "_BAND_PX", band_px)
    data = tiff(scene(*size, n_channels, dtype, size_px, seed), photometric="rgb" if n_channels == 3 else "minisblack")
    assert_same(*both(data, SegmentationOptions(**options), tmp_path_factory.mktemp("stream"), has_distance))


@pytest.mark.parametrize("name", REAL_IMAGES)
@pytest.mark.parametrize("block_px", [70, 1024])
@pytest.mark.parametrize("has_distance", [True, False])
def test_real_images_are_streamed_as_they_are_segmented(
    name: str, block_px: int, has_distance: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_PX", block_px)
    image = tifffile.imread(DATA / name) if name.endswith("tif") else np.asarray(Image.open(DATA / name).convert("RGB"))
    found, whole = both(tiff(image, tile=(64, 64), compression="zlib"), SegmentationOptions(), tmp_path, has_distance)
    assert_same(found, whole)
    assert found.count > 2
    assert "unlike_training_data" in [caveat.code for caveat in found.caveats]


CHANNELS = np.stack([picture(discs((120, 90), (30, 30, 9), (80, 40 + 3 * n, 12))) for n in range(3)])


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
        "hardly exposed",
    ],
)
def test_every_kind_is_streamed_as_it_is_segmented(data: bytes, options: dict[str, Any], tmp_path: Path) -> None:
    assert_same(*both(data, SegmentationOptions(**options), tmp_path))


@pytest.mark.parametrize("n_discs", [0, 5])
def test_files_hold_what_those_of_smaller_images_hold(
    n_discs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.segmentation.write._TABLE_ROWS", 2)
    labels = discs((300, 520), *((50 * n + 20, 100 * n + 20, 9) for n in range(n_discs)))
    found, whole = both(tiff(picture(labels)), SegmentationOptions(), tmp_path)
    paths = {name: tmp_path / name for name in STREAMED_FORMATS}
    for name, path in paths.items():
        STREAMED_FORMATS[name](found, path)
    with (
        tifffile.TiffFile(paths["labels"]) as written,
        tifffile.TiffFile(io.BytesIO(encode_labels(whole.labels, whole.provenance))) as expected,
    ):
        np.testing.assert_array_equal(written.asarray(), expected.asarray())
        for tag in ("ImageDescription", "Software", "BitsPerSample", "SampleFormat"):
            assert written.pages.first.tags.valueof(tag) == expected.pages.first.tags.valueof(tag)
    mask, expected_mask = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        for data in (paths["mask"].read_bytes(), encode_mask(whole.labels))
    )
    np.testing.assert_array_equal(mask, expected_mask)
    table, expected_table = (
        pandas.read_csv(io.BytesIO(data)) for data in (paths["csv"].read_bytes(), encode_csv(whole.nuclei))
    )
    pandas.testing.assert_frame_equal(table, expected_table, rtol=1e-12)
    assert len(table) == n_discs


def test_more_nuclei_and_pixels_take_larger_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = both(tiff(picture(discs((40, 40), (20, 20, 9)))), SegmentationOptions(), tmp_path)
    monkeypatch.setattr("app.segmentation.write._LARGEST_TIFF_BYTES", 40 * 40)
    monkeypatch.setattr(StreamedFindings, "count", 70_000)
    STREAMED_FORMATS["labels"](found, tmp_path / "labels.tif")
    with tifffile.TiffFile(tmp_path / "labels.tif") as written:
        assert written.is_bigtiff
        assert written.asarray().dtype == np.uint32
        assert written.asarray().max() == 1


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
def test_what_needs_the_whole_image_is_refused(options: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "image.tif").write_bytes(tiff(CHANNELS[0]))
    with pytest.raises(OptionError, match=sentence):
        streamer().segment(tmp_path / "image.tif", SegmentationOptions(**options), tmp_path)


def test_models_that_resize_every_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="fake/1 resizes every image; take one that does not"):
        Streamer(fakes.segmenter(), LIMIT, MIN_BYTES).segment(tmp_path / "image.tif", SegmentationOptions(), tmp_path)


def test_a_disk_without_room_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image.tif").write_bytes(tiff(CHANNELS[0]))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 120 * 90 * 13 - 1}))
    with pytest.raises(NoRoomError, match=r"no room for the image's temporary files.* TMPDIR"):
        streamer().segment(tmp_path / "image.tif", SegmentationOptions(), tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 120 * 90 * 13}))
    assert streamer().segment(tmp_path / "image.tif", SegmentationOptions(), tmp_path).count == 2


@pytest.mark.parametrize(
    ("code", "error", "sentence"),
    [(errno.ENOSPC, NoRoomError, "no room for the image's temporary files"), (errno.EIO, OSError, "trouble")],
)
def test_a_disk_that_fills_up_is_told_and_other_trouble_is_not_taken_for_it(
    code: int, error: type[Exception], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(code, "trouble")

    (tmp_path / "image.tif").write_bytes(tiff(CHANNELS[0]))
    monkeypatch.setattr("app.segmentation.scratch.Scratch.__setitem__", fail)
    with pytest.raises(error, match=sentence):
        streamer().segment(tmp_path / "image.tif", SegmentationOptions(), tmp_path)


def test_only_large_tiffs_are_streamed(tmp_path: Path) -> None:
    (tmp_path / "image.tif").write_bytes(tiff(CHANNELS[0]))
    assert not streamer(max_pixels=120 * 90).takes(tmp_path / "image.tif")
    assert streamer(max_pixels=120 * 90 - 1).takes(tmp_path / "image.tif")
    (tmp_path / "image.tif").write_bytes((DATA / "histology.png").read_bytes())
    assert not streamer(max_pixels=1).takes(tmp_path / "image.tif")


def test_the_shipped_network_finds_the_same_part_by_part(tmp_path: Path) -> None:
    segmenter = Segmenter.load(DEFAULT_MODEL, "cpu", LIMIT)
    (tmp_path / "image.tif").write_bytes(tiff(np.tile(tifffile.imread(DATA / "bbbc039.tif"), (3, 2)), tile=(128, 128)))
    found = Streamer(segmenter, LIMIT, MIN_STREAM_BYTES).segment(
        tmp_path / "image.tif", SegmentationOptions(), tmp_path
    )
    whole = segmenter.segment((tmp_path / "image.tif").read_bytes(), SegmentationOptions())
    assert stream.tile_side(MIN_STREAM_BYTES) == 640
    assert found.count == whole.count > 200
    np.testing.assert_array_equal(np.concatenate(list(found.rows(100))), whole.labels)


@pytest.mark.parametrize("segmenter_px", [70 * 80, 70 * 80 - 1])
def test_the_work_is_the_pixels_in_parts_or_whole_and_none_of_what_is_refused(segmenter_px: int) -> None:
    data, segmenter = tiff(np.zeros((70, 80), np.uint8)), streamer(max_pixels=segmenter_px).segmenter
    assert Streamer(segmenter, 70 * 80, MIN_BYTES).pixels_to_segment(data, SegmentationOptions()) == 70 * 80
    too_large = tiff(np.zeros((70, 81), np.uint8))
    assert Streamer(segmenter, 70 * 80, MIN_BYTES).pixels_to_segment(too_large, SegmentationOptions()) == 0
