import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.engine.find import find_nuclei
from app.inference.load import load_model
from app.inference.predictions import Predictions, Predictor
from app.inference.tiling import BUCKET_PX, predict_tiled
from app.options import SegmentationOptions
from app.reading.decode import decode_image
from app.settings import DEFAULT_MODEL
from tests.conftest import DATA

GENERATOR = np.random.default_rng(0)
REACH_PX = 188


class Blur(Predictor):
    """Answers as far-sighted as a network's: the mean over all that is nearer than `reach_px`."""

    dtype = "float32"

    def __init__(self, reach_px: int = REACH_PX) -> None:
        self.sizes_px: set[tuple[int, int]] = set()
        self._width_px = 2 * reach_px + 1

    def predict(self, image: NDArray[np.float32]) -> Predictions:
        """The mean, and what is left of 1."""
        self.sizes_px.add(image.shape[:2])
        grey = np.ascontiguousarray(image[..., 0], np.float64)
        blurred = cv2.boxFilter(grey, -1, (self._width_px, self._width_px), borderType=cv2.BORDER_CONSTANT)
        return Predictions(blurred.astype(np.float32), 1 - blurred.astype(np.float32), ood_score=1.0)


@settings(max_examples=20)
@given(st.integers(1, 1400), st.integers(1, 1400), st.integers(7, 16))
def test_tiles_answer_as_the_whole_does(height: int, width: int, n_buckets: int) -> None:
    image = GENERATOR.random((height, width, 3), np.float32)
    whole, tiled = Blur(), Blur()
    expected = predict_tiled(whole.predict, image, REACH_PX, 1408)
    found = predict_tiled(tiled.predict, image, REACH_PX, n_buckets * BUCKET_PX)
    assert found.distance is not None
    assert expected.distance is not None
    assert found.probability.shape == (height, width)
    np.testing.assert_allclose(found.probability, expected.probability, atol=1e-6)
    np.testing.assert_allclose(found.distance, expected.distance, atol=1e-6)
    assert found.ood_score == 1
    # One size an image, of which there are few.
    assert len(tiled.sizes_px) == 1
    assert all(side % BUCKET_PX == 0 and side <= n_buckets * BUCKET_PX for size in tiled.sizes_px for side in size)


def test_tiles_are_as_large_as_the_reach_demands() -> None:
    image = GENERATOR.random((300, 900, 3), np.float32)
    whole, tiled = Blur(), Blur()
    expected = predict_tiled(whole.predict, image, REACH_PX, 1408)
    found = predict_tiled(tiled.predict, image, REACH_PX, BUCKET_PX)
    np.testing.assert_allclose(found.probability, expected.probability, atol=1e-6)
    assert len(tiled.sizes_px) == 1
    assert max(max(tiled.sizes_px)) < 900


def test_who_sees_farther_would_be_noticed() -> None:
    image = GENERATOR.random((700, 700, 3), np.float32)
    whole, tiled = (predict_tiled(Blur(240).predict, image, REACH_PX, tile_px) for tile_px in (704, 512))
    assert np.abs(whole.probability - tiled.probability).max() > 1e-4


def test_networks_that_answer_one_map_do_so_in_tiles() -> None:
    predictions = predict_tiled(
        lambda tile: Predictions(tile[..., 0]), GENERATOR.random((500, 900, 3), np.float32), 1, 448
    )
    assert (predictions.distance, predictions.ood_score) == (None, None)


@pytest.mark.parametrize("tile_px", [576, 704])
def test_the_shipped_network_finds_the_same_in_tiles(tile_px: int) -> None:
    model = load_model(DEFAULT_MODEL, "cpu")
    image = decode_image((DATA / "fluorescence.tif").read_bytes(), 10**7).image
    normalised = model.normalise(np.tile(image, (3, 2)))
    reach_px = model.card.contract.reach_px
    assert reach_px
    whole, tiled = (predict_tiled(model.predictor.predict, normalised, reach_px, size) for size in (1024, tile_px))
    assert np.abs(whole.probability - tiled.probability).max() < 1e-4
    counts = [
        find_nuclei(predictions, SegmentationOptions(), model.card.calibration)[2].max()
        for predictions in (whole, tiled)
    ]
    assert counts[0] == counts[1] > 200
