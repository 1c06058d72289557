"""Connections that would never end, on a server of this process."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from app.api.schemas import Problem
from app.server import Connection

MAX_TRANSFER_S = 0.3
# No test takes as long, unless a connection does not end.
NEVER_S = 60
GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answer(send: Send, body: bytes = b"yes") -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def says_yes(_: Scope, __: Receive, send: Send) -> None:
    """Answers without asking for the body."""
    await answer(send)


async def reads(_: Scope, receive: Receive, send: Send) -> None:
    """Answers when the body is in."""
    while (await receive()).get("more_body"):
        pass
    await answer(send)


def talk(app: ASGIApp, with_it: Talk) -> None:
    """Have a client talk with a server that bounds its connections."""

    async def run() -> None:
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        config.load()
        state = ServerState()
        make = partial(Connection, MAX_TRANSFER_S, config, state, {})
        async with (
            asyncio.timeout(NEVER_S),
            await asyncio.get_running_loop().create_server(make, "127.0.0.1") as server,
        ):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                await with_it(reader, writer)
            finally:
                writer.transport.abort()
            while state.connections or state.tasks:
                await asyncio.sleep(0.01)

    anyio.run(run)


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection is closed, politely or not."""
    received = b""
    try:
        while piece := await reader.read(2**16):
            received += piece
    except ConnectionError:
        pass
    return received


def code_of(received: bytes) -> str:
    """Of the problem that was answered."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in head
    return Problem.model_validate(json.loads(body)).code


@pytest.mark.parametrize("begun", [b"", b"GE", GET])
def test_a_request_that_never_becomes_whole_is_not_waited_for(begun: bytes) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begun)
        assert await read_all(reader) == b""

    talk(says_yes, client)


def test_what_trickles_on_after_its_answer_is_cut_off() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def trickle() -> None:
            writer.write(GET + b"Content-Length: 99999\r\n\r\n")
            while True:
                writer.write(b"a")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        assert (await read_all(reader)).endswith(b"yes")
        trickling.cancel()

    talk(says_yes, client)


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    async def large(_: Scope, __: Receive, send: Send) -> None:
        await answer(send, bytes(2**26))
        # Sending on waits for the client, or learns that it is gone.
        sent.set()

    async def client(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET + b"\r\n")
        while not given_up(writer):
            writer.write(b"\r\n")
            await asyncio.sleep(0.02)

    def given_up(writer: asyncio.StreamWriter) -> bool:
        return writer.transport.is_closing()

    sent = asyncio.Event()
    talk(large, client)
    assert sent.is_set()


def test_who_takes_long_answers_is_not_cut_off() -> None:
    async def slow(_: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(3 * MAX_TRANSFER_S)
        await answer(send, bytes(2**22))

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(GET + b"Content-Length: 3\r\n\r\nabc")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert len(await reader.readexactly(2**22)) == 2**22

    talk(slow, client)


def test_very_many_very_small_chunks_are_refused() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GET + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 5000)
        assert code_of(await read_all(reader)) == "malformed_request"

    talk(reads, client)


def test_small_chunks_are_counted_anew_for_each_request() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            writer.write(GET + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 500 + b"0\r\n\r\n")
            assert (await reader.readuntil(b"yes")).startswith(b"HTTP/1.1 200")

    talk(reads, client)


@pytest.mark.parametrize("request_", [b"\x16\x03\x01\r\n\r\n", GET + b"Content-Length: -1\r\n\r\n", b"a" * 100_000])
def test_what_is_no_http_is_told_so_as_all_else_is(request_: bytes) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request_)
        assert code_of(await read_all(reader)) == "malformed_request"

    talk(says_yes, client)


def test_what_turns_malformed_after_its_answer_is_closed() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GET + b"Transfer-Encoding: chunked\r\n\r\n")
        await reader.readuntil(b"yes")
        writer.write(b"no number\r\n")
        assert await read_all(reader) == b""

    talk(says_yes, client)
