"""Measures whether images that hold no nuclei are noticed, and how many nuclei are found in them all the same.

`python -m benchmarks.unlike --data PATH --splits training/splits.csv --model models/NAME/VERSION --report FILE`
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from tqdm import tqdm

from app.engine.find import find_nuclei
from app.engine.predict import predict_image
from app.engine.scale import calibration_at
from app.inference.load import Model, load_model
from app.options import SegmentationOptions
from training.arguments import command_line, data_arguments
from training.dataset import find_samples
from training.splits import read_splits_of, samples_of

# Those that scikit-image brings along and that are neither cells nor textures of one grey.
PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "rocket.jpg"),
)
SCANS = ("page.png", "text.png")
N_PAGES = 15
NOISE_SIGMAS_PX = (0, 0, 0, 0.5, 1, 1.5, 2, 3, 4, 6)
SIDE_PX = 400


def foreign_images() -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Kind and image: photographs and their quarters, scanned and rendered text, grey and coloured noise."""
    generator = np.random.default_rng(0)
    folder = Path(skimage.data.__file__).parent
    for kind, names in (("photographs", PHOTOGRAPHS), ("text", SCANS)):
        for name in names:
            with Image.open(folder / name) as opened:
                image = np.asarray(opened.convert("RGB"))
            height, width = image.shape[0] // 2, image.shape[1] // 2
            yield kind, image
            yield kind, image[:height, :width]
            yield kind, image[height:, width:]
    for _ in range(N_PAGES):
        yield "text", _page(generator)
    for sigma_px in NOISE_SIGMAS_PX:
        for n_channels in (1, 3):
            noise = ndimage.gaussian_filter(
                generator.standard_normal((SIDE_PX, SIDE_PX, n_channels)), (sigma_px, sigma_px, 0)
            )
            scaled = np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)
            yield "noise", np.broadcast_to(scaled, (SIDE_PX, SIDE_PX, 3)).copy()


def _page(generator: np.random.Generator) -> NDArray[np.uint8]:
    page = Image.new("L", (SIDE_PX, SIDE_PX), 255)
    size_px = int(generator.integers(9, 24))
    font = ImageFont.load_default(size_px)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    for top_px in range(10, SIDE_PX - size_px, size_px + 4):
        words = ("".join(generator.choice(letters, generator.integers(2, 9))) for _ in range(12))
        ImageDraw.Draw(page).text((10, top_px), " ".join(words), fill=0, font=font)
    return np.asarray(page)


def measure(model: Model, image: NDArray[Any]) -> tuple[float, int]:
    """OOD score of an image, and how many nuclei are found in it."""
    options = SegmentationOptions()
    _, predictions, choice = predict_image(model, image, options)
    labels = find_nuclei(predictions, options, calibration_at(model.card.calibration, choice.scale))[2]
    return predictions.ood_score or 0.0, int(labels.max())


def area_under_curve(familiar: NDArray[np.float64], foreign: NDArray[np.float64]) -> float:
    """How often a foreign image is less like the training data than a familiar one (area under the ROC curve)."""
    return float(np.mean(np.greater.outer(foreign, familiar) + 0.5 * np.equal.outer(foreign, familiar)))


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(parents=[data_arguments()], description=__doc__)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()

    samples = find_samples(options.data)
    splits = read_splits_of(samples, options.splits)
    model = load_model(options.model, "cpu")
    test = [measure(model, sample.image()) for sample in tqdm(samples_of(samples, splits, "test"), desc="test")]
    familiar = np.array([ood_score for ood_score, _ in test])
    foreign: dict[str, list[tuple[float, int]]] = {}
    for kind, image in tqdm(foreign_images(), desc="foreign"):
        foreign.setdefault(kind, []).append(measure(model, image))

    limit = model.card.calibration.largest_unlikeness or np.inf
    lines = [
        f"Made by `{command_line('benchmarks.unlike', sys.argv[1:])}`.",
        f"{np.mean(familiar > limit):.1%} of the {len(familiar)} test images are warned of.",
        "",
        "| images | number | warned of | ROC AUC against the test images | median count | largest count |",
        "|---|---|---|---|---|---|",
    ]
    for kind, measured in [*foreign.items(), ("all", [one for of_kind in foreign.values() for one in of_kind])]:
        ood_scores, counts = (np.array(column) for column in zip(*measured, strict=True))
        lines.append(
            f"| {kind} | {len(measured)} | {np.mean(ood_scores > limit):.1%} "
            f"| {area_under_curve(familiar, ood_scores):.3f} | {np.median(counts):.0f} | {counts.max()} |"
        )
    options.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
