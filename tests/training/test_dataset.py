import logging
from pathlib import Path

import numpy as np
import pytest

from tests.synthetic import picture, png
from tests.training.conftest import N_IMAGES, bbbc039_files, kaggle_files, write_folder, write_zip
from training.dataset import DatasetError, data_digest, find_samples

IMAGE = "stage1_train/image00/images/image00.png"
MASK = "stage1_train/image00/masks/2.png"


def test_zip_and_folder_are_the_same_data(tmp_path: Path) -> None:
    zipped = find_samples([write_zip(kaggle_files(), tmp_path / "data.zip")])
    unpacked = find_samples([write_folder(kaggle_files(), tmp_path / "data")])
    assert [sample.image_id for sample in zipped] == [f"image{number:02d}" for number in range(N_IMAGES)]
    assert data_digest(zipped) == data_digest(unpacked)
    changed = kaggle_files() | {MASK: png(np.ones((32, 40), np.uint8))}
    assert data_digest(find_samples([write_zip(changed, tmp_path / "changed.zip")])) != data_digest(zipped)


def test_masks_become_one_label_image(tmp_path: Path) -> None:
    sample = find_samples([write_folder(kaggle_files(), tmp_path)])[0]
    image = sample.image()
    labels = sample.labels(image.shape[:2])
    assert labels.max() == 2
    np.testing.assert_array_equal(picture(labels), image)


def test_bbbc039_keeps_touching_nuclei_apart(tmp_path: Path) -> None:
    sample = find_samples([write_folder(bbbc039_files(), tmp_path)])[0]
    image = sample.image()
    labels = sample.labels(image.shape[:2])
    assert (image.dtype, labels.max(), sample.listed_split) == (np.uint16, 3, "val")
    assert len({labels[4, 4], labels[4, 10], labels[14, 22]}) == 3


def test_overlaps_stay_the_first_masks_and_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    everything = png(np.full((32, 40), 255, np.uint8))
    sample = find_samples([write_folder(kaggle_files() | {MASK: everything}, tmp_path)])[0]
    with caplog.at_level(logging.WARNING):
        labels = sample.labels((32, 40))
    n_first = np.count_nonzero(labels == 1)
    assert caplog.messages == [f"{MASK} overlaps earlier masks by {n_first} pixels, which stay theirs."]
    assert np.count_nonzero(labels == 2) == labels.size - n_first


@pytest.mark.parametrize(
    ("path", "data", "sentence"),
    [
        (MASK, b"\x89PNG\r\n\x1a\n", "masks/2.png: The mask, a PNG file, is damaged"),
        (MASK, png(np.zeros((5, 5), np.uint8)), "masks/2.png is 5 x 5 pixels, its image 32 x 40"),
        (IMAGE, b"text", "image00.png: The image is not a PNG"),
        (IMAGE, b"", "image00.png: The image is empty"),
        (MASK, b"", "masks/2.png: The mask is empty"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, path: str, data: bytes, sentence: str) -> None:
    sample = find_samples([write_folder(kaggle_files() | {path: data}, tmp_path)])[0]
    with pytest.raises(DatasetError, match=sentence):
        sample.labels(sample.image().shape[:2])


@pytest.mark.parametrize("missing", ["/images/", "/masks/"])
def test_images_without_masks_and_masks_without_images_are_named(tmp_path: Path, missing: str) -> None:
    files = {path: data for path, data in kaggle_files().items() if "image03" not in path or missing not in path}
    with pytest.raises(DatasetError, match=r"need one image and its masks: image03\."):
        find_samples([write_folder(files, tmp_path)])


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds neither Kaggle's layout"):
        find_samples([tmp_path])
    with pytest.raises(DatasetError, match="neither a folder nor a zip file"):
        find_samples([tmp_path / "nowhere"])


def test_a_damaged_zip_member_is_named(tmp_path: Path) -> None:
    path = write_zip(kaggle_files(), tmp_path / "data.zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 6] ^= 255
    path.write_bytes(data)
    sample = find_samples([path])[0]
    with pytest.raises(DatasetError, match=r"image00\.png cannot be read"):
        sample.image()


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    sample = find_samples([write_folder(kaggle_files(), tmp_path)])[0]
    (tmp_path / IMAGE).unlink()
    with pytest.raises(DatasetError, match=r"image00\.png cannot be read"):
        sample.image()
