"""The server around the application: connections that take too long, and an end that lets everyone finish."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.api.admission import Admission
from app.api.problems import MEDIA_TYPE, NOT_HTTP, body
from app.settings import Settings
from app.temporary import temporary_folder

# Together they stay below the 30 s that most supervisors give.
DRAIN_S = 27
CLOSE_S = 1
# How long an answer that has just been made may take to leave.
_LAST_WORDS_S = 1
# Each chunk costs the event loop about the same, however small.
_SMALL_CHUNK_BYTES = 64
_MAX_SMALL_CHUNKS = 1000


def serve(app: FastAPI, settings: Settings) -> None:
    """Listen until asked to stop; leaves with exit code 3 where the model is refused."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=partial(Connection, settings.max_transfer_s),  # type: ignore[arg-type]
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=CLOSE_S,
        server_header=False,
        log_config=None,
        access_log=False,
    )
    _Server(config, app).run()


class _Parser(h11.Connection):
    """Refuses a body that comes in very many very small pieces."""

    _n_small = 0

    def next_event(self) -> Any:
        """What has come in."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._n_small = 0
        elif isinstance(event, h11.Data):
            self._n_small += len(event.data) < _SMALL_CHUNK_BYTES
            if self._n_small > _MAX_SMALL_CHUNKS:
                raise h11.RemoteProtocolError("The chunks are too small")
        return event


class Connection(H11Protocol):
    """Ends what uvicorn would wait for without end: a request that trickles in, and an answer that nobody takes.

    A request whose headers are in is answered by the application, which has its own bound for the body. What goes on
    after its answer is cut off.

    Parameters
    ----------
    max_transfer_s
        How long a request may take to come, and an answer to be taken.
    """

    def __init__(self, max_transfer_s: float, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _Parser(h11.SERVER)
        self._max_transfer_s = max_transfer_s
        self._request_late: asyncio.TimerHandle | None = None
        self._answer_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._await_request(self._max_transfer_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        for timer in (self._request_late, self._answer_late):
            if timer:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of the request; between requests uvicorn's own limit holds."""
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            if not self._request_late:
                self._await_request(self._max_transfer_s)
        elif self._request_late:
            self._request_late.cancel()
            self._request_late = None

    def pause_writing(self) -> None:
        """Wait for the client to take the answer."""
        super().pause_writing()
        self._answer_late = self.loop.call_later(self._max_transfer_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It took it."""
        super().resume_writing()
        if self._answer_late:
            self._answer_late.cancel()

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong as all other answers do, unless the answer has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            said = json.dumps(body(NOT_HTTP, "This is no HTTP request that can be read; check the program.")).encode()
            headers = [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(said))), ("Connection", "close")]
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(said), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _await_request(self, seconds: float) -> None:
        self._request_late = self.loop.call_later(seconds, self._end_late_request)

    def _end_late_request(self) -> None:
        if self.cycle and not self.cycle.response_complete:
            self._await_request(_LAST_WORDS_S)
        else:
            self.transport.abort()


class _Server(uvicorn.Server):
    """Asked to stop, it first lets everyone finish who is in, while its readiness says no; asked again, it stops."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._stop: tuple[int, FrameType | None] | None = None
        self._deadline = 0.0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Serve meanwhile. At the end the signals are raised again, after which nothing can be cleaned up."""
        with super().capture_signals(), temporary_folder():
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        admission: Admission | None = self._app.state.admission
        if admission is None or admission.draining:
            super().handle_exit(sig, frame)
            return
        admission.draining = True
        self._stop, self._deadline = (sig, frame), time.monotonic() + DRAIN_S

    async def on_tick(self, counter: int) -> bool:
        if self._stop and (not self._app.state.admission.n_requests or time.monotonic() > self._deadline):
            super().handle_exit(*self._stop)
            self._stop = None
        return await super().on_tick(counter)
