"""A small data set in Kaggle's layout, and a network trained on it."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.synthetic import discs, picture, png, tiff
from training.main import main

N_IMAGES = 12
ABOUT_DATA = ["--data-name", "synthetic discs", "--data-licence", "CC0-1.0"]
ABOUT_DATA += ["--data-attribution", "Drawn by A. Uthor, 2020."]


def kaggle_files() -> dict[str, bytes]:
    """Path to bytes: images of 32 x 40 pixels with two nuclei, one mask a nucleus."""
    generator = np.random.default_rng(0)
    files = {}
    for number in range(N_IMAGES):
        rows, columns = generator.integers(8, 24, 2), (10, 28)
        labels = discs((32, 40), *((row, column, 5) for row, column in zip(rows, columns, strict=True)))
        name = f"image{number:02d}"
        files[f"stage1_train/{name}/images/{name}.png"] = png(picture(labels))
        for nucleus in (1, 2):
            files[f"stage1_train/{name}/masks/{nucleus}.png"] = png(picture(labels == nucleus))
    return files


def write_folder(files: dict[str, bytes], root: Path) -> Path:
    """Write the files below `root`."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def write_zip(files: dict[str, bytes], path: Path) -> Path:
    """Write the files into a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def bbbc039_files() -> dict[str, bytes]:
    """One 16-bit field whose mask gives two touching nuclei different values, and two apart the same."""
    mask = np.zeros((20, 30, 4), np.uint8)
    mask[2:8, 2:8, 0] = 1
    mask[2:8, 8:14, 0] = 2
    mask[12:18, 20:26, 0] = 1
    mask[..., 3] = 255
    return {
        "bbbc039/images/field.tif": tiff(picture(mask[..., 0].astype(np.int32), np.uint16)),
        "bbbc039/masks/field.png": png(mask),
        "bbbc039/metadata/validation.txt": b"field.png\n",
    }


def plain_files() -> dict[str, bytes]:
    """An 8-bit and a 16-bit image beside their labels, of which one value has two pieces."""
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 2:8] = 300
    labels[2:8, 8:14] = 7
    labels[12:18, 20:26] = 7
    return {
        "images/a.png": png(picture(labels)),
        "labels/a.tif": tiff(labels.astype(np.uint16)),
        "images/b.b.tif": tiff(picture(labels, np.uint16)),
        "labels/b.b.png": png(labels.astype(np.uint16)),
        "README.md": b"text",
        "images/.DS_Store": b"nothing",
    }


@pytest.fixture(scope="session")
def kaggle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data set as a zip."""
    return write_zip(kaggle_files(), tmp_path_factory.mktemp("data") / "kaggle.zip")


@pytest.fixture(scope="session")
def tiny_run(kaggle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a `tiny` run of three epochs."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["train", "--preset", "tiny", "--epochs", "3", "--data", str(kaggle), "--run", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def tiny_crops_run(kaggle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole `tiny-crops` run, of three epochs too."""
    folder = tmp_path_factory.mktemp("runs") / "tiny-crops"
    assert main(["train", "--preset", "tiny-crops", "--data", str(kaggle), "--run", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def tiny_crops_model(tiny_crops_run: Path, kaggle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported model of the `tiny-crops` preset."""
    models = tmp_path_factory.mktemp("models")
    arguments = ["export", "--run", str(tiny_crops_run), "--data", str(kaggle), "--models", str(models)]
    assert main([*arguments, "--name", "crops", "--version", "1", *ABOUT_DATA]) == 0
    return models / "crops" / "1"


@pytest.fixture(scope="session")
def tiny_model(tiny_run: Path, kaggle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported tiny model."""
    models = tmp_path_factory.mktemp("models")
    arguments = ["export", "--run", str(tiny_run), "--data", str(kaggle), "--models", str(models)]
    assert main([*arguments, "--name", "tiny", "--version", "1", *ABOUT_DATA]) == 0
    return models / "tiny" / "1"
