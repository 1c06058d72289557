import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.logs import JsonFormatter
from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.api.test_keys import DIGEST, KEY, bearer, with_keys
from tests.client import TestClient
from tests.synthetic import discs, picture, png

SCENE = discs((60, 80), (20, 20, 9), (20, 35, 9), (50, 0, 5))
IMAGE = png(picture(SCENE))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """What the service writes."""
    caplog.set_level(logging.DEBUG, logger="app")
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter())
    logging.getLogger("app").addHandler(handler)
    yield handler.stream
    logging.getLogger("app").removeHandler(handler)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_request_is_one_line_with_what_came_of_it(log: io.StringIO, tmp_path: Path) -> None:
    settings = with_keys(tmp_path / "keys", f"alice:{DIGEST}")
    with TestClient(create_app(settings, fakes.engine())) as client:
        client.post("/segment", files={"image": IMAGE}, headers=bearer(KEY) | {"x-request-id": "run-7"})
        client.post("/evaluate?threshold=0.4", files={"image": IMAGE}, headers=bearer(KEY))
        client.get("/model", headers=bearer("wrong"))
    measured, refused, unknown = lines(log)
    assert measured.pop("time").endswith("+00:00")
    assert measured.pop("duration_ms") > 0
    assert measured == {
        "level": "INFO",
        "logger": "app.api.middleware",
        "message": "POST /segment 200",
        "request_id": "run-7",
        "method": "POST",
        "path": "/segment",
        "status": 200,
        "n_pixels": SCENE.size,
        "count": 3,
        "key": "alice",
        "code": None,
    }
    assert (refused["path"], refused["status"], refused["code"]) == ("/evaluate", 422, "missing_part")
    assert (refused["key"], refused["n_pixels"]) == ("alice", None)
    assert (unknown["status"], unknown["code"], unknown["key"]) == (401, "api_key_needed", None)
    assert len({line["request_id"] for line in (measured, refused, unknown)}) == 3


def test_neither_keys_nor_names_of_files_nor_queries_are_told(log: io.StringIO, tmp_path: Path) -> None:
    settings = with_keys(tmp_path / "keys", f"alice:{DIGEST}")
    with TestClient(create_app(settings, fakes.engine()), raise_server_exceptions=False) as client:
        for image in (IMAGE, IMAGE[:60], b"nothing"):
            for key in (KEY, "wrong-key"):
                files = {"image": ("patient-0815.png", image)}
                client.post("/segment?quality=best&token=s3cret", files=files, headers=bearer(key))
                client.post("/segment?channel=s3cret", files=files, headers=bearer(key))
                client.post("/segment", files={"patient-0815": image}, headers=bearer(key))
    text = json.dumps(lines(log))
    assert text.count('"path"') == 18
    for secret in (KEY, "wrong-key", "patient-0815", "s3cret", DIGEST):
        assert secret not in text


def test_a_mistake_of_ours_is_told_in_full_with_the_requests_id(log: io.StringIO) -> None:
    engine = fakes.engine()
    object.__setattr__(engine.model, "predictor", None)
    with TestClient(create_app(Settings(), engine)) as client:
        answer = client.post("/segment", files={"image": IMAGE})
    mistake, request = lines(log)
    assert mistake["level"] == "ERROR"
    assert "AttributeError: 'NoneType'" in mistake["exception"]
    assert mistake["request_id"] == request["request_id"] == answer.headers["x-request-id"]
    assert (request["status"], request["code"]) == (500, "internal_error")


def test_a_path_cannot_forge_a_line(log: io.StringIO, client: TestClient) -> None:
    client.get('/a%0A{"status": 200}%22%C3%A9')
    (line,) = lines(log)
    assert line["path"] == '/a\n{"status": 200}"é'
    assert (line["status"], line["code"]) == (404, "not_found")
