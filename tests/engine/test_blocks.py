from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.engine.blocks import find_in_blocks, measure_in_blocks
from app.engine.canvas import CanvasPredictions
from app.engine.find import find_nuclei
from app.errors import ImageTooLargeError
from app.inference.predictions import Predictions
from app.measurement.intensities import background
from app.measurement.measure import Measurements, measure
from app.options import SegmentationOptions
from app.reading.decode import decode_image
from app.reading.memmap import MemmapArray, Window
from app.reading.padding import at_edge
from app.reading.stack import PixelSize
from tests import fakes
from tests.conftest import DATA, REAL_IMAGES

CALIBRATION = fakes.card().calibration
OBLONG = PixelSize(0.65, 0.37)


def predictions_of(image: NDArray, has_distance: bool) -> Predictions:
    """Contrast as probability, and contrast again, but coarser, as distance."""
    grey = image.reshape(*image.shape[:2], -1).mean(axis=2).astype(np.float32)
    contrast = np.abs(grey - np.median(grey))
    probability = contrast / (contrast.max() or np.float32(1))
    return Predictions(probability, np.round(probability, 2) if has_distance else None)


def in_blocks(
    predictions: Predictions, image: NDArray, options: SegmentationOptions, block_px: int, max_window_px: int = 10**8
) -> tuple[NDArray, Measurements]:
    labels = np.zeros(predictions.probability.shape, np.uint32)
    canvases = CanvasPredictions(predictions.probability, predictions.distance)
    threshold, _, _ = find_nuclei(predictions, options, CALIBRATION)
    fixed = options.model_copy(update={"threshold": threshold})

    def part(window: Window) -> NDArray[np.int32]:
        border = at_edge(image[window], None)
        return find_nuclei(canvases.window(window), fixed, CALIBRATION, border)[2]

    found = find_in_blocks(canvases, labels, threshold, part, max_window_px, block_px)
    channels = image.reshape(*image.shape[:2], -1)
    measured = measure_in_blocks(
        found,
        labels,
        lambda window: (image[window], channels[window]),
        canvases,
        CALIBRATION.confidence,
        OBLONG,
        background(labels, image, channels),
    )
    return found.numbers[labels], measured


def assert_same(predictions: Predictions, image: NDArray, options: SegmentationOptions, block_px: int) -> int:
    labels = find_nuclei(predictions, options, CALIBRATION)[2]
    channels = image.reshape(*image.shape[:2], -1)
    expected, _ = measure(labels, image, channels, predictions, CALIBRATION.confidence, OBLONG)
    found, (table, _) = in_blocks(predictions, image, options, block_px)
    np.testing.assert_array_equal(found, labels)

    assert list(table) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(table[name], values, rtol=1e-12, err_msg=name)
        assert table[name].dtype == values.dtype
    return int(labels.max())


def scene(height: int, width: int, density: float, size_px: int, seed: int) -> NDArray[np.uint16]:
    """Blurred noise: blobs of every form and size, many of them long and winding."""
    noise = np.random.default_rng(seed).random((height, width), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), size_px)
    bright = smooth > np.quantile(smooth, 1 - density)
    lit = smooth - smooth.min() + np.float32(0.2) * bright * np.ptp(smooth)
    image: NDArray[np.uint16] = np.round(lit / (lit.max() or 1) * 60000).astype(np.uint16)
    return image


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 260), st.integers(1, 260)),
    density=st.floats(0.05, 0.7),
    size_px=st.integers(1, 9),
    seed=st.integers(0, 2**32),
    block_px=st.integers(8, 300),
    split_touching=st.booleans(),
    exclude_border=st.booleans(),
    min_area_px=st.integers(0, 30),
    has_distance=st.booleans(),
)
def test_blocks_find_and_measure_what_the_whole_image_holds(
    size: tuple[int, int], density: float, size_px: int, seed: int, block_px: int, has_distance: bool, **options: bool
) -> None:
    image = scene(*size, density, size_px, seed)
    predictions = predictions_of(image, has_distance)
    threshold = float(np.clip(np.quantile(predictions.probability, 1 - density), 0.01, 0.99))
    assert_same(predictions, image, SegmentationOptions(threshold=threshold, **options), block_px)


@pytest.mark.parametrize("name", REAL_IMAGES)
@pytest.mark.parametrize("block_px", [61, 150])
@pytest.mark.parametrize("has_distance", [False, True])
def test_blocks_find_and_measure_what_real_images_hold(name: str, block_px: int, has_distance: bool) -> None:
    image = decode_image((DATA / name).read_bytes(), 10**7).image
    assert assert_same(predictions_of(image, has_distance), image, SegmentationOptions(threshold="otsu"), block_px) > 20


def test_a_blob_that_comes_and_goes_is_found_by_its_first_pixel() -> None:
    # From the last block it goes up, around, and back to the first column: two of its pieces begin in other blocks.
    image = np.zeros((300, 700), np.uint16)
    image[20, 650:690] = image[20:280, 680] = image[280, 5:690] = image[100:281, 5] = image[150, 5:600] = 100
    predictions = predictions_of(image, has_distance=False)
    assert assert_same(predictions, image, SegmentationOptions(split_touching=False), 100) == 1


def test_what_touches_beyond_the_limit_is_told_by_its_place() -> None:
    image = np.zeros((400, 400), np.uint16)
    image[100:390, 210] = 100
    predictions = predictions_of(image, has_distance=False)
    with pytest.raises(
        ImageTooLargeError, match=r"Around row 100 and column 200, .* 90000 pixels; raise the threshold"
    ):
        in_blocks(predictions, image, SegmentationOptions(), 100, max_window_px=90_000)
    assert in_blocks(predictions, image, SegmentationOptions(), 100, max_window_px=110_000)[0].max() == 1


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3)])
def test_arrays_on_disk_hold_what_is_written(shape: tuple[int, ...], tmp_path: Path) -> None:
    canvas, expected = MemmapArray(tmp_path / "canvas", shape, np.uint16), np.zeros(shape, np.uint16)
    generator = np.random.default_rng(0)
    for rows, columns in (((3, 9), (0, 30)), ((5, 40), (7, 12)), ((0, 40), (0, 30)), ((39, 40), (29, 30))):
        window = slice(*rows), slice(*columns)
        expected[window] = canvas[window] = generator.integers(0, 60000, expected[window].shape)
        np.testing.assert_array_equal(canvas[slice(0, 99), slice(0, 99)], expected)
    assert canvas.path.stat().st_size == expected.nbytes
