import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import stain
from training.stain import rescan, restain

IMAGE = np.random.default_rng(0).uniform(0.02, 1, (24, 24, 3)).astype(np.float32)


def density(image: np.ndarray) -> np.ndarray:
    return -np.log(image.astype(np.float64))


def test_strengths_of_one_and_no_shift_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stain, "_STRENGTHS", (1, 1))
    monkeypatch.setattr(stain, "_SHIFTS", (0, 0))
    monkeypatch.setattr(stain, "_GAMMA_DEVIATION", 0)
    np.testing.assert_allclose(restain(IMAGE, np.random.default_rng(0)), IMAGE, atol=1e-5)


def test_dyes_change_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stain, "_SHIFTS", (0, 0))
    monkeypatch.setattr(stain, "_GAMMA_DEVIATION", 0)
    haematoxylin, eosin = np.array((0.65, 0.70, 0.29)), np.array((0.07, 0.99, 0.11))
    light = np.exp(-np.stack([1.2 * haematoxylin, 0.8 * eosin])).astype(np.float32)[np.newaxis]
    ratios = []
    for seed in range(40):
        stained = density(restain(light, np.random.default_rng(seed)))[0]
        ratios.append((stained[0].sum() / haematoxylin.sum(), stained[1, 1] / (0.8 * 0.99)))
        # Each keeps its own colour.
        np.testing.assert_allclose(stained[0] / stained[0].sum(), haematoxylin / haematoxylin.sum(), atol=1e-3)
        np.testing.assert_allclose(stained[1] / stained[1].sum(), eosin / eosin.sum(), atol=1e-3)
    eosins = [eosin for _, eosin in ratios]
    assert 0.59 < min(eosins) < 0.8 < 1.4 < max(eosins) < 1.61
    assert abs(np.corrcoef(np.array(ratios).T)[0, 1]) < 0.5


@given(st.integers(0, 10_000))
def test_colours_stay_in_range(seed: int) -> None:
    for vary in (restain, rescan):
        varied = vary(IMAGE, np.random.default_rng(seed))
        assert (varied.shape, varied.dtype) == (IMAGE.shape, np.float32)
        assert 0 <= varied.min() <= varied.max() <= 1
    black_and_white = np.stack([np.zeros((2, 2, 3)), np.ones((2, 2, 3))]).astype(np.float32)[:, 0]
    black, white = restain(black_and_white, np.random.default_rng(seed))
    assert black.max() < white.min()


def test_scanners_give_white_a_cast_and_little_more() -> None:
    casts = np.array([rescan(np.ones((1, 1, 3), np.float32), np.random.default_rng(seed))[0, 0] for seed in range(60)])
    assert 0.8 < casts.min() < 0.9
    assert casts.max() <= 1
    grey = np.full((1, 1, 3), 0.5, np.float32)
    shifts = [np.abs(rescan(grey, np.random.default_rng(seed)) - grey).max() for seed in range(60)]
    assert 0.02 < max(shifts) < 0.12
