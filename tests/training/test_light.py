from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.synthetic import discs
from training import light
from training.light import lamp, relight
from training.targets import FOREGROUND, WEIGHT, instance_targets

LABELS = discs((96, 96), (20, 20, 8), (20, 60, 8), (60, 30, 8), (70, 75, 8))
Only = Callable[[str], None]
PARTS = ("_PART_UNEQUAL", "_PART_UNEVEN", "_PART_DEBRIS", "_PART_OFFSET", "_PART_BORDER", "_PART_UNFIT")


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Only:
    """Let one thing happen always, and all others never."""

    def choose(part: str) -> None:
        for name in PARTS:
            monkeypatch.setattr(light, name, float(name == part))

    return choose


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Four equal nuclei of half the largest brightness on a background of a twentieth."""
    image = np.repeat(np.where(LABELS > 0, 0.5, 0.05).astype(np.float32)[..., np.newaxis], 3, axis=2)
    return image, np.divide(instance_targets(LABELS), 255, dtype=np.float32)


def brightness(image: np.ndarray) -> np.ndarray:
    """Median of each nucleus."""
    return np.array([np.median(image[nucleus == LABELS]) for nucleus in range(1, 5)])


@given(st.integers(0, 10_000))
def test_light_stays_in_range_and_hides_nothing_but_nuclei(seed: int) -> None:
    image, target = scene()
    varied, learned = relight(image, target, np.random.default_rng(seed))
    assert (varied.shape, varied.dtype) == (image.shape, np.float32)
    assert 0 <= varied.min() <= varied.max() <= 1
    assert (varied == varied[..., :1]).all()
    np.testing.assert_array_equal(scene()[1], target)
    forgotten = learned[..., WEIGHT] < target[..., WEIGHT]
    assert not (forgotten & (target[..., FOREGROUND] == 0) & (learned[..., WEIGHT] == 0)).any()


def test_nuclei_differ_in_brightness_and_the_brightest_sets_white(only: Only) -> None:
    only("_PART_UNEQUAL")
    ratios, dimmest = [], []
    for seed in range(200):
        nuclei = brightness(relight(*scene(), np.random.default_rng(seed))[0])
        ratios.append(nuclei.max() / nuclei.min())
        dimmest.append(nuclei.min())
    assert np.percentile(ratios, 90) > 6
    assert np.percentile(ratios, 20) < 2
    assert np.percentile(dimmest, 5) < 0.08


def test_uneven_light_falls_to_a_quarter_at_most() -> None:
    darkest = [lamp((64, 80), np.random.default_rng(seed)).min() for seed in range(200)]
    assert 0.25 <= min(darkest) < 0.35
    assert max(darkest) > 0.9


def test_nothing_is_learned_of_nuclei_below_debris(only: Only) -> None:
    only("_PART_DEBRIS")
    n_covered = 0
    for seed in range(100):
        image, target = scene()
        varied, learned = relight(image, target, np.random.default_rng(seed))
        is_clear = learned[..., WEIGHT] > 0
        np.testing.assert_array_equal(learned[..., :WEIGHT], target[..., :WEIGHT])
        inside = is_clear & (LABELS > 0)
        if inside.any():
            # Clear nuclei are as bright as each other, whatever white has become.
            assert np.ptp(varied[inside]) < 0.32
        n_covered += not is_clear.all()
    assert 10 < n_covered < 90


def test_borders_hold_no_nuclei(only: Only) -> None:
    only("_PART_BORDER")
    values = set()
    for seed in range(60):
        image, target = scene()
        varied, learned = relight(image, target, np.random.default_rng(seed))
        border = learned[..., FOREGROUND] < target[..., FOREGROUND]
        sides = [np.rot90(varied[..., 0], turns)[:2] for turns in range(4)]
        side = min(sides, key=lambda side: (side.max() - side.min(), side[0, 0] == image[0, 0, 0]))
        assert np.ptp(side) == 0
        values.add(round(float(side[0, 0]), 2))
        assert not learned[border][:, FOREGROUND].any()
        assert target[..., WEIGHT].min() > 0
    assert len(values) > 1


@pytest.mark.parametrize(("part", "lowest"), [("_PART_OFFSET", 0.15), ("_PART_UNFIT", 0.05)])
def test_the_background_rises_with_an_offset_and_the_white_may_be_wrong(only: Only, part: str, lowest: float) -> None:
    only(part)
    backgrounds = [relight(*scene(), np.random.default_rng(seed))[0][0, 0, 0] for seed in range(100)]
    nuclei = [brightness(relight(*scene(), np.random.default_rng(seed))[0])[0] for seed in range(100)]
    assert max(backgrounds) > lowest
    if part == "_PART_UNFIT":
        assert max(nuclei) > 0.9
        assert min(nuclei) < 0.12
