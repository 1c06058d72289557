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
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
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
# Pages have icons in data URLs and show answered images from blobs.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src {styles}; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI has a script of its own in the page, and sets style attributes, as the figures of reports do.
_SWAGGER_UI = re.compile(r"/docs(/oauth2-redirect)?$")
_STYLED = re.compile(r"/docs(/oauth2-redirect)?$|/experiments/[^/]+/report$")
# Besides those that Starlette knows as packed.
_NOT_COMPRESSED = (
    *DEFAULT_EXCLUDED_CONTENT_TYPES,
    "image/tiff",
    "application/octet-stream",
    "application/vnd.apache.parquet",
)
# What is smaller fits into a packet, and what is larger would keep others waiting.
_COMPRESSED_BYTES, _THREAD_BYTES = 1400, 32 * 1024
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
    # At its fastest: a further kilobyte costs less than the time to squeeze it out.
    app.add_middleware(
        GZipMiddleware,
        minimum_size=_COMPRESSED_BYTES,
        compresslevel=1,
        thread_minimum_size=_THREAD_BYTES,
        exclude_content_types=_NOT_COMPRESSED,
    )
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
        """Answer with the headers; the inline script of Swagger UI is allowed by its digest."""
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
                headers["Content-Security-Policy"] = _policy(
                    scope["path"], message.get("body", b"") if is_page else b""
                )
                # By its tag a browser asks whether a file has changed; all else was made for this one request.
                headers.setdefault("Cache-Control", "no-cache" if "etag" in headers else "no-store")
                await send(begun)
                begun = None
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _policy(path: str, page: bytes) -> str:
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL) if _SWAGGER_UI.search(path) else []
    digests = [f"'sha256-{base64.b64encode(sha256(script).digest()).decode()}'" for script in scripts]
    styles = "'self' 'unsafe-inline'" if _STYLED.search(path) else "'self'"
    return _POLICY.format(scripts=" ".join(["'self'", *digests]), styles=styles)


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
