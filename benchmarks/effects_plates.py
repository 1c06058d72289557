"""Plates of wells drawn from measured fields, and what `karyometer compare` says of them."""

import multiprocessing
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Literal, NamedTuple

import numpy as np
from tqdm import tqdm

from app.statistics.effects import EffectOptions, effects
from app.statistics.results import Interval
from app.statistics.schema import ConditionEffect
from benchmarks.effects_pool import FEWER, LARGER, UNCHANGED, Change, Pool, Values

Endpoint = Literal["count", "area"]
REPLICATES = (3, 4, 6, 8)
FIELDS_A_WELL = 16
WELL_CV = 0.08
EDGE = -0.05
N_DOSES = 5
# False alarms are rare: as many plates again tell how rare.
TWICE = 2
ALPHA = 0.05
ROWS, COLUMNS = "ABCDEFGH", range(1, 13)
WELLS = np.array([f"{row}{column}" for row in ROWS for column in COLUMNS])
AT_EDGE = np.array([row in "AH" or column in (1, 12) for row in ROWS for column in COLUMNS])
TREATMENTS: Mapping[Endpoint, tuple[Change, ...]] = {
    "count": tuple(change for change in FEWER if change.part <= 0.2),
    "area": (UNCHANGED, *LARGER),
}
# The effect at an endless dose, of which FEWER are parts at the doses that a curve's slope gives.
LARGEST_EFFECT = 0.8
SLOPES = (1.0, 3.0)


class Trial(NamedTuple):
    """What a plate said of one treatment: whether the intervals hold the truth, and whether p is at most 0.05."""

    covers: bool
    covers_ratio: bool
    is_found: bool
    is_found_by_truth: bool


class Lab:
    """Draws plates of wells that each hold some fields of a pool.

    Parameters
    ----------
    true, measured
        The pool as it is, and as Karyometer sees it.
    generator
        Draws.
    """

    def __init__(self, true: Pool, measured: Pool, generator: np.random.Generator) -> None:
        self._true, self._measured = true, measured
        self.generator = generator
        self.n_fields = min(FIELDS_A_WELL, true.count[UNCHANGED].size)

    def expected(self, endpoint: Endpoint, change: Change) -> float:
        """What wells with a change truly have in the mean over all plates."""
        mean = float(np.nanmean(getattr(self._true, endpoint)[change]))
        return mean * (self.n_fields if endpoint == "count" else 1) * (1 + EDGE * float(AT_EDGE.mean()))

    def plate(self, endpoint: Endpoint, changes: Sequence[Change]) -> dict[str, list[Any]]:
        """A table of wells with these changes, the first ones the control, at random places; `true` and `measured`."""
        generator, n_wells = self.generator, len(changes)
        chosen = generator.permuted(np.tile(np.arange(self._n_pool), (n_wells, 1)), axis=1)[:, : self.n_fields]
        place = generator.permutation(WELLS.size)[:n_wells]
        spread = np.log1p(self._culture_cv(endpoint) ** 2)
        factor = generator.lognormal(-spread / 2, np.sqrt(spread), n_wells) * (1 + EDGE * AT_EDGE[place])
        columns: dict[str, list[Any]] = {"well": WELLS[place].tolist()}
        for name, pool in (("true", self._true), ("measured", self._measured)):
            of_pool = getattr(pool, endpoint)
            fields = np.array([of_pool[change][of_well] for change, of_well in zip(changes, chosen)])
            values = fields.sum(axis=1) if endpoint == "count" else np.nanmean(fields, axis=1)
            columns[name] = (values * factor).tolist()
        return columns

    @property
    def _n_pool(self) -> int:
        return self._true.count[UNCHANGED].size

    def _culture_cv(self, endpoint: Endpoint) -> float:
        """What wells differ beside their fields, so that they differ by `WELL_CV` in all."""
        values: Values = getattr(self._true, endpoint)[UNCHANGED]
        known = values[np.isfinite(values)]
        of_fields = known.var() / known.mean() ** 2 / self.n_fields * (known.size - self.n_fields) / (known.size - 1)
        return float(np.sqrt(max(0.0, WELL_CV**2 - of_fields)))


def one_treatment(lab: Lab, endpoint: Endpoint, change: Change, n: int) -> Trial:
    """A plate with n wells of one treatment and n of the control."""
    columns = lab.plate(endpoint, [UNCHANGED] * n + [change] * n)
    condition = ["untreated"] * n + ["treated"] * n
    found, by_truth = (compared(columns, values, condition) for values in ("measured", "true"))
    treated, control = lab.expected(endpoint, change), lab.expected(endpoint, UNCHANGED)
    return Trial(
        covers(found[0].difference_interval, treated - control),
        covers(found[0].ratio_interval, treated / control),
        is_found(found),
        is_found(by_truth),
    )


def five_doses(lab: Lab, endpoint: Endpoint, n: int) -> bool:
    """Whether a plate on which none of five doses does anything has a p of 0.05 or less."""
    columns = lab.plate(endpoint, [UNCHANGED] * (n * (1 + N_DOSES)))
    doses = [f"dose {dose}" for dose in range(1, 1 + N_DOSES) for _ in range(n)]
    return is_found(compared(columns, "measured", ["untreated"] * n + doses))


def compared(columns: Mapping[str, list[Any]], values: str, condition: Sequence[str]) -> Sequence[ConditionEffect]:
    """What `karyometer compare` says of the values in a column."""
    control = ["negative" if name == "untreated" else None for name in condition]
    given = {**columns, "condition": condition, "control": control}
    return effects(given, EffectOptions(endpoints=(values,))).endpoints[0].comparisons


class CurveTrial(NamedTuple):
    """Whether the interval of an EC50 holds the truth, measured and by the true counts; whether it has two ends."""

    covers: bool
    covers_by_truth: bool
    is_closed: bool


def curve(lab: Lab, n: int) -> CurveTrial:
    """A plate with n wells a dose, and an EC50 of 1."""
    slope = lab.generator.uniform(*SLOPES)
    parts = [change.part for change in FEWER[1:]]
    doses = [(part / (LARGEST_EFFECT - part)) ** (1 / slope) for part in parts]
    columns = lab.plate("count", [change for change in FEWER for _ in range(n)])
    columns["dose"] = [dose for dose in (0.0, *doses) for _ in range(n)]
    columns["condition"] = ["drug"] * len(columns["dose"])
    columns["control"] = ["negative"] * n + [None] * (len(columns["dose"]) - n)
    answers = (effects(columns, EffectOptions(endpoints=(name,))) for name in ("measured", "true"))
    interval, by_truth = (answer.endpoints[0].curves[0].ec50_interval for answer in answers)
    return CurveTrial(covers(interval, 1.0), covers(by_truth, 1.0), None not in interval)


def covers(interval: Interval | None, truth: float) -> bool:
    """Whether an interval, an end of which may be open, holds the truth."""
    if interval is None:
        return False
    low, high = interval
    return (low is None or low <= truth) and (high is None or truth <= high)


def is_found(comparisons: Iterable[ConditionEffect]) -> bool:
    """Whether any treatment differs from the control."""
    return any(one.p_value is not None and one.p_value <= ALPHA for one in comparisons)


Case = tuple[Endpoint, Change, int]


class Drawn(NamedTuple):
    """What the plates said: of one treatment, of five doses that do nothing (false alarms), and of curves."""

    trials: dict[Case, list[Trial]]
    doses: dict[tuple[Endpoint, int], list[bool]]
    curves: dict[int, list[CurveTrial]]


def draw_plates(true: Pool, measured: Pool, n_plates: int, n_workers: int) -> Drawn:
    """So many plates of each case, twice as many where nothing is done, and a quarter of curves."""
    trials: list[Case] = [
        (endpoint, change, n) for endpoint, changes in TREATMENTS.items() for change in changes for n in REPLICATES
    ]
    doses: list[tuple[Endpoint, int]] = [(endpoint, n) for endpoint in TREATMENTS for n in REPLICATES]
    tasks: list[tuple[Callable[..., Any], tuple[Any, ...], int]] = [
        *((one_treatment, case, n_plates if case[1].part else TWICE * n_plates) for case in trials),
        *((five_doses, case, TWICE * n_plates) for case in doses),
        *((curve, (n,), n_of_curves(n_plates)) for n in REPLICATES),
    ]
    labs = [Lab(true, measured, np.random.default_rng(seed)) for seed in range(len(tasks))]
    columns = (labs, *zip(*tasks))
    if n_workers == 1:
        found = list(tqdm(map(repeated, *columns), total=len(tasks)))
    else:
        # A process that is forked beside the network's threads may hang.
        with ProcessPoolExecutor(n_workers, multiprocessing.get_context("spawn")) as workers:
            found = list(tqdm(workers.map(repeated, *columns), total=len(tasks)))
    answers = iter(found)
    return Drawn(
        {case: next(answers) for case in trials},
        {case: next(answers) for case in doses},
        {n: next(answers) for n in REPLICATES},
    )


def n_of_curves(n_plates: int) -> int:
    """They take long to fit."""
    return max(1, n_plates // 4)


def repeated(lab: Lab, draw_one: Callable[..., Any], case: tuple[Any, ...], n_plates: int) -> list[Any]:
    """So many plates of one case."""
    return [draw_one(lab, *case) for _ in range(n_plates)]
