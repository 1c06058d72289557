from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.client import TestClient
from tests.synthetic import discs, picture, png

SCENE = discs((60, 80), (20, 20, 9), (20, 35, 9), (50, 0, 5))
IMAGE = png(picture(SCENE))


def sample(client: TestClient, name: str, /, **labels: str) -> float | None:
    families = list(text_string_to_metric_families(client.get("/metrics").text))
    values = [
        one.value
        for family in families
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    ]
    return sum(values) if values else None


def test_measurements_are_counted(client: TestClient) -> None:
    for options in ({}, {"format": "csv"}):
        client.post("/segment", params=options, files={"image": IMAGE})
    client.post("/evaluate", files={"image": IMAGE, "mask": png(SCENE.astype(np.uint8))})
    assert sample(client, "karyometer_requests_total", route="/segment", status="200") == 2
    assert sample(client, "karyometer_requests_total", route="/evaluate", status="200") == 1
    assert sample(client, "karyometer_request_duration_seconds_count", route="/segment") == 2
    assert sample(client, "karyometer_pixels_total") == 3 * SCENE.size
    assert sample(client, "karyometer_nuclei_total") == 3 * 3
    for stage, n_times in {"decode": 3, "predict": 3, "split": 3, "measure": 3, "encode": 2}.items():
        assert sample(client, "karyometer_stage_duration_seconds_count", stage=stage) == n_times


def test_stages_are_counted_in_seconds(client: TestClient) -> None:
    timing_ms = client.post("/segment", files={"image": IMAGE}).json()["provenance"]["timing_ms"]
    for stage, duration_ms in timing_ms.items():
        counted_s = sample(client, "karyometer_stage_duration_seconds_sum", stage=stage)
        assert counted_s is not None
        assert abs(counted_s - duration_ms / 1000) < 1e-9


def test_problems_are_counted_by_their_code(client: TestClient) -> None:
    client.post("/segment", files={"image": b"nuclei, I promise"})
    client.post("/segment?threshold=2", files={"image": IMAGE})
    client.get("/segment")
    for code in ("unsupported_image", "invalid_option", "method_not_allowed"):
        assert sample(client, "karyometer_rejections_total", code=code) == 1
    assert sample(client, "karyometer_requests_total", route="/segment", status="405") == 1
    assert sample(client, "karyometer_pixels_total") == 0


def test_paths_that_nobody_serves_make_no_new_counters(client: TestClient) -> None:
    for number in range(3):
        client.get(f"/random/{number}")
        client.get(f"/static-offline-docs/{number}")
    assert sample(client, "karyometer_requests_total", route="other", status="404") == 6
    assert "random" not in client.get("/metrics").text


def test_each_app_counts_for_itself_and_before_it_is_ready() -> None:
    apps: list[Any] = [create_app(Settings(), fakes.engine()) for _ in range(2)]
    outside = TestClient(apps[0])
    assert outside.get("/health/live").status_code == 200
    assert sample(outside, "karyometer_requests_total", route="/health/live") == 1
    assert sample(TestClient(apps[1]), "karyometer_requests_total", route="/health/live") is None
    assert sample(outside, "karyometer_model_info", name="fake") is None
    with TestClient(apps[0]) as client:
        assert sample(client, "karyometer_model_info", name="fake", version="1", sha256=fakes.DIGEST) == 1


def test_it_is_what_prometheus_reads(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
