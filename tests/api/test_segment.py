import asyncio
import base64
import csv
import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from app.api.dependencies import pixels_to_segment
from app.api.schemas import SegmentResponse, StackResponse
from app.engine.engine import Engine, Limits
from app.export.encode import CONTOUR_RGB
from app.inference.load import Model
from app.options import SegmentationOptions
from tests import fakes
from tests.client import TestClient
from tests.synthetic import discs, picture, png, tiff

SCENE = discs((60, 80), (20, 20, 9), (20, 35, 9), (50, 0, 5))
DATA = png(picture(SCENE))


def post(client: TestClient, data: bytes = DATA, **options: Any) -> Any:
    return client.post("/segment", files={"image": ("scene.png", data)}, params=options)


def test_json_holds_count_mask_and_table(client: TestClient) -> None:
    answer = post(client)
    assert answer.status_code == 200
    body = answer.json()
    SegmentResponse.model_validate(body)
    assert body["count"] == len(body["nuclei"]) == 3
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(body["mask"]["data"]))))
    np.testing.assert_array_equal(mask > 0, SCENE > 0)
    assert body["image"]["filename"] == "scene.png"
    assert (body["image"]["height_px"], body["image"]["width_px"]) == SCENE.shape
    assert body["evaluation"] is None
    assert sum(nucleus["area_px"] for nucleus in body["nuclei"]) == np.count_nonzero(SCENE)
    assert body["nuclei"][2]["bbox_px"] == [45, 0, 56, 6]
    assert body["nuclei"][2]["touches_border"] is True
    assert body["nuclei"][0]["area_um2"] is None


def test_options_are_applied_and_echoed(client: TestClient) -> None:
    asked: dict[str, Any] = {
        "quality": "best",
        "threshold": "0.4",
        "exclude_border": True,
        "pixel_size_um": 0.5,
        "min_area_px": 7,
    }
    body = post(client, **asked, min_confidence=0.1).json()
    assert body["count"] == 2
    assert body["nuclei"][0]["area_um2"] == body["nuclei"][0]["area_px"] / 4
    assert body["image"]["pixel_size_um"] == 0.5
    assert body["provenance"]["options"] == {
        "quality": "best",
        "threshold": 0.4,
        "split_touching": True,
        "min_area_px": 7,
        "min_confidence": 0.1,
        "exclude_border": True,
        "pixel_size_um": 0.5,
        "scale": "auto",
        "diameter_px": None,
        "diameter_um": None,
        "channel": None,
        "page": None,
        "numbered": False,
        "scene": None,
        "threshold_applied": 0.4,
        "min_area_px_applied": 7,
        "min_confidence_applied": 0.1,
        "scale_applied": 1.0,
        "pixel_size_um_applied": 0.5,
        "pixel_height_um_applied": 0.5,
        "pixel_width_um_applied": 0.5,
        "channel_applied": 0,
        "page_applied": 0,
        "scene_applied": 0,
    }
    assert body["provenance"]["model"] == {"name": "fake", "version": "1", "sha256": fakes.DIGEST, "dtype": "float32"}
    assert set(body["provenance"]["timing_ms"]) == {"decode", "predict", "split", "measure", "encode"}


def test_doubtful_nuclei_are_dropped_where_that_is_asked(client: TestClient) -> None:
    found = post(client, min_confidence=0).json()["nuclei"]
    least = max(nucleus["confidence"] for nucleus in found)
    kept = post(client, min_confidence=least).json()["nuclei"]
    assert [nucleus["confidence"] for nucleus in kept] == [
        one["confidence"] for one in found if one["confidence"] >= least
    ]
    assert post(client, min_confidence=1).json()["count"] == 0


def test_pixels_that_are_not_square_have_two_sides(client: TestClient) -> None:
    data = tiff(picture(SCENE), resolution=(20_000, 10_000), resolutionunit="CENTIMETER")
    body = post(client, data).json()
    SegmentResponse.model_validate(body)
    size = {"pixel_size_um": None, "pixel_height_um": 1, "pixel_width_um": 0.5}
    assert {name: body["image"][name] for name in size} == size
    assert {name: body["provenance"]["options"][f"{name}_applied"] for name in size} == size
    assert [nucleus["area_um2"] for nucleus in body["nuclei"]] == [n["area_px"] / 2 for n in body["nuclei"]]
    assert body["summary"]["density_per_mm2"] == pytest.approx(3 / (SCENE.size * 0.5e-6))
    asked = post(client, data, pixel_size_um=0.5).json()
    assert (asked["image"]["pixel_height_um"], asked["image"]["pixel_size_um"]) == (0.5, 0.5)
    (warning,) = asked["warnings"]
    assert warning["code"] == "pixel_size_differs"
    assert "0.5 micrometres wide and 1 high; 0.5 was used" in warning["message"]


def test_sides_that_are_rounded_apart_are_a_square(client: TestClient) -> None:
    body = post(client, tiff(picture(SCENE), resolution=(20_000, 20_001), resolutionunit="CENTIMETER")).json()
    assert (body["image"]["pixel_size_um"], body["image"]["pixel_height_um"]) == (0.5, 0.5)
    near = post(client, tiff(picture(SCENE), resolution=(20_000, 20_001), resolutionunit=3), pixel_size_um=0.504).json()
    assert (near["warnings"], near["image"]["pixel_size_um"]) == ([], 0.504)


def test_the_summary_has_intensities(client: TestClient) -> None:
    summary = post(client).json()["summary"]
    nuclei = post(client).json()["nuclei"]
    for name in ("intensity_mean", "intensity_integrated"):
        values = [nucleus[name] for nucleus in nuclei]
        assert summary[name] == pytest.approx({"mean": np.mean(values), "median": np.median(values)})
    assert summary["intensity_background"] == 0
    assert nuclei[0]["intensity_sum"] == 200 * nuclei[0]["area_px"]


def test_include_decides_what_the_json_holds(client: TestClient) -> None:
    body = post(client, include=["labels", "overlay"]).json()
    assert body.keys() & {"mask", "labels", "overlay", "nuclei"} == {"labels", "overlay"}
    labels = tifffile.imread(io.BytesIO(base64.b64decode(body["labels"]["data"])))
    np.testing.assert_array_equal(labels > 0, SCENE > 0)


@pytest.mark.parametrize(
    ("file_format", "media_type"),
    [
        ("mask", "image/png"),
        ("labels", "image/tiff"),
        ("overlay", "image/png"),
        ("csv", "text/csv; charset=utf-8"),
        ("parquet", "application/vnd.apache.parquet"),
        ("geojson", "application/geo+json"),
        ("rois", "application/zip"),
        ("coco", "application/json"),
    ],
)
def test_files_carry_count_and_model(client: TestClient, file_format: str, media_type: str) -> None:
    answer = post(client, format=file_format)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert (answer.headers["x-nucleus-count"], answer.headers["x-model"]) == ("3", "fake/1")


def test_polygons_have_the_coordinates_of_the_table(client: TestClient) -> None:
    body = post(client, include=["polygons", "nuclei"]).json()
    SegmentResponse.model_validate(body)
    for rings, nucleus in zip(body["polygons"], body["nuclei"], strict=True):
        lowest, highest = np.min(rings[0], axis=0), np.max(rings[0], axis=0)
        # Pixels reach half a pixel around their middles.
        np.testing.assert_array_equal([*(lowest + 0.5), *(highest + 0.5)], nucleus["bbox_px"])


def test_each_file_is_what_it_says(client: TestClient) -> None:
    mask, overlay = (
        np.asarray(Image.open(io.BytesIO(post(client, format=name).content))) for name in ("mask", "overlay")
    )
    np.testing.assert_array_equal(mask > 0, SCENE > 0)
    assert tuple(overlay[20, 11]) == CONTOUR_RGB
    labels = tifffile.imread(io.BytesIO(post(client, format="labels").content))
    rows = list(csv.DictReader(io.StringIO(post(client, format="csv").text)))
    areas = [int(row["area_px"]) for row in rows]
    assert areas == np.bincount(labels.ravel())[1:].tolist()


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("image/tiff", "image/tiff"),
        ("image/png;q=0.5, text/csv", "text/csv; charset=utf-8"),
        ("image/png;q=nonsense, image/tiff;q=0", "application/json"),
        ("text/html", "application/json"),
        ("application/geo+json", "application/geo+json"),
        ("image/*", "image/png"),
        ("*/*, image/png;q=0.5", "application/json"),
        ("application/*, text/csv;q=0.1", "application/json"),
    ],
)
def test_without_a_format_the_accept_header_decides(client: TestClient, accept: str, media_type: str) -> None:
    answer = client.post("/segment", content=DATA, headers={"content-type": "image/png", "accept": accept})
    assert answer.headers["content-type"] == media_type


def test_raw_body_multipart_png_and_tiff_give_the_same_bytes(client: TestClient) -> None:
    as_tiff = tiff(picture(SCENE))
    raw = client.post("/segment?format=labels", content=as_tiff, headers={"content-type": "image/tiff"})
    answers = {post(client, data, format="labels").content for data in (DATA, as_tiff)} | {raw.content}
    assert len(answers) == 1


def test_a_mask_adds_the_evaluation(client: TestClient) -> None:
    files = {"image": ("scene.png", DATA), "mask": ("labels.png", png(SCENE.astype(np.uint8)))}
    body = client.post("/segment", files=files).json()
    SegmentResponse.model_validate(body)
    assert body["evaluation"]["iou"] == 1
    assert body["evaluation"]["mask_kind"] == "labels"
    refused = client.post("/segment?format=csv", files=files)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_option")


def test_warnings_reach_the_reader(client: TestClient) -> None:
    two_pages = tiff(np.stack([picture(SCENE)] * 2), photometric="minisblack", metadata={"axes": "ZYX"})
    assert [warning["code"] for warning in post(client, two_pages).json()["warnings"]] == ["pages_ignored"]


def test_channel_and_page_are_chosen_echoed_and_measured(client: TestClient) -> None:
    empty = np.zeros_like(picture(SCENE))
    stack = np.array([[empty, empty], [empty + 9, picture(SCENE)]])
    data = tiff(stack, ome=True, metadata={"axes": "ZCYX", "Channel": {"Name": ["GFP", "DAPI"]}, "PhysicalSizeX": 0.25})
    body = post(client, data, page=1).json()
    SegmentResponse.model_validate(body)
    assert body["count"] == 3
    assert body["image"] | {"sha256": None} == {
        "filename": "scene.png",
        "sha256": None,
        "height_px": 60,
        "width_px": 80,
        "n_channels": 2,
        "n_pages": 2,
        "n_scenes": 1,
        "channel": 1,
        "channel_names": ["GFP", "DAPI"],
        "page": 1,
        "dtype": "uint8",
        "axes": "ZCYX",
        "pixel_size_um": 0.25,
        "pixel_height_um": 0.25,
        "pixel_width_um": 0.25,
    }
    assert body["nuclei"][0]["area_um2"] == body["nuclei"][0]["area_px"] / 16
    assert body["nuclei"][0]["intensity_mean_c0"] == 9
    assert body["nuclei"][0]["intensity_mean"] == body["nuclei"][0]["intensity_mean_c1"] == 200
    assert post(client, data, page="max", channel="dapi").json()["count"] == 3
    assert post(client, data, channel=0).json()["count"] == 0
    unnamed = tiff(stack[1], metadata={"axes": "CYX"}, photometric="minisblack")
    refused = post(client, unnamed)
    assert (refused.status_code, refused.json()["code"]) == (422, "channel_needed")
    for options in ({"page": 2}, {"page": "-1"}, {"channel": 2}, {"channel": "Cy5"}):
        refused = post(client, data, **options)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_option")
    differs = post(client, data, page=1, pixel_size_um=0.5).json()
    assert [warning["code"] for warning in differs["warnings"]] == ["pixel_size_differs"]
    assert differs["image"]["pixel_size_um"] == 0.5


def test_all_pages_come_together(client: TestClient) -> None:
    stack = np.stack([picture(SCENE), np.zeros_like(picture(SCENE)), picture(np.where(SCENE == 1, 1, 0))])
    data = tiff(stack, imagej=True, metadata={"axes": "ZYX"})
    body = post(client, data, page="all").json()
    StackResponse.model_validate(body)
    assert body["count"] == 4
    assert [page["count"] for page in body["pages"]] == [3, 0, 1]
    assert [page["image"]["page"] for page in body["pages"]] == [0, 1, 2]
    labels = tifffile.imread(io.BytesIO(post(client, data, page="all", format="labels").content))
    np.testing.assert_array_equal(labels > 0, stack > 0)
    answer = post(client, data, page="all", format="csv")
    assert answer.headers["x-nucleus-count"] == "4"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["page"], row["label"]) for row in rows] == [("0", "1"), ("0", "2"), ("0", "3"), ("2", "1")]
    read = pandas.read_parquet(io.BytesIO(post(client, data, page="all", format="parquet").content))
    assert read["page"].tolist() == [0, 0, 0, 2]
    refused = post(client, data, page="all", format="overlay")
    assert (refused.status_code, refused.json()["code"]) == (422, "format_too_small")
    files = {"image": ("scene.tif", data), "mask": ("mask.png", png(picture(SCENE)))}
    assert client.post("/segment?page=all", files=files).status_code == 422
    assert client.post("/evaluate?page=all", files=files).status_code == 422
    large = tiff(np.zeros((8, 400, 400), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    assert post(client, large, page="all").json()["code"] == "image_too_large"


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_stack_and_no_choice_is_an_internal_error(client: TestClient, data: st.DataObject) -> None:
    axes = "".join(data.draw(st.permutations("TZCSQ")))[: data.draw(st.integers(0, 3))]
    shape = tuple(data.draw(st.integers(1, 9 if axis in "YX" else 3)) for axis in f"{axes}YX")
    values = np.random.default_rng(0).integers(0, 100, shape)
    dtype = data.draw(st.sampled_from(["u1", "u2", "u4", "i2", "f2", "f4", "f8", "c8", "?"]))
    try:
        written = tiff(
            values.astype(dtype),
            byteorder=data.draw(st.sampled_from("<>")),
            photometric=data.draw(st.sampled_from(["minisblack", "miniswhite", "rgb"])),
            metadata={"axes": f"{axes}YX"} if data.draw(st.booleans()) else None,
        )
    except ValueError:
        # Nothing that tifffile can write.
        return
    options = {
        "page": data.draw(st.sampled_from([None, 0, 1, "max", "all"])),
        "channel": data.draw(st.sampled_from([None, 0, 2, "DAPI"])),
        "format": data.draw(st.sampled_from(["json", "csv", "labels", "geojson"])),
    }
    answer = post(client, written, **{name: value for name, value in options.items() if value is not None})
    assert answer.status_code in (200, 400, 413, 415, 422)
    if answer.status_code != 200:
        assert answer.json()["code"] != "internal_error"


@pytest.mark.parametrize(("encode", "in_thread"), [(png, False), (tiff, True)])
def test_headers_that_may_be_long_are_read_in_a_thread(encode: Any, in_thread: bool) -> None:
    readers = []

    class Reader(Engine):
        def pixels_to_segment(self, source: bytes | Path, options: SegmentationOptions) -> int:
            readers.append(threading.current_thread())
            return super().pixels_to_segment(source, options)

    async def ask() -> bool:
        engine = Reader(Model(fakes.BrightIsNucleus(), fakes.card()), Limits(10**6))
        assert await pixels_to_segment(engine, encode(np.zeros((70, 80), np.uint8)), SegmentationOptions()) == 5600
        return readers[0] is not threading.current_thread()

    assert asyncio.run(ask()) == in_thread
