"""Measures whether wrong counts are warned of: on validation images, these made hard, and images without nuclei.

`python -m benchmarks.warnings --data PATH --splits training/splits.csv --model models/NAME/VERSION --report FILE`
(data repeatable).
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.engine.count_doubt import doubt
from app.engine.engine import Engine, Limits
from benchmarks.report import table
from benchmarks.unlike import foreign_images
from training.arguments import command_line, data_arguments
from training.count_doubt import FEWEST_OFF, Judged, fit_count_doubt, judge, judge_all
from training.dataset import MAX_PIXELS, find_samples
from training.splits import read_splits_of

FOREIGN_PX = 256
UNCERTAIN = "count_uncertain"
DOUBTS = frozenset({UNCERTAIN, "unlike_training_data", "scale_uncertain"})
EXPLANATION = f"""
A count is wrong where it is off by more than a quarter of the true one, and by more than {FEWEST_OFF} nuclei; else it
is right. Images "as they are" are those for validation, whose kinds the network was trained on. The others were made
hard in ways that it was not trained on, which stand for other laboratories' images; no training data are like them, and
real ones may be wrong in yet other ways. "Left out" is `{UNCERTAIN}` as it would be if it had been learned without
that row's images: what to expect of a kind that nobody thought of. "Any" is any of the three warnings.
"""


def judge_foreign(engine: Engine, every: int) -> Iterator[Judged]:
    """The answers to images that show no nuclei: photographs, text and noise; to each Nth of them."""
    for kind, image in tqdm(list(foreign_images())[::every], desc="foreign", unit="image"):
        crop = image[:FOREIGN_PX, :FOREIGN_PX]
        yield judge(engine, crop, np.zeros(crop.shape[:2], np.int32), "none", kind)


def left_out(judged: Sequence[Judged]) -> dict[Judged, bool]:
    """Whether each count would be doubted, had its kind of image not been learned from."""
    doubted: dict[Judged, bool] = {}
    for group in {row_of(one) for one in judged}:
        fitted = fit_count_doubt([one for one in judged if row_of(one) != group])
        doubted |= {one: doubt(one.signals, fitted) > fitted.largest for one in judged if row_of(one) == group}
    return doubted


def row_of(one: Judged) -> str:
    """In which row of the table an answer counts: by data set where the image is as it was, else by what was done."""
    return f"{one.data}, {one.kind}" if one.is_as_it_was else one.kind


def report(judged: Sequence[Judged], command: str) -> str:
    """The table."""
    without = left_out(judged)
    told: dict[str, Callable[[Judged], bool]] = {
        f"`{UNCERTAIN}`": lambda one: UNCERTAIN in one.codes,
        "left out": lambda one: without[one],
        "`unlike_training_data`": lambda one: "unlike_training_data" in one.codes,
        "`scale_uncertain`": lambda one: "scale_uncertain" in one.codes,
        "any": lambda one: bool(one.codes & DOUBTS),
    }

    def cells(name: str, of: Sequence[Judged]) -> list[str]:
        wrong, right = [one for one in of if one.is_wrong], [one for one in of if not one.is_wrong]
        parts = [f"{_part(warns, wrong)}, {_part(warns, right)}" for warns in told.values()]
        return [name, str(len(wrong)), str(len(right)), *parts]

    as_they_were = [one for one in judged if one.is_as_it_was]
    hard = [one for one in judged if not one.is_as_it_was]
    rows = [
        cells("all as they are", as_they_were),
        cells("all made hard or without nuclei", hard),
        cells("all", judged),
    ]
    for name in dict.fromkeys(map(row_of, judged)):
        rows.append(cells(name, [one for one in judged if row_of(one) == name]))
    lines = [
        "# Warnings of wrong counts",
        "",
        f"Made by `{command}`.",
        EXPLANATION,
        "Each cell has the part of the wrong counts that is warned of, and that of the right ones.",
        "",
        table(["images", "wrong", "right", *told], rows),
    ]
    return "\n".join(lines) + "\n"


def _part(warns: Callable[[Judged], bool], of: Iterable[Judged]) -> str:
    warned = [warns(one) for one in of]
    return f"{np.mean(warned):.0%}" if warned else "-"


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(parents=[data_arguments()], description=__doc__)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth image only (%(default)s)")
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()

    samples = find_samples(options.data)
    engine = Engine.load(options.model, "cpu", Limits(MAX_PIXELS))
    judged = judge_all(engine, samples, read_splits_of(samples, options.splits), options.every)
    judged += judge_foreign(engine, options.every)
    options.report.write_text(report(judged, command_line("benchmarks.warnings", sys.argv[1:])), encoding="utf-8")


if __name__ == "__main__":
    main()
