"""How long small images wait while large ones are in work: `python -m benchmarks.fairness`.

Two blank TIFFs of one key, small files with very many pixels, are posted at once. Meanwhile another key posts images of
512 x 512 pixels one after the other, as it did before when nothing else was to be done.
"""

import argparse
import io
import os
import signal
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx2
import numpy as np
import tifffile

from app.api.keys import new_key
from benchmarks.report import fill, table
from benchmarks.service import Service, running
from tests.synthetic import discs, picture, png
from training.arguments import command_line

LARGE_SIDES_PX = (12_000, 20_000)
SIDE_PX = 512
# The second key's requests, alone and beside the large ones.
N_REQUESTS = 40
MOST_TIMES = 3.0
_TIMEOUT_S = 300.0


def blank(side_px: int) -> bytes:
    """A TIFF of zeros."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((side_px, side_px), np.uint8), compression="zlib", rowsperstrip=256)
    return buffer.getvalue()


def small() -> bytes:
    """An image with some hundred nuclei."""
    places = np.random.default_rng(0).integers(0, SIDE_PX, (150, 2))
    return png(picture(discs((SIDE_PX, SIDE_PX), *((int(row), int(column), 10) for row, column in places))))


def latencies_s(service: Service, key: str, n_requests: int) -> list[float]:
    """How long each answer took."""
    image, taken = small(), []
    with httpx2.Client(headers={"authorization": f"Bearer {key}"}, timeout=_TIMEOUT_S) as client:
        for _ in range(n_requests):
            start = time.perf_counter()
            client.post(f"{service.url}/segment", files={"image": image}).raise_for_status()
            taken.append(time.perf_counter() - start)
    return taken


def beside(service: Service, large_key: str, key: str, sides_px: tuple[int, ...], n_requests: int) -> list[float]:
    """How long answers took while the large images were in work, which is given up in the end with the service."""

    def post(side_px: int) -> None:
        headers = {"authorization": f"Bearer {large_key}", "content-type": "image/tiff"}
        # The service is stopped while it works on them.
        with suppress(httpx2.HTTPError):
            httpx2.post(f"{service.url}/segment?format=csv", content=blank(side_px), headers=headers, timeout=3600)

    threads = ThreadPoolExecutor()
    for side_px in sides_px:
        threads.submit(post, side_px)
    deadline = time.monotonic() + _TIMEOUT_S
    while not any(service.temporary.rglob("probability")):
        if time.monotonic() > deadline:
            raise TimeoutError("The network was not shown a large image in time.")
        time.sleep(0.05)
    taken = latencies_s(service, key, n_requests)
    # Asked once more when this is over, it does not wait for the large images.
    os.kill(service.pid, signal.SIGTERM)
    threads.shutdown(wait=False)
    return taken


def measure(sides_px: tuple[int, ...], n_requests: int) -> tuple[list[float], list[float]]:
    """Latencies alone, and beside the large images."""
    keys = [new_key(name) for name in ("large", "small")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "keys")
        path.write_text("\n".join(line for _, line in keys), encoding="utf-8")
        with running(api_keys_file=path) as service:
            latencies_s(service, keys[1][0], 5)
            alone = latencies_s(service, keys[1][0], n_requests)
            return alone, beside(service, keys[0][0], keys[1][0], sides_px, n_requests)


def main() -> int:
    """Measure and write; the exit code is 1 where small images wait too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=N_REQUESTS, metavar="N")
    options = parser.parse_args()
    alone, crowded = measure(LARGE_SIDES_PX, options.requests)
    usual_s = statistics.median(alone)
    rows = [
        (name, f"{1000 * statistics.median(taken):.0f}", f"{1000 * max(taken):.0f}", f"{max(taken) / usual_s:.1f}")
        for name, taken in (("nothing else to do", alone), ("beside the large images", crowded))
    ]
    sides = " and ".join(f"{side_px**2 / 1e6:.0f}" for side_px in LARGE_SIDES_PX)
    fill(
        "fairness",
        f"Made by `{command_line('benchmarks.fairness', sys.argv[1:])}` on {os.cpu_count()} cores: {options.requests} "
        f"requests of {SIDE_PX} x {SIDE_PX} pixels, one after the other, alone and while blank TIFFs of {sides} "
        "megapixels of another key are in work.\n\n"
        + table(["", "median, ms", "longest, ms", "longest as a multiple of the usual median"], rows),
    )
    return int(max(crowded) > MOST_TIMES * usual_s)


if __name__ == "__main__":
    sys.exit(main())
