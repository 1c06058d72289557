import numpy as np
import pytest

from app.engine.engine import Engine
from benchmarks import light
from benchmarks.disturbances import DISTURBANCES, FULL, Field
from tests import fakes
from tests.synthetic import discs

TRUTH = discs((90, 120), *((20 + 25 * row, 20 + 25 * column, 8) for row in range(3) for column in range(4)))
FIELD = Field(
    (np.random.default_rng(0).integers(300, 340, TRUTH.shape) + 2000 * (TRUTH > 0)).astype(np.uint16), TRUTH, seed=0
)


@pytest.fixture
def engine() -> Engine:
    return fakes.engine()


@pytest.mark.parametrize("name", DISTURBANCES)
def test_what_is_not_covered_is_where_it_was(name: str) -> None:
    disturbed = DISTURBANCES[name](FIELD)
    part = disturbed.image[disturbed.place]
    assert part.shape == disturbed.covered.shape == FIELD.image.shape
    assert part.dtype == np.uint16
    if not any(word in name for word in ("hot", "offset", "uneven", "nucleus")):
        far = ~disturbed.covered & (part < FULL)
        assert np.abs(part[far] - FIELD.image[far].astype(float)).max() < 0.1 * np.ptp(FIELD.image) * 20
    assert (name == "none") == np.array_equal(disturbed.image, FIELD.image)


def test_all_nuclei_stay_where_nothing_happens(engine: Engine) -> None:
    undisturbed = light.ask(engine, FIELD.image)
    score = light.score(engine, FIELD, undisturbed, DISTURBANCES["none"])
    assert score == light.Score(n_nuclei=12, n_staying=12, n_new=0, codes=frozenset())
    assert score.is_fine


def test_nuclei_that_are_lost_without_a_warning_are_counted(engine: Engine) -> None:
    undisturbed = light.ask(engine, FIELD.image)
    gone = light.Answer(np.zeros(TRUTH.shape, np.int32), undisturbed.codes)
    lost = light.Score(n_nuclei=12, n_staying=int(gone.labels.max()), n_new=0, codes=frozenset())
    told = lost._replace(codes=frozenset({"noisy"}))
    assert light.as_row("dark", [lost, told]) == ["dark", "24", "0.0%", "0%", "0", "`noisy` 1", "1 of 2"]


def test_what_lies_under_a_missing_tile_does_not_count(engine: Engine) -> None:
    undisturbed = light.ask(engine, FIELD.image)
    score = light.score(engine, FIELD, undisturbed, DISTURBANCES["missing tile of 0"])
    assert 6 <= score.n_staying == score.n_nuclei < 12
