"""What the service takes to start, package by package: `python -m benchmarks.startup --output docs/serving/startup.md`.

On a CPU, where the shipped model needs no TensorFlow.
"""

import argparse
import importlib
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import table
from benchmarks.service import running
from training.arguments import command_line

# In the order in which the service comes to them; each brings what it needs itself.
PACKAGES = (
    *("fastapi", "uvicorn", "pydantic_settings", "numpy", "PIL.Image", "cv2", "scipy.spatial", "skimage.segmentation"),
    *("pyarrow.parquet", "pycocotools.mask", "tifffile", "imagecodecs", "roifile", "prometheus_client"),
    *("app.main", "ai_edge_litert.interpreter"),
)
MODEL = "the model, loaded and warmed up"
N_RUNS = 5
_MEGABYTE = 2**20


class Step(NamedTuple):
    """What one step of the start took."""

    name: str
    seconds: float
    resident_mb: float


def steps() -> list[Step]:
    """Those of this process, which has imported none of it yet."""

    def load() -> None:
        from app.inference.load import load_model
        from app.settings import DEFAULT_MODEL

        load_model(DEFAULT_MODEL, "cpu")

    calls: dict[str, Callable[[], object]] = {name: partial(importlib.import_module, name) for name in PACKAGES}
    taken = []
    for name, call in (calls | {MODEL: load}).items():
        start, before = time.perf_counter(), _resident_mb()
        call()
        taken.append(Step(name, time.perf_counter() - start, _resident_mb() - before))
    return taken


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE


def whole(n_runs: int) -> tuple[list[float], list[float]]:
    """Seconds until the service is ready, and its resident megabytes then, decoders left out, run by run."""
    seconds, megabytes = [], []
    for _ in range(n_runs):
        with running() as service:
            seconds.append(service.ready_s)
            megabytes.append(service.resident_bytes() / _MEGABYTE)
    return seconds, megabytes


def report(runs: list[list[Step]], seconds: list[float], megabytes: list[float], command: str) -> str:
    """Medians over the runs."""
    rows = []
    for of_step in zip(*runs, strict=True):
        step_s = statistics.median(step.seconds for step in of_step)
        step_mb = statistics.median(step.resident_mb for step in of_step)
        rows.append((of_step[0].name, f"{step_s:.2f}", f"{step_mb:.0f}"))
    return (
        f"Made by `{command}` on {os.cpu_count()} cores: medians of {len(runs)} starts. The service is ready after "
        f"{statistics.median(seconds):.1f} s and holds {statistics.median(megabytes):.0f} MB then, its decoders left "
        "out.\n\n"
        f"{table(('imported, each with what it needs itself', 'seconds', 'MB'), rows)}\n"
    )


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:
        runs = [fresh.apply(steps) for _ in range(N_RUNS)]
    text = report(runs, *whole(N_RUNS), command_line("benchmarks.startup", sys.argv[1:]))
    options.output.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
