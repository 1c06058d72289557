import csv
import json
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from app import cli
from app.cli import main
from app.errors import OptionError
from app.segmentation.maps import Maps
from app.segmentation.model_card import Contract
from app.segmentation.pipeline import Segmenter
from app.sources import Source, find_images
from tests.bio_files import ome_zarr
from tests.fakes import BrightIsNucleus, card
from tests.synthetic import discs, picture, png, tiff

SCENES = [discs((40, 50), *((20, 10 + 15 * n, 6) for n in range(count))) for count in (0, 1, 2, 3)]


class Counted(BrightIsNucleus):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.n_calls = 0

    def predict(self, image: NDArray[np.float32]) -> Maps:
        """And answers."""
        self.n_calls += 1
        return super().predict(image)


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Stands in for the shipped model."""
    predictor = Counted()
    monkeypatch.setattr(cli, "_segmenter", lambda _: nullcontext(Segmenter(predictor, card(), 1_000_000)))
    return predictor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images in a tree, three damaged files among them."""
    images = tmp_path / "images"
    for index, scene in enumerate(SCENES):
        path = images / f"plate {index % 2}" / f"well{index}.{'png' if index else 'TIF'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(picture(scene)) if index else tiff(picture(scene)))
    (images / "cut.png").write_bytes(png(picture(SCENES[3]))[:-60])
    (images / "empty.tif").write_bytes(b"")
    (images / "plate 0" / "text.png").write_bytes(b"text")
    (images / "notes.txt").write_text("no image")
    return images


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def segment(folder: Path, output: Path, *more: str) -> int:
    return main(["segment", str(folder), "--output", str(output), *more])


def test_good_files_are_segmented_and_bad_ones_named(
    folder: Path, tmp_path: Path, predictor: Counted, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results"
    assert segment(folder, output, "--format", "labels", "--format", "parquet", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["n_segmented"], answer["n_skipped"], answer["n_nuclei"]) == (4, 0, 6)
    errors = rows(output / "errors.csv")
    assert [error["file"] for error in errors] == ["cut.png", "empty.tif", "plate 0/text.png"]
    assert errors == [{"file": one["name"], "reason": one["reason"]} for one in answer["failures"]]
    assert all(error["reason"].endswith(".") for error in errors)
    assert [(row["image"], row["count"]) for row in rows(output / "summary.csv")] == [
        ("plate 0/well0.TIF", "0"),
        ("plate 0/well2.png", "2"),
        ("plate 1/well1.png", "1"),
        ("plate 1/well3.png", "3"),
    ]
    assert (output / "plate 1" / "well3.png.labels.tif").exists()
    assert predictor.n_calls == 4


def test_joined_tables_hold_every_nucleus_with_its_image(folder: Path, tmp_path: Path, predictor: Counted) -> None:
    output = tmp_path / "results"
    segment(folder, output, "--format", "parquet")
    joined = pandas.read_csv(output / "nuclei.csv")
    assert joined["image"].tolist() == ["plate 0/well2.png"] * 2 + ["plate 1/well1.png"] + ["plate 1/well3.png"] * 3
    assert joined["label"].tolist() == [1, 2, 1, 1, 2, 3]
    typed = pandas.read_parquet(output / "nuclei.parquet")
    pandas.testing.assert_frame_equal(typed, joined.astype({"touches_border": bool}))
    assert predictor.n_calls == 4


def test_what_is_done_is_not_done_again(folder: Path, tmp_path: Path, predictor: Counted) -> None:
    output = tmp_path / "results"
    segment(folder, output)
    before = (output / "nuclei.csv").read_bytes()
    assert segment(folder, output) == 2
    assert segment(folder, output, "--resume") == 1
    assert predictor.n_calls == 4
    assert (output / "nuclei.csv").read_bytes() == before

    # Another option, a lost file and an image that changed are done again; a mended image leaves no errors behind.
    assert segment(folder, output, "--resume", "--min-area-px", "3") == 1
    assert predictor.n_calls == 8
    (output / "plate 1" / "well1.png.csv").unlink()
    (folder / "plate 1" / "well3.png").write_bytes(png(picture(SCENES[2])))
    assert segment(folder, output, "--resume", "--min-area-px", "3") == 1
    assert predictor.n_calls == 10
    assert rows(output / "summary.csv")[-1]["count"] == "2"
    for path in ("cut.png", "empty.tif", "plate 0/text.png"):
        (folder / path).write_bytes(png(picture(SCENES[1])))
    assert segment(folder, output, "--resume", "--min-area-px", "3") == 0
    assert not (output / "errors.csv").exists()


def test_stacks_have_a_row_a_page(tmp_path: Path, predictor: Counted) -> None:
    (tmp_path / "stack.tif").write_bytes(
        tiff(np.stack([picture(scene) for scene in SCENES[1:]]), imagej=True, metadata={"axes": "ZYX"})
    )
    assert segment(tmp_path / "stack.tif", tmp_path / "results", "--page", "all") == 0
    summary = rows(tmp_path / "results" / "summary.csv")
    assert [(row["page"], row["count"]) for row in summary] == [("0", "1"), ("1", "2"), ("2", "3")]
    joined = rows(tmp_path / "results" / "nuclei.csv")
    assert [(row["image"], row["page"]) for row in joined] == [("stack.tif", page) for page in "011222"]
    assert predictor.n_calls == 3


def test_an_ome_zarr_folder_is_one_image(tmp_path: Path, predictor: Counted) -> None:
    image = picture(SCENES[2]).astype(np.uint16)
    ome_zarr(tmp_path / "plate" / "well.ome.zarr", np.stack([image // 2, image])[np.newaxis, np.newaxis])
    (tmp_path / "plate" / "well.ome.zarr" / "thumbnail.png").write_bytes(png(picture(SCENES[1])))
    store, output = tmp_path / "plate" / "well.ome.zarr", tmp_path / "results"
    assert segment(tmp_path / "plate", output) == 0
    assert segment(tmp_path / "plate", output, "--resume") == 0
    assert predictor.n_calls == 1
    (row,) = rows(output / "summary.csv")
    assert (row["image"], row["count"]) == ("well.ome.zarr", "2")
    for text in (str(store), str(tmp_path / "plate" / "**")):
        assert [source.path for source in find_images([text]) if source.path.suffix] == [store]
    # A store that changed is done again, a copy of it is the same image.
    before = Source(store, "well").read()
    assert Source(Path(shutil.copytree(store, tmp_path / "copy.zarr")), "well").read() == before
    (store / "thumbnail.png").unlink()
    assert segment(tmp_path / "plate", output, "--resume") == 0
    assert predictor.n_calls == 2


def test_large_tiffs_are_segmented_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for folder in ("temporary", "images"):
        (tmp_path / folder).mkdir()
    for index, scene in enumerate(SCENES):
        (tmp_path / "images" / f"well{index}.tif").write_bytes(tiff(np.pad(picture(scene), (24, 60 * (index % 2)))))
    results = {}
    for name, max_pixels in (("large", 8000), ("small", 10**6)):
        segmenter = Segmenter(BrightIsNucleus(), card(contract=Contract(reach_px=3)), max_pixels)
        monkeypatch.setattr(cli, "_segmenter", lambda _, one=segmenter: nullcontext(one))
        output = tmp_path / name
        assert segment(tmp_path / "images", output, "--format", "labels", "--format", "mask") == 0
        assert segment(tmp_path / "images", output, "--resume", "--format", "labels", "--format", "mask") == 0
        results[name] = output
    table, expected = (pandas.read_csv(output / "nuclei.csv") for output in results.values())
    pandas.testing.assert_frame_equal(table, expected, rtol=1e-12)
    summary, expected = (pandas.read_csv(output / "summary.csv") for output in results.values())
    pandas.testing.assert_frame_equal(summary, expected)
    assert list((tmp_path / "temporary").iterdir()) == []

    monkeypatch.setattr(cli, "_segmenter", lambda _: nullcontext(Segmenter(BrightIsNucleus(), card(), 8000)))
    assert segment(tmp_path / "images", tmp_path / "rois", "--format", "rois") == 1
    errors = rows(tmp_path / "rois" / "errors.csv")
    assert [error["file"] for error in errors] == ["well1.tif", "well3.tif"]
    assert all(error["reason"].startswith("Of so large an image there is no rois; ask for labels") for error in errors)


def test_results_below_the_images_are_no_images(folder: Path, predictor: Counted) -> None:
    segment(folder, folder / "results", "--format", "mask")
    segment(folder, folder / "results", "--format", "mask", "--resume")
    assert predictor.n_calls == 4
    assert len(rows(folder / "results" / "summary.csv")) == 4


def test_workers_change_nothing(folder: Path, tmp_path: Path, predictor: Counted) -> None:
    for n_workers in ("1", "4"):
        segment(folder, tmp_path / n_workers, "--workers", n_workers, "--format", "rois")
    one, four = (
        {path.relative_to(tmp_path / n): path.read_bytes() for path in (tmp_path / n).rglob("*") if path.is_file()}
        for n in ("1", "4")
    )
    assert one == four
    assert predictor.n_calls == 8


def test_shell_and_service_give_the_same_bytes(
    folder: Path, tmp_path: Path, predictor: Counted, client: TestClient
) -> None:
    output = tmp_path / "results"
    formats = ("labels", "csv", "parquet", "geojson", "rois", "coco")
    segment(folder, output, "--threshold", "0.4", *(word for name in formats for word in ("--format", name)))
    endings = {"labels": "labels.tif", "rois": "rois.zip", "coco": "coco.json"}
    for path in sorted(folder.rglob("well*")):
        for name in formats:
            answer = client.post(
                "/segment",
                files={"image": (path.name, path.read_bytes())},
                params={"format": name, "threshold": 0.4},
            )
            written = output / f"{path.relative_to(folder)}.{endings.get(name, name)}"
            assert answer.content == written.read_bytes()
    assert predictor.n_calls == 4


def test_patterns_files_and_folders_name_images(folder: Path) -> None:
    found = find_images([str(folder / "**" / "well[12].*"), str(folder / "cut.png")])
    assert sorted(source.name for source in found) == ["cut.png", "well1.png", "well2.png"]
    assert len(find_images([str(folder), str(folder)])) == 7


def test_folders_give_every_format_that_is_read(tmp_path: Path) -> None:
    endings = [".BMP", ".czi", ".jpeg", ".jpg", ".lif", ".nd2", ".ozx", ".png", ".tif", ".tiff", ".webp", ".zarr.zip"]
    names = [f"image{ending}" for ending in endings]
    for name in [*names, "image.txt", "image.zip"]:
        (tmp_path / name).touch()
    assert [source.name for source in find_images([str(tmp_path)])] == names


@pytest.mark.parametrize(
    ("paths", "sentence"),
    [
        (["missing*"], "There is nothing at missing"),
        (["plate 0", "plate 1"], "would both have results named"),
        (["notes"], "There are no images here"),
    ],
)
def test_paths_that_make_no_sense_are_refused(
    paths: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for plate in ("plate 0", "plate 1"):
        (tmp_path / plate).mkdir()
        (tmp_path / plate / "a.png").touch()
    (tmp_path / "notes").mkdir()
    with pytest.raises(OptionError, match=sentence):
        find_images(paths)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--threshold", "2"], "--threshold does not take '2'; give `model`"),
        (["--min-area-px", "-1"], "--min-area-px does not take '-1'"),
        (["--workers", "0"], "--workers takes a whole number from 1"),
    ],
)
def test_wrong_options_are_told_before_the_work(
    more: list[str], sentence: str, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert segment(folder, tmp_path / "results", *more) == 2
    assert caplog.messages[0].startswith(sentence)
    assert not (tmp_path / "results").exists()


def test_ctrl_c_keeps_what_is_done(
    folder: Path, tmp_path: Path, predictor: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Counted, image: NDArray[np.float32]) -> Maps:
        self.n_calls += 1
        if self.n_calls == 3:
            raise KeyboardInterrupt
        return BrightIsNucleus.predict(self, image)

    with monkeypatch.context() as patch:
        patch.setattr(Counted, "predict", stop)
        assert segment(folder, tmp_path / "results", "--workers", "1") == 130
    assert segment(folder, tmp_path / "results", "--resume") == 1
    assert predictor.n_calls == 5


def masks_of(folder: Path, masks: Path) -> Path:
    for index, scene in enumerate(SCENES):
        path = masks / f"plate {index % 2}" / f"well{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(scene.astype(np.uint8)))
    for damaged in ("cut.png", "empty.tif", "plate 0/text.png"):
        (folder / damaged).unlink()
    return masks


def test_evaluate_scores_pairs_of_the_same_name(
    folder: Path, tmp_path: Path, predictor: Counted, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = masks_of(folder, tmp_path / "masks")
    assert main(["evaluate", str(folder), str(masks), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["all"]["images"] == 4
    assert answer["all"]["iou"] == answer["all"]["f1"] == 1
    assert answer["all"]["count_true"] == answer["all"]["count_predicted"] == 6
    assert main(["evaluate", str(folder), str(masks)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines[1:]] == [*answer["images"], "all"]

    (masks / "plate 0" / "well2.png").write_bytes(png(np.zeros((3, 3), np.uint8)))
    assert main(["evaluate", str(folder), str(masks), "--json"]) == 1
    failures = json.loads(capsys.readouterr().out)["failures"]
    assert [failure["name"] for failure in failures] == ["plate 0/well2.png"]
    (masks / "plate 0" / "well2.png").unlink()
    assert main(["evaluate", str(folder), str(masks)]) == 2
    one = [str(folder / "plate 1" / "well3.png"), str(masks / "plate 1" / "well3.png")]
    assert main(["evaluate", *one]) == 0
    assert predictor.n_calls == 4 + 4 + 4 + 1
