"""Trains StarDist 2D on the same images, for comparison; needs the extra `peers`.

`python -m benchmarks.stardist --data PATH --data PATH --splits training/splits.csv --run FOLDER --epochs N`
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.inference.normalise import normalise
from training.arguments import data_arguments
from training.config import PERCENTILES
from training.dataset import Sample, find_samples
from training.splits import read_splits_of, samples_of

# StarDist is written for Keras 2.
os.environ["TF_USE_LEGACY_KERAS"] = "1"

PATCH_PX = 256
MINUTES_NAME = "minutes.txt"


def load(folder: Path) -> Any:
    """The trained network in `folder`, with the thresholds that its training chose on the validation split."""
    from stardist.models import StarDist2D

    return StarDist2D(None, name=folder.name, basedir=str(folder.parent))


def train(folder: Path, train_samples: list[Sample], val_samples: list[Sample], n_epochs: int, seed: int) -> None:
    """Train with 32 rays, grid 2 and 32 base filters, then choose the thresholds on the validation images.

    How long the training took is kept beside the network.
    """
    from stardist.models import Config2D, StarDist2D

    config = Config2D(
        n_rays=32,
        grid=(2, 2),
        n_channel_in=3,
        unet_n_filter_base=32,
        train_patch_size=(PATCH_PX, PATCH_PX),
        train_batch_size=4,
        train_epochs=n_epochs,
        train_steps_per_epoch=150,
        train_tensorboard=False,
    )
    model = StarDist2D(config, name=folder.name, basedir=str(folder.parent))
    images, labels = _read(train_samples)
    val_images, val_labels = _read(val_samples)
    generator = np.random.default_rng(seed)
    start = time.perf_counter()
    model.train(
        images,
        labels,
        validation_data=(val_images, val_labels),
        augmenter=lambda image, label_image: vary(image, label_image, generator),
        seed=seed,
    )
    (folder / MINUTES_NAME).write_text(f"{(time.perf_counter() - start) / 60:.1f}\n")
    model.optimize_thresholds(val_images, val_labels)


def vary(
    image: NDArray[np.float32], labels: NDArray[np.int32], generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Turn, mirror, and change brightness and noise, as StarDist's own examples do."""
    n_turns, mirrored = int(generator.integers(4)), generator.random() < 0.5
    if mirrored:
        image, labels = image[:, ::-1], labels[:, ::-1]
    image, labels = np.rot90(image, n_turns), np.rot90(labels, n_turns)
    image = image * np.float32(generator.uniform(0.6, 2)) + np.float32(generator.uniform(-0.2, 0.2))
    noise = np.float32(0.02 * generator.uniform(0, 1)) * generator.standard_normal(image.shape, np.float32)
    return image + noise, labels


def _read(samples: list[Sample]) -> tuple[list[NDArray[np.float32]], list[NDArray[np.int32]]]:
    images, labels = [], []
    for sample in samples:
        image = normalise(sample.image(), *PERCENTILES)
        of_image = sample.labels(image.shape[:2])
        # StarDist takes patches from inside images only.
        missing = [(0, max(0, PATCH_PX - length)) for length in of_image.shape]
        images.append(np.pad(image, [*missing, (0, 0)]))
        labels.append(np.pad(of_image, missing))
    return images, labels


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(parents=[data_arguments()], description=__doc__)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    samples = find_samples(options.data)
    splits = read_splits_of(samples, options.splits)
    train(
        options.run,
        samples_of(samples, splits, "train"),
        samples_of(samples, splits, "val"),
        options.epochs,
        options.seed,
    )


if __name__ == "__main__":
    main()
