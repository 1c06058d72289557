"""Scores an exported model, through the very steps that the service runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.segmentation.binarise import binarise, threshold_value
from app.segmentation.metrics import Matching, average_precision, match_all, pixel_scores, pooled_accuracy
from app.segmentation.model_card import Evaluation
from app.segmentation.options import SegmentationOptions
from app.segmentation.pipeline import Segmenter, find_nuclei
from training.dataset import MAX_PIXELS, Sample
from training.splits import Splits
from training.targets import resize_image, resize_mask

ALL = "all"
# The size at which the original report's figure was measured.
ORIGINAL_SIZE_PX = (128, 128)
COLUMNS = {
    "n_images": "images",
    "iou_original": "IoU at 128 x 128, mean rule",
    "iou_mean": "IoU, mean rule",
    "iou_half": "IoU, threshold 0.5",
    "iou": "IoU, model's threshold",
    "ap50": "AP50",
    "average_precision": "AP 0.50:0.95",
    "count_true": "nuclei",
    "count_predicted": "counted",
    "count_error": "count error",
}
_PERCENT = {"count_error"}
_WHOLE = {"n_images", "count_true", "count_predicted"}


@dataclass(frozen=True)
class ImageScores:
    """One image: IoU by four rules, and the matching of the nuclei that the service would answer."""

    iou_original: float
    iou_mean: float
    iou_half: float
    iou: float
    matching: list[Matching]


def evaluate(folder: Path, samples: Sequence[Sample], splits: Splits) -> dict[str, dict[str, float]]:
    """Figures of the model in `folder`, for each modality and for all images.

    IoU is the mean over images of that of the whole mask. AP50 is TP/(TP+FP+FN) at IoU 0.5, pooled over images;
    `average_precision` its mean over IoU 0.50:0.05:0.95, averaged over images as in the 2018 Data Science Bowl.
    `count_error` is the excess of nuclei counted over true ones, as a part of the true ones.

    Raises
    ------
    ModelError
        The model cannot be used.
    DatasetError
        An image or mask cannot be read.
    """
    segmenter = Segmenter.load(folder, "auto", MAX_PIXELS)
    groups: dict[str, list[ImageScores]] = {}
    for sample in tqdm(samples, desc="Evaluating", unit="image"):
        scores = score(segmenter, sample)
        modality = splits[sample.image_id].modality if sample.image_id in splits else "unknown"
        groups.setdefault(modality, []).append(scores)
    everything = [scores for group in groups.values() for scores in group]
    return {name: _summarise(group) for name, group in sorted(groups.items())} | {ALL: _summarise(everything)}


def score(segmenter: Segmenter, sample: Sample) -> ImageScores:
    """Score one image."""
    image = segmenter.normalise(sample.image())
    truth = sample.labels(image.shape[:2])
    maps = segmenter.predictor.predict(image)
    probability = maps.probability
    labels = find_nuclei(maps, SegmentationOptions(), segmenter.card.calibration)[2]
    small_probability = segmenter.predictor.predict(resize_image(image, ORIGINAL_SIZE_PX)).probability
    small_mask = binarise(small_probability, threshold_value(small_probability, "mean"))
    return ImageScores(
        iou_original=pixel_scores(resize_mask(truth > 0, ORIGINAL_SIZE_PX), small_mask).iou,
        iou_mean=pixel_scores(truth > 0, binarise(probability, threshold_value(probability, "mean"))).iou,
        iou_half=pixel_scores(truth > 0, binarise(probability, 0.5)).iou,
        iou=pixel_scores(truth > 0, labels > 0).iou,
        matching=match_all(truth, labels),
    )


def _summarise(group: list[ImageScores]) -> dict[str, float]:
    at_half = [scores.matching[0] for scores in group]
    tp, fp, fn = (sum(getattr(matching, name) for matching in at_half) for name in ("tp", "fp", "fn"))
    figures = {
        "n_images": len(group),
        "iou_original": np.mean([scores.iou_original for scores in group]),
        "iou_mean": np.mean([scores.iou_mean for scores in group]),
        "iou_half": np.mean([scores.iou_half for scores in group]),
        "iou": np.mean([scores.iou for scores in group]),
        "ap50": pooled_accuracy(at_half),
        "average_precision": np.mean([average_precision(scores.matching) for scores in group]),
        "count_true": tp + fn,
        "count_predicted": tp + fp,
        "count_error": (fp - fn) / (tp + fn) if tp + fn else float(fp),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def report(evaluation: Evaluation) -> str:
    """The figures as a Markdown table, below the command that made them."""

    def cell(name: str, value: float) -> str:
        return f"{value:+.1%}" if name in _PERCENT else f"{value:.0f}" if name in _WHOLE else f"{value:.3f}"

    lines = [
        f"Made by `{evaluation.command}` on the {evaluation.n_images} {evaluation.split} images.",
        "",
        "| images of | " + " | ".join(COLUMNS.values()) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for group, figures in evaluation.figures.items():
        lines.append(f"| {group} | " + " | ".join(cell(name, figures[name]) for name in COLUMNS) + " |")
    return "\n".join(lines) + "\n"
