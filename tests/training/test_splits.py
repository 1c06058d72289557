from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from app.inference.model_card import read_model_card
from tests.synthetic import png
from tests.training.conftest import bbbc039_files, write_folder
from training.dataset import DatasetError, Sample, find_samples
from training.main import main
from training.splits import (
    Assignment,
    guess_modality,
    make_splits,
    read_splits,
    samples_of,
    splits_digest,
    write_splits,
)

COLOURS = {"fluorescence": (20, 20, 20), "brightfield": (200, 200, 200), "histology": (200, 100, 180)}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Sixty dark, thirty bright and thirty coloured images."""
    root = tmp_path_factory.mktemp("many")
    numbers = {"fluorescence": 60, "brightfield": 30, "histology": 30}
    files = {}
    for modality, n_images in numbers.items():
        for number in range(n_images):
            name = f"{modality}{number:02d}"
            files[f"{name}/images/{name}.png"] = png(np.full((8, 8, 3), COLOURS[modality], np.uint8))
            files[f"{name}/masks/1.png"] = png(np.full((8, 8), 255, np.uint8))
    return find_samples([write_folder(files, root)])


def test_every_image_has_one_split_in_the_recipes_parts(samples: list[Sample]) -> None:
    splits = make_splits(samples, seed=1)
    assert splits.keys() == {sample.image_id for sample in samples}
    counts = Counter(assignment.split for assignment in splits.values())
    assert counts == {"train": 96, "val": 11, "test": 13}


def test_splits_are_stratified(samples: list[Sample]) -> None:
    for split, n_images in {"test": 13, "val": 11}.items():
        modalities = Counter(row.modality for row in make_splits(samples, seed=1).values() if row.split == split)
        assert modalities["fluorescence"] == pytest.approx(n_images / 2, abs=1)
        assert modalities["histology"] == pytest.approx(n_images / 4, abs=1)


def test_the_seed_decides(samples: list[Sample]) -> None:
    assert make_splits(samples, seed=1) == make_splits(samples, seed=1)
    assert splits_digest(make_splits(samples, seed=1)) != splits_digest(make_splits(samples, seed=2))


def test_listed_splits_are_kept(tmp_path: Path) -> None:
    splits = make_splits(find_samples([write_folder(bbbc039_files(), tmp_path)]), seed=0)
    assert splits["field"].split == "val"


@pytest.mark.parametrize("modality", COLOURS)
def test_modalities_are_told_apart(modality: str) -> None:
    assert guess_modality(np.full((4, 4, 3), COLOURS[modality], np.uint8)) == modality


def test_written_splits_are_read_back(tmp_path: Path) -> None:
    splits = {"a": Assignment("train", "histology", "patient 1"), "b": Assignment("test", "unknown")}
    write_splits(splits, tmp_path / "splits.csv")
    assert read_splits(tmp_path / "splits.csv") == splits


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image_id,split\na,train\na,val\n", "line 3: a has a split already"),
        ("image_id,split\na,validation\n", "line 2: needs an image_id and a split of train, val, test"),
        ("id,split\na,train\n", "line 2: needs an image_id"),
        (
            "image_id,split,group\nset/a,train,7\nset/b,train,8\nset/c,val,7\n",
            "Group set/7 is in train and, with set/c, in val",
        ),
    ],
)
def test_wrong_splits_files_are_refused_by_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "splits.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=sentence):
        read_splits(path)


def test_several_files_are_one(tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("image_id,split,modality\na,train,histology\n")
    other.write_text("image_id,split,group\nset/b,val,1\nelsewhere/c,train,1\nset/d,test,\nset/e,train,\n")
    splits = read_splits(one, other)
    assert splits["a"] == Assignment("train", "histology")
    assert splits["set/b"] == Assignment("val", "unknown", "1")
    assert len(splits) == 5
    with pytest.raises(DatasetError, match=r"one\.csv, line 2: a has a split already"):
        read_splits(one, one)


def test_the_projects_splits_keep_what_earlier_models_were_trained_on() -> None:
    splits = read_splits(Path(__file__).parents[2] / "training" / "splits.csv")
    earlier = {name: row for name, row in splits.items() if "/" not in name}
    card = read_model_card(Path(__file__).parents[2] / "models" / "fast" / "4")
    assert splits_digest(earlier) == card.data.splits_sha256
    assert Counter(row.split for name, row in splits.items() if name.startswith("tnbc/")) == {"train": 33, "val": 4}


def test_groups_and_modalities_are_left_out(tmp_path: Path) -> None:
    path, output = tmp_path / "splits.csv", tmp_path / "left.csv"
    path.write_text(
        "image_id,split,modality,group\nset/a,train,histology,1\nset/b,val,histology,2\nother/c,train,histology,1\n"
        "d,val,brightfield,\ne,train,fluorescence,\nf,test,fluorescence,\n"
    )
    command = ["leave-out", "--splits", str(path), "--output", str(output)]
    assert main([*command, "--group", "set/1", "--modality", "brightfield"]) == 0
    before, after = read_splits(path), read_splits(output)
    assert {name for name in before if before[name] != after[name]} == {"set/a", "d"}
    assert after["set/a"] == before["set/a"]._replace(split="test")
    assert (after["d"].split, after["f"].split) == ("test", "test")


@pytest.mark.parametrize("unknown", [["--group", "1"], ["--group", "set/"], ["--modality", "confocal"]])
def test_unknown_groups_and_modalities_are_refused(
    tmp_path: Path, unknown: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "splits.csv"
    path.write_text("image_id,split,group\nset/a,train,1\nset/b,train,\n")
    assert main(["leave-out", "--splits", str(path), *unknown, "--output", str(tmp_path / "left.csv")]) == 1
    assert caplog.messages[-1] == f"The splits have no group or modality {unknown[1]}."
    assert not (tmp_path / "left.csv").exists()


def test_missing_files_and_images_are_named(tmp_path: Path, samples: list[Sample]) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_splits(tmp_path / "none.csv")
    with pytest.raises(DatasetError, match="lacks 1 images of the splits file, zebra"):
        samples_of(samples, {"zebra": Assignment("train", "unknown")}, "train")
    with pytest.raises(DatasetError, match="has no test images"):
        samples_of(samples, {samples[0].image_id: Assignment("train", "unknown")}, "test")
