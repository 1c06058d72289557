"""Draws plates from real fields with true outlines, and sees whether `karyometer compare` finds what was done to them.

`python -m benchmarks.effects --data bbbc039.zip --splits training/splits.csv --model models/NAME/VERSION --cache FILE`
fills a section of `docs/effects.md` and draws `docs/effects.png`. Fields that were trained on are left out.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from app.engine.engine import Engine, Limits
from benchmarks.effects_plates import (
    ALPHA,
    REPLICATES,
    TREATMENTS,
    TWICE,
    Case,
    Drawn,
    Endpoint,
    Trial,
    draw_plates,
    n_of_curves,
)
from benchmarks.effects_pool import FEWER, LARGER, UNCHANGED, Change, Pool, measured_fields, pools
from benchmarks.plots import FONT
from benchmarks.report import fill, table
from training.arguments import command_line, data_arguments
from training.dataset import MAX_PIXELS, find_samples
from training.splits import read_splits_of

PAGE = Path(__file__).parent.parent / "docs" / "effects.md"


def name_of(endpoint: Endpoint, change: Change) -> str:
    """A treatment in words."""
    if change.part == 0:
        return f"{'counts' if endpoint == 'count' else 'median areas'}: none"
    return f"{change.part:.0%} {'of the nuclei gone' if change.kind == 'fewer' else 'larger nuclei'}"


def share(flags: Iterable[bool]) -> float:
    """The part that is true."""
    return float(np.mean(list(flags)))


def report(drawn: Drawn, bias: Sequence[Sequence[object]]) -> Iterator[str]:
    """The tables."""
    trials, doses, curves = drawn
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
        rows.append([f"{name}, five doses", *(f"{share(of):.1%}" for of in of_five)])
    yield table(head, rows)
    yield "How often the 95 % interval of an EC50 holds the truth (in brackets with the true counts), and has two ends:"
    yield table(
        ["", *head[1:]],
        [
            [
                "holds the EC50",
                *(
                    f"{share(t.covers for t in of):.1%} ({share(t.covers_by_truth for t in of):.1%})"
                    for of in curves.values()
                ),
            ],
            ["has two ends", *(f"{share(t.is_closed for t in of):.1%}" for of in curves.values())],
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


def draw(trials: Mapping[Case, Sequence[Trial]], path: Path) -> None:
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
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")
    options = parser.parse_args(arguments)

    samples = find_samples(options.data)
    splits = read_splits_of(samples, options.splits)
    samples = [sample for sample in samples if sample.image_id in splits and splits[sample.image_id].split != "train"]
    engine = Engine.load(options.model, "cpu", Limits(MAX_PIXELS))
    areas = list(measured_fields(engine, samples, (*FEWER, *LARGER), options.cache))
    true, measured = pools(areas)
    drawn = draw_plates(true, measured, options.plates, options.workers)
    text = [
        f"Made by `{command_line('benchmarks.effects', sys.argv[1:] if arguments is None else arguments)}` of "
        f"{len(samples)} fields: {options.plates} plates for each cell, {TWICE * options.plates} where nothing was "
        f"done and {n_of_curves(options.plates)} of curves. Of {options.plates} plates a share of 95 % is known to "
        f"{1.96 * np.sqrt(0.95 * 0.05 / options.plates):.1%}, and of {TWICE * options.plates} one of 5 % to "
        f"{1.96 * np.sqrt(0.95 * 0.05 / options.plates / TWICE):.1%}.",
        *report(drawn, list(bias_rows(true, measured))),
    ]
    fill("effects", "\n\n".join(text), PAGE)
    draw(drawn.trials, PAGE.with_suffix(".png"))


if __name__ == "__main__":
    main()
