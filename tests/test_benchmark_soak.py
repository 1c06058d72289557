from itertools import pairwise

import pytest

from benchmarks.service import running
from benchmarks.soak import State, failures, soak

SOUND = State(n_requests=10, resident_mb=1000, descriptors=15, threads=14, temporary_files=0)


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (SOUND, []),
        (SOUND._replace(resident_mb=1020), ["memory grew by 2.0%"]),
        (
            SOUND._replace(descriptors=18, temporary_files=3),
            ["descriptors grew from 15 to 18", "temporary_files grew from 0 to 3"],
        ),
    ],
)
def test_what_grows_is_told(last: State, told: list[str]) -> None:
    assert failures([SOUND, last]) == told


def test_a_short_soak_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.soak._SETTLE_S", 6)
    with running() as service:
        # The same images each time: the first of a size cost memory once.
        states = [state for _ in range(4) for state in soak(service, n_requests=80, n_parts=1)]
    assert failures([states[0], states[-1]], max_growth=1) == []
    # A thread that is needed for the first time costs memory once, a leak every time.
    least = min(pairwise(states), key=lambda pair: pair[1].resident_mb - pair[0].resident_mb)
    assert failures([*least]) == []
