"""How long the tables and the report of a plate of 384 wells take once its images are measured, and how much memory.

`python -m benchmarks.report_size` simulates the results of 700,000 nuclei and fills a section of `docs/robustness.md`.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from app.experiments.folder import write_results
from app.experiments.opened import open_store
from app.experiments.tables import Tables
from app.experiments.worker import Maker
from app.settings import Settings
from app.statistics.effects import EffectOptions
from benchmarks.experiments import simulate
from benchmarks.report import fill
from tests import fakes
from training.arguments import command_line

N_SITES = 9
N_REPLICATES, N_CONTROLS = 3, 36
DOSES = tuple(10.0**power for power in range(-3, 5))
WELL_CV = 0.08
ENDPOINTS = ("count", "area_median_px")


class Cost(NamedTuple):
    """Seconds by the clock and of the processor, megabytes at most, and how many comparisons were made."""

    seconds: float
    cpu_s: float
    peak_mb: float
    n_comparisons: int


def treatments(n_wells: int) -> Iterator[tuple[str, float, str]]:
    """Condition, dose and control of each well: controls, and three wells of each dose of as many drugs as fit."""
    n_drugs = max(1, (n_wells - N_CONTROLS) // (N_REPLICATES * len(DOSES)))
    of_drugs = [
        (f"drug {drug + 1}", dose, "") for drug in range(n_drugs) for dose in DOSES for _ in range(N_REPLICATES)
    ]
    yield from of_drugs[:n_wells]
    yield from [("DMSO", 0.0, "negative")] * (n_wells - len(of_drugs))


def simulated_plate(n_wells: int, n_nuclei: int, generator: np.random.Generator) -> tuple[bytes, list[int]]:
    """A layout, and the nuclei of each image: half of the drugs halve them with the dose, which is in uM."""
    lines, counts = ["plate,well,condition,dose,dose_unit,control"], []
    given = list(treatments(n_wells))
    for well, (condition, dose, control) in enumerate(given[place] for place in generator.permutation(len(given))):
        name = f"{chr(ord('A') + well // 24)}{well % 24 + 1:02}"
        lines.append(f"plate1,{name},{condition},{dose:g},{'uM' if dose else ''},{control}")
        is_active = condition.startswith("drug") and int(condition.split()[1]) % 2
        effect = 1 / (1 + dose) if is_active else 1.0
        for_well = n_nuclei * (0.5 + 0.5 * effect) * max(0.1, generator.normal(1, WELL_CV))
        counts += [round(for_well)] * N_SITES
    return "\n".join(lines).encode(), counts


def write_report(folder: Path) -> Cost:
    """Write what `karyometer experiment` writes; in a process of its own, whose memory is its own."""
    start = time.monotonic()
    with open_store(Settings(data=folder / "data")) as store:
        (experiment,) = store.all_of("", limit=10, offset=0)
        tables = Tables(store, experiment)
        asked = EffectOptions(endpoints=ENDPOINTS)
        compared = write_results(tables, fakes.engine(), folder / "results", "parquet", asked)
    assert compared.effects is not None, compared.why_no_effects  # noqa: S101
    return Cost(
        time.monotonic() - start,
        time.process_time(),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        sum(len(one.comparisons) for one in compared.effects.endpoints),
    )


def prepare(folder: Path, n_wells: int, n_nuclei: int) -> int:
    """Simulate a measured plate below a folder; the number of its nuclei."""
    layout, counts = simulated_plate(n_wells, n_nuclei, np.random.default_rng(0))
    with open_store(Settings(data=folder / "data")) as store:
        # Whoever made the results does not matter here.
        simulate(store, Maker("fake/1", "0" * 64, "float32", "0"), N_SITES, counts, layout)
    return sum(counts)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report_size", description=__doc__)
    parser.add_argument("--wells", type=int, default=384)
    parser.add_argument("--nuclei", type=int, default=240, help="of an untreated image, nine a well (%(default)s)")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="karyometer-report-") as name:
        n_nuclei = prepare(Path(name), options.wells, options.nuclei)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
            cost = apart.submit(write_report, Path(name)).result()
    text = (
        f"Made by `{command_line('benchmarks.report_size', sys.argv[1:] if arguments is None else arguments)}`: of "
        f"{options.wells} wells, {options.wells * N_SITES} images and {n_nuclei:,} nuclei all tables, "
        f"{cost.n_comparisons} comparisons, curves and the report take {cost.seconds:.1f} s ({cost.cpu_s:.1f} s of one "
        f"core, with the start of Python) and {cost.peak_mb:.0f} MB at most."
    )
    fill("report size", text)
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
