import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli import main
from app.engine.engine import Engine, Limits
from app.inference.load import Model, load_model
from app.inference.model_card import CARD_NAME, read_model_card
from app.inference.savedmodel import SavedModelPredictor
from app.options import SegmentationOptions
from tests.conftest import DATA


@pytest.fixture(scope="module")
def model(tiny_crops_model: Path) -> Model:
    """The tiny model that works at the images' own resolution."""
    return load_model(tiny_crops_model, "cpu")


@pytest.mark.parametrize("shape", [(1, 1), (32, 64), (33, 70), (100, 7)])
def test_maps_of_any_size(model: Model, shape: tuple[int, int]) -> None:
    predictions = model.predictor.predict(np.random.default_rng(0).random((*shape, 3), np.float32))
    assert predictions.distance is not None
    for map_ in (predictions.probability, predictions.distance):
        assert (map_.shape, map_.dtype) == (shape, np.float32)
        assert 0 <= map_.min() <= map_.max() <= 1


def test_what_lies_beyond_the_edge_is_the_mirrored_image(model: Model) -> None:
    image = np.random.default_rng(0).random((40, 50, 3), np.float32)
    mirrored = np.pad(image, ((0, 24), (0, 14), (0, 0)), mode="symmetric")
    ours, of_mirrored = (model.predictor.predict(array).probability for array in (image, mirrored))
    np.testing.assert_allclose(ours, of_mirrored[:40, :50], atol=1e-6)


def test_both_qualities_answer_maps_of_the_images_size(model: Model) -> None:
    image = np.random.default_rng(0).random((40, 50, 3), np.float32)
    best = model.predict(image, "best")
    fast = model.predict(image)
    assert best.probability.shape == fast.probability.shape
    assert 0 < np.abs(best.probability - fast.probability).max() < 0.5


def test_an_image_unlike_the_training_data_is_warned_of(model: Model, tiny_crops_model: Path) -> None:
    card = read_model_card(tiny_crops_model)
    assert card.contract.unlikeness_name == "unlikeness"
    assert card.calibration.largest_unlikeness is not None
    # Discs were learned; a photomicrograph of tissue was not.
    result = Engine(model, Limits(10**6)).segment((DATA / "histology.jpg").read_bytes(), SegmentationOptions(scale=1))
    segmentation = result.planes[0]
    assert [warning.code for warning in segmentation.warnings] == ["unlike_training_data"]


def test_a_network_without_a_distance_says_so(tiny_model: Path) -> None:
    assert '"distance_name": null' in (tiny_model / CARD_NAME).read_text()
    assert load_model(tiny_model, "cpu").predictor.predict(np.zeros((8, 8, 3), np.float32)).distance is None


def test_a_network_sees_one_image_at_a_time(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = SavedModelPredictor(tiny_model, read_model_card(tiny_model).contract, "cpu")
    barrier, frozen = threading.Barrier(2), predictor._frozen

    def waiting(image: Any) -> Any:
        barrier.wait(1)
        return frozen(image)

    monkeypatch.setattr(predictor, "_frozen", waiting)
    with ThreadPoolExecutor() as threads, pytest.raises(threading.BrokenBarrierError):
        list(threads.map(predictor.predict, [np.zeros((64, 64, 3), np.float32)] * 2))


def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KARYOMETER_DEVICE", "gpu:9")
    monkeypatch.setenv("KARYOMETER_PORT", "0")
    with pytest.raises(SystemExit) as stop:
        main(["serve"])
    assert stop.value.code == 3
    assert "The device gpu:9 was asked for, but TensorFlow sees" in caplog.text
    assert "Traceback" not in caplog.text
