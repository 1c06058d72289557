import logging
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from tests.synthetic import picture, png, tiff
from tests.training.conftest import N_IMAGES, bbbc039_files, kaggle_files, plain_files, write_folder, write_zip
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


def test_images_beside_labels_are_named_after_their_data_set(tmp_path: Path) -> None:
    zipped = find_samples([write_zip(plain_files(), tmp_path / "my.set.zip")])
    unpacked = find_samples([write_folder(plain_files(), tmp_path / "my.set")])
    within = find_samples([write_zip({f"x/{path}": file for path, file in plain_files().items()}, tmp_path / "m.zip")])
    assert [sample.image_id for sample in zipped] == ["my.set/a", "my.set/b.b"]
    assert [sample.image_id for sample in within] == ["m/a", "m/b.b"]
    assert data_digest(zipped) == data_digest(unpacked)
    for sample in zipped:
        image = sample.image()
        labels = sample.labels(image.shape[:2])
        np.testing.assert_array_equal(labels > 0, image > image.min())
        assert sorted({labels[4, 4], labels[4, 10], labels[14, 22]}) == [1, 2, 3]
        assert np.count_nonzero(labels == labels[4, 4]) == 36


def test_a_folder_is_named_however_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_folder(plain_files(), tmp_path / "mine"))
    assert find_samples([Path()])[0].image_id == "mine/a"


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint16, (9, 11), elements=st.sampled_from([0, 0, 3, 40_000, 65_535])))
def test_labels_are_the_connected_pieces_of_each_value(mask: np.ndarray) -> None:
    # Large enough to be neither boundaries nor smooth edges; `tests/evaluation/test_truth.py` has the other kinds.
    mask = np.pad(np.kron(mask, np.ones((8, 8), mask.dtype)), 8)
    with tempfile.TemporaryDirectory() as folder:
        files = {"images/a.png": png(np.zeros(mask.shape, np.uint8)), "labels/a.tif": tiff(mask)}
        labels = find_samples([write_folder(files, Path(folder))])[0].labels(mask.shape)
    np.testing.assert_array_equal(labels > 0, mask > 0)
    n_pieces = sum(ndimage.label(mask == value, np.ones((3, 3)))[1] for value in np.unique(mask[mask > 0]))
    assert sorted(set(labels[labels > 0].tolist())) == list(range(1, n_pieces + 1))
    assert all(len(np.unique(mask[labels == nucleus])) == 1 for nucleus in range(1, n_pieces + 1))


@pytest.mark.parametrize("more", ["images/c.png", "labels/c.png", "images/a.tif", "other/labels/a.tif"])
def test_images_and_labels_pair_up(tmp_path: Path, more: str) -> None:
    root = write_folder(plain_files() | {more: png(np.zeros((20, 30), np.uint8))}, tmp_path)
    with pytest.raises(DatasetError, match=rf"need one image and its masks: {Path(more).stem}\."):
        find_samples([root])


def test_two_images_of_one_id_are_refused(tmp_path: Path) -> None:
    roots = [write_folder(plain_files(), tmp_path / place / "mine") for place in ("one", "two")]
    with pytest.raises(DatasetError, match=r"several images of the same id: mine/a, mine/b\.b"):
        find_samples(roots)


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
    with pytest.raises(DatasetError, match=r"holds no layout that is read: images/NAME\.png"):
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
