"""Draws what `benchmarks.accuracy` measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from app.evaluation.matching import matched
from app.inference.normalise import normalise
from benchmarks.methods import Method
from training.config import PERCENTILES
from training.dataset import Sample
from training.evaluate import ALL, ImageScores

FONT: dict[Any, Any] = {"font.size": 9}
TILE_PX = 480
TILES_A_ROW = 4
FOUND, MISSED, INVENTED = (255, 220, 0), (255, 0, 255), (0, 200, 255)


def draw_curves(curves: dict[str, dict[float, float]], path: Path) -> None:
    """Pooled accuracy by IoU threshold, a line a method."""
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for name, curve in curves.items():
            axes.plot(list(curve), list(curve.values()), label=name)
        axes.set(xlabel="IoU at which a nucleus counts as found", ylabel="TP / (TP + FP + FN), pooled", ylim=(0, 1))
        axes.legend()
        figure.savefig(path, dpi=150)


def draw_counts(scores: dict[str, list[ImageScores]], path: Path) -> None:
    """Nuclei counted against true ones, a point an image, a panel a method, with the line where both are equal."""
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(3 * len(scores), 3.2), layout="constrained")
        for axes, (name, of_method) in zip(
            figure.subplots(1, len(scores), squeeze=False)[0], scores.items(), strict=True
        ):
            true = np.array([one.matching[0].tp + one.matching[0].fn for one in of_method])
            counted = np.array([one.matching[0].tp + one.matching[0].fp for one in of_method])
            largest = max(true.max(), counted.max()) * 1.3
            axes.plot([0.8, largest], [0.8, largest], color="0.7", linewidth=1)
            axes.scatter(np.maximum(true, 0.8), np.maximum(counted, 0.8), s=9)
            axes.set(xscale="log", yscale="log", xlabel="true nuclei", ylabel="counted", title=name, aspect="equal")
        figure.savefig(path, dpi=150)


def draw_modalities(figures: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """IoU, AP50 and AP, a group of bars a modality, a bar a method, with intervals."""
    shown = {"iou": "IoU", "ap50": "AP50", "average_precision": "AP 0.50:0.95"}
    modalities = sorted(next(iter(figures.values())), key=lambda name: name == ALL)
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(10, 3.4), layout="constrained")
        width = 0.8 / len(figures)
        for axes, (key, title) in zip(figure.subplots(1, len(shown)), shown.items(), strict=True):
            for index, (name, of_method) in enumerate(figures.items()):
                middle = np.array([of_method[modality][key] for modality in modalities])
                spread = [
                    np.abs(middle - [of_method[modality][f"{key}_{end}"] for modality in modalities])
                    for end in ("low", "high")
                ]
                places = np.arange(len(modalities)) + (index - (len(figures) - 1) / 2) * width
                axes.bar(places, middle, width, yerr=spread, label=name, error_kw={"linewidth": 0.7})
            axes.set(title=title, ylim=(0, 1), xticks=range(len(modalities)), xticklabels=modalities)
        axes.legend(fontsize=7)
        figure.savefig(path, dpi=150)


def draw_gallery(samples: Sequence[Sample], method: Method, path: Path) -> None:
    """Images with nuclei that were found (yellow, ours), missed (magenta, the truth's) and invented (blue, ours)."""
    tiles = [_tile(sample, method) for sample in samples]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % TILES_A_ROW)
    rows = [np.hstack(tiles[start : start + TILES_A_ROW]) for start in range(0, len(tiles), TILES_A_ROW)]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def _tile(sample: Sample, method: Method) -> NDArray[np.uint8]:
    image = sample.image()
    truth = sample.labels(image.shape[:2])
    labels = method.find(image)
    # Background first, which is neither.
    found = np.append(True, matched(labels, truth, 0.5))
    missed = np.append(False, ~matched(truth, labels, 0.5))
    picture: NDArray[Any] = (normalise(image, *PERCENTILES) * 255).astype(np.uint8)
    zoom = TILE_PX / max(truth.shape)
    size = (max(1, round(truth.shape[1] * zoom)), max(1, round(truth.shape[0] * zoom)))
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    for of, colour in (
        (np.where(missed[truth], truth, 0), MISSED),
        (np.where(found[labels], 0, labels), INVENTED),
        (np.where(found[labels], labels, 0), FOUND),
    ):
        resized = cv2.resize(of.astype(np.float32), size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
        picture[find_boundaries(resized, mode="inner")] = colour
    tile = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
    tile[: size[1], : size[0]] = picture
    return tile
