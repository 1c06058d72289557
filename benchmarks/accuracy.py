"""Scores ways to find nuclei on one split, side by side: accuracy, and what it costs.

`python -m benchmarks.accuracy --data PATH --splits training/splits.csv --model models/NAME/VERSION --output FOLDER`
(data and model repeatable) writes `comparison.json`, `comparison.md` and its plots.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from app.evaluation.matching import THRESHOLDS, pooled_accuracy
from benchmarks.methods import Method, exported, otsu, stardist
from benchmarks.plots import draw_counts, draw_curves, draw_gallery, draw_modalities
from training.arguments import command_line, data_arguments
from training.dataset import Sample, find_samples
from training.evaluate import ALL, ImageScores, by_modality, score_labels, table
from training.splits import Splits, read_splits_of, samples_of

N_WORST = 12
PICTURES = (
    "",
    "## Pictures",
    "",
    "![Part of the nuclei found, by the overlap that is asked for](accuracy.png)",
    "![Each modality](modalities.png)",
    "![Nuclei counted against true ones](counts.png)",
    "",
    "The worst images of the first method: found (yellow), missed (magenta, as people outlined them), invented (blue). "
    "The images are from the 2018 Data Science Bowl (BBBC038, CC0).",
    "",
    "![The worst images](worst.jpg)",
)


@dataclass(frozen=True)
class Result:
    """A method's scores, image by image, and its CPU time."""

    method: Method
    scores: list[ImageScores]
    figures: dict[str, dict[str, float]]
    cpu_ms_per_image: float
    cpu_ms_per_megapixel: float

    @property
    def curve(self) -> dict[float, float]:
        """Pooled TP/(TP+FP+FN) by IoU threshold."""
        return {
            thresh: round(pooled_accuracy(one.matching[index] for one in self.scores), 4)
            for index, thresh in enumerate(THRESHOLDS)
        }


def measure(method: Method, samples: Sequence[Sample], splits: Splits) -> Result:
    """Score a method on all samples; the CPU time is that of all threads, from the decoded image to its labels."""
    scores, cpu_s, n_pixels = [], 0.0, 0
    for sample in tqdm(samples, desc=method.name, unit="image"):
        image = sample.image()
        # Once before the clock runs: some methods prepare themselves for each new size.
        method.find(image)
        start = time.process_time()
        labels = method.find(image)
        cpu_s += time.process_time() - start
        n_pixels += labels.size
        scores.append(score_labels(sample, splits, sample.labels(labels.shape), labels))
    return Result(
        method,
        scores,
        by_modality(scores),
        cpu_ms_per_image=round(1000 * cpu_s / len(samples), 1),
        cpu_ms_per_megapixel=round(1e9 * cpu_s / n_pixels, 1),
    )


def as_json(results: Sequence[Result], command: str) -> dict[str, Any]:
    """Everything that was measured."""
    return {
        "command": command,
        "methods": {
            result.method.name: {
                "figures": result.figures,
                "accuracy_by_threshold": result.curve,
                "training_minutes": result.method.training_minutes,
                "n_parameters": result.method.n_parameters,
                "multiply_adds_per_megapixel": result.method.multiply_adds_per_megapixel,
                "artefact_bytes": result.method.artefact_bytes,
                "cpu_ms_per_image": result.cpu_ms_per_image,
                "cpu_ms_per_megapixel": result.cpu_ms_per_megapixel,
            }
            for result in results
        },
    }


def as_markdown(results: Sequence[Result], command: str) -> str:
    """The tables."""

    def cell(value: float | None, divisor: float = 1, digits: int = 1) -> str:
        return "" if value is None else f"{value / divisor:.{digits}f}"

    reference = results[0].cpu_ms_per_image
    lines = [
        f"Made by `{command}`.",
        "Below a figure stands its 95 % interval (bootstrap over images).",
        "",
        "## All images",
        "",
        *table("method", {result.method.name: result.figures[ALL] for result in results}),
        "",
        "## Cost",
        "",
        "CPU time is that of all threads, from the decoded image to its labels; the ratio is to the first method.",
        "",
        "| method | trained, min | parameters, M | multiply-adds, G/MP | artefact, MB | CPU ms/image | CPU ms/MP "
        "| ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        method = result.method
        cells = [
            cell(method.training_minutes, digits=0),
            cell(method.n_parameters, 1e6, 2),
            cell(method.multiply_adds_per_megapixel, 1e9),
            cell(method.artefact_bytes, 1e6),
            cell(result.cpu_ms_per_image, digits=0),
            cell(result.cpu_ms_per_megapixel, digits=0),
            cell(result.cpu_ms_per_image, reference, 2),
        ]
        lines.append(f"| {method.name} | " + " | ".join(cells) + " |")
    for modality in (name for name in results[0].figures if name != ALL):
        lines += ["", f"## {modality}", ""]
        lines += table("method", {result.method.name: result.figures[modality] for result in results})
    return "\n".join([*lines, *PICTURES]) + "\n"


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(parents=[data_arguments()], description=__doc__)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--model", type=Path, action="append", required=True, help="exported; the first one's gallery is drawn"
    )
    parser.add_argument("--best", action="store_true", help="the first model in quality `best` too")
    parser.add_argument("--stardist", type=Path, help="what benchmarks.stardist trained")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()

    samples = find_samples(options.data)
    splits = read_splits_of(samples, options.splits)
    samples = samples_of(samples, splits, options.split)
    methods = [exported(folder, "fast") for folder in options.model]
    if options.best:
        methods.insert(1, exported(options.model[0], "best"))
    if options.stardist:
        methods.append(stardist(options.stardist))
    results = [measure(method, samples, splits) for method in [*methods, otsu()]]

    command = command_line("benchmarks.accuracy", sys.argv[1:])
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "comparison.json").write_text(json.dumps(as_json(results, command), indent=1) + "\n")
    (options.output / "comparison.md").write_text(as_markdown(results, command))
    draw_curves({result.method.name: result.curve for result in results}, options.output / "accuracy.png")
    draw_counts({result.method.name: result.scores for result in results}, options.output / "counts.png")
    draw_modalities({result.method.name: result.figures for result in results}, options.output / "modalities.png")
    worst = sorted(results[0].scores, key=lambda one: float(np.mean([m.accuracy for m in one.matching])))[:N_WORST]
    by_id = {sample.image_id: sample for sample in samples}
    draw_gallery([by_id[one.image_id] for one in worst], results[0].method, options.output / "worst.jpg")


if __name__ == "__main__":
    main()
