"""Measures the service against the bare network and against services that others would write, in one run.

`python -m benchmarks.serving --output docs/serving`; `--stardist PYTHON FOLDER` adds StarDist, by the Python of an
environment with the extra `peers` and a network that `benchmarks.stardist` trained.
"""

import argparse
import asyncio
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from app.inference.load import Model, load_model
from app.reading.decode import decode_image
from app.settings import DEFAULT_MODEL
from benchmarks.load import Connection, Load, closed_loop, load, open_loop
from benchmarks.peaks import peaks_gflops
from benchmarks.plots import FONT
from benchmarks.service import SERVE, Service, running
from training.arguments import command_line

SAMPLE = Path(__file__).parent.parent / "tests" / "data" / "fluorescence.tif"
SIZES_PX = ((256, 256), (512, 512), (520, 696), (1024, 1024), (4096, 4096))
CLIENTS = (1, 2, 8, 32)
# Of these size and number the throughputs are.
THROUGHPUT_PX = (512, 512)
N_QUEUED = 8
OVERLOAD = 3.0
STAGES = ("decode", "predict", "split", "measure", "encode")
PARTS = (*STAGES, "overhead")


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
    """Median of repeated calls, after one that does not count."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


def bare_network(model_: Model) -> Callable[[NDArray[np.float32]], Any]:
    """What TensorFlow answers to a ready array, without any of our code."""
    model = tf.saved_model.load(str(DEFAULT_MODEL))
    signature = model.signatures[model_.card.contract.signature]

    def call(image: NDArray[np.float32]) -> Any:
        # The model must live as long as its signature.
        return model and [map_.numpy() for map_ in signature(tf.constant(image[np.newaxis])).values()]

    return call


async def one_client(
    service: Service, network: Callable[[], Any], upload: bytes, seconds: float
) -> dict[str, float | None]:
    """Median milliseconds of a request, of its stages and what they leave, and of the network in the same minute."""
    times: list[float] = []
    parts: dict[str, list[float]] = {name: [] for name in PARTS}
    # Beside each service anew, because the machine's speed changes.
    network_ms = median_ms(network, seconds)
    connection, end = Connection(service.port), time.perf_counter() + seconds
    await connection.post(upload)
    while time.perf_counter() < end or len(times) < 3:
        answer = await connection.post(upload)
        times.append(answer.ms)
        if provenance := json.loads(answer.body).get("provenance"):
            timing_ms = {stage: provenance["timing_ms"][stage] for stage in STAGES}
            for name, ms in (timing_ms | {"overhead": answer.ms - sum(timing_ms.values())}).items():
                parts[name].append(ms)
    connection.close()
    medians = {f"{name}_ms": float(np.median(some)) if some else None for name, some in parts.items()}
    return {"network_ms": network_ms, "request_ms": float(np.median(times))} | medians


def under_load(service: Service, data: bytes, seconds: float) -> list[Load]:
    """More and more clients; then more than it can answer, where it refuses instead of queueing without end."""
    loads = [load(service, str(n), partial(closed_loop, service.port, data, n, seconds)) for n in CLIENTS]
    if service.name == "karyometer":
        rate = OVERLOAD * max(one.throughput_per_s for one in loads)
        clients = f"open, {OVERLOAD:g} times the capacity"
        loads.append(load(service, clients, partial(open_loop, service.port, data, rate, seconds)))
    return loads


def measure(commands: dict[str, tuple[str, ...]], seconds: float) -> dict[str, Any]:
    """All figures of all services."""
    model = load_model(DEFAULT_MODEL, "cpu")
    network = bare_network(model)
    max_queued_pixels = N_QUEUED * THROUGHPUT_PX[0] * THROUGHPUT_PX[1]
    latencies: dict[str, dict[str, dict[str, float | None]]] = {}
    processes, loads = {}, []
    for name, command in commands.items():
        latencies[name] = {}
        with running(name, command, max_queued_pixels=max_queued_pixels) as service:
            loads += under_load(service, png(field(THROUGHPUT_PX)), seconds)
            peak_bytes = {f"under load, {THROUGHPUT_PX[0]} x {THROUGHPUT_PX[1]}": service.peak_bytes()}
            for size_px in SIZES_PX:
                size, image = f"{size_px[0]} x {size_px[1]}", field(size_px)
                call = partial(network, model.normalise(image))
                latencies[name][size] = asyncio.run(one_client(service, call, png(image), seconds / 3))
                peak_bytes[size] = service.peak_bytes()
            processes[name] = {"ready_s": service.ready_s, "peak_bytes": peak_bytes}
    return {
        "peaks_gflops": peaks_gflops(seconds / 3),
        "latencies": latencies,
        "loads": [asdict(one) for one in loads],
        "processes": processes,
    }


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=15, help="for each load (%(default)s)")
    parser.add_argument("--stardist", nargs=2, metavar=("PYTHON", "FOLDER"), help="measure StarDist too")
    options = parser.parse_args()
    commands: dict[str, tuple[str, ...]] = {
        "karyometer": SERVE,
        "naive": (sys.executable, "-m", "benchmarks.naive_service", str(DEFAULT_MODEL)),
    }
    if options.stardist:
        python, folder = options.stardist
        commands["StarDist"] = (python, "-m", "benchmarks.stardist_service", folder)
    result = {"command": command_line("benchmarks.serving", sys.argv[1:])} | measure(commands, options.seconds)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "serving.json").write_text(json.dumps(result, indent=1) + "\n")
    (options.output / "serving.md").write_text(as_markdown(result))
    draw(result, options.output / "serving.png")


def as_markdown(result: dict[str, Any]) -> str:
    """The tables."""
    peaks = result["peaks_gflops"]
    lines = [
        f"Made by `{result['command']}` on {os.cpu_count()} cores, which multiply matrices at "
        f"{peaks['sgemm']:.0f} GFLOP/s and convolve at {peaks['convolution']:.0f} "
        f"({peaks['convolution'] / peaks['sgemm']:.2f} of it).",
        "",
        "![Latency of one client, and throughput under load](serving.png)",
        "",
        "## One client",
        "",
        "Median milliseconds, and most memory so far, after the load below. The network alone is the bare SavedModel "
        "on a ready array, in the same minute.",
        "",
    ]
    rows = [
        (
            name,
            size,
            row["network_ms"],
            row["request_ms"],
            row["request_ms"] / row["network_ms"],
            result["processes"][name]["peak_bytes"][size] / 2**20,
        )
        for name, sizes in result["latencies"].items()
        for size, row in sizes.items()
    ]
    lines += _table(
        ("service", "image", "network alone", "request", "ratio", "memory, MiB"),
        ("{}", "{}", "{:.0f}", "{:.0f}", "{:.2f}", "{:.0f}"),
        rows,
    )
    lines += [
        "",
        "Where the service's time goes: median milliseconds, and their part of the request. Overhead is what the other "
        "parts leave of a request, from its first byte sent to the last of its answer received.",
        "",
    ]
    lines += _table(
        ("image", *PARTS),
        ("{}", *["{}"] * len(PARTS)),
        [
            (size, *(f"{row[f'{name}_ms']:.1f} ({row[f'{name}_ms'] / row['request_ms']:.0%})" for name in PARTS))
            for size, row in result["latencies"]["karyometer"].items()
        ],
    )
    lines += ["", f"## Load, {THROUGHPUT_PX[0]} x {THROUGHPUT_PX[1]}", ""]
    lines += ["Clients are one process, whose share of a core is the last column.", ""]
    lines += _table(
        (
            *("service", "clients", "images/s", "p50, ms", "p99, ms", "refused", "refusals' p99, ms"),
            *("without Retry-After", "CPU s/image", "clients' CPU"),
        ),
        ("{}", "{}", "{:.2f}", "{:.0f}", "{:.0f}", "{}", "{:.0f}", "{}", "{:.3f}", "{:.2f}"),
        [tuple(one.values()) for one in result["loads"]],
    )
    ready = ", ".join(f"{name} {of['ready_s']:.1f} s" for name, of in result["processes"].items())
    return "\n".join([*lines, "", f"Ready after: {ready}."]) + "\n"


def _table(titles: Sequence[str], forms: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [["" if value is None else form.format(value) for form, value in zip(forms, row)] for row in rows]
    return ["| " + " | ".join(line) + " |" for line in (titles, ["---"] * len(titles), *cells)]


def draw(result: dict[str, Any], path: Path) -> None:
    """Latency by the image's size, and throughput by the number of clients, a line a service."""
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        latency, throughput = figure.subplots(1, 2)
        for name, sizes in result["latencies"].items():
            latency.plot(list(sizes), [row["request_ms"] for row in sizes.values()], marker="o", label=name)
            closed = [one for one in result["loads"] if one["service"] == name and one["clients"].isdecimal()]
            of_service = [one["throughput_per_s"] for one in closed]
            throughput.plot([one["clients"] for one in closed], of_service, marker="o", label=name)
        alone = {size: row["network_ms"] for size, row in next(iter(result["latencies"].values())).items()}
        latency.plot(list(alone), list(alone.values()), color="0.6", linestyle="--", label="network alone")
        latency.set(yscale="log", ylabel="one client: median latency, ms")
        throughput.set(xlabel="clients", ylabel=f"images/s, {THROUGHPUT_PX[0]} x {THROUGHPUT_PX[1]}", ylim=0)
        latency.legend()
        figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
