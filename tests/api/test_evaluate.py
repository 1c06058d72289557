from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api.schemas import EvaluateResponse, SegmentResponse
from app.export import description
from tests.client import TestClient
from tests.synthetic import discs, picture, png, tiff

SCENE = discs((60, 80), (20, 20, 9), (20, 35, 9), (50, 0, 5))
APART = discs((60, 80), (20, 20, 9), (20, 45, 9), (50, 0, 5))
EMPTY = np.zeros_like(SCENE)


def test_scores_of_a_perfect_result(client: TestClient) -> None:
    answer = client.post("/evaluate", files={"image": png(picture(SCENE)), "mask": png(SCENE.astype(np.uint8))})
    assert answer.status_code == 200
    body = answer.json()
    EvaluateResponse.model_validate(body)
    assert (body["iou"], body["dice"], body["precision"], body["recall"]) == (1, 1, 1, 1)
    assert (body["count_predicted"], body["count_true"], body["count_error"]) == (3, 3, 0)
    assert [matching["thresh"] for matching in body["matching"]] == pytest.approx(np.arange(0.5, 0.96, 0.05))


def test_a_16_bit_label_image_in_a_tiff(client: TestClient) -> None:
    mask = tiff(SCENE.astype(np.uint16) * 300, compression="zlib")
    body = client.post("/evaluate", files={"image": png(picture(SCENE)), "mask": mask}).json()
    assert (body["mask_kind"], body["count_true"], body["iou"]) == ("labels", 3, 1)


def test_both_empty_is_1(client: TestClient) -> None:
    empty = png(picture(EMPTY))
    body = client.post("/evaluate", files={"image": empty, "mask": empty}).json()
    assert (body["iou"], body["average_precision"], body["count_error"]) == (1, 1, 0)


def test_options_are_the_same_as_for_segment(client: TestClient) -> None:
    files = {"image": png(picture(SCENE)), "mask": png(SCENE.astype(np.uint8))}
    body = client.post("/evaluate?exclude_border=true", files=files).json()
    assert body["count_error"] == -1
    assert body["provenance"]["options"]["exclude_border"] is True
    assert client.post("/evaluate?format=csv", files=files).status_code == 422


def test_what_was_assumed_of_a_mask_is_told(client: TestClient) -> None:
    reused = np.array([0, 1, 2, 1], np.uint8)[SCENE]
    files = {"image": png(picture(SCENE)), "mask": png(reused)}
    body = client.post("/evaluate", files=files).json()
    EvaluateResponse.model_validate(body)
    assert (body["mask_kind"], body["count_true"]) == ("labels", 3)
    assert [warning["code"] for warning in body["warnings"]] == ["mask_values_reused"]
    beside = client.post("/segment", files=files).json()
    assert [warning["code"] for warning in beside["warnings"]] == ["mask_values_reused"]
    assert beside["evaluation"]["count_true"] == 3


def test_a_mask_that_means_nothing_is_refused(client: TestClient) -> None:
    mask = tiff(np.stack([SCENE, SCENE // 2]).astype(np.uint16), ome=True, metadata={"axes": "CYX"})
    answer = client.post("/evaluate", files={"image": png(picture(SCENE)), "mask": mask})
    assert (answer.status_code, "channels that differ" in answer.json()["detail"]) == (415, True)


def labelled(client: TestClient, truth: Any) -> tuple[Any, Any]:
    """The answers of /evaluate and of /segment, with the fate of each nucleus."""
    files = {"image": png(picture(APART)), "mask": png(truth.astype(np.uint8))}
    evaluated = client.post("/evaluate?include=matches", files=files).json()
    segmented = client.post("/segment?include=matches&include=polygons", files=files).json()
    EvaluateResponse.model_validate(evaluated)
    SegmentResponse.model_validate(segmented)
    return evaluated, segmented


def test_matches_tell_the_fate_of_each_nucleus(client: TestClient) -> None:
    # Most of one is enough for a hit, a little of another is not.
    truth = APART.copy()
    truth[:16][truth[:16] == 1] = 0
    truth[truth == 2] = 0
    truth[20:22, 44:47] = 2
    truth[40:50, 60:70] = 4
    evaluated, segmented = labelled(client, truth)
    matches = evaluated["matches"]
    assert segmented["evaluation"]["matches"] == matches
    assert segmented.keys() & {"polygons", "matches", "mask", "nuclei"} == {"polygons"}
    iou = {hit["label"]: hit["iou"] for hit in matches["hits"]}
    areas = [np.count_nonzero(values == 1) for values in (truth, APART)]
    assert iou == {1: pytest.approx(areas[0] / areas[1]), 3: 1}
    assert matches["inventions"] == [2]
    first, second = (np.array(miss["polygon"][0]) for miss in matches["misses"])
    assert [first.min(axis=0).tolist(), first.max(axis=0).tolist()] == [[19.5, 43.5], [21.5, 46.5]]
    assert [second.min(axis=0).tolist(), second.max(axis=0).tolist()] == [[39.5, 59.5], [49.5, 69.5]]
    at_half = evaluated["matching"][0]
    assert (at_half["tp"], at_half["fp"], at_half["fn"]) == (2, 1, 2)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**31))
def test_matches_agree_with_the_scores(client: TestClient, seed: int) -> None:
    generator = np.random.default_rng(seed)
    circles = [(*generator.uniform(0, 60, 2), generator.uniform(2, 12)) for _ in range(generator.integers(0, 6))]
    evaluated, _ = labelled(client, discs(SCENE.shape, *circles))
    matches, at_half = evaluated["matches"], evaluated["matching"][0]
    counted = [len(matches[name]) for name in ("hits", "inventions", "misses")]
    assert counted == [at_half["tp"], at_half["fp"], at_half["fn"]]
    assert sum(hit["iou"] for hit in matches["hits"]) == pytest.approx(at_half["tp"] * at_half["mean_matched_score"])
    labels = [hit["label"] for hit in matches["hits"]] + matches["inventions"]
    assert sorted(labels) == list(range(1, evaluated["count_predicted"] + 1))


def test_matches_need_a_ground_truth(client: TestClient) -> None:
    answer = client.post("/segment?include=matches", files={"image": png(picture(SCENE))})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_option")
    assert "mask" in answer.json()["detail"]
    for path in ("/measure", "/evaluate"):
        name = "nuclei" if path == "/evaluate" else "matches"
        files = {"image": png(picture(SCENE)), "labels": png(picture(SCENE))}
        assert client.post(f"{path}?include={name}", files=files).json()["code"] == "invalid_option"


def test_more_misses_than_can_be_drawn_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description, "_MOST_MISSES", 2)
    files = {"image": png(picture(EMPTY)), "mask": png(SCENE.astype(np.uint8))}
    answer = client.post("/evaluate?include=matches", files=files)
    assert (answer.status_code, answer.json()["code"]) == (422, "format_too_small")
    assert client.post("/evaluate", files=files).status_code == 200
