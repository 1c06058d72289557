"""Changes the light of annotated fields as microscopes and stitching programs do, and counts the nuclei that stay.

`python -m benchmarks.light --data PATH --splits training/splits.csv --model models/NAME/VERSION --report FILE`
"""

import argparse
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray
from tqdm import tqdm

from app.engine.engine import Engine, Limits
from app.evaluation.matching import matched
from app.options import SegmentationOptions
from benchmarks.disturbances import DISTURBANCES, Disturbance, Field, Image
from benchmarks.report import table
from training.arguments import command_line, data_arguments
from training.dataset import MAX_PIXELS, Sample, find_samples
from training.splits import Splits, read_splits_of

N_FIELDS = 20
SIDE_PX = 400
LEAST_STAYING = 0.95
EXPLANATION = """
Each row changes the light of all fields in one way. Nuclei are true ones that are found in the unchanged field and that
the change does not cover; they stay where they are found again with an IoU of at least 0.5. New objects lie where
nothing was found before. A field counts as lost silently where less than 95 % of its nuclei stay and the answer has no
warning that the unchanged field's has not.
"""


class Answer(NamedTuple):
    """What the engine finds in an image: labels `(H, W)` and the codes of its warnings."""

    labels: NDArray[np.int32]
    codes: frozenset[str]


class Score(NamedTuple):
    """Of one field in another light: nuclei that are not covered, how many stay, objects and warnings that are new."""

    n_nuclei: int
    n_staying: int
    n_new: int
    codes: frozenset[str]

    @property
    def is_fine(self) -> bool:
        """Whether hardly a nucleus is lost without a word."""
        return self.n_staying >= LEAST_STAYING * self.n_nuclei or bool(self.codes)


def field_of(sample: Sample, seed: int) -> Field:
    """A corner of an annotated image; 8 bits become 12, with an offset and noise, so that there is room for light."""
    image = sample.image()
    truth = sample.labels(image.shape[:2])
    grey = image if image.ndim == 2 else image.max(axis=2)
    if grey.dtype == np.uint8:
        noise = np.random.default_rng(seed).integers(0, 16, grey.shape)
        grey = (16 * grey.astype(np.uint16) + 100 + noise).astype(np.uint16)
    return Field(grey[:SIDE_PX, :SIDE_PX], truth[:SIDE_PX, :SIDE_PX], seed)


def choose(samples: Iterable[Sample], splits: Splits) -> list[Sample]:
    """Fluorescence images for validation, as many of each data set: by its own list, else by the splits."""
    by_set: dict[Path, list[Sample]] = {}
    for sample in samples:
        assigned = splits.get(sample.image_id)
        split = sample.listed_split or (assigned.split if assigned else None)
        if split == "val" and assigned and assigned.modality == "fluorescence":
            by_set.setdefault(sample.tree.root, []).append(sample)
    n_each = N_FIELDS // max(1, len(by_set))
    return [one for of_set in by_set.values() for one in of_set[:: max(1, len(of_set) // n_each)][:n_each]]


def ask(engine: Engine, image: Image) -> Answer:
    """The engine's answer to an image, by all its steps."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image)
    plane = engine.segment(buffer.getvalue(), SegmentationOptions()).planes[0]
    return Answer(plane.labels, frozenset(warning.code for warning in plane.warnings))


def score(engine: Engine, field: Field, undisturbed: Answer, disturbance: Disturbance) -> Score:
    """What stays of the true nuclei (IoU of at least 0.5) that are found in the field as it is."""
    disturbed = disturbance(field)
    answer = ask(engine, disturbed.image)
    known = undisturbed.labels
    touched = np.unique(known[disturbed.covered])
    is_counted = matched(known, field.truth, 0.5) & ~np.isin(np.arange(1, known.max() + 1), touched)
    stays = matched(known, answer.labels[disturbed.place], 0.5)
    # New is what lies where nothing was found before, in a border too.
    free = np.ones(answer.labels.shape, bool)
    free[disturbed.place] = (known == 0) & ~disturbed.covered
    areas = np.bincount(answer.labels.ravel())[1:]
    n_new = np.count_nonzero(np.bincount(answer.labels[free], minlength=areas.size + 1)[1:] > 0.5 * areas)
    return Score(int(is_counted.sum()), int((is_counted & stays).sum()), int(n_new), answer.codes - undisturbed.codes)


def as_row(name: str, scores: Sequence[Score]) -> list[str]:
    """One line of the table."""
    n_nuclei = sum(one.n_nuclei for one in scores)
    parts = [one.n_staying / one.n_nuclei for one in scores if one.n_nuclei]
    codes = sorted({code for one in scores for code in one.codes})
    told = [f"`{code}` {sum(code in one.codes for one in scores)}" for code in codes]
    return [
        name,
        str(n_nuclei),
        f"{sum(one.n_staying for one in scores) / max(1, n_nuclei):.1%}",
        f"{min(parts, default=1):.0%}",
        str(sum(one.n_new for one in scores)),
        ", ".join(told),
        f"{sum(not one.is_fine for one in scores)} of {len(scores)}",
    ]


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(parents=[data_arguments()], description=__doc__)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()

    samples = find_samples(options.data)
    chosen = choose(samples, read_splits_of(samples, options.splits))
    engine = Engine.load(options.model, "cpu", Limits(MAX_PIXELS))
    scores: dict[str, list[Score]] = {name: [] for name in DISTURBANCES}
    n_warned = 0
    for seed, sample in enumerate(tqdm(chosen, unit="field")):
        field = field_of(sample, seed)
        undisturbed = ask(engine, field.image)
        n_warned += bool(undisturbed.codes)
        for name, disturbance in DISTURBANCES.items():
            scores[name].append(score(engine, field, undisturbed, disturbance))
    head = ["light", "nuclei", "stay", "in the worst field", "new objects", "new warnings, fields", "lost silently"]
    lines = [
        f"Made by `{command_line('benchmarks.light', sys.argv[1:])}`.",
        f"{len(chosen)} fields of up to {SIDE_PX} x {SIDE_PX} pixels; {n_warned} are warned of as they are.",
        EXPLANATION,
        table(head, [as_row(name, of_name) for name, of_name in scores.items()]),
    ]
    options.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
