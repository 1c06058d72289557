"""Clients that ask a service for more and more."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np

from benchmarks.service import Service

_BOUNDARY = b"karyometer-benchmark"


class Answer(NamedTuple):
    """What came back; milliseconds from the first byte sent to the last received."""

    status: int
    ms: float
    headers: dict[str, str]
    body: bytes


class Connection:
    """A client that costs next to nothing, so that what is measured is the service and not its client."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, image: bytes) -> Answer:
        """`POST /segment` of an image as multipart/form-data."""
        request = as_request(image)
        start = time.perf_counter()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(head[0].split()[1]), 1000 * (time.perf_counter() - start), headers, body)

    def close(self) -> None:
        """Hang up."""
        if self._streams:
            self._streams[1].close()
        self._streams = None


def as_request(image: bytes) -> bytes:
    """The bytes of a request."""
    body = b"\r\n".join(
        [
            b"--" + _BOUNDARY,
            b'Content-Disposition: form-data; name="image"; filename="field.png"',
            b"Content-Type: image/png",
            b"",
            image,
            b"--" + _BOUNDARY + b"--",
            b"",
        ]
    )
    head = f"POST /segment HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n".encode()
    return head + b"Content-Type: multipart/form-data; boundary=" + _BOUNDARY + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Load:
    """What a service did under load; times in milliseconds."""

    service: str
    clients: str
    throughput_per_s: float
    answered_p50_ms: float
    answered_p99_ms: float
    refused: int
    refused_p99_ms: float
    refusals_without_retry_after: int
    cpu_s_per_image: float
    client_cpu_part: float


async def closed_loop(port: int, image: bytes, n_clients: int, seconds: float) -> list[Answer]:
    """Clients that send their next image when they have the last one's answer, whatever it says."""
    end = time.perf_counter() + seconds

    async def client() -> list[Answer]:
        connection, answers = Connection(port), []
        while time.perf_counter() < end:
            answers.append(await connection.post(image))
        connection.close()
        return answers

    return [answer for answers in await asyncio.gather(*(client() for _ in range(n_clients))) for answer in answers]


async def open_loop(port: int, image: bytes, per_s: float, seconds: float) -> list[Answer]:
    """Images that come at random, at a rate, whatever has been answered, each over a connection of its own."""
    generator = np.random.default_rng(0)
    start, at, posts = time.perf_counter(), 0.0, []

    async def post() -> Answer:
        connection = Connection(port)
        answer = await connection.post(image)
        connection.close()
        return answer

    while at < seconds:
        await asyncio.sleep(max(0, start + at - time.perf_counter()))
        posts.append(asyncio.create_task(post()))
        at += generator.exponential(1 / per_s)
    return list(await asyncio.gather(*posts))


def load(service: Service, clients: str, run: Callable[[], Awaitable[list[Answer]]]) -> Load:
    """Run a load and sum it up."""
    cpu_s, own_cpu_s, start = service.cpu_seconds(), time.process_time(), time.perf_counter()
    answers: list[Answer] = asyncio.run(cast("Any", run()))
    elapsed, cpu_s = time.perf_counter() - start, service.cpu_seconds() - cpu_s
    answered = [answer.ms for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status != 200]
    return Load(
        service=service.name,
        clients=clients,
        throughput_per_s=len(answered) / elapsed,
        answered_p50_ms=float(np.percentile(answered, 50)),
        answered_p99_ms=float(np.percentile(answered, 99)),
        refused=len(refused),
        refused_p99_ms=float(np.percentile([answer.ms for answer in refused], 99)) if refused else 0.0,
        refusals_without_retry_after=sum("retry-after" not in answer.headers for answer in refused),
        cpu_s_per_image=cpu_s / max(1, len(answered)),
        client_cpu_part=(time.process_time() - own_cpu_s) / elapsed,
    )
