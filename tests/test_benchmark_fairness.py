import pytest

from benchmarks import fairness


def test_small_images_are_answered_while_large_ones_are_in_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KARYOMETER_MAX_PIXELS", "10000000")
    alone, crowded = fairness.measure((6_000, 6_000), n_requests=3)
    assert (len(alone), len(crowded)) == (3, 3)
