"""Scores an exported model, through the very steps that the service runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from app.engine.find import find_nuclei
from app.engine.predict import predict_at_scale
from app.engine.scale import calibration_at
from app.evaluation.matching import (
    Matching,
    average_precision,
    match_all,
    matched,
    pixel_scores,
    pooled_accuracy,
    pooled_f1,
)
from app.inference.load import Model, load_model
from app.inference.model_card import Evaluation
from app.measurement.measure import confidences
from app.measurement.regions import Regions
from app.options import SegmentationOptions
from app.segmentation.threshold import apply_threshold, threshold_value
from training.dataset import Sample
from training.splits import Splits
from training.targets import resize_image, resize_mask

ALL = "all"
# The size at which the original report's figure was measured.
ORIGINAL_SIZE_PX = (128, 128)
N_RESAMPLES = 1000
_N_BINS = 10
COLUMNS = {
    "n_images": "images",
    "iou": "IoU",
    "ap50": "AP50",
    "average_precision": "AP 0.50:0.95",
    "f1": "F1 at 0.5",
    "count_true": "nuclei",
    "count_predicted": "counted",
    "count_error": "count error",
    "calibration_error": "calibration error",
    "iou_half": "IoU, threshold 0.5",
    "iou_mean": "IoU, mean rule",
    "iou_original": "IoU at 128 x 128, mean rule",
}
_PERCENT = {"count_error"}
_WHOLE = {"n_images", "count_true", "count_predicted"}


@dataclass(frozen=True)
class ImageScores:
    """One image: IoU of its mask, and the matching of its nuclei at IoU 0.50 to 0.95.

    Attributes
    ----------
    iou_by_rule
        IoU of masks made by other rules than the method's own, by the figure's name.
    confidence, is_true
        Of each nucleus found: how likely the method calls it, float64 `(N,)` in [0, 1], and whether a true one matches
        it at an IoU of 0.5; None of methods that do not say.
    """

    image_id: str
    modality: str
    iou: float
    matching: list[Matching]
    iou_by_rule: dict[str, float] = field(default_factory=dict)
    confidence: NDArray[np.float64] | None = None
    is_true: NDArray[np.bool_] | None = None


def evaluate(
    folder: Path, samples: Sequence[Sample], splits: Splits, options: SegmentationOptions
) -> dict[str, dict[str, float]]:
    """Figures of the model in `folder`, for each modality and for all images; see `summarise`.

    Beside them stand the IoU of the mask at a threshold of 0.5 and at the image's mean probability, and that of the
    original report: images and masks resized to 128 x 128, thresholded at the mean.

    Raises
    ------
    ModelError
        The model cannot be used.
    DatasetError
        An image or mask cannot be read.
    """
    model = load_model(folder, "auto")
    everything = [score(model, sample, splits, options) for sample in tqdm(samples, desc="Evaluating", unit="image")]
    return by_modality(everything)


def score(model: Model, sample: Sample, splits: Splits, options: SegmentationOptions) -> ImageScores:
    """Score one image."""
    image = model.normalise(sample.image())
    truth = sample.labels(image.shape[:2])
    predictions, choice = predict_at_scale(model, image, options)
    labels = find_nuclei(predictions, options, calibration_at(model.card.calibration, choice.scale))[2]
    small_probability = model.predict(resize_image(image, ORIGINAL_SIZE_PX), options.quality).probability
    small_mask = apply_threshold(small_probability, threshold_value(small_probability, "mean"))
    mean = threshold_value(predictions.probability, "mean")
    return replace(
        score_labels(sample, splits, truth, labels),
        iou_by_rule={
            "iou_half": pixel_scores(truth > 0, apply_threshold(predictions.probability, 0.5)).iou,
            "iou_mean": pixel_scores(truth > 0, apply_threshold(predictions.probability, mean)).iou,
            "iou_original": pixel_scores(resize_mask(truth > 0, ORIGINAL_SIZE_PX), small_mask).iou,
        },
        confidence=confidences(Regions(labels), predictions, model.card.calibration.confidence),
        is_true=matched(labels, truth, 0.5),
    )


def score_labels(sample: Sample, splits: Splits, truth: NDArray[np.int32], labels: NDArray[np.int32]) -> ImageScores:
    """Score the nuclei that some method found in an image, `(H, W)`, against the true ones."""
    modality = splits[sample.image_id].modality if sample.image_id in splits else "unknown"
    return ImageScores(sample.image_id, modality, pixel_scores(truth > 0, labels > 0).iou, match_all(truth, labels))


def by_modality(scores: Sequence[ImageScores]) -> dict[str, dict[str, float]]:
    """Figures of the images of each modality, and of all; see `summarise`."""
    modalities = sorted({one.modality for one in scores})
    return {name: summarise([one for one in scores if one.modality == name]) for name in modalities} | {
        ALL: summarise(scores)
    }


def summarise(scores: Sequence[ImageScores]) -> dict[str, float]:
    """Figures of several images together.

    Returns
    -------
    dict
        `iou`: mean over images of the whole mask's. `ap50`: TP/(TP+FP+FN) at IoU 0.5, pooled over images.
        `average_precision`: mean over IoU 0.50:0.05:0.95, then over images, as in the 2018 Data Science Bowl. `f1`:
        2TP/(2TP+FP+FN) at IoU 0.5, pooled. `count_error`: excess of nuclei counted over true ones, as a part of the
        true ones. Each of these has a 95 % interval, `..._low` to `..._high`, by bootstrap over images (Efron 1979).
        `calibration_error`: see `expected_calibration_error`, of all the images' nuclei.
    """
    main = _main_figures(scores)
    generator = np.random.default_rng(0)
    resampled = [
        _main_figures([scores[index] for index in generator.integers(0, len(scores), len(scores))])
        for _ in range(N_RESAMPLES)
    ]
    for name in list(main):
        low, high = np.percentile([figures[name] for figures in resampled], (2.5, 97.5))
        main |= {f"{name}_low": low, f"{name}_high": high}
    tp, fp, fn = _counts(scores)
    rules = {rule: float(np.mean([one.iou_by_rule[rule] for one in scores])) for rule in scores[0].iou_by_rule}
    whole = {"n_images": len(scores), "count_true": tp + fn, "count_predicted": tp + fp}
    confidence = [one.confidence for one in scores if one.confidence is not None]
    is_true = [one.is_true for one in scores if one.is_true is not None]
    if confidence:
        rules["calibration_error"] = expected_calibration_error(np.concatenate(confidence), np.concatenate(is_true))
    return {name: round(float(value), 4) for name, value in (whole | main | rules).items()}


def expected_calibration_error(confidence: NDArray[np.float64], is_true: NDArray[np.bool_]) -> float:
    """How far confidences lie from the part that is true, on average over tenths (Guo et al. 2017, arXiv:1706.04599).

    Examples
    --------
    >>> expected_calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([True, True, True, False]))
    0.0
    >>> expected_calibration_error(np.array([1.0, 1.0]), np.array([True, False]))
    0.5
    """
    tenth = np.minimum((confidence * _N_BINS).astype(int), _N_BINS - 1)
    gaps = np.bincount(tenth, confidence - is_true, minlength=_N_BINS)
    return float(np.abs(gaps).sum() / max(1, len(confidence)))


def _main_figures(scores: Sequence[ImageScores]) -> dict[str, float]:
    tp, fp, fn = _counts(scores)
    return {
        "iou": float(np.mean([one.iou for one in scores])),
        "ap50": pooled_accuracy(one.matching[0] for one in scores),
        "average_precision": float(np.mean([average_precision(one.matching) for one in scores])),
        "f1": pooled_f1(one.matching[0] for one in scores),
        "count_error": (fp - fn) / (tp + fn) if tp + fn else float(fp),
    }


def _counts(scores: Iterable[ImageScores]) -> tuple[int, int, int]:
    tp, fp, fn = np.sum([(one.matching[0].tp, one.matching[0].fp, one.matching[0].fn) for one in scores], axis=0)
    return int(tp), int(fp), int(fn)


def report(evaluation: Evaluation) -> str:
    """The figures as a Markdown table with their intervals, below the command that made them."""
    lines = [
        f"Made by `{evaluation.command}` on the {evaluation.n_images} {evaluation.split} images.",
        "Below a figure stands its 95 % interval (bootstrap over images).",
        "",
    ]
    return "\n".join([*lines, *table("images of", evaluation.figures)]) + "\n"


def table(first_column: str, figures: dict[str, dict[str, float]]) -> list[str]:
    """Lines of a Markdown table, one row a group; columns that no group has are left out."""
    columns = [name for name in COLUMNS if any(name in of_group for of_group in figures.values())]
    return [
        f"| {first_column} | " + " | ".join(COLUMNS[name] for name in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
        *(
            f"| {group} | " + " | ".join(_cell(name, of_group) for name in columns) + " |"
            for group, of_group in figures.items()
        ),
    ]


def _cell(name: str, figures: dict[str, float]) -> str:
    def text(value: float) -> str:
        return f"{value:+.1%}" if name in _PERCENT else f"{value:.0f}" if name in _WHOLE else f"{value:.3f}"

    if name not in figures:
        return ""
    if f"{name}_low" not in figures:
        return text(figures[name])
    return f"{text(figures[name])}<br>{text(figures[f'{name}_low'])} to {text(figures[f'{name}_high'])}"
