import csv
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pandas
import pytest
from numpy.typing import NDArray

from app import cli
from app.batch import told
from app.cli import main
from app.errors import ImageTooLargeError, KaryometerError, Setting
from app.inference.model_card import Contract
from app.inference.predictions import Predictions
from app.reading.sources import Source, find_images
from app.settings import Settings
from tests import fakes
from tests.bio_files import ome_zarr
from tests.client import TestClient
from tests.fakes import BrightIsNucleus
from tests.synthetic import discs, picture, png, tiff

SCENES = [discs((40, 50), *((20, 10 + 15 * n, 6) for n in range(count))) for count in (0, 1, 2, 3)]


class Counted(BrightIsNucleus):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.n_calls = 0

    def predict(self, image: NDArray[np.float32]) -> Predictions:
        """And answers."""
        self.n_calls += 1
        return super().predict(image)


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Stands in for the shipped model."""
    predictor = Counted()
    monkeypatch.setattr(cli, "_engine", lambda _: nullcontext(fakes.engine(predictor)))
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
    folder: Path,
    tmp_path: Path,
    predictor: Counted,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    output = tmp_path / "results"
    assert segment(folder, output, "--format", "labels", "--format", "parquet", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["n_segmented"], answer["n_skipped"], answer["n_nuclei"]) == (4, 0, 6)
    assert answer["left_out"] == {".txt": 1}
    assert caplog.messages[0] == "Left out: 1 .txt. A file that is named by itself is read whatever its ending."
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


def test_another_version_does_all_again(
    folder: Path, tmp_path: Path, predictor: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment(folder, tmp_path / "results")
    n_images = predictor.n_calls
    segment(folder, tmp_path / "results", "--resume")
    assert predictor.n_calls == n_images
    monkeypatch.setattr("app.batch.__version__", "0.0.0")
    segment(folder, tmp_path / "results", "--resume")
    assert predictor.n_calls == 2 * n_images


@pytest.mark.usefixtures("predictor")
def test_the_summary_has_intensities_where_an_image_has_such_a_channel(tmp_path: Path) -> None:
    grey = picture(SCENES[2])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(png(grey))
    (tmp_path / "in" / "b.tif").write_bytes(
        tiff(np.stack([grey // 2, grey]), ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["GFP", "DAPI"]}})
    )
    assert segment(tmp_path / "in", tmp_path / "results") == 0
    one, two = rows(tmp_path / "results" / "summary.csv")
    for row in (one, two):
        assert (row["intensity_mean_mean"], row["intensity_mean_median"]) == ("200.0", "200.0")
        assert row["intensity_background"] == "0.0"
        assert float(row["intensity_integrated_mean"]) == 200 * float(row["area_mean_px"])
    assert (one["intensity_mean_c0_mean"], two["intensity_mean_c0_mean"], two["intensity_background_c1"]) == (
        "",
        "100.0",
        "0.0",
    )
    assert {"pixel_size_um", "pixel_height_um", "pixel_width_um"} < one.keys()


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


def test_images_of_other_kinds_share_one_table(tmp_path: Path, predictor: Counted) -> None:
    grey, folder = picture(SCENES[2]), tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(grey))
    (folder / "b.png").write_bytes(png(np.stack([grey, grey // 2, grey // 3], axis=-1)))
    (folder / "c.tif").write_bytes(tiff(np.stack([grey, grey]), imagej=True, metadata={"axes": "CYX"}))
    (folder / "d.tif").write_bytes(tiff(np.stack([grey, grey, grey]), imagej=True, metadata={"axes": "ZYX"}))
    for page, n_rows in (("0", 8), ("all", 12)):
        output = tmp_path / page
        assert segment(folder, output, "--format", "parquet", "--channel", "0", "--page", page) == 0
        with (output / "nuclei.csv").open(newline="") as file:
            table = list(csv.reader(file))
        assert len(table) == 1 + n_rows
        assert {len(row) for row in table} == {len(table[0])}
        assert table[0][: 2 + (page == "all")] == ["image", *(["page"] if page == "all" else []), "label"]
        joined = pandas.read_csv(output / "nuclei.csv")
        typed = pandas.read_parquet(output / "nuclei.parquet")
        pandas.testing.assert_frame_equal(typed, joined.astype({"touches_border": bool}))
        by_image = joined.groupby("image")[["intensity_mean_c0", "intensity_mean_c1", "intensity_mean_c2"]].count() > 0
        assert by_image.to_numpy().tolist() == [[False] * 3, [True] * 3, [True, True, False], [False] * 3]
        assert (joined["confidence"] > 0).all()
        assert joined["touches_border"].isin([0, 1]).all()
    assert predictor.n_calls == 4 + 6


def test_names_that_are_no_text_or_look_like_formulas(tmp_path: Path, predictor: Counted) -> None:
    names = [
        b"caf\xe9.png",
        b"a,b.png",
        b'a"b.png',
        b"a\nb.png",
        b"a\rb.png",
        b"=1+1.png",
        b"-x.png",
        "核.png".encode(),
    ]
    formats = ["--format", "parquet", "--format", "coco", "--format", "geojson", "--format", "labels"]
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/plate \xff"))
    folder.mkdir()
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(png(picture(SCENES[1])))
    (folder / os.fsdecode(b"\xe9.png")).write_bytes(b"text")
    expected = {"caf%E9.png", "a,b.png", 'a"b.png', "a\nb.png", "a\rb.png", "./=1+1.png", "./-x.png", "核.png"}
    for _ in range(2):
        assert segment(folder, tmp_path / "results", "--resume", *formats) == 1
        for table in ("nuclei.csv", "summary.csv"):
            found = rows(tmp_path / "results" / table)
            assert {row["image"] for row in found} == expected
            assert len(found) == len(names)
        assert set(pandas.read_parquet(tmp_path / "results" / "nuclei.parquet")["image"]) == expected
        assert [row["file"] for row in rows(tmp_path / "results" / "errors.csv")] == ["%E9.png"]
    assert (tmp_path / "results" / "caf%E9.png.labels.tif").is_file()
    coco = json.loads((tmp_path / "results" / "caf%E9.png.coco.json").read_bytes())
    assert [image["file_name"] for image in coco["images"]] == ["caf%E9.png"]
    assert predictor.n_calls == len(names)


@pytest.mark.parametrize("left", [b"", b"{", b"\0" * 400, b"\xff", b"[]", b'{"image": "well1.png"}'])
def test_a_record_that_a_power_cut_left_is_made_again(left: bytes, tmp_path: Path, predictor: Counted) -> None:
    (tmp_path / "well1.png").write_bytes(png(picture(SCENES[1])))
    assert segment(tmp_path / "well1.png", tmp_path / "results") == 0
    record = tmp_path / "results" / "well1.png.karyometer.json"
    whole = record.read_bytes()
    for content in (left, whole[: len(whole) // 2], whole[:-3]):
        record.write_bytes(content)
        assert segment(tmp_path / "well1.png", tmp_path / "results", "--resume") == 0
        assert record.read_bytes() == whole
    assert predictor.n_calls == 4


def test_files_that_are_not_as_recorded_are_made_again(tmp_path: Path, predictor: Counted) -> None:
    (tmp_path / "well1.png").write_bytes(png(picture(SCENES[1])))
    more = ("--resume", "--format", "labels")
    assert segment(tmp_path / "well1.png", tmp_path / "results", *more) == 0
    for ending in ("csv", "labels.tif"):
        file = tmp_path / "results" / f"well1.png.{ending}"
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + b"?")
        assert segment(tmp_path / "well1.png", tmp_path / "results", *more) == 0
        assert file.read_bytes() == whole
    assert predictor.n_calls == 3
    # A format more is made of the image, not of the files.
    assert segment(tmp_path / "well1.png", tmp_path / "results", *more, "--format", "mask") == 0
    assert segment(tmp_path / "well1.png", tmp_path / "results", *more) == 0
    assert predictor.n_calls == 4
    # What this run was not asked for would be another's.
    assert segment(tmp_path / "well1.png", tmp_path / "results", "--resume", "--min-area-px", "3") == 0
    assert not file.exists()


@pytest.mark.usefixtures("predictor")
def test_tables_hold_this_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, output = tmp_path / "images", tmp_path / "results"
    folder.mkdir()
    (folder / "well1.png").write_bytes(png(picture(SCENES[1])))
    (folder / "well2.png").write_bytes(png(picture(SCENES[2])))
    assert segment(folder, output, "--format", "parquet") == 0
    (folder / "well2.png").write_bytes(b"text")
    assert segment(folder, output, "--resume", "--format", "parquet") == 1
    for table in (pandas.read_csv(output / "nuclei.csv"), pandas.read_parquet(output / "nuclei.parquet")):
        assert set(table["image"]) == {"well1.png"}
    assert [row["image"] for row in rows(output / "summary.csv")] == ["well1.png"]
    assert not list(output.glob("well2*"))

    assert segment(folder, output, "--resume") == 1
    assert not (output / "nuclei.parquet").exists()
    (folder / "well1.png").write_bytes(b"text")
    assert segment(folder, output, "--resume", "--format", "parquet") == 1
    assert pandas.read_csv(output / "summary.csv").columns.tolist() == ["image"]
    assert len(pandas.read_parquet(output / "nuclei.parquet")) == 0

    def stop(*_: Any) -> Predictions:
        raise KeyboardInterrupt

    (folder / "well1.png").write_bytes(png(picture(SCENES[3])))
    monkeypatch.setattr(Counted, "predict", stop)
    assert segment(folder, output, "--resume") == 130
    assert not list(output.glob("*.csv"))


def test_a_full_disk_ends_the_run_with_one_sentence(
    folder: Path, tmp_path: Path, predictor: Counted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "results"
    n_synced, fsync = 0, os.fsync

    def full(descriptor: int) -> None:
        nonlocal n_synced
        n_synced += 1
        if n_synced > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert segment(folder, output, "--workers", "1") == 2
    told = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert told == [
        f"The results cannot be written to {output}: No space left on device. Mend this, then go on with --resume."
    ]
    assert segment(folder, output, "--resume") == 1
    assert predictor.n_calls == 5


@pytest.mark.usefixtures("predictor")
def test_what_stands_in_the_way_of_one_image_is_its_own_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images, output = tmp_path / "images", tmp_path / "results"
    for name in ("a/w1.png", "b/w1.png", "c.png", "nuclei", "n" * 240 + ".png", "z.png"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).write_bytes(png(picture(SCENES[1])))
    (output / "c.png.csv").mkdir(parents=True)
    (output / "a").touch()
    assert main(["segment", str(images), str(images / "nuclei"), "--output", str(output), "--resume"]) == 1
    reasons = {row["file"][:8]: row["reason"] for row in rows(output / "errors.csv")}
    assert reasons == {
        "a/w1.png": "Its results cannot be written: Not a directory.",
        "c.png": "Its results cannot be written: Is a directory.",
        "n" * 8: "Its results cannot be written: File name too long.",
        "nuclei": "Its results would have the names of the joined tables; rename it.",
    }
    assert [row["image"] for row in rows(output / "nuclei.csv")] == ["b/w1.png", "z.png"]

    (output / "summary.csv").unlink()
    (output / "summary.csv").mkdir()
    caplog.clear()
    assert segment(images, output, "--resume") == 2
    assert caplog.messages[-1].startswith(f"The results cannot be written to {output / 'summary.csv'}: Is a directory.")


@pytest.mark.usefixtures("predictor")
def test_what_nobody_foresaw_ends_one_image(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = iter([RuntimeError("?"), MemoryError()])

    def fails_first(self: Counted, image: NDArray[np.float32]) -> Predictions:
        for error in errors:
            raise error
        return BrightIsNucleus.predict(self, image)

    monkeypatch.setattr(Counted, "predict", fails_first)
    assert segment(folder, tmp_path / "results", "--workers", "1") == 1
    assert len(rows(tmp_path / "results" / "summary.csv")) == 2
    reasons = [row["reason"] for row in rows(tmp_path / "results" / "errors.csv")]
    assert "Karyometer made an error (RuntimeError); please report what it wrote." in reasons
    assert "It needs more memory than there is; crop it, or give --workers 1." in reasons


def test_folders_that_cannot_be_read_are_failures(
    folder: Path, tmp_path: Path, predictor: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self.name == "plate 0":
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert segment(folder, tmp_path / "results") == 1
    errors = rows(tmp_path / "results" / "errors.csv")
    assert [row["file"] for row in errors] == [str(folder / "plate 0"), "cut.png", "empty.tif"]
    assert predictor.n_calls == 2


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
        assert [source.path for source in find_images([text]).images] == [store]
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
        engine = fakes.engine(max_pixels=max_pixels, contract=Contract(reach_px=3))
        monkeypatch.setattr(cli, "_engine", lambda _, one=engine: nullcontext(one))
        output = tmp_path / name
        # Out of core nothing is enlarged.
        choices = ["--format", "labels", "--format", "mask", "--scale", "1"]
        assert segment(tmp_path / "images", output, *choices) == 0
        assert segment(tmp_path / "images", output, "--resume", *choices) == 0
        results[name] = output
    table, expected = (pandas.read_csv(output / "nuclei.csv") for output in results.values())
    pandas.testing.assert_frame_equal(table, expected, rtol=1e-12)
    summary, expected = (pandas.read_csv(output / "summary.csv") for output in results.values())
    pandas.testing.assert_frame_equal(summary, expected)
    assert list((tmp_path / "temporary").iterdir()) == []

    monkeypatch.setattr(cli, "_engine", lambda _: nullcontext(fakes.engine(max_pixels=8000)))
    assert segment(tmp_path / "images", tmp_path / "rois", "--format", "rois") == 1
    errors = rows(tmp_path / "rois" / "errors.csv")
    assert [error["file"] for error in errors] == ["well1.tif", "well3.tif"]
    assert all(error["reason"].startswith("Of so large an image there is no rois; ask for labels") for error in errors)


def test_results_below_the_images_are_no_images(folder: Path, predictor: Counted) -> None:
    segment(folder, folder / "results", "--format", "mask")
    segment(folder, folder / "results", "--format", "mask", "--resume")
    assert predictor.n_calls == 4
    assert len(rows(folder / "results" / "summary.csv")) == 4
    # Nor are what a stopped run left without a record.
    for record in (folder / "results").rglob("*.karyometer.json"):
        record.unlink()
    segment(folder, folder / "results", "--format", "mask", "--resume")
    assert len(rows(folder / "results" / "summary.csv")) == 4


@pytest.mark.usefixtures("predictor")
def test_results_are_masks(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment(folder, tmp_path / "results", "--format", "labels", "--format", "mask")
    assert main(["evaluate", str(folder), str(tmp_path / "results"), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["all"]["images"], answer["all"]["iou"], answer["all"]["f1"]) == (4, 1, 1)
    assert [failure["name"] for failure in answer["failures"]] == ["cut.png", "empty.tif", "plate 0/text.png"]


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
    def stop(self: Counted, image: NDArray[np.float32]) -> Predictions:
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
    folder: Path,
    tmp_path: Path,
    predictor: Counted,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
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

    smooth = cv2.GaussianBlur(picture(SCENES[3]), (0, 0), 1)
    (masks / "plate 1" / "well3.png").write_bytes(png(smooth))
    with caplog.at_level("WARNING"):
        assert main(["evaluate", str(folder), str(masks)]) == 0
    assert "plate 1/well3.png: The mask has smooth edges" in caplog.text
    capsys.readouterr()

    (masks / "plate 0" / "well2.png").write_bytes(png(np.zeros((3, 3), np.uint8)))
    assert main(["evaluate", str(folder), str(masks), "--json"]) == 1
    failures = json.loads(capsys.readouterr().out)["failures"]
    assert [failure["name"] for failure in failures] == ["plate 0/well2.png"]
    (masks / "plate 0" / "well2.png").unlink()
    assert main(["evaluate", str(folder), str(masks)]) == 1
    one = [str(folder / "plate 1" / "well3.png"), str(masks / "plate 1" / "well3.png")]
    assert main(["evaluate", *one]) == 0
    assert predictor.n_calls == 4 + 4 + 4 + 4 + 3 + 1


def test_an_error_names_the_variable_that_would_prevent_it() -> None:
    large = ImageTooLargeError("The image is large; crop it.", "max_out_of_core_pixels")
    assert told(large).endswith("crop it. KARYOMETER_MAX_STREAMED_PIXELS in the environment sets this.")
    assert told(ImageTooLargeError("The image is large; crop it.")) == "The image is large; crop it."


@pytest.mark.parametrize("setting", get_args(Setting))
def test_whatever_would_prevent_an_error_is_a_setting(setting: Setting) -> None:
    variable = Settings.variable_for(KaryometerError("It is too large.", setting))
    assert variable is not None
    assert variable.removeprefix("KARYOMETER_").lower() in Settings.model_fields
