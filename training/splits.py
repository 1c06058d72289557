"""Which image is trained on, tuned on, reported on."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from training.dataset import DatasetError, Sample, Split

SPLIT_NAMES: tuple[Split, ...] = get_args(Split)
COLUMNS = ("image_id", "split", "modality", "group")

# The original recipe: 70 of 670 images are kept for the report; a tenth of the others is validated on.
TEST_FRACTION = 70 / 670
VAL_FRACTION = 60 / 670

_COLOUR_SPREAD = 0.02
_BRIGHT_MEAN = 0.5


class Assignment(NamedTuple):
    """One row of a splits file; images of one group, a patient for one, belong to the same split."""

    split: Split
    modality: str
    group: str = ""


Splits = dict[str, Assignment]


def read_splits(*paths: Path) -> Splits:
    """Read CSVs with the columns `image_id`, `split` and, optionally, `modality` and `group`; together they are one.

    Raises
    ------
    DatasetError
        A file is missing or lacks a column, an image has two rows, a split is not train, val or test, or a group has
        two splits.
    """
    splits: Splits = {}
    for path in paths:
        for number, row in enumerate(_rows(path), start=2):
            image_id = row.get("image_id")
            split: Split | None = next((name for name in SPLIT_NAMES if name == row.get("split")), None)
            if not image_id or split is None:
                raise DatasetError(f"{path}, line {number}: needs an image_id and a split of {', '.join(SPLIT_NAMES)}.")
            if image_id in splits:
                raise DatasetError(f"{path}, line {number}: {image_id} has a split already.")
            splits[image_id] = Assignment(split, row.get("modality") or "unknown", row.get("group") or "")
    _require_whole_groups(splits)
    return splits


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as exc:
        raise DatasetError(f"{path}: the splits file cannot be read ({exc.strerror}).") from exc


def _require_whole_groups(splits: Splits) -> None:
    """Images of one patient look alike: with some to learn from, the others would seem easier than a new patient's."""
    chosen: dict[str, str] = {}
    for image_id, row in splits.items():
        group = group_name(image_id, row)
        if row.group and chosen.setdefault(group, row.split) != row.split:
            raise DatasetError(f"Group {group} is in {chosen[group]} and, with {image_id}, in {row.split}.")


def group_name(image_id: str, row: Assignment) -> str:
    """An image's group, after its data set's name where the image's id has that; groups belong to one data set.

    Examples
    --------
    >>> group_name("tnbc/03_2", Assignment("train", "histology", "03"))
    'tnbc/03'
    """
    dataset, slash, _ = image_id.rpartition("/")
    return dataset + slash + row.group


def leave_out(splits: Splits, groups: Sequence[str], modalities: Sequence[str]) -> Splits:
    """The splits with all images of these groups (see `group_name`) and modalities in `test`.

    Raises
    ------
    DatasetError
        No image belongs to one of them.
    """
    known = {group_name(image_id, row) for image_id, row in splits.items() if row.group}
    unknown = sorted({*groups} - known) + sorted({*modalities} - {row.modality for row in splits.values()})
    if unknown:
        raise DatasetError(f"The splits have no group or modality {', '.join(unknown)}.")
    return {
        image_id: row._replace(split="test")
        if (row.group and group_name(image_id, row) in groups) or row.modality in modalities
        else row
        for image_id, row in splits.items()
    }


def read_splits_of(samples: Iterable[Sample], *paths: Path) -> Splits:
    """The rows of these samples; the files may name images of other data sets too."""
    ids = {sample.image_id for sample in samples}
    return {image_id: row for image_id, row in read_splits(*paths).items() if image_id in ids}


def write_splits(splits: Splits, path: Path) -> None:
    """Write a CSV that `read_splits` reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((image_id, *assignment) for image_id, assignment in sorted(splits.items()))


def splits_digest(splits: Splits) -> str:
    """SHA-256 over the sorted rows; groups decide nothing in a training, and are left out."""
    rows = (",".join((image_id, row.split, row.modality)) for image_id, row in sorted(splits.items()))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def make_splits(samples: Iterable[Sample], seed: int) -> Splits:
    """A seeded split, stratified by modality and image size; a split that the data set itself lists is kept."""
    splits: Splits = {}
    strata: dict[tuple[str, tuple[int, ...]], list[str]] = defaultdict(list)
    for sample in samples:
        image = sample.image()
        modality = guess_modality(image)
        if sample.listed_split:
            splits[sample.image_id] = Assignment(sample.listed_split, modality)
        else:
            strata[modality, image.shape[:2]].append(sample.image_id)
    generator = np.random.default_rng(seed)
    # Spread evenly along the strata: every k-th image of the shuffled, stratum-sorted list.
    ordered = [
        (str(image_id), modality)
        for (modality, _), ids in sorted(strata.items())
        for image_id in generator.permutation(ids)
    ]
    test = _evenly_spaced(len(ordered), round(len(ordered) * TEST_FRACTION))
    val = _evenly_spaced(len(ordered) - len(test), round(len(ordered) * VAL_FRACTION))
    rest = [index for index in range(len(ordered)) if index not in test]
    val = {rest[index] for index in val}
    for index, (image_id, modality) in enumerate(ordered):
        split: Split = "test" if index in test else "val" if index in val else "train"
        splits[image_id] = Assignment(split, modality)
    return splits


def _evenly_spaced(n: int, n_chosen: int) -> set[int]:
    return {int((index + 0.5) * n / n_chosen) for index in range(n_chosen)}


def guess_modality(image: np.ndarray) -> str:
    """`histology` (coloured), `brightfield` (grey and bright) or `fluorescence` (grey and dark)."""
    relative = image.astype(np.float32) / np.iinfo(image.dtype).max
    if image.ndim == 3 and np.ptp(relative, axis=2).mean() > _COLOUR_SPREAD:
        return "histology"
    return "brightfield" if relative.mean() > _BRIGHT_MEAN else "fluorescence"


def samples_of(samples: Sequence[Sample], splits: Splits, split: Split) -> list[Sample]:
    """The samples of one split.

    Raises
    ------
    DatasetError
        The splits file names images that the data lacks, or has none of this split.
    """
    missing = splits.keys() - {sample.image_id for sample in samples}
    if missing:
        raise DatasetError(f"The data lacks {len(missing)} images of the splits file, {min(missing)} for one.")
    chosen = [sample for sample in samples if sample.image_id in splits and splits[sample.image_id].split == split]
    if not chosen:
        raise DatasetError(f"The splits file has no {split} images.")
    return chosen
