from pathlib import Path

import pytest

from benchmarks.durability import Outcome, has_postgres, postgres, run

N_IMAGES = 4
# Before the last image is sent, so that there is something left to do.
KILLS = (0.29,)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(N_IMAGES, KILLS, tmp_path_factory.mktemp("sqlite"), kinds=("worker",), n_poisoned=1)


def test_nothing_is_lost_when_a_worker_is_killed_and_an_image_kills_others(on_sqlite: Outcome) -> None:
    assert (on_sqlite.lost, on_sqlite.doubled, on_sqlite.n_killed) == (0, 0, {"worker": 1})
    assert on_sqlite.set_aside == ("poison1_B01_s1_w1.tif",)


@pytest.mark.skipif(not has_postgres(), reason="Debian's package postgresql is not installed")
def test_nothing_is_lost_on_postgresql_when_the_service_is_killed(on_sqlite: Outcome, tmp_path: Path) -> None:
    with postgres() as url:
        outcome = run(N_IMAGES, KILLS, tmp_path, url, kinds=("service",), n_poisoned=0, n_workers=1)
    assert (outcome.lost, outcome.doubled, outcome.set_aside) == (0, 0, ())
    assert outcome.n_killed == {"service": 1}
    assert outcome.nuclei == on_sqlite.nuclei
