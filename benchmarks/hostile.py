"""Sends the real service thousands of files and requests that are made to break it, and fails where one does.

`python -m benchmarks.hostile` writes what happened into `docs/robustness.md`; with `--part 10` it sends every tenth.
"""

import argparse
import asyncio
import itertools
import math
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import NamedTuple

import httpx2
import numpy as np

from benchmarks.hostile_files import SAMPLES, SEED, HostileFile, hostile_files
from benchmarks.hostile_requests import HostileRequest, ask, hostile_requests
from benchmarks.report import fill, table
from benchmarks.service import Service, running
from tests.synthetic import png
from training.arguments import command_line

# Such that the largest that is let in is done within `MAX_ANSWER_S`.
SETTINGS = {
    "max_upload_bytes": 8 * 2**20,
    "max_pixels": 2_000_000,
    "max_decode_s": 3,
    "max_transfer_s": 3,
}
MAX_ANSWER_S = 5.0
MAX_GROWTH_BYTES = 64 * 2**20
MAX_LIVE_MS = 200.0
_GIVE_UP_S = 30.0
_PROBE_S = 0.05
# What is allowed for connections that are just being closed.
_SETTLE_S = 10.0
_N_AT_ONCE = 2
_MEGABYTE = 2**20
_SPAWN = multiprocessing.get_context("spawn")


class Outcome(NamedTuple):
    """What one file or request brought: no status where the connection was closed."""

    kind: str
    status: int | None
    seconds: float


class Watch(NamedTuple):
    """How long `GET /health/live` took at each time of asking, and the largest resident memory."""

    live_ms: list[float]
    peak_bytes: int


async def send_files(url: str, files: Iterable[HostileFile]) -> list[Outcome]:
    """Raw uploads, a few at a time."""
    turns = asyncio.Semaphore(_N_AT_ONCE)

    async def send(client: httpx2.AsyncClient, file: HostileFile) -> Outcome:
        async with turns:
            start = time.monotonic()
            try:
                answer = await client.post(f"{url}/segment", content=file.data, headers={"content-type": "image/tiff"})
            except httpx2.TransportError:
                return Outcome(file.kind, None, time.monotonic() - start)
            return Outcome(file.kind, answer.status_code, time.monotonic() - start)

    async with httpx2.AsyncClient(timeout=_GIVE_UP_S) as client:
        return list(await asyncio.gather(*(send(client, file) for file in files)))


async def send_requests(port: int, requests: Sequence[HostileRequest]) -> list[Outcome]:
    """Each on a connection of its own: one by one those that come at once, all together those that trickle."""

    async def send(request: HostileRequest) -> Outcome:
        return Outcome(request.kind, *await ask(port, request, _GIVE_UP_S))

    outcomes = [await send(request) for request in requests if not request.pause_s]
    return outcomes + await asyncio.gather(*(send(request) for request in requests if request.pause_s))


@contextmanager
def watched(service: Service) -> Iterator[list[Watch]]:
    """Gives a list that at the end holds what another process saw meanwhile."""
    stop, (ours, theirs) = _SPAWN.Event(), _SPAWN.Pipe()
    process = _SPAWN.Process(target=_watch, args=(service, stop, theirs))
    process.start()
    ours.recv()
    watches: list[Watch] = []
    try:
        yield watches
    finally:
        stop.set()
        watches.append(ours.recv())
        process.join()


def _watch(service: Service, stop: Event, connection: Connection) -> None:
    live_ms, peak_bytes = [], service.resident_bytes()
    connection.send("started")
    with httpx2.Client(timeout=_GIVE_UP_S) as client:
        while not stop.wait(_PROBE_S):
            start = time.monotonic()
            client.get(f"{service.url}/health/live")
            live_ms.append(1000 * (time.monotonic() - start))
            peak_bytes = max(peak_bytes, service.resident_bytes())
    connection.send(Watch(live_ms, peak_bytes))


def settled(service: Service, n_descriptors: int) -> int:
    """How many descriptors more than that are open, when those that are being closed have been."""
    end = time.monotonic() + _SETTLE_S
    while (n_more := service.n_descriptors() - n_descriptors) > 0 and time.monotonic() < end:
        time.sleep(_PROBE_S)
    return n_more


def warm_up(service: Service) -> None:
    """The memory that the largest images that are let in take is no growth."""
    side_px = math.isqrt(int(SETTINGS["max_pixels"]))
    largest = np.random.default_rng(SEED).integers(0, 255, (side_px, side_px), np.uint8)
    with httpx2.Client(timeout=120) as client:
        for image in [png(largest), (SAMPLES / "histology.jpg").read_bytes()] * 3:
            client.post(f"{service.url}/segment", files={"image": image}).raise_for_status()


def failures(outcomes: Sequence[Outcome], growth_bytes: int, n_left_open: int, watch: Watch) -> list[str]:
    """What must not be."""
    wrong = [
        f"{one.kind}: {one.status} after {one.seconds:.2f} s"
        for one in outcomes
        if one.status == 500 or one.seconds > MAX_ANSWER_S
    ]
    if growth_bytes > MAX_GROWTH_BYTES:
        wrong.append(f"memory grew by {growth_bytes / _MEGABYTE:.0f} MB")
    if n_left_open > 0:
        wrong.append(f"{n_left_open} descriptors are left open")
    if max(watch.live_ms) > MAX_LIVE_MS:
        wrong.append(f"GET /health/live took {max(watch.live_ms):.0f} ms")
    return wrong


def as_markdown(outcomes: Sequence[Outcome], growth_bytes: int, watch: Watch, command: str) -> str:
    """The figures, and a row for each kind."""
    settings = ", ".join(f"`KARYOMETER_{name.upper()}={value}`" for name, value in SETTINGS.items())
    rows = []
    for kind in dict.fromkeys(one.kind for one in outcomes):
        of_kind = [one for one in outcomes if one.kind == kind]
        statuses = Counter(str(one.status or "closed") for one in of_kind)
        shown = ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))
        rows.append([kind, len(of_kind), shown, f"{max(one.seconds for one in of_kind):.2f}"])
    lines = [
        f"Made by `{command}` on {os.cpu_count()} cores with {settings}.",
        "",
        f"Of {len(outcomes)} hostile files and requests {sum(one.status == 500 for one in outcomes)} were answered "
        f"with 500; the slowest took {max(one.seconds for one in outcomes):.2f} s. The resident memory of the service "
        f"peaked {growth_bytes / _MEGABYTE:+.0f} MB from where sound images of the largest size had taken it. "
        f"`GET /health/live`, asked {len(watch.live_ms)} times meanwhile, took {max(watch.live_ms):.0f} ms at most.",
        "",
        table(["kind", "sent", "statuses", "slowest, s"], rows),
    ]
    return "\n".join(lines)


def main() -> int:
    """Send all, say what must not be, write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", type=int, default=1, metavar="N", help="send every Nth only, and write no report")
    options = parser.parse_args()
    files = list(itertools.islice(hostile_files(), 0, None, options.part))
    requests = list(itertools.islice(hostile_requests(int(SETTINGS["max_upload_bytes"])), 0, None, options.part))
    with running(**SETTINGS) as service:
        with watched(service) as usual:
            warm_up(service)
        n_descriptors = service.n_descriptors()
        with watched(service) as hostile:
            outcomes = asyncio.run(send_files(service.url, files))
            outcomes += asyncio.run(send_requests(service.port, requests))
        n_left_open = settled(service, n_descriptors)
    growth_bytes = hostile[0].peak_bytes - usual[0].peak_bytes
    report = as_markdown(outcomes, growth_bytes, hostile[0], command_line("benchmarks.hostile", sys.argv[1:]))
    if options.part == 1:
        fill("hostile", report)
    wrong = failures(outcomes, growth_bytes, n_left_open, hostile[0])
    sys.stdout.write("\n".join([report, *wrong, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
