import hmac
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from fastapi.security import HTTPAuthorizationCredentials

from app.api.keys import ApiKeys, new_key, required_keys
from app.cli import main
from app.errors import OptionError, SettingsError
from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.api.test_problems import check
from tests.client import TestClient
from tests.synthetic import png

KEY = "alices-key"
DIGEST = sha256(KEY.encode()).hexdigest()
OTHER = sha256(b"other").hexdigest()
IMAGE = png(np.eye(20, dtype=np.uint8) * 200)
OPEN = {"/health/live", "/health/ready", "/version"}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def with_keys(path: Path, *lines: str, **settings: Any) -> Settings:
    path.write_text("\n".join(lines))
    return Settings(api_keys_file=path, **settings)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[TestClient]:
    """The app with one key, alice's."""
    settings = with_keys(tmp_path / "keys", f"alice:{DIGEST}")
    with TestClient(create_app(settings, fakes.engine())) as client:
        yield client


def test_without_its_key_nothing_measures_or_tells_of_the_model(guarded: TestClient) -> None:
    paths = guarded.get("/openapi.json").json()["paths"]
    asked = [(method, path) for path in paths.keys() - OPEN for method in paths[path]]
    assert len(asked) > 20
    for method, path in asked:
        for headers in ({}, {"authorization": KEY}, {"authorization": f"Basic {KEY}"}):
            answer = guarded.request(method, path, headers=headers)
            assert "Authorization: Bearer KEY" in check(answer, 401, "api_key_needed")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        for wrong in ("wrong", KEY[:-1], KEY + "x", DIGEST, "alice", "ä"):
            answer = guarded.request(method, path, headers={b"authorization": f"Bearer {wrong}".encode()})
            assert "not known" in check(answer, 401, "api_key_needed")
    assert {"/segment", "/evaluate", "/effects", "/model", "/metrics", "/experiments"} <= paths.keys() - OPEN


def test_with_the_key_it_does(guarded: TestClient) -> None:
    both = {"image": IMAGE, "mask": IMAGE}
    assert guarded.post("/segment", files={"image": IMAGE}, headers=bearer(KEY)).status_code == 200
    assert guarded.post("/evaluate", files=both, headers=bearer(KEY)).status_code == 200
    assert guarded.get("/model", headers=bearer(KEY)).status_code == 200
    assert guarded.get("/metrics", headers={"authorization": f"bearer {KEY}"}).status_code == 200


def test_health_and_documentation_stay_open(guarded: TestClient) -> None:
    for path in (*OPEN, "/", "/docs", "/openapi.json"):
        assert guarded.get(path).status_code == 200


def test_the_key_is_asked_for_before_the_body_is_read(tmp_path: Path) -> None:
    async def without_a_key() -> None:
        sent: list[Any] = []

        async def receive() -> Any:
            raise AssertionError("The body was read.")

        async def send(message: Any) -> None:
            sent.append(message)

        app = create_app(with_keys(tmp_path / "keys", f"alice:{DIGEST}"), fakes.engine())
        headers = [(b"content-type", b"image/png")]
        scope = {"type": "http", "method": "POST", "path": "/segment", "query_string": b"", "headers": headers}
        await app(scope, receive, send)
        assert sent[0]["status"] == 401

    anyio.run(without_a_key)


def test_the_page_asks_for_a_key_only_where_there_are_keys(guarded: TestClient, client: TestClient) -> None:
    schemes = guarded.get("/openapi.json").json()["components"]["securitySchemes"]
    assert [scheme["scheme"] for scheme in schemes.values()] == ["bearer"]
    document = client.get("/openapi.json").json()
    assert "securitySchemes" not in document["components"]
    assert client.get("/model").status_code == 200


def test_a_key_is_compared_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    credentials = HTTPAuthorizationCredentials(scheme="Bearer", credentials=KEY)
    anyio.run(ApiKeys([("alice", DIGEST), ("bob", OTHER)]), credentials)
    assert compared == [(DIGEST, DIGEST), (OTHER, DIGEST)]


def test_a_file_has_comments_and_several_keys_of_one_name(tmp_path: Path) -> None:
    settings = with_keys(
        tmp_path / "keys", "# the lab", f"alice:{OTHER}\r", "", f"  alice:{DIGEST} ", f"b.o_b-2:{OTHER}"
    )
    with TestClient(create_app(settings, fakes.engine())) as client:
        assert all(client.get("/model", headers=bearer(key)).status_code == 200 for key in (KEY, "other"))


@pytest.mark.parametrize(
    "line",
    [
        KEY,
        f"alice:{KEY}",
        f"alice:{DIGEST[1:]}",
        f"alice:{DIGEST}0",
        f"alice:{DIGEST.upper()}",
        f":{DIGEST}",
        f"a b:{DIGEST}",
    ],
)
def test_another_kind_of_line_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError, match="Line 3 of") as raised:
        create_app(with_keys(tmp_path / "keys", "# keys", f"bob:{OTHER}", line))
    assert line not in str(raised.value)


def test_a_file_that_lets_nobody_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no API key"):
        create_app(with_keys(tmp_path / "keys", "# none yet"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "nowhere", tmp_path, tmp_path / "binary"):
        with pytest.raises(SettingsError, match="is not a text file to read"):
            create_app(Settings(api_keys_file=path))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_this_machine_needs_no_key(host: str) -> None:
    assert required_keys(Settings(host=host)) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.0.7", "lab.example", "localhost.example"])
def test_other_machines_need_one_unless_said_otherwise(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match=r"KARYOMETER_API_KEYS_FILE .* KARYOMETER_ALLOW_ANONYMOUS=true"):
        required_keys(Settings(host=host))
    assert required_keys(Settings(host=host, allow_anonymous=True)) is None
    settings = with_keys(tmp_path / "keys", f"alice:{DIGEST}", host=host, allow_anonymous=True)
    assert required_keys(settings) is not None


def test_the_command_makes_a_key_that_is_let_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "alice"]) == 0
    made = capsys.readouterr()
    key, line = made.err.strip(), made.out.strip()
    assert key not in line
    with TestClient(create_app(with_keys(tmp_path / "keys", line), fakes.engine())) as client:
        assert client.get("/model", headers=bearer(key)).status_code == 200
    assert main(["key", "alice"]) == 0
    assert capsys.readouterr().err.strip() != key


@pytest.mark.parametrize("name", ["", "a:b", "a b", "x" * 65, "a\n"])
def test_a_name_that_the_file_cannot_hold(name: str) -> None:
    with pytest.raises(OptionError, match="name of a key"):
        new_key(name)
