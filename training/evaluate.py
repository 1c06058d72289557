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
from training.config import TrainingConfig
from training.dataset import MAX_PIXELS, Sample
from training.splits import Splits
from training.targets import resize_image, resize_mask

ALL = "all"
COLUMNS = {
    "n_images": "images",
    "iou_resized_mean": "IoU at the network's size, mean rule",
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

    iou_resized_mean: float
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
    probability = segmenter.predictor.predict(image)
    labels = find_nuclei(probability, SegmentationOptions(), segmenter.card.calibration)[2]
    size_px = TrainingConfig.model_validate(segmenter.card.training.config).image_size_px
    small_probability = segmenter.predictor.predict(resize_image(image, size_px))
    small_mask = binarise(small_probability, threshold_value(small_probability, "mean"))
    return ImageScores(
        iou_resized_mean=pixel_scores(resize_mask(truth > 0, size_px), small_mask).iou,
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
        "iou_resized_mean": np.mean([scores.iou_resized_mean for scores in group]),
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
