"""Requests that are made to break what takes them, byte by byte."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from benchmarks.hostile_files import SEED

_BODY = b"POST /segment HTTP/1.1\r\nHost: h\r\nContent-Type: image/png\r\n"
_PARTS = b"POST /segment HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
_N_MANY = 10_000
_MEGABYTE = 2**20
_TRICKLE_S = 0.2
_N_TRICKLES = 200


class HostileRequest(NamedTuple):
    """What is wrong with it, its bytes in pieces, the pause after each, and whether it then waits for an answer."""

    kind: str
    pieces: Callable[[], Iterable[bytes]]
    pause_s: float = 0
    ends: bool = False


def _whole(kind: str, *requests: bytes) -> Iterator[HostileRequest]:
    return (HostileRequest(kind, partial(list, [request])) for request in requests)


def hostile_requests(limit_bytes: int) -> Iterator[HostileRequest]:
    """All of them; `limit_bytes` is what the service takes at most."""
    yield from _whole("malformed form", *map(_with_length, [_PARTS] * 9, _multipart_bodies()))
    yield from _whole("malformed form", _with_length(_PARTS.replace(b"=b", b"=" + b"b" * 9000), b"--" + b"b" * 9000))
    yield from _whole("too many or too long headers", *_header_floods())
    yield from _whole("wrong length", *_lengths(limit_bytes))
    # It promises more than comes, and then nothing more can come.
    yield HostileRequest("wrong length", lambda: [_BODY + b"Content-Length: 9999\r\n\r\nPNG"], ends=True)
    past_limit = _chunk(bytes(2**16))
    n_chunks = limit_bytes // 2**16 + 2
    for head in (_BODY, _PARTS):
        yield HostileRequest("malformed chunks", partial(list, [head + _CHUNKED, *[past_limit] * n_chunks]))
    yield from _whole("malformed chunks", *_chunked())
    yield from _whole("no HTTP", *_no_http())
    yield from _whole("unusual path or query", *_odd_targets())
    yield from _trickles()


def _with_length(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _multipart_bodies() -> Iterator[bytes]:
    part = b'--b\r\nContent-Disposition: form-data; name="image"%s\r\n%s\r\ndata\r\n'
    yield part % (b'; filename="a"', b"") * _N_MANY + b"--b--\r\n"
    yield part % (b"", b"") * _N_MANY + b"--b--\r\n"
    yield part % (b"", b"X-A: b\r\n" * _N_MANY) + b"--b--\r\n"
    yield part % (b'; filename="' + b"a" * _MEGABYTE + b'"', b"") + b"--b--\r\n"
    yield part % (b'; filename="a"', b"") + b"\r\n--" * _MEGABYTE
    yield b"--b\r\n" * _MEGABYTE
    yield b"\r\n" * _MEGABYTE + b"--b--"
    yield b"--b" + b"\r" * _MEGABYTE
    yield b"--b\r\nContent-Disposition: " + b";" * _MEGABYTE


def _header_floods() -> Iterator[bytes]:
    for head in (b"GET /health/live HTTP/1.1\r\nHost: h\r\n", _BODY):
        yield head + b"".join(b"X-%d: v\r\n" % number for number in range(_N_MANY)) + b"\r\n"
        yield head + b"X-Long: " + b"v" * _MEGABYTE + b"\r\n\r\n"
        yield head + b"Accept: " + b"image/*;q=0.1," * 3000 + b"\r\n\r\n"
        yield head + b"X-Request-ID: " + b"a" * 60_000 + b"\r\n\r\n"
        yield head + b"Authorization: Bearer " + b"\xff" * 1000 + b"\r\n\r\n"
        yield head + b"Content-Type: multipart/form-data; " + b"a=" * 9000 + b"\r\n\r\n"
    ranges = b"Range: bytes=" + b"0-," * 5000 + b"0-1\r\n\r\n"
    yield b"GET /static-offline-docs/swagger-ui.css HTTP/1.1\r\nHost: h\r\n" + ranges


def _lengths(limit_bytes: int) -> Iterator[bytes]:
    for length in (b"%d" % (limit_bytes + 1), b"9" * 19, b"9" * 5000, b"-1", b"+5", b"five", b"0x10", b"5, 6", b"\xb2"):
        yield _BODY + b"Content-Length: " + length + b"\r\n\r\nPNG"
    yield _BODY + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nPNGs"
    yield _BODY + b"Content-Length: 3\r\n" + _CHUNKED + _chunk(b"PNG") + b"0\r\n\r\n"
    # What comes after is no request.
    yield _BODY + b"Content-Length: 1\r\n\r\n" + b"PNG" * 10_000
    yield _BODY + b"\r\n"
    yield _BODY + b"\r\n" + b"PNG" * 10_000


def _chunked() -> Iterator[bytes]:
    head = _BODY + _CHUNKED
    for size in (b"f" * 20, b"f" * 5000, b"-1", b"zz", b"", b"1;" + b"a" * _MEGABYTE):
        yield head + size + b"\r\nPNG\r\n0\r\n\r\n"
    yield head + b"0\r\n" + b"X-A: b\r\n" * _N_MANY + b"\r\n"
    yield head + _chunk(b"P") * 100_000 + b"0\r\n\r\n"
    yield _BODY + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + _chunk(b"P") + b"0\r\n\r\n"


def _no_http() -> Iterator[bytes]:
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield random.Random(SEED).randbytes(100_000)  # noqa: S311
    yield bytes(100_000)
    yield b"\r\n" * 100_000
    yield b"GET / HTTP/9.9\r\nHost: h\r\n\r\n"
    yield b"GET / HTTP/1.1\r\n\r\n"
    yield b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n"
    yield b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"
    yield b"GET http://h/health/live HTTP/1.1\r\nHost: h\r\n\r\n"
    yield b"GET /health/live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    yield b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n" * 500


def _odd_targets() -> Iterator[bytes]:
    def request(target: bytes) -> bytes:
        method = b"POST" if target.startswith((b"/segment", b"/evaluate")) else b"GET"
        return method + b" " + target + b" HTTP/1.1\r\nHost: h\r\nContent-Type: image/png\r\nContent-Length: 0\r\n\r\n"

    for target in (b"/" + b"a" * 100_000, b"/%ff%00", b"/%ed%a0%80", b"/..%2f..%2fetc/passwd", b"//", b"/{}", b"*"):
        yield request(target)
    for name in (b"%00", b"..%2f..%2f..%2fetc%2fpasswd", b"../../app/main.py", b"%ed%a0%80", b"a" * 5000):
        yield request(b"/static-offline-docs/" + name)
    values = (b"9" * 5000, b"1e999", b"-0", b"%00", b"%ed%a0%80", b"%f0%9f%92%a9", b"nan", b"[]", b"")
    for option in (b"threshold", b"min_area_px", b"page", b"channel", b"pixel_size_um", b"format", b"include"):
        for value in values:
            yield request(b"/segment?" + option + b"=" + value)
    yield request(b"/segment?" + b"a=b&" * 3000)
    yield request(b"/segment?" + b"include=mask&" * 3000)


def _trickles() -> Iterator[HostileRequest]:
    def drops(head: bytes, drop: bytes) -> HostileRequest:
        return HostileRequest("sent very slowly", lambda: itertools.chain([head], itertools.repeat(drop)), _TRICKLE_S)

    for _ in range(_N_TRICKLES // 8):
        yield drops(_BODY + b"Content-Length: 9999\r\n\r\n", b"P")
        yield drops(_BODY + _CHUNKED, _chunk(b"P"))
        yield drops(_PARTS + _CHUNKED, _chunk(b"-"))
        yield drops(_BODY + _CHUNKED, _chunk(b"P")[:1])
        # The body of what needs none, or of what was refused already.
        yield drops(b"GET /version HTTP/1.1\r\nHost: h\r\n" + _CHUNKED, _chunk(b"P"))
        yield drops(b"POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 9999\r\n\r\n", b"P")
        yield drops(b"GET /version HTTP/1.1\r\nHost: h\r\n", b"X-A: b\r\n")
        yield drops(b"", b"")


class Answer(NamedTuple):
    """The status, None where the connection was closed without one, and the seconds that it took."""

    status: int | None
    seconds: float


async def ask(port: int, request: HostileRequest, give_up_s: float) -> Answer:
    """Send until the answer comes or, of what trickles, until the service closes the connection."""
    start = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(_send(writer, request))
    status = None
    try:
        async with asyncio.timeout(give_up_s):
            first = await reader.read(2**16)
            status = int(first[9:12]) if first.startswith(b"HTTP/1.1 ") else None
            # Of who sends all at once the answer is the end; who trickles holds the connection, answered or not.
            while request.pause_s and await reader.read(2**16):
                pass
    except (ConnectionError, TimeoutError):
        pass
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.transport.abort()
    return Answer(status, time.monotonic() - start)


async def _send(writer: asyncio.StreamWriter, request: HostileRequest) -> None:
    for piece in request.pieces():
        writer.write(piece)
        await writer.drain()
        if request.pause_s:
            await asyncio.sleep(request.pause_s)
    if request.ends:
        writer.write_eof()
