"""Draws plates from real fields with true outlines, and sees whether `karyometer compare` finds what was done to them.

`python -m benchmarks.effects --data bbbc039.zip --splits training/splits.csv --model models/NAME/VERSION --cache FILE`
fills a section of `docs/effects.md` and draws `docs/effects.png`. Fields that were trained on are left out.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

from app.engine.engine import Engine, Limits
from app.statistics.effects import EffectOptions, effects
from app.statistics.results import Interval
from app.statistics.schema import ConditionEffect
from benchmarks.effects_pool import FEWER, LARGER, UNCHANGED, Change, Pool, Values, measured_fields, pools
from benchmarks.plots import FONT
from benchmarks.report import fill, table
from training.arguments import command_line, data_arguments
from training.dataset import MAX_PIXELS, find_samples
from training.splits import read_splits_of

Endpoint = Literal["count", "area"]
PAGE = Path(__file__).parent.parent / "docs" / "effects.md"
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
        self._generator = generator
        self.n_fields = min(FIELDS_A_WELL, true.count[UNCHANGED].size)

    def expected(self, endpoint: Endpoint, change: Change) -> float:
        """What wells with a change truly have in the mean over all plates."""
        mean = float(np.nanmean(getattr(self._true, endpoint)[change]))
        return mean * (self.n_fields if endpoint == "count" else 1) * (1 + EDGE * AT_EDGE.mean())

    def plate(self, endpoint: Endpoint, changes: Sequence[Change]) -> dict[str, list[Any]]:
        """A table of wells with these changes, the first ones the control, at random places; `true` and `measured`."""
        generator, n_wells = self._generator, len(changes)
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


def curve(lab: Lab, n: int, slope: float) -> list[Interval]:
    """Intervals of the EC50, which is 1, of a plate with n wells a dose: measured, and by the truth."""
    parts = [change.part for change in FEWER[1:]]
    doses = [(part / (LARGEST_EFFECT - part)) ** (1 / slope) for part in parts]
    columns = lab.plate("count", [change for change in FEWER for _ in range(n)])
    columns["dose"] = [dose for dose in (0.0, *doses) for _ in range(n)]
    columns["condition"] = ["drug"] * len(columns["dose"])
    columns["control"] = ["negative"] * n + [None] * (len(columns["dose"]) - n)
    answers = (effects(columns, EffectOptions(endpoints=(name,))) for name in ("measured", "true"))
    return [answer.endpoints[0].curves[0].ec50_interval for answer in answers]


def covers(interval: Interval | None, truth: float) -> bool:
    """Whether an interval, an end of which may be open, holds the truth."""
    if interval is None:
        return False
    low, high = interval
    return (low is None or low <= truth) and (high is None or truth <= high)


def is_found(comparisons: Iterable[ConditionEffect]) -> bool:
    """Whether any treatment differs from the control."""
    return any(one.p_value is not None and one.p_value <= ALPHA for one in comparisons)


Trials = dict[tuple[Endpoint, Change, int], list[Trial]]
Doses = dict[tuple[Endpoint, int], NDArray[np.bool_]]


def draw_trials(lab: Lab, n_plates: int) -> Trials:
    """So many plates of each treatment and number of replicates."""
    cases: list[tuple[Endpoint, Change, int]] = [
        (endpoint, change, n) for endpoint, changes in TREATMENTS.items() for change in changes for n in REPLICATES
    ]
    trials = {}
    for case in tqdm(cases, desc="one treatment"):
        n_drawn = n_plates if case[1].part else TWICE * n_plates
        trials[case] = [one_treatment(lab, *case) for _ in range(n_drawn)]
    return trials


def draw_doses(lab: Lab, n_plates: int) -> Doses:
    """Whether there are false alarms, of plates with five doses that do nothing."""
    cases: list[tuple[Endpoint, int]] = [(endpoint, n) for endpoint in TREATMENTS for n in REPLICATES]
    return {
        case: np.array([five_doses(lab, *case) for _ in range(TWICE * n_plates)])
        for case in tqdm(cases, desc="five doses")
    }


def draw_curves(lab: Lab, n_plates: int, generator: np.random.Generator) -> dict[int, NDArray[np.bool_]]:
    """Whether intervals hold the EC50, and have two ends, `(plates, 2, 2)`: of the measured, and of the truth."""
    return {
        n: np.array(
            [
                [(covers(interval, 1.0), None not in interval) for interval in curve(lab, n, slope)]
                for slope in generator.uniform(*SLOPES, n_plates)
            ]
        )
        for n in tqdm(REPLICATES, desc="curves")
    }


def name_of(endpoint: Endpoint, change: Change) -> str:
    """A treatment in words."""
    if change.part == 0:
        return f"{'counts' if endpoint == 'count' else 'median areas'}: none"
    return f"{change.part:.0%} {'of the nuclei gone' if change.kind == 'fewer' else 'larger nuclei'}"


def share(flags: Iterable[bool]) -> float:
    """The part that is true."""
    return float(np.mean(list(flags)))


def report(
    trials: Trials, doses: Doses, curves: Mapping[int, NDArray[np.bool_]], bias: Sequence[Sequence[object]]
) -> Iterator[str]:
    """The tables."""
    head = ["treatment", *(f"n = {n}" for n in REPLICATES)]
    changed = list(dict.fromkeys((endpoint, change) for endpoint, change, _ in trials))
    yield "How often the 95 % interval of the difference (and of the ratio) holds the truth:"
    yield table(
        head,
        (
            [
                name_of(*case),
                *(
                    f"{share(t.covers for t in trials[*case, n]):.1%} "
                    f"({share(t.covers_ratio for t in trials[*case, n]):.1%})"
                    for n in REPLICATES
                ),
            ]
            for case in changed
        ),
    )
    yield "How often a change is found (p at most 0.05), and in brackets with the true counts and areas instead:"
    yield table(
        head,
        (
            [
                name_of(*case),
                *(
                    f"{share(t.is_found for t in trials[*case, n]):.3f} "
                    f"({share(t.is_found_by_truth for t in trials[*case, n]):.3f})"
                    for n in REPLICATES
                ),
            ]
            for case in changed
            if case[1].part
        ),
    )
    yield "False alarms where nothing was done, of one treatment, and of any of five doses:"
    rows = []
    for endpoint, name in (("count", "counts"), ("area", "median areas")):
        alone = (trials[endpoint, UNCHANGED, n] for n in REPLICATES)  # type: ignore[index]
        rows.append([f"{name}, one treatment", *(f"{share(t.is_found for t in of):.1%}" for of in alone)])
        of_five = (doses[endpoint, n] for n in REPLICATES)  # type: ignore[index]
        rows.append([f"{name}, five doses", *(f"{of.mean():.1%}" for of in of_five)])
    yield table(head, rows)
    yield "How often the interval of an EC50 of counts holds the truth (in brackets with the true counts), and has two ends:"
    yield table(
        ["", *head[1:]],
        [
            ["holds the EC50", *(f"{of[:, 0, 0].mean():.1%} ({of[:, 1, 0].mean():.1%})" for of in curves.values())],
            ["has two ends", *(f"{of[:, 0, 1].mean():.1%} ({of[:, 1, 1].mean():.1%})" for of in curves.values())],
        ],
    )
    yield "What is measured of the fields, all together:"
    yield table(["treatment", "true count", "count", "true median area, px", "median area, px"], bias)


def bias_rows(true: Pool, measured: Pool) -> Iterator[list[str]]:
    """Sums of counts, and means of median areas, of each change."""
    for change in true.count:
        counts = (int(pool.count[change].sum()) for pool in (true, measured))
        areas = (float(np.nanmean(pool.area[change])) for pool in (true, measured))
        (true_count, count), (true_area, area) = counts, areas
        name = name_of("count", change) if change.part else "none"
        yield [
            name,
            f"{true_count}",
            f"{count} ({count / true_count - 1:+.1%})",
            f"{true_area:.1f}",
            f"{area:.1f} ({area / true_area - 1:+.1%})",
        ]


def draw(trials: Trials, path: Path) -> None:
    """How often each change is found, a line a number of replicates; dotted with the true values."""
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        for axes, (endpoint, changes) in zip(figure.subplots(1, 2, sharey=True), TREATMENTS.items(), strict=True):
            percents = [100 * change.part for change in changes]
            for number, n in enumerate(REPLICATES):
                of_n = [trials[endpoint, change, n] for change in changes]
                axes.plot(
                    percents,
                    [share(t.is_found for t in of) for of in of_n],
                    "o-",
                    color=f"C{number}",
                    markersize=4,
                    label=f"n = {n}",
                )
                axes.plot(percents, [share(t.is_found_by_truth for t in of) for of in of_n], ":", color=f"C{number}")
            axes.axhline(ALPHA, color="0.8", linewidth=0.8, zorder=0)
            what = "nuclei gone" if endpoint == "count" else "larger nuclei"
            axes.set(xlabel=f"{what}, %; dotted: by the true outlines", ylim=(0, 1.02), xticks=percents)
        figure.axes[0].set_ylabel("found (p at most 0.05)")
        figure.axes[0].legend(fontsize=8)
        figure.savefig(path, dpi=150)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, draw plates, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.effects", parents=[data_arguments()], description=__doc__
    )
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="measured fields, kept between runs")
    parser.add_argument("--plates", type=int, default=1000, help="of each treatment and n (%(default)s)")
    options = parser.parse_args(arguments)

    samples = find_samples(options.data)
    splits = read_splits_of(samples, options.splits)
    samples = [sample for sample in samples if sample.image_id in splits and splits[sample.image_id].split != "train"]
    engine = Engine.load(options.model, "cpu", Limits(MAX_PIXELS))
    areas = list(measured_fields(engine, samples, (*FEWER, *LARGER), options.cache))
    true, measured = pools(areas)
    generator = np.random.default_rng(0)
    lab = Lab(true, measured, generator)
    trials, doses = draw_trials(lab, options.plates), draw_doses(lab, options.plates)
    curves = draw_curves(lab, options.plates, generator)
    text = [
        f"Made by `{command_line('benchmarks.effects', sys.argv[1:] if arguments is None else arguments)}` of "
        f"{len(samples)} fields: {options.plates} plates for each cell, {TWICE * options.plates} where nothing was "
        f"done, by which a share of 95 % is known to {1.96 * np.sqrt(0.95 * 0.05 / options.plates):.1%}.",
        *report(trials, doses, curves, list(bias_rows(true, measured))),
    ]
    fill("effects", "\n\n".join(text), PAGE)
    draw(trials, PAGE.with_suffix(".png"))


if __name__ == "__main__":
    main()
