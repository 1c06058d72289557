"""Asks the real service for thousands of images of random sizes and formats, and fails where it does not give all back.

`python -m benchmarks.soak --requests 20000` writes what it found into `docs/robustness.md`.
"""

import argparse
import io
import os
import sys
import time
from typing import NamedTuple, get_args

import httpx2
import numpy as np
from PIL import Image
from tqdm import tqdm

from app.api.admission import IDLE_S
from app.export.formats import FileFormat
from app.reading.decode import decode_image
from benchmarks.hostile_files import SAMPLES, SEED
from benchmarks.report import fill, table
from benchmarks.service import Service, running
from tests.synthetic import jpeg, png, tiff
from training.arguments import command_line

SIDES_PX = (1, 400)
MAX_GROWTH = 0.01
# Those that answer beside the others make threads and connections come and go by a few.
SLACK = 2
_MEGABYTE = 2**20
# Connections that are idle have been closed by then, and the service rests.
_SETTLE_S = IDLE_S + 3


class State(NamedTuple):
    """What the service holds while it has nothing to do."""

    n_requests: int
    resident_mb: float
    descriptors: int
    threads: int
    temporary_files: int


def observe(service: Service, n_requests: int) -> State:
    """When it has had nothing to do for a while."""
    time.sleep(_SETTLE_S)
    return State(
        n_requests,
        service.resident_bytes() / _MEGABYTE,
        service.n_descriptors(),
        service.n_threads(),
        service.n_temporary_files(),
    )


class Requests:
    """Requests without end, the same in every run: sound ones, damaged ones, and ones with a ground truth."""

    def __init__(self) -> None:
        self._generator = np.random.default_rng(SEED)
        self._field = decode_image((SAMPLES / "fluorescence.tif").read_bytes(), 10**8).image

    def send(self, client: httpx2.Client, url: str) -> int:
        """One of them; the status."""
        generator = self._generator
        height, width = (int(side) for side in generator.integers(*SIDES_PX, 2))
        row, column = (int(generator.integers(0, max(1, length - 400))) for length in self._field.shape)
        image = self._field[row : row + height, column : column + width]
        kind = generator.choice(["png", "jpeg", "tiff", "colour", "damaged", "evaluate", "model"])
        grey = (image >> 4).clip(0, 255).astype(np.uint8)
        match kind:
            case "model":
                return client.get(f"{url}/model").status_code
            case "evaluate":
                files = {"image": png(grey), "mask": png((grey > 40).astype(np.uint8))}
                return client.post(f"{url}/evaluate", files=files).status_code
            case "damaged":
                data = tiff(image, compression="zlib")[: int(generator.integers(0, 400))]
            case "tiff":
                data = tiff(image, compression=generator.choice(["zlib", "lzw", "zstd"]))
            case "colour":
                with io.BytesIO() as buffer:
                    Image.fromarray(np.stack([grey] * 3, axis=2)).save(buffer, "WebP")
                    data = buffer.getvalue()
            case _:
                data = jpeg(grey) if kind == "jpeg" else png(grey)
        query = {"format": generator.choice(["json", *get_args(FileFormat)])}
        return client.post(f"{url}/segment", params=query, files={"image": ("soak", data)}).status_code


def soak(service: Service, n_requests: int, n_parts: int = 10) -> list[State]:
    """Its state after each part of the requests."""
    requests, states = Requests(), []
    for part in tqdm(range(1, n_parts + 1), leave=False):
        with httpx2.Client(timeout=120) as client:
            for _ in range(n_requests // n_parts):
                status = requests.send(client, service.url)
                if status not in (200, 400, 415, 422):
                    raise AssertionError(f"a request was answered with {status}")
        states.append(observe(service, part * (n_requests // n_parts)))
    return states


def failures(states: list[State], max_growth: float = MAX_GROWTH) -> list[str]:
    """What must not be: the first part is for warming up."""
    first, last = states[0], states[-1]
    wrong = []
    if last.resident_mb > first.resident_mb * (1 + max_growth):
        wrong.append(f"memory grew by {last.resident_mb / first.resident_mb - 1:.1%}")
    for name in ("descriptors", "threads", "temporary_files"):
        before, after = getattr(first, name), getattr(last, name)
        if after > before + SLACK:
            wrong.append(f"{name} grew from {before} to {after}")
    return wrong


def main() -> int:
    """Ask, look, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000, metavar="N", help="%(default)s")
    options = parser.parse_args()
    with running() as service:
        states = soak(service, options.requests)
    growth = states[-1].resident_mb / states[0].resident_mb - 1
    report = "\n".join(
        [
            f"Made by `{command_line('benchmarks.soak', sys.argv[1:])}` on {os.cpu_count()} cores. From the "
            f"first tenth to the last the resident memory changed by {growth:+.2%}.",
            "",
            table(
                ["requests", "resident, MB", "descriptors", "threads", "temporary files"],
                [[one.n_requests, f"{one.resident_mb:.1f}", *one[2:]] for one in states],
            ),
        ]
    )
    fill("soak", report)
    wrong = failures(states)
    sys.stdout.write("\n".join([report, *wrong, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
