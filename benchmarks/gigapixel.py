"""Segments a mosaic of real images that is too large for the memory, and measures what that takes.

`python -m benchmarks.gigapixel --side-px 20000 --output docs/gigapixel.md`. The cost is compared with that of images of
one megapixel in the same process, which is the command line's with its decoders; the memory is that of all processes.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from app.batch import segment_files
from app.engine.engine import Engine
from app.engine.out_of_core import tile_side
from app.export.formats import FileFormat
from app.inference.normalise import normalise
from app.options import SegmentationOptions
from app.reading.decode import decode_image
from app.reading.sources import find_images
from app.settings import Settings
from app.start import open_engine
from training.arguments import command_line

SAMPLE = Path(__file__).parent.parent / "tests" / "data" / "fluorescence.tif"
FORMATS: tuple[FileFormat, ...] = ("labels", "mask", "csv")
SMALL_SIDE_PX = 1000
N_SMALL = 5
TILE_PX = 256
PERCENTILES = (0.1, 99.9)
POLL_S = 0.2
COLUMNS = ("image", "megapixels", "nuclei", "seconds", "CPU seconds", "CPU seconds a megapixel", "peak of memory, GiB")


class Cost(NamedTuple):
    """What segmenting took: nuclei found, seconds, CPU seconds and bytes at the peak, of all processes together."""

    n_nuclei: int
    seconds: float
    cpu_s: float
    peak_bytes: int


def mosaic(paths: list[str], seed: int) -> Iterator[NDArray[np.uint8]]:
    """Endless tiles `(TILE_PX, TILE_PX)`, or colours where an image has them, cut from real images and turned."""
    images = [decode_image(source.read(), 10**9).image for source in find_images(paths).images]
    is_colour = any(image.ndim == 3 for image in images)
    pictures = [(normalise(image, *PERCENTILES) * 255).astype(np.uint8) for image in images]
    generator = np.random.default_rng(seed)
    while True:
        picture = pictures[generator.integers(len(pictures))]
        # Those that are smaller than a tile are mirrored.
        padding = [(0, max(0, TILE_PX - length)) for length in picture.shape[:2]]
        picture = np.pad(picture, (*padding, (0, 0)), mode="symmetric")
        row, column = (generator.integers(length - TILE_PX + 1) for length in picture.shape[:2])
        tile = np.rot90(picture[row : row + TILE_PX, column : column + TILE_PX], int(generator.integers(4)))
        yield tile if is_colour else tile[..., 0]


def write_mosaic(path: Path, side_px: int, paths: list[str], seed: int) -> None:
    """A square TIFF, tile by tile."""
    tiles = mosaic(paths, seed)
    first = next(tiles)
    tifffile.imwrite(
        path,
        tiles,
        shape=(side_px, side_px, *first.shape[2:]),
        dtype=np.uint8,
        tile=(TILE_PX, TILE_PX),
        compression="zlib",
        photometric="rgb" if first.ndim == 3 else "minisblack",
        metadata=None,
    )


class Watch:
    """Memory and CPU time of this process and all below it."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._looking_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()

    def cpu_s(self) -> float:
        """CPU time so far, but for looking."""
        ticks = [sum(map(int, _stat(pid)[11:13])) for pid in _processes()]
        return sum(ticks) / os.sysconf("SC_CLK_TCK") - self._looking_s

    def _poll(self) -> None:
        while not self._ended.wait(POLL_S):
            self.peak_bytes = max(self.peak_bytes, sum(_resident_bytes(pid) for pid in _processes()))
            self._looking_s = time.thread_time()


def _processes() -> list[int]:
    parents = {int(path.name): int("".join(_stat(int(path.name))[1:2]) or 0) for path in Path("/proc").glob("[0-9]*")}
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _stat(pid: int) -> list[str]:
    """Fields from the state on; none of a process that has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _resident_bytes(pid: int) -> int:
    """Pages that several processes share count in parts."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def measured(engine: Engine, watch: Watch, paths: list[str], output: Path) -> Cost:
    """Segment files as the command line does, into `FORMATS`."""
    watch.peak_bytes = 0
    start, cpu_s = time.perf_counter(), watch.cpu_s()
    output.mkdir()
    report = segment_files(engine, find_images(paths), SegmentationOptions(), FORMATS, output, n_workers=1)
    if report.failures:
        raise SystemExit(report.failures[0].reason)
    return Cost(report.n_nuclei, time.perf_counter() - start, watch.cpu_s() - cpu_s, watch.peak_bytes)


def run(side_px: int, paths: list[str], settings: Settings) -> tuple[Cost, Cost]:
    """The cost of images of one megapixel, and that of the large one."""
    with (
        TemporaryDirectory(prefix="karyometer-") as folder,
        # Everything larger than the small images is worked on out of core, however few pixels are asked for.
        open_engine(
            settings.model_copy(update={"max_pixels": min(settings.max_pixels, SMALL_SIDE_PX**2)}), 1
        ) as engine,
        closing(Watch()) as watch,
    ):
        small = [str(Path(folder, f"small{number}.tif")) for number in range(N_SMALL + 1)]
        for number, path in enumerate(small):
            write_mosaic(Path(path), SMALL_SIDE_PX, paths, seed=number)
        # The first one costs what is done once.
        measured(engine, watch, small[:1], Path(folder, "first"))
        of_small = measured(engine, watch, small[1:], Path(folder, "small"))
        large = Path(folder, "large.tif")
        write_mosaic(large, side_px, paths, seed=0)
        return of_small, measured(engine, watch, [str(large)], Path(folder, "large"))


def report(arguments: Sequence[str], side_px: int, small: Cost, large: Cost, settings: Settings) -> str:
    """Both costs as a table, and their ratio."""
    megapixels = N_SMALL * SMALL_SIDE_PX**2 / 1e6, side_px**2 / 1e6
    names = f"{N_SMALL} of {SMALL_SIDE_PX} x {SMALL_SIDE_PX}", f"{side_px} x {side_px}"
    rows = []
    for name, size, cost in zip(names, megapixels, (small, large)):
        figures = (
            f"{cost.seconds:.0f}",
            f"{cost.cpu_s:.0f}",
            f"{cost.cpu_s / size:.3f}",
            f"{cost.peak_bytes / 2**30:.2f}",
        )
        rows.append((name, f"{size:g}", str(cost.n_nuclei), *figures))
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    ratio = (large.cpu_s / megapixels[1]) / (small.cpu_s / megapixels[0])
    return "\n".join(
        [
            f"Made by `{command_line('benchmarks.gigapixel', arguments)}`.",
            "",
            *("| " + " | ".join(line) + " |" for line in lines),
            "",
            f"A megapixel of the large image costs {ratio:.2f} times as much CPU time as one of the small ones. The "
            f"limit was {settings.max_stream_bytes / 2**30:g} GiB, so that the network saw tiles of up to "
            f"{tile_side(settings.max_stream_bytes)} pixels a side. Pages of memory that several processes "
            "share are counted once.",
            "",
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side-px", type=int, default=20_000, help="side of the mosaic, %(default)s")
    parser.add_argument("--data", action="append", help=f"an image, a folder or a pattern, repeatable; {SAMPLE.name}")
    parser.add_argument("--output", type=Path, help="where the report goes, beside the standard output")
    options = parser.parse_args(arguments)
    settings = Settings.from_environment()
    small, large = run(options.side_px, options.data or [str(SAMPLE)], settings)
    text = report(sys.argv[1:] if arguments is None else arguments, options.side_px, small, large, settings)
    sys.stdout.write(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
