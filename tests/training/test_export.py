import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from app.engine.engine import Engine, Limits
from app.errors import DeviceError, ModelError
from app.inference import load
from app.inference.litert import QuantisedPredictor
from app.inference.load import load_predictor
from app.inference.model_card import CARD_NAME, Contract, artefact_digest, read_model_card
from app.inference.normalise import normalise
from app.inference.predictions import Predictions, Predictor
from app.inference.savedmodel import SavedModelPredictor
from app.options import SegmentationOptions
from app.reading.decode import decode_image
from app.settings import DEFAULT_MODEL
from tests.conftest import DATA
from tests.training.conftest import ABOUT_DATA
from training.calibrate import calibrate
from training.config import PERCENTILES, PRESETS
from training.dataset import find_samples
from training.main import main
from training.run import Run


@pytest.fixture(scope="module")
def predictor(tiny_model: Path) -> SavedModelPredictor:
    """The tiny model."""
    return SavedModelPredictor(tiny_model, Contract(), "cpu")


@pytest.mark.parametrize("shape", [(1, 1), (32, 32), (33, 70), (300, 7)])
def test_any_size_in_the_same_size_out(predictor: SavedModelPredictor, shape: tuple[int, int]) -> None:
    probability = predictor.predict(np.random.default_rng(0).random((*shape, 3), np.float32)).probability
    assert (probability.shape, probability.dtype) == (shape, np.float32)
    assert 0 <= probability.min() <= probability.max() <= 1


def test_the_exported_network_is_the_trained_one(predictor: SavedModelPredictor, tiny_run: Path) -> None:
    image = np.random.default_rng(0).random((32, 32, 3), np.float32)
    expected = Run(tiny_run).load_best()(image[np.newaxis]).numpy()[0, ..., 0]
    np.testing.assert_allclose(predictor.predict(image).probability, expected, atol=1e-6)


def test_the_card_says_where_the_model_comes_from(tiny_model: Path, tiny_run: Path) -> None:
    card = read_model_card(tiny_model)
    assert (card.name, card.version) == ("tiny", "1")
    assert card.training.command == Run(tiny_run).command
    assert card.data.n_images == {"train": 10, "val": 1, "test": 1}
    assert card.architecture.n_parameters > 0
    assert (card.data.name, card.data.licence) == ("synthetic discs", "CC0-1.0")
    assert card.data.attributions == ("Drawn by A. Uthor, 2020.",)
    assert "\n\nDrawn by A. Uthor, 2020.\n" in (tiny_model / "MODEL_CARD.md").read_text()
    assert card.training.minutes == round(Run(tiny_run).minutes(), 1)
    assert (tiny_model / "history.csv").read_bytes() == Run(tiny_run).history_path.read_bytes()
    assert not card.evaluations


def test_calibration_takes_the_best_values(kaggle: Path) -> None:
    class Halo(Predictor):
        """Nuclei at 0.62 with a halo at 0.4 and one false speck of 16 pixels."""

        dtype = "float32"

        def predict(self, image: np.ndarray) -> Predictions:
            nuclei = image[..., 0] > 0.5
            halo = ndimage.binary_dilation(nuclei, iterations=2)
            speck = np.zeros_like(nuclei)
            speck[:4, :4] = True
            return Predictions(np.where(nuclei | speck, 0.62, np.where(halo, 0.4, 0)).astype(np.float32))

    calibration = calibrate(Halo(), find_samples([kaggle]), {}, PRESETS["tiny"].normalisation)
    assert 0.4 < calibration.threshold <= 0.62
    assert 16 < calibration.min_area_px < 60


@pytest.mark.parametrize("name", ["", "a b", "../up", "Zellkern-é"])
def test_names_that_no_folder_and_header_can_have_are_refused(name: str) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--run", "r", "--data", "d", "--name", name, "--version", "1", *ABOUT_DATA])


def test_a_model_of_another_signature_is_refused(tmp_path: Path) -> None:
    module = tf.Module()
    module.call = tf.function(lambda image: {"logits": image}, [tf.TensorSpec((None, 4), tf.float32, name="image")])
    tf.saved_model.save(module, str(tmp_path), signatures=module.call)
    with pytest.raises(ModelError, match="does not keep its card's contract"):
        SavedModelPredictor(tmp_path, Contract(), "cpu")


def test_files_that_tensorflow_cannot_load_are_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="TensorFlow cannot load the model"):
        SavedModelPredictor(tmp_path, Contract(), "cpu")


def test_the_8_bit_network_says_nearly_the_same_and_serves_on_cpus() -> None:
    card = read_model_card(DEFAULT_MODEL)
    exact, quantised = (
        SavedModelPredictor(DEFAULT_MODEL, card.contract, "cpu"),
        load_predictor(DEFAULT_MODEL, card.contract, "cpu"),
    )
    assert isinstance(quantised, QuantisedPredictor)
    # The second is unlike all training images.
    for name, limit in (("fluorescence.tif", 0.005), ("histology.jpg", 0.01)):
        image = normalise(decode_image((DATA / name).read_bytes(), 10**7).image, *PERCENTILES)
        ours, theirs = quantised.predict(image), exact.predict(image)
        assert np.abs(ours.probability - theirs.probability).mean() < limit
        assert np.mean((ours.probability > 0.5) != (theirs.probability > 0.5)) < limit
        assert ours.distance is not None
        assert theirs.distance is not None
        assert np.abs(ours.distance - theirs.distance).mean() < limit
        assert ours.ood_score == pytest.approx(theirs.ood_score, abs=0.1)


@pytest.mark.parametrize("case", ["damaged", "another signature"])
def test_an_8_bit_network_that_cannot_serve_is_refused(case: str, tiny_crops_model: Path, tmp_path: Path) -> None:
    data = (tiny_crops_model / "quantised.tflite").read_bytes()
    (tmp_path / "quantised.tflite").write_bytes(data[:100] if case == "damaged" else data)
    contract = read_model_card(tiny_crops_model).contract
    if case == "another signature":
        contract = contract.model_copy(update={"signature": "other"})
    with pytest.raises(ModelError, match="LiteRT cannot use"):
        QuantisedPredictor(tmp_path / "quantised.tflite", contract)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_said_so(tiny_model: Path) -> None:
    with pytest.raises(DeviceError, match="gpu:0 was asked for, but TensorFlow sees 0 GPUs"):
        Engine.load(tiny_model, "gpu:0", Limits(1000))
    assert SavedModelPredictor(tiny_model, Contract(), "auto").device == "/CPU:0"


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="needs a machine without a GPU")
def test_a_gpu_that_tensorflow_cannot_use_leaves_the_cpu_its_8_bit_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_has_driver", lambda: True)
    card = read_model_card(DEFAULT_MODEL)
    assert isinstance(load_predictor(DEFAULT_MODEL, card.contract, "auto"), QuantisedPredictor)
    with pytest.raises(DeviceError):
        load_predictor(DEFAULT_MODEL, card.contract, "gpu:0")


def test_real_images_go_through_the_exported_model(tiny_model: Path) -> None:
    engine = Engine.load(tiny_model, "cpu", Limits(10**6))
    plane = engine.segment((DATA / "fluorescence.tif").read_bytes(), SegmentationOptions()).planes[0]
    assert plane.labels.shape == (plane.image.height, plane.image.width)


def test_evaluate_reports_and_records(tiny_model: Path, tiny_run: Path, kaggle: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    digest = artefact_digest(tiny_model)
    arguments = ["evaluate", "--model", str(tiny_model), "--data", str(kaggle), "--report", str(report), "--record"]
    assert main([*arguments, "--splits", str(tiny_run / "splits.csv"), "--split", "val"]) == 0
    assert main([*arguments, "--limit", "fuses what touches"]) == 0
    card = read_model_card(tiny_model)
    assert set(card.evaluations) == {"val kaggle fast", "all kaggle fast"}
    page = (tiny_model / "MODEL_CARD.md").read_text()
    assert "- fuses what touches" in page
    assert "### val kaggle fast" in page
    assert card.training.command in page
    figures = card.evaluations["all kaggle fast"].figures["all"]
    assert (figures["n_images"], figures["count_true"]) == (12, 24)
    assert figures["iou"] > 0.3
    assert artefact_digest(tiny_model) == digest
    assert "on the 12 all images" in report.read_text()
    assert figures["iou_low"] <= figures["iou"] <= figures["iou_high"]
    interval = f"{figures['iou']:.3f}<br>{figures['iou_low']:.3f} to {figures['iou_high']:.3f}"
    assert f"| all | 12 | {interval} |" in report.read_text()


@pytest.mark.parametrize("case", ["exists", "other data", "unfinished"])
def test_export_refuses(
    case: str, tiny_run: Path, tiny_model: Path, kaggle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, run = str(kaggle), str(tiny_run)
    models, name = str(tiny_model.parent.parent), "tiny"
    if case == "other data":
        data, name = str(tmp_path / "data"), "other"
        image = (DATA / "immunohistochemistry.png").read_bytes()
        for part in ("images", "masks"):
            (tmp_path / "data" / "a" / part).mkdir(parents=True)
            (tmp_path / "data" / "a" / part / "a.png").write_bytes(image)
    if case == "unfinished":
        run, name = str(tmp_path / "run"), "other"
        (tmp_path / "run").mkdir()
        for file in ("run.json", "splits.csv"):
            (tmp_path / "run" / file).write_bytes((tiny_run / file).read_bytes())
    arguments = ["export", "--run", run, "--data", data, "--models", models, "--name", name, "--version", "1"]
    assert main([*arguments, *ABOUT_DATA]) == 1
    expected = {"exists": "exists already", "other data": "trained on other data", "unfinished": "no finished epoch"}
    assert expected[case] in caplog.text
    assert json.loads((tiny_model / CARD_NAME).read_text())["name"] == "tiny"
