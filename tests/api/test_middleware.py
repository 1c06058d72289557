import asyncio
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.middleware import Mistakes
from app.errors import SettingsError
from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.api.test_keys import DIGEST, with_keys
from tests.client import TestClient
from tests.synthetic import dense, picture, png

IMAGE = png(np.eye(20, dtype=np.uint8) * 200)
PAGE = "https://lab.example"


@pytest.fixture
def broken() -> Iterator[TestClient]:
    """An app whose predictor is missing, open to pages of one origin."""
    engine = fakes.engine()
    object.__setattr__(engine.model, "predictor", None)
    with TestClient(create_app(Settings(cors_origins=(PAGE,)), engine)) as client:
        yield client


def answers(client: TestClient, headers: dict[str, str]) -> dict[int, Any]:
    """One answer of each kind."""
    all_answers = [
        client.get("/health/live", headers=headers),
        client.get("/web", headers=headers, follow_redirects=False),
        client.get("/nothing", headers=headers),
        client.get("/segment", headers=headers),
        client.post("/segment?threshold=2", files={"image": IMAGE}, headers=headers),
        client.post("/segment", files={"image": IMAGE}, headers=headers),
    ]
    return {answer.status_code: answer for answer in all_answers}


def test_every_answer_has_the_requests_id_and_tells_browsers_to_be_careful(broken: TestClient) -> None:
    of_each_kind = answers(broken, {"x-request-id": "Run-7_b.2"})
    assert of_each_kind.keys() == {200, 307, 404, 405, 422, 500}
    for answer in of_each_kind.values():
        assert answer.headers["x-request-id"] == "Run-7_b.2"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self';" in policy


@pytest.mark.parametrize("wanted", ["", "a b", "x" * 65, "é", 'a"b', "a/b", "{}"])
def test_another_id_is_made_where_the_clients_is_not_a_sane_one(client: TestClient, wanted: str) -> None:
    ids = {client.get("/version", headers={b"x-request-id": wanted.encode()}).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", made) for made in ids)


def test_measurements_are_not_kept_but_files_of_the_page_are(client: TestClient) -> None:
    assert client.post("/segment?format=csv", files={"image": IMAGE}).headers["cache-control"] == "no-store"
    assert client.get("/static-offline-docs/swagger-ui.css").headers["cache-control"] == "no-cache"


def test_only_the_pages_own_scripts_may_run(client: TestClient) -> None:
    policy = client.get("/docs").headers["content-security-policy"]
    (scripts,) = re.findall("script-src ([^;]*);", policy)
    assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/]{43}='", scripts)


def test_only_swagger_ui_and_reports_have_styles_of_their_own(client: TestClient) -> None:
    styles = {
        path: re.findall("style-src ([^;]*);", client.options(path).headers["content-security-policy"])[0]
        for path in ("/docs", "/experiments/any/report", "/version", "/nothing", "/nothing/docs.html")
    }
    assert styles == {
        "/docs": "'self' 'unsafe-inline'",
        "/experiments/any/report": "'self' 'unsafe-inline'",
        "/version": "'self'",
        "/nothing": "'self'",
        "/nothing/docs.html": "'self'",
    }


@pytest.mark.parametrize(
    ("path", "is_compressed"),
    [
        ("/segment?include=polygons", True),
        ("/segment?format=csv", True),
        ("/segment?format=geojson", True),
        ("/segment?format=labels", False),
        ("/segment?format=overlay", False),
        ("/segment?format=parquet", False),
        ("/segment?format=rois", False),
    ],
)
def test_text_is_compressed_where_the_client_takes_that(client: TestClient, path: str, is_compressed: bool) -> None:
    files = {"image": png(picture(dense((200, 200))))}
    plain, packed = (
        client.post(path, files=files, headers={"accept-encoding": accepted})
        for accepted in ("identity", "gzip, deflate")
    )
    assert "content-encoding" not in plain.headers
    assert packed.headers.get("content-encoding") == ("gzip" if is_compressed else None)
    n_sent = int(packed.headers["content-length"])
    assert (n_sent < int(plain.headers["content-length"]) / 2) == is_compressed
    if is_compressed:
        assert "Accept-Encoding" in packed.headers["vary"]
        assert re.sub(rb'"timing_ms".*', b"", packed.content) == re.sub(rb'"timing_ms".*', b"", plain.content)


def test_files_of_pages_are_compressed_and_short_answers_are_not(client: TestClient) -> None:
    for path in ("/static-offline-docs/swagger-ui-bundle.js", "/web/js/main.js"):
        script = client.get(path, headers={"accept-encoding": "gzip"})
        assert script.headers["content-encoding"] == "gzip"
        assert script.headers["etag"]
        again = client.get(path, headers={"accept-encoding": "gzip", "if-none-match": script.headers["etag"]})
        assert again.status_code == 304
    assert "content-encoding" not in client.get("/version", headers={"accept-encoding": "gzip"}).headers


def test_pages_from_elsewhere_may_not_ask(client: TestClient) -> None:
    answer = client.get("/version", headers={"origin": PAGE})
    preflight = client.options("/segment", headers={"origin": PAGE, "access-control-request-method": "POST"})
    assert preflight.status_code == 405
    assert not [name for each in (answer, preflight) for name in each.headers if name.startswith("access-control")]


def test_pages_of_the_origins_that_are_set_may(broken: TestClient) -> None:
    wanted = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    preflight = broken.options("/segment", headers={"origin": PAGE} | wanted)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert preflight.headers["x-request-id"]
    for answer in answers(broken, {"origin": PAGE}).values():
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "X-Nucleus-Count" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
    for other in ("http://lab.example", f"{PAGE}.evil.example", "null"):
        assert "access-control-allow-origin" not in broken.get("/version", headers={"origin": other}).headers
        assert broken.options("/segment", headers={"origin": other} | wanted).status_code == 400


def test_a_browser_may_ask_whether_it_may_without_a_key(tmp_path: Path) -> None:
    settings = with_keys(tmp_path / "keys", f"alice:{DIGEST}", cors_origins=(PAGE,))
    with TestClient(create_app(settings, fakes.engine())) as client:
        wanted = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        assert client.options("/segment", headers={"origin": PAGE} | wanted).status_code == 200
        assert client.post("/segment", headers={"origin": PAGE}).headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("", ()),
        ("*", ("*",)),
        ("https://a.example, http://localhost:3000,", ("https://a.example", "http://localhost:3000")),
    ],
)
def test_origins_come_with_commas(monkeypatch: pytest.MonkeyPatch, value: str, origins: tuple[str, ...]) -> None:
    monkeypatch.setenv("KARYOMETER_CORS_ORIGINS", value)
    assert Settings.from_environment().cors_origins == origins


@pytest.mark.parametrize(
    "value", ["lab.example", "https://lab.example/", "https://a.example https://b.example", "null"]
)
def test_what_no_browser_sends_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("KARYOMETER_CORS_ORIGINS", value)
    with pytest.raises(SettingsError, match=r"KARYOMETER_CORS_ORIGINS .* commas"):
        Settings.from_environment()


async def nothing(*_: Any) -> Any:
    """Receives or sends."""


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), asyncio.CancelledError("a mistake")])
@pytest.mark.parametrize("kind", ["http", "lifespan"])
def test_a_mistake_that_cannot_be_answered_any_more_is_raised(kind: str, error: BaseException) -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        if kind == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    with pytest.raises(type(error), match="a mistake"):
        asyncio.run(Mistakes(app)({"type": kind}, nothing, nothing))


def test_what_is_given_up_when_the_service_stops_is_to_be_sent_again() -> None:
    sent: list[Message] = []

    async def app(*_: Any) -> None:
        await asyncio.sleep(60)

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        answering = asyncio.create_task(Mistakes(app)({"type": "http"}, nothing, send))
        await asyncio.sleep(0)
        answering.cancel()
        await answering

    asyncio.run(run())
    start, body = sent
    assert start["status"] == 503
    assert json.loads(body["body"])["code"] == "not_ready"


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        ("localhost:8000", True),
        ("127.0.0.1", True),
        ("127.0.0.2:80", True),
        ("[::1]:8000", True),
        ("attacker.example", False),
        ("attacker.example:8000", False),
        ("localhost.attacker.example", False),
        ("192.168.0.7", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_a_service_without_keys_answers_to_its_own_machine_only(client: TestClient, host: str, is_served: bool) -> None:
    for path in ("/docs", "/model", "/health/live"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == (200 if is_served else 421)
    if not is_served:
        assert answer.json()["code"] == "foreign_host"
        assert "http://localhost" in answer.json()["detail"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_service_that_others_may_reach_answers_to_any_host(tmp_path: Path) -> None:
    digest = sha256(b"key").hexdigest()
    (tmp_path / "keys").write_text(f"alice:{digest}")
    for settings in (Settings(allow_anonymous=True), Settings(api_keys_file=tmp_path / "keys")):
        with TestClient(create_app(settings, fakes.engine())) as client:
            assert client.get("/health/live", headers={"host": "karyometer.lab.example"}).status_code == 200
