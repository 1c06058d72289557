from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from app.api.meter import Meter, Quota
from app.api.metrics import Metrics
from app.errors import QuotaError, SettingsError
from app.logs import RequestRecord
from app.main import create_app
from app.options import SegmentationOptions
from app.settings import Settings
from tests import fakes
from tests.api.test_keys import bearer, with_keys
from tests.api.test_problems import check
from tests.client import TestClient
from tests.synthetic import png, tiff

IMAGE = png(np.eye(100, dtype=np.uint8) * 200)
N_PIXELS = 100 * 100


class Clock:
    """Turned by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """The clock of the metered app."""
    return Clock()


@pytest.fixture
def metered(tmp_path: Path, clock: Clock) -> Iterator[TestClient]:
    """The app with keys of alice and bob, each for one image and a half in a minute."""
    lines = [f"{name}:{sha256(name.encode()).hexdigest()}" for name in ("alice", "bob")]
    app = create_app(with_keys(tmp_path / "keys", *lines), fakes.engine())
    app.state.quota = Quota(N_PIXELS * 3 // 2, clock)
    with TestClient(app) as client:
        yield client


def segment(client: TestClient, name: str) -> int:
    return client.post("/segment", files={"image": IMAGE}, headers=bearer(name)).status_code


def test_who_has_used_up_the_quota_waits_as_long_as_told(metered: TestClient, clock: Clock) -> None:
    assert [segment(metered, "alice") for _ in range(3)] == [200, 200, 429]
    answer = metered.post("/segment", files={"image": IMAGE}, headers=bearer("alice"))
    wait_s = int(answer.headers["retry-after"])
    # Two images of a quota of one and a half: half an image too many, of which a minute has three.
    assert wait_s == 20
    assert f"{wait_s} s" in check(answer, 429, "quota_used_up")
    clock.now_s += wait_s - 1
    assert segment(metered, "alice") == 429
    clock.now_s += 1
    assert segment(metered, "alice") == 200


def test_others_and_what_does_not_measure_go_on(metered: TestClient) -> None:
    assert [segment(metered, "alice") for _ in range(3)] == [200, 200, 429]
    assert segment(metered, "bob") == 200
    assert metered.get("/model", headers=bearer("alice")).status_code == 200
    assert metered.get("/health/ready").status_code == 200


def test_quota_is_not_hoarded(metered: TestClient, clock: Clock) -> None:
    assert segment(metered, "alice") == 200
    clock.now_s += 3600
    assert [segment(metered, "alice") for _ in range(3)] == [200, 200, 429]


def test_evaluations_and_every_page_are_charged(metered: TestClient) -> None:
    both = {"image": IMAGE, "mask": IMAGE}
    statuses = [metered.post("/evaluate", files=both, headers=bearer("alice")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    stack = tiff(np.zeros((2, 100, 100), np.uint8), imagej=True, metadata={"axes": "ZYX"})
    answer = metered.post("/segment?page=all", files={"image": stack}, headers=bearer("bob"))
    assert len(answer.json()["pages"]) == 2
    assert segment(metered, "bob") == 429


def test_what_could_not_be_read_costs_nothing(metered: TestClient) -> None:
    for _ in range(5):
        answer = metered.post("/segment", files={"image": IMAGE[:60]}, headers=bearer("alice"))
        check(answer, 400, "unreadable_image")
    assert segment(metered, "alice") == 200


def test_it_is_refused_before_the_body_is_read() -> None:
    app = create_app(Settings(pixels_per_minute=1), fakes.engine())
    app.state.quota.charge(None, 2)
    app.state.engine = fakes.engine()

    async def overdrawn() -> None:
        sent = []

        async def receive() -> Any:
            raise AssertionError("The body was read.")

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", b"image/png")]
        for path in ("/segment", "/evaluate"):
            scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
            await app(scope, receive, send)
        assert [message["status"] for message in sent if "status" in message] == [429, 429]

    anyio.run(overdrawn)


def test_without_keys_all_share_one_quota() -> None:
    with TestClient(create_app(Settings(pixels_per_minute=N_PIXELS), fakes.engine())) as client:
        statuses = [client.post("/segment", files={"image": IMAGE}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_no_quota_is_no_limit(client: TestClient) -> None:
    assert all(client.post("/segment", files={"image": IMAGE}).status_code == 200 for _ in range(20))


def test_a_quota_of_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KARYOMETER_PIXELS_PER_MINUTE", "0")
    with pytest.raises(SettingsError, match="PIXELS_PER_MINUTE"):
        Settings.from_environment()


def test_the_best_quality_costs_what_it_costs(metered: TestClient) -> None:
    answer = metered.post("/segment?quality=best", files={"image": IMAGE}, headers=bearer("alice"))
    assert answer.status_code == 200
    refused = metered.post("/segment", files={"image": IMAGE}, headers=bearer("alice"))
    # Eight images of a quota of one and a half: six and a half too many, of which a minute has one and a half.
    assert int(refused.headers["retry-after"]) == 260


def test_pixels_are_charged_before_the_work_and_corrected_after(clock: Clock) -> None:
    quota = Quota(600, clock)
    meter = Meter(Metrics(), quota, RequestRecord(key="alice"))
    with meter.charged(900):
        assert quota.wait_s("alice") == 30
        with pytest.raises(QuotaError), Meter(Metrics(), quota, RequestRecord(key="alice")).charged(1):
            raise AssertionError("It was let in.")
        meter.measured(fakes.engine().segment(png(np.zeros((30, 20), np.uint8)), SegmentationOptions()))
    assert quota.wait_s("alice") == 0
    failing = ExitStack()
    failing.enter_context(Meter(Metrics(), quota, RequestRecord(key="alice")).charged(1500))
    assert quota.wait_s("alice") == 150
    failing.close()
    assert quota.wait_s("alice") == 0
