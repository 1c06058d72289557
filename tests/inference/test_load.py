import logging
import sys

import pytest

from app.errors import ModelError
from app.inference import load
from app.inference.litert import QuantisedPredictor
from app.inference.load import load_predictor
from app.inference.model_card import read_model_card
from app.settings import DEFAULT_MODEL
from training.main import main

CONTRACT = read_model_card(DEFAULT_MODEL).contract
FLOAT_ONLY = CONTRACT.model_copy(update={"quantised_name": None})


@pytest.fixture(autouse=True)
def _no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)


@pytest.mark.parametrize(("device", "extra"), [("cpu", "savedmodel"), ("auto", "savedmodel"), ("gpu:0", "gpu")])
def test_a_model_without_an_8_bit_network_names_the_extra_that_it_needs(device: str, extra: str) -> None:
    with pytest.raises(ModelError, match=rf"'karyometer\[{extra}\]'.*scripts/install {extra}`"):
        load_predictor(DEFAULT_MODEL, FLOAT_ONLY, device)


def test_a_gpu_names_the_extra_that_it_needs() -> None:
    with pytest.raises(ModelError, match=r"^A GPU needs TensorFlow.*'karyometer\[gpu\]'"):
        load_predictor(DEFAULT_MODEL, CONTRACT, "gpu:0")


def test_a_driver_without_tensorflow_leaves_the_cpu_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(load, "_has_driver", lambda: True)
    with caplog.at_level(logging.WARNING):
        assert isinstance(load_predictor(DEFAULT_MODEL, CONTRACT, "auto"), QuantisedPredictor)
    assert "the extra gpu is not installed" in caplog.text


def test_training_names_the_extra_that_it_needs(caplog: pytest.LogCaptureFixture) -> None:
    assert main(["train", "--data", ".", "--run", "run"]) == 1
    assert "'karyometer[training]'" in caplog.text
