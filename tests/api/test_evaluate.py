import numpy as np
import pytest

from app.api.schemas import EvaluateResponse
from tests.client import TestClient
from tests.synthetic import discs, picture, png, tiff

SCENE = discs((60, 80), (20, 20, 9), (20, 35, 9), (50, 0, 5))
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
