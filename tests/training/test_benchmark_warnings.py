import numpy as np

from app.engine.count_doubt import CountSignals
from benchmarks.warnings import left_out, report
from training.count_doubt import Judged


def answers(kind: str, seed: int, *, is_as_it_was: bool) -> list[Judged]:
    """Ten right counts of sure nuclei, ten wrong ones of unsure nuclei; one of these is warned of."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(20):
        is_wrong = number >= 10
        signals = CountSignals(0.6 * is_wrong + generator.uniform(0, 0.2), generator.uniform(0, 0.2), 0.0, 0.0)
        codes = frozenset({"count_uncertain"} if number == 19 else {"alpha_ignored"})
        found.append(Judged("set", kind, signals, codes, 300 if is_wrong else 100, 100, is_as_it_was))
    return found


def test_the_table_says_what_is_warned_of_and_what_would_be_of_an_unknown_kind() -> None:
    judged = [*answers("fluorescence", 0, is_as_it_was=True), *answers("noisy", 1, is_as_it_was=False)]
    text = report(judged, "python -m benchmarks.warnings")
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith("|")}
    assert rows["noisy"].split(" | ")[1:4] == ["10", "10", "10%, 0%"]
    # Other codes than those that doubt the numbers do not count.
    assert rows["all"].rstrip(" |").endswith("10%, 0%")
    doubted = left_out(judged)
    right = [one for one in judged if not one.is_wrong]
    assert all(doubted[one] for one in judged if one.is_wrong)
    assert sum(doubted[one] for one in right) <= 0.1 * len(right)
