"""How fast experiments are measured and their tables answered, and what they leave to requests.

`python -m benchmarks.experiments --data bbbc039.zip` measures a plate of real fields with one and two workers of the
service and of a scheduler, beside `karyometer segment`; requests while an experiment runs; and a simulated plate of 384
wells. It writes what it found into `docs/robustness.md`.
"""

import argparse
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, mkdtemp
from typing import NamedTuple

import httpx2
import numpy as np
import orjson
import psutil
from sqlalchemy import insert

from app.experiments.database import files as file_rows
from app.experiments.database import images as image_rows
from app.experiments.database import results as result_rows
from app.experiments.opened import open_store
from app.experiments.store import Store
from app.experiments.stored import StoredResult
from app.experiments.stored import store as keep
from app.experiments.worker import Maker
from app.inference.load import load_model
from app.options import SegmentationOptions
from app.reading.decode import decode_image
from app.settings import Settings
from benchmarks.durability import Processes, plate
from benchmarks.report import fill, table
from tests import fakes
from tests.synthetic import tiff
from training.arguments import command_line

_MEGABYTE = 2**20
_REQUESTS = 60
_PLATE = {"name": "plate", "nuclear_channel": "w1"}
_ASKED = ("", "/events", "/images", *(f"/tables/{name}" for name in ("images", "wells", "conditions", "nuclei")))


class Speed(NamedTuple):
    """Images a minute, from when the first is measured."""

    what: str
    images_per_minute: float


def fields(data: Path, folder: Path, n_images: int) -> list[Path]:
    """Images of a zip with the names of a plate; each is another one, which the service would not measure twice."""
    folder.mkdir()
    with zipfile.ZipFile(data) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".tif"))
        for number in range(n_images):
            content = archive.read(names[number % len(names)])
            well, site = divmod(number, 4)
            name = f"plate1_{chr(ord('A') + well // 24)}{well % 24 + 1:02}_s{site + 1}_w1.tif"
            # Behind a TIFF's data anything may stand.
            (folder / name).write_bytes(content + number.to_bytes(4, "little"))
    return sorted(folder.iterdir())


def by_segment(images: Path, work: Path, n_workers: int) -> Speed:
    """`karyometer segment`, without the time that it takes to start."""
    few = work / "few"
    few.mkdir()
    for path in sorted(images.iterdir())[:2]:
        (few / path.name).write_bytes(path.read_bytes())
    seconds = []
    for number, folder in enumerate((few, images)):
        start = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "app.cli",
            "segment",
            str(folder),
            "--output",
            str(work / f"segmented{number}"),
        ]
        subprocess.run([*command, "--workers", str(n_workers)], check=True, capture_output=True)  # noqa: S603
        seconds.append(time.monotonic() - start)
    n_images = len(list(images.iterdir())) - 2
    return Speed(f"`karyometer segment --workers {n_workers}`", 60 * n_images / (seconds[1] - seconds[0]))


def by_experiment(images: Sequence[Path], work: Path, n_workers: int, *, has_scheduler: bool = False) -> Speed:
    """An experiment of a service, between its first and its last image."""
    with _service(work, n_workers, has_scheduler=has_scheduler) as (client, _):
        path = _filled(client, images)
        ended: list[tuple[float, int]] = []
        while (status := client.get(path).json())["state"] == "running":
            ended.append((time.monotonic(), status["images"]["done"]))
            time.sleep(0.1)
        ended.append((time.monotonic(), status["images"]["done"]))
    first = next(index for index, (_, n_done) in enumerate(ended) if n_done)
    seconds, n_images = ended[-1][0] - ended[first][0], ended[-1][1] - ended[first][1]
    where = "a scheduler's" if has_scheduler else "the service's"
    return Speed(f"{n_workers} of {where} workers", 60 * n_images / seconds)


def latency(images: Sequence[Path], work: Path, request: bytes) -> tuple[float, float]:
    """Median milliseconds of a request, idle and while an experiment runs."""
    with _service(work, os.cpu_count() or 1) as (client, _):
        ask = {"content": request, "headers": {"Content-Type": "image/tiff"}}

        def times(n: int) -> list[float]:
            taken = []
            for _ in range(n):
                start = time.monotonic()
                client.post("/segment", **ask).raise_for_status()  # type: ignore[arg-type]
                taken.append(1000 * (time.monotonic() - start))
            return taken

        times(5)
        idle = median(times(_REQUESTS))
        path = _filled(client, images)
        while not client.get(path).json()["images"]["done"]:
            time.sleep(0.1)
        busy: list[float] = []
        while client.get(path).json()["state"] == "running" and len(busy) < _REQUESTS:
            busy += times(5)
    return idle, median(busy)


def growth(work: Path, n_images: int) -> tuple[float, float]:
    """Megabytes of the service, coordinator and all, after a fifth of so many images, and after all of them."""
    with _service(work, os.cpu_count() or 1) as (client, process):
        path = client.post("/experiments", json={"name": "many", "nuclear_channel": "w1"}).headers["location"]
        for name, content in plate(n_images):
            client.put(f"{path}/images/{name}", content=content).raise_for_status()
        client.post(f"{path}/close")
        first = 0.0
        while (status := client.get(path).json())["state"] == "running":
            if not first and status["images"]["done"] >= n_images / 5:
                first = process.memory_info().rss / _MEGABYTE
            time.sleep(0.5)
        return first or process.memory_info().rss / _MEGABYTE, process.memory_info().rss / _MEGABYTE


def simulate(store: Store, maker: Maker, n_sites: int, counts: Sequence[int], layout: bytes | None = None) -> str:
    """An experiment whose images are done, without images: results of so many nuclei each, some a well."""
    made, _ = store.create("", "simulated", SegmentationOptions(), maker, is_started=False)
    if layout is not None:
        store.set_layout(made, store.files.add(layout), "layout.csv")
    name, content = next(plate(1))
    digest = store.files.add(content)
    kept: dict[int, StoredResult] = {}
    with fakes.engine().segment(content, SegmentationOptions()) as result:
        one = result.planes[0]
        of_one = dict(one.nuclei)
        for n_nuclei in set(counts):
            one.nuclei.update({column: np.resize(values, n_nuclei) for column, values in of_one.items()})
            kept[n_nuclei] = keep(result, digest, store.files)
    rows, of_results = [], []
    for number, n_nuclei in enumerate(counts):
        well, site = divmod(number, n_sites)
        row, column = divmod(well, 24)
        image = {
            "experiment": made,
            "image": f"{number:06}_{name}",
            "plate": "plate1",
            "well": f"{chr(ord('A') + row)}{column + 1:02}",
            "site": str(site + 1),
            "plane": "",
            "channels": "[]",
            "digests": orjson.dumps([digest]).decode(),
            "labels_key": f"{number:064}",
            "key": f"{number:064}",
            "state": "done",
            "attempt": 1,
            "n_deaths": 0,
        }
        rows.append(image)
        of_results.append(
            {
                "key": f"{number:064}",
                "labels_key": f"{number:064}",
                "labels_sha256": kept[n_nuclei].labels_sha256,
                "nuclei_sha256": kept[n_nuclei].nuclei_sha256,
                "count": n_nuclei,
                "n_pixels": kept[n_nuclei].n_pixels,
                "nuclei_columns": orjson.dumps(kept[n_nuclei].columns).decode(),
                "record": orjson.dumps(kept[n_nuclei].record).decode(),
            }
        )
    file = {"experiment": made, "name": name, "sha256": digest, "n_bytes": len(content), "received": 0.0}
    with store.database.write() as connection:
        connection.execute(insert(file_rows), [file])
        connection.execute(insert(result_rows), of_results)
        connection.execute(insert(image_rows), rows)
    store.close(made)
    return made


def large(work: Path, n_wells: int, n_sites: int, n_nuclei: int) -> list[list[object]]:
    """What each answer about a simulated plate takes: seconds to its first byte and to its last, and its size."""
    settings = Settings(data=work / "data")
    maker = Maker.of(load_model(settings.model, settings.device))
    with open_store(settings) as store:
        made = simulate(store, maker, n_sites, [n_nuclei] * n_wells * n_sites)
    rows: list[list[object]] = []
    with _service(work, 1) as (client, process):
        client.get(f"/experiments/{made}").raise_for_status()
        before = process.memory_info().rss
        peak = before
        for path in (
            "",
            "/events",
            "/images",
            "/tables/images",
            "/tables/wells",
            "/tables/conditions",
            "/tables/nuclei",
        ):
            start, first, n_bytes = time.monotonic(), 0.0, 0
            with client.stream("GET", f"/experiments/{made}{path}", timeout=600) as answer:
                for chunk in answer.iter_bytes():
                    first = first or time.monotonic() - start
                    n_bytes += len(chunk)
                    peak = max(peak, process.memory_info().rss)
            shown = f"`GET /experiments/{{id}}{path}`"
            rows.append([shown, f"{first:.2f}", f"{time.monotonic() - start:.1f}", f"{n_bytes / _MEGABYTE:.1f}"])
    rows.append(
        ["memory of the service: before, and at most, MB", f"{before / _MEGABYTE:.0f}", f"{peak / _MEGABYTE:.0f}", ""]
    )
    return rows


def _filled(client: httpx2.Client, images: Sequence[Path]) -> str:
    path = client.post("/experiments", json=_PLATE, params={"start": "manual"}).headers["location"]
    for image in images:
        client.put(f"{path}/images/{image.name}", content=image.read_bytes()).raise_for_status()
    client.post(f"{path}/close")
    client.post(f"{path}/start")
    return str(path)


@contextmanager
def _service(
    work: Path, n_workers: int, *, has_scheduler: bool = False
) -> Iterator[tuple[httpx2.Client, psutil.Process]]:
    folder = work if (work / "data").exists() else Path(mkdtemp(dir=work))
    processes = Processes(folder, None, has_scheduler=has_scheduler, n_workers=n_workers, is_lethal=False)
    try:
        with httpx2.Client(base_url=processes.url, timeout=120) as client:
            processes.wait(client)
            yield client, processes.service
    finally:
        processes.close()


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a zip of TIFF fields")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--wells", type=int, default=384)
    parser.add_argument("--many", type=int, default=5000, help="small images, over which memory must not grow")
    options = parser.parse_args(arguments)
    n_workers = os.cpu_count() or 1
    with TemporaryDirectory(prefix="karyometer-experiments-") as name:
        work = Path(name)
        images = fields(options.data, work / "images", options.images)
        speeds = [
            by_segment(work / "images", work, n_workers),
            by_experiment(images, work, n_workers),
            by_experiment(images, work, 1),
            by_experiment(images, work, n_workers, has_scheduler=True),
        ]
        idle_ms, busy_ms = latency(images, work, _request(images[0]))
        first_mb, last_mb = growth(work, options.many)
        answers = large(work / "large", options.wells, 9, 200)
    text = [
        f"Made by `{command_line('benchmarks.experiments', sys.argv[1:])}` on {n_workers} cores.",
        table(["", "images a minute"], [[speed.what, f"{speed.images_per_minute:.0f}"] for speed in speeds]),
        f"A request of 512 x 512 takes {idle_ms:.0f} ms, and {busy_ms:.0f} ms ({busy_ms / idle_ms:.2f} times as long) "
        "while an experiment runs.",
        f"The service, its coordinator among it, holds {first_mb:.0f} MB after a fifth of {options.many} images, and "
        f"{last_mb:.0f} MB after all of them.",
        f"{options.wells} wells of 9 images with 200 nuclei each:",
        table(["", "first byte, s", "all, s", "MB"], answers),
    ]
    fill("experiments", "\n\n".join(text))
    sys.stdout.write("\n\n".join(text) + "\n")
    return 0


def _request(field: Path) -> bytes:
    image = decode_image(field.read_bytes(), 10**8).image
    return tiff(np.ascontiguousarray(image[:512, :512]))


if __name__ == "__main__":
    sys.exit(main())
