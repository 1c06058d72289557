"""What every request passes on its way in and every answer on its way out."""

import asyncio
import base64
import logging
import re
import time
from dataclasses import asdict
from hashlib import sha256
from urllib.parse import urlsplit
from uuid import uuid4

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import problems
from app.api.keys import is_loopback
from app.api.metrics import Metrics
from app.errors import HostError, NotReadyError
from app.logs import RequestRecord, request_record

logger = logging.getLogger(__name__)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
# Swagger UI sets style attributes, has its icons in data URLs and shows answered images from blobs.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_EXPOSED = ("X-Nucleus-Count", "X-Model", "X-Request-ID", "Retry-After")
_GIVEN_UP = NotReadyError("The service stopped before the answer was ready; send the request again when it is back.")


def install(app: FastAPI, cors_origins: tuple[str, ...], metrics: Metrics, *, only_loopback: bool) -> None:
    """Put all of it around the app; what is added last is outermost.

    Parameters
    ----------
    app, cors_origins, metrics
        The app, the origins whose pages may ask, and where requests are counted.
    only_loopback
        Whether requests must name this machine's loopback as their host.
    """
    app.add_middleware(Mistakes)
    if only_loopback:
        app.add_middleware(OnlyLoopback)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "X-Request-ID"),
            expose_headers=_EXPOSED,
        )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLog, metrics=metrics)


class RequestLog:
    """Gives each request an ID, a line in the log and a place in the metrics."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the ID, which is the client's own if it is a sane one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = Headers(scope=scope).get("x-request-id", "")
        request_id = wanted if re.fullmatch("[A-Za-z0-9._-]{1,64}", wanted) else uuid4().hex
        record = RequestRecord(request_id, scope["method"], scope["path"])

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        token = request_record.set(record)
        start = time.perf_counter()
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            record.duration_ms = round(1000 * (time.perf_counter() - start), 3)
            logger.info("%s %s %s", record.method, record.path, record.status, extra={"request": asdict(record)})
            # The pattern and not the path: whoever asks for random paths must not fill the memory with counters.
            self._metrics.answered(getattr(scope.get("route"), "path", "other"), record)
            request_record.reset(token)


class OnlyLoopback:
    """Refuses requests for other hosts.

    A web page can let its own host's name lead to this machine (DNS rebinding), and its script would then be taken for
    a page of the service.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass what names the loopback, or no host as only old programs do."""
        if scope["type"] != "http" or is_loopback(_host(Headers(scope=scope).get("host", "localhost"))):
            await self._app(scope, receive, send)
            return
        refusal = HostError(
            "This service answers only to localhost; ask http://localhost, or, where it stands behind a proxy, let its "
            "operator set API keys or allow anonymous requests."
        )
        await problems.domain_problem(refusal)(scope, receive, send)


def _host(header: str) -> str:
    """The host without its port; empty where that cannot be read."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


class SecurityHeaders:
    """Tells browsers to load, frame and keep nothing that they need not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the headers; the inline scripts of our own pages are allowed by their digests."""
        begun: Message | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = message
                return
            if begun:
                headers = MutableHeaders(scope=begun)
                headers.update(_HEADERS)
                is_page = headers.get("content-type", "").startswith("text/html")
                headers["Content-Security-Policy"] = _policy(message.get("body", b"") if is_page else b"")
                # Files that do not change have a tag; all else was made for this one request.
                if "etag" not in headers:
                    headers["Cache-Control"] = "no-store"
                await send(begun)
                begun = None
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _policy(page: bytes) -> str:
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    digests = [f"'sha256-{base64.b64encode(sha256(script).digest()).decode()}'" for script in scripts]
    return _POLICY.format(scripts=" ".join(["'self'", *digests]))


class Mistakes:
    """Answers what nobody expected, and what is given up; Starlette does so outside of all other middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a problem where the answer has not begun."""
        begun = False

        async def send_and_see(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        except asyncio.CancelledError:
            # So the server gives up what takes too long when it was asked to stop; what is done here still arrives.
            if scope["type"] != "http" or begun:
                raise
            await problems.domain_problem(_GIVEN_UP)(scope, receive, send)
        # Broad, because this is the last door: what nobody foresaw is answered as a problem, and written to the log.
        except Exception as exc:
            if scope["type"] != "http" or begun:
                raise
            await problems.unexpected_error(Request(scope), exc)(scope, receive, send)
