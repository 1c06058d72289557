import csv
import io
import json
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api.schemas import SegmentResponse
from app.engine import engine
from app.evaluation.truth import read_truth
from tests.client import TestClient
from tests.synthetic import dense, discs, jpeg, picture, png, tiff

SCENE = discs((60, 80), (20, 20, 9), (20, 35, 9), (50, 0, 5))
IMAGE = png(picture(SCENE))
LABELS = tiff(SCENE.astype(np.uint16))


def post(client: TestClient, labels: bytes = LABELS, image: bytes = IMAGE, **options: Any) -> Any:
    files = {"image": ("scene.png", image), "labels": ("labels.tif", labels)}
    return client.post("/measure", files=files, params=options)


def test_labels_are_measured_as_segment_measures_what_it_finds(client: TestClient) -> None:
    found = client.post("/segment", files={"image": ("scene.png", IMAGE)}, params={"include": ["labels", "nuclei"]})
    labels = client.post("/segment?format=labels", files={"image": IMAGE}).content
    body = post(client, labels, include=["labels", "nuclei"]).json()
    SegmentResponse.model_validate(body)
    of_segment = found.json()
    assert [nucleus | {"confidence": None} for nucleus in of_segment["nuclei"]] == body["nuclei"]
    assert (body["summary"], body["image"]) == (of_segment["summary"], of_segment["image"])
    assert (body["count"], body["evaluation"], body["warnings"]) == (3, None, [])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, {"labels": "given"}),
        ({"corrected": True}, {"labels": "corrected", "corrected_from": "fake/1"}),
        ({"corrected_from": "fast/7"}, {"labels": "corrected", "corrected_from": "fast/7"}),
    ],
)
def test_the_provenance_says_where_the_labels_are_from(
    client: TestClient, options: dict[str, Any], told: dict[str, str]
) -> None:
    body = post(client, **options).json()
    SegmentResponse.model_validate(body)
    provenance = body["provenance"]
    assert {name: provenance[name] for name in provenance.keys() & {"labels", "corrected_from"}} == told
    applied = provenance["options"]
    assert (applied["threshold_applied"], applied["min_confidence_applied"]) == (None, None)
    with tifffile.TiffFile(io.BytesIO(post(client, format="labels", **options).content)) as file:
        assert told.items() <= json.loads(file.pages.first.tags["ImageDescription"].value).items()


@pytest.mark.parametrize("file_format", ["mask", "labels", "overlay", "csv", "parquet", "geojson", "rois", "coco"])
def test_every_format_of_segment_is_answered(client: TestClient, file_format: str) -> None:
    labels, of_segment = (
        client.post("/segment", files={"image": IMAGE}, params={"format": name}) for name in ("labels", file_format)
    )
    answer = post(client, labels.content, format=file_format)
    assert answer.status_code == 200, answer.text
    for name in ("content-type", "x-nucleus-count", "x-model"):
        assert answer.headers[name] == of_segment.headers[name]
    if file_format in ("mask", "overlay"):
        assert answer.content == of_segment.content


def test_confidence_is_not_known(client: TestClient) -> None:
    (row, *_) = csv.DictReader(io.StringIO(post(client, format="csv").text))
    assert row["confidence"] == ""
    assert "score" not in post(client, format="coco").json()["annotations"][0]
    assert "confidence" not in post(client, format="geojson").json()["features"][0]["properties"]["measurements"]


def test_corrections_are_measured_and_stay_what_training_reads(client: TestClient) -> None:
    corrected = SCENE.copy()
    corrected[corrected == 2] = 0
    corrected[40:50, 40:52] = 700
    answer = post(client, tiff(corrected.astype(np.uint16)), format="labels", corrected=True)
    kept = read_truth(answer.content, 10**6)
    assert (kept.kind, kept.labels.max(), kept.warnings) == ("labels", 3, ())
    np.testing.assert_array_equal(kept.labels > 0, corrected > 0)
    assert post(client, answer.content).json()["nuclei"][1]["area_px"] == 120


def test_a_value_in_two_pieces_is_two_nuclei_and_that_is_told(client: TestClient) -> None:
    body = post(client, png(np.array([0, 1, 2, 1], np.uint8)[SCENE])).json()
    assert (body["count"], [warning["code"] for warning in body["warnings"]]) == (3, ["mask_values_reused"])


def test_nuclei_at_the_border_are_dropped_where_that_is_asked(client: TestClient) -> None:
    body = post(client, exclude_border=True, pixel_size_um=0.5).json()
    assert [nucleus["label"] for nucleus in body["nuclei"]] == [1, 2]
    assert body["nuclei"][0]["area_um2"] == body["nuclei"][0]["area_px"] / 4


def test_the_page_and_the_channel_that_are_measured_are_chosen(client: TestClient) -> None:
    stack = np.stack([picture(SCENE) // 2, picture(SCENE)])
    by_page = tiff(stack, imagej=True, metadata={"axes": "ZYX"})
    assert post(client, image=by_page, page=1).json()["nuclei"][0]["intensity_mean"] == 200
    assert post(client, image=by_page, page="max").json()["nuclei"][0]["intensity_mean"] == 200
    by_channel = tiff(stack, ome=True, metadata={"axes": "CYX"})
    assert post(client, image=by_channel).json()["code"] == "channel_needed"
    assert post(client, image=by_channel, channel=0).json()["nuclei"][0]["intensity_mean"] == 100


def test_no_nucleus_is_a_result(client: TestClient) -> None:
    assert post(client, png(np.zeros(SCENE.shape, np.uint8))).json()["count"] == 0


def test_labels_of_another_size_are_refused_with_both_sizes(client: TestClient) -> None:
    answer = post(client, tiff(SCENE[:50].astype(np.uint16)))
    assert (answer.status_code, answer.json()["code"]) == (422, "size_mismatch")
    assert "50 x 80" in answer.json()["detail"]
    assert "60 x 80" in answer.json()["detail"]


def test_more_nuclei_than_can_be_answered_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_GIVEN", 2)
    answer = post(client)
    assert (answer.status_code, answer.json()["code"]) == (413, "image_too_large")
    assert "3 nuclei, the limit is 2" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("labels", "status"),
    [
        (b"", 400),
        (b"no image", 415),
        (LABELS[: len(LABELS) // 2], 400),
        (jpeg(picture(SCENE)), 415),
        (tiff(np.stack([SCENE, SCENE]).astype(np.uint16), photometric="minisblack"), 415),
        (tiff(np.zeros((1200, 1200), np.uint8)), 413),
        (tiff(np.full(SCENE.shape, np.nan, np.float32)), 200),
        (tiff(np.where(SCENE > 0, np.inf, np.nan).astype(np.float64)), 200),
        (tiff(np.full(SCENE.shape, -1, np.int32)), 200),
        (tiff(np.full(SCENE.shape, 2**32 - 1, np.uint32)), 200),
        (tiff(SCENE.astype(np.complex64)), 415),
    ],
)
def test_hostile_labels_are_told_what_is_wrong(client: TestClient, labels: bytes, status: int) -> None:
    answer = post(client, labels)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.json()["code"] != "internal_error"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31), st.sampled_from(["u1", "u2", "u4", "i4", "f4"]))
def test_any_values_are_counted_or_refused(client: TestClient, height: int, width: int, seed: int, kind: str) -> None:
    generator = np.random.default_rng(seed)
    values = generator.integers(0, generator.integers(1, 300), (height, width)).astype(kind)
    answer = post(client, tiff(values), png(np.zeros((height, width), np.uint8)))
    assert answer.status_code in (200, 415), answer.text


def test_the_labels_of_a_crowded_field_come_back_as_they_are(client: TestClient) -> None:
    labels = dense((300, 300), spacing_px=14, seed=3)
    once = post(client, tiff(labels.astype(np.uint16)), png(picture(labels)), format="labels").content
    again = post(client, once, png(picture(labels)), format="labels").content
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(once)), tifffile.imread(io.BytesIO(again)))


@pytest.mark.parametrize(
    ("query", "status"),
    [("page=all", 422), ("threshold=0.5", 422), ("corrected_from=nonsense", 422), ("pixel_size_um=nan", 422)],
)
def test_options_that_mean_nothing_here_are_refused(client: TestClient, query: str, status: int) -> None:
    answer = client.post(f"/measure?{query}", files={"image": IMAGE, "labels": LABELS})
    assert (answer.status_code, answer.json()["code"]) == (status, "invalid_option")


def test_both_parts_are_needed_and_no_other(client: TestClient) -> None:
    missing = client.post("/measure", files={"image": IMAGE})
    assert (missing.status_code, missing.json()["code"]) == (422, "missing_part")
    raw = client.post("/measure", content=IMAGE, headers={"content-type": "image/png"})
    assert raw.json()["code"] == "missing_part"
    mask = client.post("/measure", files={"image": IMAGE, "mask": LABELS})
    assert (mask.status_code, mask.json()["code"]) == (422, "unknown_part")
