from benchmarks import fairness


def test_small_images_are_answered_while_large_ones_are_in_work() -> None:
    alone, crowded = fairness.measure((9_000, 9_000), n_requests=3)
    assert (len(alone), len(crowded)) == (3, 3)
