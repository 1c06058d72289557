import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from app.inference.litert import QuantisedPredictor
from app.inference.model_card import read_model_card
from app.settings import DEFAULT_MODEL

IMAGE = np.zeros((64, 64, 3), np.float32)


@pytest.fixture
def predictor() -> QuantisedPredictor:
    contract = read_model_card(DEFAULT_MODEL).contract
    return QuantisedPredictor(DEFAULT_MODEL / str(contract.quantised_name), contract)


def met(*predictors: QuantisedPredictor) -> bool:
    """Whether two of their networks are at work at the same time."""
    barrier = threading.Barrier(2)

    def waiting(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(**inputs: Any) -> Any:
            barrier.wait(1)
            return call(**inputs)

        return called

    for one in set(predictors):
        interpreter, call = one._start()
        one._ready[IMAGE.shape[:2]] = (interpreter, waiting(call))
    try:
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda one: one.predict(IMAGE), predictors))
    except threading.BrokenBarrierError:
        return False
    finally:
        for one in predictors:
            one.release_memory()
    return True


def test_a_network_sees_one_image_at_a_time(predictor: QuantisedPredictor) -> None:
    assert not met(predictor, predictor)


def test_one_beside_it_works_at_the_same_time_and_says_the_same(predictor: QuantisedPredictor) -> None:
    other = predictor.beside()
    assert met(predictor, other)
    image = np.random.default_rng(0).random((64, 64, 3), np.float32)
    np.testing.assert_array_equal(predictor.predict(image).probability, other.predict(image).probability)


def test_memory_that_was_released_is_taken_again(predictor: QuantisedPredictor) -> None:
    before = predictor.predict(IMAGE)
    predictor.release_memory()
    assert not predictor._ready
    np.testing.assert_array_equal(predictor.predict(IMAGE).probability, before.probability)


def test_the_memory_for_an_image_and_its_halved_copies_is_held(predictor: QuantisedPredictor) -> None:
    for side_px in (64, 128, 256):
        predictor.predict(np.zeros((side_px, side_px, 3), np.float32))
    assert list(predictor._ready) == [(64, 64), (128, 128), (256, 256)]
    # Two of about one size are too much together.
    predictor.predict(np.zeros((192, 256, 3), np.float32))
    assert list(predictor._ready) == [(192, 256)]
