"""A small stand-in for a service with experiments, which can be made to fail in every way that a network does."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote


class FakeService(ThreadingHTTPServer):
    """Keeps what it is sent.

    Attributes
    ----------
    experiments
        What was asked for, by ID.
    files, layouts
        What has come, of all experiments.
    troubles
        What goes wrong next: `cut` reads half and hangs up, a number is answered after the body, a negative one before
        it, and a pair is a number with what Retry-After says.
    trouble_with
        The same by what the path ends in, each time.
    seen
        Every request: method, path and headers.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.experiments: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.layouts: list[bytes] = []
        self.troubles: list[Any] = []
        self.trouble_with: dict[str, Any] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    def requests(self, method: str, ending: str = "") -> list[dict[str, str]]:
        """Headers of the requests of a kind."""
        return [headers for one, path, headers in self.seen if one == method and path.endswith(ending)]


@contextmanager
def fake_service() -> Iterator[FakeService]:
    """One that answers meanwhile."""
    with FakeService() as service:
        thread = Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FakeService

    def log_message(self, *args: Any) -> None:
        """Nothing."""

    def _handle(self) -> None:
        service = self.server
        service.seen.append((self.command, self.path, dict(self.headers.items())))
        ending = next((one for one in service.trouble_with if self.path.endswith(one)), None)
        trouble = service.trouble_with[ending] if ending else service.troubles.pop(0) if service.troubles else None
        n_bytes = int(self.headers.get("Content-Length", 0))
        if trouble == "cut":
            self.rfile.read(n_bytes // 2)
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if isinstance(trouble, int) and trouble < 0:
            self._answer(-trouble, {"detail": "It was not read."})
            return
        body = self.rfile.read(n_bytes)
        if len(body) < n_bytes:
            return
        if trouble is not None:
            status, after = trouble if isinstance(trouble, tuple) else (trouble, None)
            self._answer(status, {"detail": f"It is {status}."}, {"Retry-After": after} if after else {})
            return
        self._answer(*self._do(body))

    do_GET = do_PUT = do_POST = _handle  # noqa: N815

    def _do(self, body: bytes) -> tuple[int, dict[str, Any], dict[str, str]]:
        service = self.server
        if (self.command, self.path) == ("POST", "/experiments"):
            key = self.headers["Idempotency-Key"]
            made = next((one for one, asked in service.experiments.items() if asked["key"] == key), None)
            made = made or f"e{len(service.experiments)}"
            service.experiments.setdefault(made, json.loads(body) | {"key": key, "state": "open"})
            return 201, {}, {"Location": f"/experiments/{made}"}
        match = re.fullmatch(
            r"/experiments/(\w+)(?:/(images/.+|layout\?filename=[\w.]+|close(?:\?expected=(\d+))?))?", self.path
        )
        if match is None or match[1] not in service.experiments:
            return 404, {"detail": "There is no such experiment."}, {}
        experiment = service.experiments[match[1]]
        if match[2] is None:
            return 200, experiment, {}
        if match[2].startswith("close"):
            if match[3] and int(match[3]) != len(service.files):
                return 409, {"detail": f"It has {len(service.files)} files."}, {}
            experiment["state"] = "running"
            return 200, experiment, {}
        if match[2].startswith("layout"):
            service.layouts.append(body)
            return 200, {}, {}
        name = unquote(match[2].removeprefix("images/"))
        if name in service.files:
            return (200, {}, {}) if service.files[name] == body else (409, {"detail": "There is another file."}, {})
        if experiment["state"] != "open":
            return 409, {"detail": "The experiment is closed."}, {}
        service.files[name] = body
        return 201, {}, {}

    def _answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        said = json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(said))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)
        self.close_connection = True
