"""Measures whether nuclei are found whatever the magnification: of images that were made smaller and larger.

`python -m benchmarks.magnification --data PATH --splits training/splits.csv --model models/NAME/VERSION --output docs`
(data repeatable) writes `magnification.md` and `magnification.png`.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

from app.engine.find import find_labels
from app.evaluation.matching import Matching, match_all, pooled_accuracy
from app.inference.load import Model, load_model
from app.options import SegmentationOptions
from benchmarks.plots import FONT
from benchmarks.report import table
from training.arguments import command_line, data_arguments
from training.dataset import Sample, find_samples
from training.splits import Splits, read_splits_of, samples_of

MAGNIFICATIONS = (0.35, 0.5, 0.71, 1.0, 1.41, 2.0, 3.0, 5.0)
# At full size a larger image takes the network minutes, and all that is seen is more pieces.
LARGEST_AT_FULL_SIZE = 3.0
AUTO, FULL = "scale=auto", "scale=1"
ALL = "all"


@dataclass(frozen=True)
class Score:
    """One image at one magnification."""

    matching: Matching
    scale: float
    warned: bool

    @property
    def count_true(self) -> int:
        """How many nuclei there are."""
        return self.matching.tp + self.matching.fn

    @property
    def count_found(self) -> int:
        """How many are found."""
        return self.matching.tp + self.matching.fp


Scores = dict[tuple[str, str, float], list[Score]]


def magnified(
    image: NDArray[Any], labels: NDArray[np.int32], magnification: float
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """An image and its true nuclei at another size; nuclei of which no pixel is left are none."""
    if magnification == 1:
        return image, labels
    height, width = (max(1, round(length * magnification)) for length in labels.shape)
    method = cv2.INTER_CUBIC if magnification > 1 else cv2.INTER_AREA
    resized = cv2.resize(image, (width, height), interpolation=method)
    nearest = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
    return resized, np.unique(nearest, return_inverse=True)[1].reshape(nearest.shape).astype(np.int32)


def measure(model: Model, samples: Sequence[Sample], splits: Splits, magnifications: Sequence[float]) -> Scores:
    """Scores by group of images (data set, modality, all), by option and by magnification."""
    scores: Scores = defaultdict(list)
    for sample in tqdm(samples, desc="magnified", unit="image"):
        image = sample.image()
        truth = sample.labels(image.shape[:2])
        for magnification in magnifications:
            shown, true = magnified(image, truth, magnification)
            for name in (AUTO, FULL) if magnification <= LARGEST_AT_FULL_SIZE else (AUTO,):
                options = SegmentationOptions.model_validate({"scale": name.partition("=")[2]})
                labels, choice = find_labels(model, shown, options)
                score = Score(match_all(true, labels, (0.5,))[0], choice.scale, choice.is_uncertain)
                for group in (sample.tree.root.stem, splits[sample.image_id].modality, ALL):
                    scores[group, name, magnification].append(score)
    return scores


def ap50(scores: Sequence[Score]) -> float:
    """TP/(TP+FP+FN), pooled over images."""
    return pooled_accuracy(score.matching for score in scores)


def count_error(scores: Sequence[Score]) -> float:
    """Excess of nuclei counted over true ones, as a part of these."""
    n_true = sum(score.count_true for score in scores)
    return (sum(score.count_found for score in scores) - n_true) / max(1, n_true)


FIGURES: dict[str, Callable[[Sequence[Score]], float]] = {"AP50": ap50, "error of the count": count_error}


def report(scores: Scores, command: str) -> str:
    """The tables."""
    lines = [
        "# Magnification",
        "",
        f"Made by `{command}`: AP50 (TP/(TP+FP+FN) at an IoU of 0.5, pooled) and the count's error of images that were "
        "made smaller or larger before.",
        "",
        "![AP50 and count by magnification](magnification.png)",
    ]
    magnifications = sorted({magnification for _, _, magnification in scores})
    for group in dict.fromkeys(group for group, _, _ in scores):
        rows = []
        for name in (AUTO, FULL):
            cells = [
                f"{ap50(of):.3f} ({count_error(of):+.1%})" if of else ""
                for of in (scores.get((group, name, magnification), []) for magnification in magnifications)
            ]
            rows.append([f"`{name}`", *cells])
        n_images = len(scores[group, AUTO, magnifications[0]])
        lines += ["", f"## {group}, {n_images} images", "", table(["", *(f"x {m:g}" for m in magnifications)], rows)]
    every = [one for (group, name, _), of in scores.items() if (group, name) == (ALL, AUTO) for one in of]
    wrong = [abs(one.count_found - one.count_true) > 0.25 * one.count_true for one in every]
    warned = [one.warned for one in every]
    lines += [
        "",
        f"Of the {len(every)} images at all magnifications the count is off by more than a quarter in {sum(wrong)}; "
        f"`scale_uncertain` warns of {sum(np.logical_and(wrong, warned))} of these and of "
        f"{sum(np.logical_and(np.logical_not(wrong), warned))} of the others.",
    ]
    return "\n".join(lines) + "\n"


def draw(scores: Scores, path: Path) -> None:
    """AP50 and the count's error by magnification, a colour a group."""
    groups = list(dict.fromkeys(group for group, _, _ in scores))
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        for axes, (title, figure_of) in zip(figure.subplots(1, len(FIGURES)), FIGURES.items(), strict=True):
            for number, group in enumerate(groups):
                for name, style in ((AUTO, "-"), (FULL, ":")):
                    known = sorted(m for of, by, m in scores if (of, by) == (group, name))
                    values = [figure_of(scores[group, name, magnification]) for magnification in known]
                    axes.plot(known, values, style, color=f"C{number}", label=group if style == "-" else None)
            ticks = sorted({magnification for _, _, magnification in scores})
            axes.set(xscale="log", xlabel="magnification; dotted: scale=1", title=title)
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
            axes.set_xticks([], minor=True)
        axes.set_ylim(-0.6, 1)
        axes.legend(fontsize=7)
        figure.savefig(path, dpi=150)


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(parents=[data_arguments()], description=__doc__)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each Nth image only (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()

    samples = find_samples(options.data)
    splits = read_splits_of(samples, options.splits)
    samples = samples_of(samples, splits, options.split)[:: options.every]
    scores = measure(load_model(options.model, "cpu"), samples, splits, MAGNIFICATIONS)
    options.output.mkdir(parents=True, exist_ok=True)
    text = report(scores, command_line("benchmarks.magnification", sys.argv[1:]))
    (options.output / "magnification.md").write_text(text, encoding="utf-8")
    draw(scores, options.output / "magnification.png")


if __name__ == "__main__":
    main()
