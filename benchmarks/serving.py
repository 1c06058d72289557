"""Measures the service against the bare network and against the service that most people write first, in one run.

`python -m benchmarks.serving --output docs/serving`
"""

import argparse
import asyncio
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import httpx2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.segmentation.decode import decode_image
from app.segmentation.pipeline import Segmenter
from app.settings import DEFAULT_MODEL
from training.arguments import command_line

SAMPLE = Path(__file__).parent.parent / "tests" / "data" / "bbbc039.tif"
SIZES_PX = ((256, 256), (512, 512), (520, 696), (1024, 1024))
CLIENTS = (1, 2, 8, 32)
# Of these size and number the throughputs are.
THROUGHPUT_PX = (512, 512)
OVERLOAD = 3.0
READY_S = 180
STAGES = ("decode", "predict", "split", "measure", "encode")


def field(size_px: tuple[int, int]) -> NDArray[Any]:
    """Real nuclei in a field `(H, W)` of any size."""
    image = decode_image(SAMPLE.read_bytes(), 10**8).image
    return np.tile(image, [-(-size // length) for size, length in zip(size_px, image.shape)])[
        : size_px[0], : size_px[1]
    ]


def png(image: NDArray[Any]) -> bytes:
    """Encoded."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def median_ms(call: Callable[[], Any], seconds: float) -> float:
    """Median of repeated calls, after two that do not count."""
    times: list[float] = []
    for _ in range(2):
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


class Service:
    """A service in a process of its own."""

    def __init__(self, name: str, url: str, pid: int) -> None:
        self.name, self.url, self.pid = name, url, pid

    def cpu_seconds(self) -> float:
        """CPU time that it and the processes below it have used, those that ended among them."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if os.getpgid(int(stat.parent.name)) == self.pid:
                ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(name: str, command: Sequence[str]) -> Iterator[Service]:
    """A service that listens, until the end."""
    environment = os.environ | {
        "KARYOMETER_PORT": "0",
        "KARYOMETER_DEVICE": "cpu",
        "KARYOMETER_MAX_QUEUED_PIXELS": str(8 * THROUGHPUT_PX[0] * THROUGHPUT_PX[1]),
    }
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", *command],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    )
    said = cast("IO[str]", process.stderr)
    killer = threading.Timer(READY_S, process.kill)
    killer.start()
    url = next(match[1] for line in said if (match := re.search(r"running on (http://[\w.:]+)", line)))
    killer.cancel()
    threading.Thread(target=said.read, daemon=True).start()
    try:
        yield Service(name, url, process.pid)
    finally:
        process.terminate()
        process.wait(40)


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


async def _post(client: httpx2.AsyncClient, url: str, data: bytes) -> tuple[int, float, bool]:
    start = time.perf_counter()
    answer = await client.post(f"{url}/segment", files={"image": ("field.png", data, "image/png")})
    return answer.status_code, 1000 * (time.perf_counter() - start), "retry-after" in answer.headers


async def closed_loop(service: Service, data: bytes, n_clients: int, seconds: float) -> list[tuple[int, float, bool]]:
    """Clients that send their next image when they have the last one's answer."""
    end = time.perf_counter() + seconds
    answers: list[tuple[int, float, bool]] = []

    async def client(session: httpx2.AsyncClient) -> None:
        while time.perf_counter() < end:
            answers.append(await _post(session, service.url, data))

    async with httpx2.AsyncClient(timeout=120, limits=httpx2.Limits(max_connections=None)) as session:
        await asyncio.gather(*(client(session) for _ in range(n_clients)))
    return answers


async def open_loop(service: Service, data: bytes, per_s: float, seconds: float) -> list[tuple[int, float, bool]]:
    """Images that come at random, at a rate, whatever has been answered."""
    generator = np.random.default_rng(0)
    async with httpx2.AsyncClient(timeout=120, limits=httpx2.Limits(max_connections=None)) as session:
        start, at, posts = time.perf_counter(), 0.0, []
        while at < seconds:
            await asyncio.sleep(max(0, start + at - time.perf_counter()))
            posts.append(asyncio.create_task(_post(session, service.url, data)))
            at += generator.exponential(1 / per_s)
        return list(await asyncio.gather(*posts))


def load(service: Service, clients: str, run: Callable[[], Any]) -> Load:
    """Run a load and sum it up."""
    cpu_s, start = service.cpu_seconds(), time.perf_counter()
    answers = asyncio.run(run())
    elapsed, cpu_s = time.perf_counter() - start, service.cpu_seconds() - cpu_s
    answered = [ms for status, ms, _ in answers if status == 200]
    refused = [ms for status, ms, _ in answers if status != 200]
    return Load(
        service=service.name,
        clients=clients,
        throughput_per_s=len(answered) / elapsed,
        answered_p50_ms=float(np.percentile(answered, 50)),
        answered_p99_ms=float(np.percentile(answered, 99)),
        refused=len(refused),
        refused_p99_ms=float(np.percentile(refused, 99)) if refused else 0.0,
        refusals_without_retry_after=sum(status != 200 and not told for status, _, told in answers),
        cpu_s_per_image=cpu_s / max(1, len(answered)),
    )


def one_client(
    service: Service, client: httpx2.Client, segmenter: Segmenter, image: NDArray[Any], seconds: float
) -> dict[str, float]:
    """Median milliseconds of a request, of its stages where it tells them, and of the network beside it."""
    normalised, upload = segmenter.normalise(image), png(image)
    stages: list[float] = []

    def post() -> None:
        body = client.post(f"{service.url}/segment", files={"image": ("a.png", upload)}).json()
        if "provenance" in body:
            stages.append(sum(body["provenance"]["timing_ms"][stage] for stage in STAGES))

    # Beside each service anew, because the machine's speed changes.
    row = {f"network beside {service.name}": median_ms(lambda: segmenter.predictor.predict(normalised), seconds)}
    row[service.name] = median_ms(post, seconds)
    return row | ({"stages": float(np.median(stages[2:]))} if stages else {})


def under_load(service: Service, data: bytes, seconds: float) -> list[Load]:
    """More and more clients; then more than it can answer, where it refuses instead of queueing without end."""
    loads = [load(service, str(n), partial(closed_loop, service, data, n, seconds)) for n in CLIENTS]
    if service.name == "karyometer":
        rate = OVERLOAD * max(one.throughput_per_s for one in loads)
        clients = f"open, {OVERLOAD:g} times the capacity"
        loads.append(load(service, clients, partial(open_loop, service, data, rate, seconds)))
    return loads


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=15, help="for each load (%(default)s)")
    options = parser.parse_args()

    segmenter = Segmenter.load(DEFAULT_MODEL, "cpu", 10**8)
    latencies: dict[str, dict[str, float]] = {f"{height} x {width}": {} for height, width in SIZES_PX}
    loads: list[Load] = []
    services = {"karyometer": ["app.cli", "serve"], "naive": ["benchmarks.naive_service", str(DEFAULT_MODEL)]}
    for name, command in services.items():
        with running(name, command) as service, httpx2.Client(timeout=120) as client:
            for size_px, row in zip(SIZES_PX, latencies.values()):
                row |= one_client(service, client, segmenter, field(size_px), options.seconds / 3)
            loads += under_load(service, png(field(THROUGHPUT_PX)), options.seconds)

    options.output.mkdir(parents=True, exist_ok=True)
    command_text = command_line("benchmarks.serving", sys.argv[1:])
    result = {"command": command_text, "latency_ms": latencies, "loads": [asdict(one) for one in loads]}
    (options.output / "serving.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.output / "serving.md").write_text(as_markdown(latencies, loads, command_text))


def as_markdown(latencies: dict[str, dict[str, float]], loads: Sequence[Load], command: str) -> str:
    """The tables."""
    lines = [
        f"Made by `{command}` on {os.cpu_count()} cores.",
        "",
        "## One client",
        "",
        "Median milliseconds. The network alone gets a ready array, in the same minute. Overhead is the request's time "
        "less that of its stages (decode, predict, split, measure, encode).",
        "",
        "| image | network alone | request | ratio | overhead | naive service | its ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, row in latencies.items():
        alone, beside_naive = row["network beside karyometer"], row["network beside naive"]
        lines.append(
            f"| {size} | {alone:.0f} | {row['karyometer']:.0f} | {row['karyometer'] / alone:.2f} "
            f"| {row['karyometer'] - row['stages']:.1f} | {row['naive']:.0f} | {row['naive'] / beside_naive:.2f} |"
        )
    lines += [
        "",
        f"## Load, {THROUGHPUT_PX[0]} x {THROUGHPUT_PX[1]}",
        "",
        "| service | clients | images/s | p50, ms | p99, ms | refused | refusals' p99, ms | without Retry-After "
        "| CPU s/image |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.service} | {one.clients} | {one.throughput_per_s:.2f} | {one.answered_p50_ms:.0f} "
        f"| {one.answered_p99_ms:.0f} | {one.refused} | {one.refused_p99_ms:.0f} "
        f"| {one.refusals_without_retry_after} | {one.cpu_s_per_image:.3f} |"
        for one in loads
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
