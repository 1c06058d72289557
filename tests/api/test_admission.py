"""What is bounded, with a network that answers only when it is told to."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.api import admission
from app.api.lanes import Rate
from app.inference.predictions import Predictions
from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.client import TestClient
from tests.synthetic import discs, picture, png, tiff

IMAGE = png(picture(discs((40, 50), (20, 20, 9))))
RAW = {"content-type": "image/png"}


class Held(fakes.BrightIsNucleus):
    """Answers when `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = threading.Semaphore(0)
        self.n_asked = 0
        self.held_from_px = 0
        self.rested = threading.Semaphore(0)

    def predict(self, image: NDArray[np.float32]) -> Predictions:
        """Wait, then answer."""
        self.n_asked += 1
        self.asked.release()
        assert image.shape[0] * image.shape[1] < self.held_from_px or self.go.wait(30)
        return super().predict(image)

    def release_memory(self) -> None:
        """Count."""
        self.rested.release()


class Service:
    """One worker, one of whose answers is held back."""

    def __init__(self, **limits: Any) -> None:
        self.network = Held()
        self.app = create_app(Settings(**limits), fakes.engine(self.network))
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def post(self, data: bytes = IMAGE) -> Any:
        """`POST /segment` of raw bytes."""
        return self.client.post("/segment", content=data, headers=RAW)


@pytest.fixture
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A running service; at the end everything is answered."""
    monkeypatch.setattr("app.main.available_cores", lambda: 1)
    service = Service(**getattr(request, "param", {}))
    with service.client:
        yield service
        service.network.go.set()


@pytest.fixture
def first(service: Service) -> Iterator["Future[Any]"]:
    """A request that is being worked on."""
    with ThreadPoolExecutor() as threads:
        future = threads.submit(service.post)
        assert service.network.asked.acquire(timeout=30)
        yield future
        service.network.go.set()


@pytest.mark.parametrize("service", [{"max_queued_pixels": 3000}], indirect=True)
def test_a_full_queue_refuses_and_says_when_to_ask_again(service: Service, first: "Future[Any]") -> None:
    for _ in range(2):
        refused = service.post()
        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        assert int(refused.headers["retry-after"]) == 10
    service.network.go.set()
    assert first.result().status_code == 200
    assert service.post().status_code == 200
    assert service.network.n_asked == 2


@pytest.mark.parametrize("service", [{"max_queued_pixels": 10}], indirect=True)
def test_an_empty_queue_takes_what_is_larger_than_itself(service: Service) -> None:
    service.network.go.set()
    assert service.post().status_code == 200


@pytest.mark.parametrize("service", [{"max_wait_s": 0.1}], indirect=True)
def test_who_waits_too_long_is_told_so(service: Service, first: "Future[Any]") -> None:
    late = service.post()
    assert (late.status_code, late.json()["code"]) == (503, "busy")
    assert "waited too long" in late.json()["detail"]
    service.network.go.set()
    assert first.result().status_code == 200
    assert service.post().status_code == 200


@pytest.mark.parametrize("service", [{"max_held_bytes": 5000}], indirect=True)
def test_uploads_together_are_bounded_and_given_back(service: Service) -> None:
    service.network.go.set()
    large = tiff(np.zeros((60, 100), np.uint8))
    assert (len(large) > 5000, len(IMAGE) < 5000) == (True, True)
    for _ in range(3):
        refused = service.post(large)
        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        assert service.post().status_code == 200
        body = {"image": ("a.png", IMAGE), "mask": ("b.png", IMAGE)}
        assert service.client.post("/evaluate", files=body).status_code == 200
    assert service.app.state.admission.held_bytes == 0


def test_who_left_costs_nothing(service: Service, first: "Future[Any]") -> None:
    messages: Iterator[dict[str, Any]] = iter([{"type": "http.request", "body": IMAGE}, {"type": "http.disconnect"}])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"image/png")]
    scope = {"type": "http", "method": "POST", "path": "/segment", "query_string": b"", "headers": headers}
    assert service.client.portal
    service.client.portal.call(service.app, scope, receive, send)
    assert sent[0]["status"] == 499
    service.network.go.set()
    assert first.result().status_code == 200
    assert service.network.n_asked == 1


def test_who_is_in_is_served_while_nobody_else_comes_in(service: Service, first: "Future[Any]") -> None:
    service.app.state.admission.draining = True
    for refused in (service.client.get("/health/ready"), service.post()):
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        assert int(refused.headers["retry-after"]) > 0
    assert service.client.get("/health/live").status_code == 200
    service.network.go.set()
    assert first.result().status_code == 200
    assert service.app.state.admission.n_requests == 0


def test_damaged_images_are_refused_as_ever_and_leave_nothing_in_the_queue(service: Service) -> None:
    service.network.go.set()
    for data in (IMAGE[:60], b"II*\0" + bytes(20), b"none"):
        assert service.post(data).status_code in (400, 415)
    assert (service.app.state.admission.queued_px, service.app.state.admission.n_requests) == (0, 0)


def test_when_to_ask_again_is_what_the_queue_takes_at_the_measured_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("app.api.lanes.time.monotonic", lambda: now)
    rate = Rate()
    # Two at once, of which each takes twice as long as lies between two answers.
    for now in range(2, 30):
        rate.finished(1_000_000, now - 2)
    assert rate.seconds(30_000_000) in (30, 31)
    # One by one, with nothing to do between.
    for now in range(60, 360, 10):
        rate.finished(1_000_000, now - 2)
    assert rate.seconds(30_000_000) in (58, 59, 60)
    assert rate.seconds(1) == 1


def test_the_network_rests_when_nobody_has_asked_for_a_while(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "IDLE_S", 1)
    given_back = threading.Semaphore(0)
    monkeypatch.setattr("app.main.give_back_freed_memory", given_back.release)
    with ThreadPoolExecutor() as threads:
        future = threads.submit(service.post)
        assert service.network.asked.acquire(timeout=30)
        assert not service.network.rested.acquire(timeout=1.5)
        service.network.go.set()
        assert future.result().status_code == 200
    assert service.post().status_code == 200
    assert service.network.rested.acquire(timeout=30)
    assert given_back.acquire(timeout=30)
    # Once is enough.
    assert not service.network.rested.acquire(timeout=1.5)


def test_a_rest_that_fails_is_logged(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise MemoryError

    logged = threading.Semaphore(0)
    monkeypatch.setattr(admission, "IDLE_S", 0)
    monkeypatch.setattr(admission.logger, "exception", lambda _: logged.release())
    monkeypatch.setattr(service.network, "release_memory", fail)
    service.network.go.set()
    assert service.post().status_code == 200
    assert logged.acquire(timeout=30)
    assert service.post().status_code == 200


async def unread(app: Any, path: str = "/segment", query: bytes = b"", **headers: str) -> int:
    """The status of an answer that is given although the body cannot be read."""
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("The body was read.")

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": query, "headers": pairs}
    await app(scope, receive, send)
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize("service", [{"max_queued_pixels": 3000}], indirect=True)
@pytest.mark.usefixtures("first")
def test_a_full_queue_refuses_before_the_body_is_read(service: Service) -> None:
    assert service.client.portal
    for path in ("/segment", "/evaluate"):
        assert service.client.portal.call(unread, service.app, path) == 503


@pytest.mark.parametrize("path", ["/segment", "/evaluate"])
@pytest.mark.parametrize("query", [b"threshold=2", b"colour=red", b"page=-1", b"threshold=0.5&threshold=0.6"])
def test_wrong_options_are_refused_before_the_body_is_read(service: Service, path: str, query: bytes) -> None:
    assert service.client.portal
    assert service.client.portal.call(unread, service.app, path, query) == 422


@pytest.mark.parametrize("service", [{"max_upload_bytes": 1000}], indirect=True)
def test_a_length_above_the_limit_is_refused_before_the_body_is_read(service: Service) -> None:
    assert service.client.portal
    ask = partial(unread, service.app, content_type="image/png", content_length="1001")
    assert service.client.portal.call(ask) == 413


@pytest.mark.parametrize("service", [{"max_queued_pixels": 3000}], indirect=True)
def test_when_to_ask_again_is_measured(service: Service, first: "Future[Any]", monkeypatch: pytest.MonkeyPatch) -> None:
    finished = []
    monkeypatch.setattr(Rate, "finished", lambda _, n_pixels, _start: finished.append(n_pixels))
    monkeypatch.setattr(Rate, "seconds", lambda _, n_pixels: n_pixels // 100)
    # One image of 40 x 50 pixels, of which a side counts as 64 at least, is being worked on.
    assert int(service.post().headers["retry-after"]) == 64 * 64 // 100
    service.network.go.set()
    assert first.result().status_code == 200
    assert finished == [64 * 64]


def test_large_images_keep_nobody_waiting(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "LARGE_PX", 100 * 100 - 1)
    service.network.held_from_px = 100 * 100
    with ThreadPoolExecutor() as threads:
        large = [threads.submit(service.post, png(np.zeros((100, 100), np.uint8))) for _ in range(2)]
        assert service.network.asked.acquire(timeout=30)
        assert [service.post().status_code for _ in range(3)] == [200] * 3
        assert not any(future.done() for future in large)
        # One large image at a time.
        assert service.network.n_asked == 1 + 3
        service.network.go.set()
        assert [future.result().status_code for future in large] == [200, 200]
