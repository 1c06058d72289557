"""Many files from a shell: segmented or scored one after the other, their tables joined."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

import pyarrow
from pyarrow import parquet
from pydantic import BaseModel, ConfigDict
from tqdm import tqdm

from app import __version__
from app.errors import KaryometerError
from app.segmentation.findings import Evaluation, Findings
from app.segmentation.formats import FILE_FORMATS, FileFormat, encode
from app.segmentation.metrics import pooled_f1
from app.segmentation.options import SegmentationOptions
from app.segmentation.pipeline import Segmenter
from app.segmentation.stream import StreamedFindings, Streamer, room_needed
from app.segmentation.write import streamed_format
from app.sources import Source

NUCLEI_NAME, SUMMARY_NAME, ERRORS_NAME = "nuclei.csv", "summary.csv", "errors.csv"
_RECORD_ENDING = ".karyometer.json"
_T = TypeVar("_T")


class Failure(NamedTuple):
    """A file without a result, and why."""

    name: str
    reason: str


class PageRecord(BaseModel):
    """What is kept of one page: codes of its warnings, its summary, and how it came to be."""

    model_config = ConfigDict(frozen=True)

    warnings: tuple[str, ...]
    summary: dict[str, Any]
    provenance: dict[str, Any]


class Record(BaseModel):
    """What is kept of one image beside its files.

    Attributes
    ----------
    key
        Digest of all that decides the result: the image's bytes, the options, the model and this version.
    """

    model_config = ConfigDict(frozen=True)

    image: str
    key: str
    sha256: str
    pages: tuple[PageRecord, ...]


@dataclass(frozen=True)
class Report:
    """What became of all files."""

    n_segmented: int
    n_skipped: int
    n_nuclei: int
    failures: tuple[Failure, ...]


def segment_files(
    streamer: Streamer,
    sources: Sequence[Source],
    options: SegmentationOptions,
    formats: Sequence[FileFormat],
    output: Path,
    n_workers: int,
) -> Report:
    """Segment every image into `output`, whose tree is that of the images; what is already there is not made again.

    Beside the files asked for there is always an image's table; the tables joined are `nuclei.csv` (and
    `nuclei.parquet`, if that is asked for), with one row a page in `summary.csv`. An image that fails stops nothing:
    it is named in `errors.csv`.

    Parameters
    ----------
    streamer, sources, options
        What segments which images how; the streamer takes large ones, and its segmenter the others.
    formats
        Files to write for each image.
    output
        An existing folder.
    n_workers
        Images that are worked on at once; the results do not depend on it.
    """
    formats = tuple(dict.fromkeys(("csv", *formats)))
    work = partial(_segment_file, streamer, options, formats, output)
    outcomes = _all(work, sources, [source.name for source in sources], n_workers, "Segmenting")
    failures = tuple(outcome for outcome in outcomes if isinstance(outcome, Failure))
    done = [outcome for outcome in outcomes if not isinstance(outcome, Failure)]
    records = [record for record, _ in done]
    _join_csv(records, output)
    if "parquet" in formats:
        _join_parquet(records, output)
    _write_rows(output / SUMMARY_NAME, (_summary_row(record, page) for record in records for page in record.pages))
    if failures:
        _write_rows(output / ERRORS_NAME, ({"file": name, "reason": reason} for name, reason in failures))
    else:
        (output / ERRORS_NAME).unlink(missing_ok=True)
    return Report(
        n_segmented=sum(not skipped for _, skipped in done),
        n_skipped=sum(skipped for _, skipped in done),
        n_nuclei=sum(page.summary["count"] for record in records for page in record.pages),
        failures=failures,
    )


def evaluate_files(
    segmenter: Segmenter,
    pairs: Sequence[tuple[Source, Source]],
    options: SegmentationOptions,
    n_workers: int,
) -> tuple[dict[str, Evaluation], tuple[Failure, ...]]:
    """Score each image against its mask: the scores by the image's name, and what could not be scored."""

    def work(pair: tuple[Source, Source]) -> Evaluation:
        source, mask = pair
        return segmenter.evaluate(segmenter.segment(source.read(), options), mask.read())

    names = [source.name for source, _ in pairs]
    outcomes = _all(work, pairs, names, n_workers, "Scoring")
    scores = {name: one for name, one in zip(names, outcomes, strict=True) if isinstance(one, Evaluation)}
    return scores, tuple(outcome for outcome in outcomes if isinstance(outcome, Failure))


def _all(
    work: Callable[[Any], _T], items: Sequence[Any], names: Sequence[str], n_workers: int, description: str
) -> list[_T | Failure]:
    """The outcome of every item, in order; errors of single files become failures of their names."""

    def tried(item: Any, name: str) -> _T | Failure:
        try:
            return work(item)
        except KaryometerError as exc:
            return Failure(name, str(exc))
        except OSError as exc:
            return Failure(name, f"{exc.strerror or exc}.")

    workers = ThreadPoolExecutor(n_workers)
    try:
        return list(tqdm(workers.map(tried, items, names), description, len(items), unit="image", disable=None))
    finally:
        # After Ctrl-C nothing new is begun.
        workers.shutdown(cancel_futures=True)


def _segment_file(
    streamer: Streamer,
    options: SegmentationOptions,
    formats: tuple[FileFormat, ...],
    output: Path,
    source: Source,
) -> tuple[Record, bool]:
    """The image's record, and whether it had been segmented before."""
    is_large = source.path.is_file() and streamer.takes(source.path)
    data = b"" if is_large else source.read()
    sha256 = _file_digest(source.path) if is_large else hashlib.sha256(data).hexdigest()
    segmenter = streamer.segmenter
    decisive = [sha256, options.model_dump_json(), segmenter.card.sha256, segmenter.predictor.dtype, __version__]
    key = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()
    files = {name: _path(output, source.name, name) for name in formats}
    record_path = output / f"{source.name}{_RECORD_ENDING}"
    if record_path.is_file() and all(path.is_file() for path in files.values()):
        record = Record.model_validate_json(record_path.read_bytes())
        if record.key == key:
            return record, True

    record_path.parent.mkdir(parents=True, exist_ok=True)
    # The record comes last and vouches for the others.
    record_path.unlink(missing_ok=True)
    if is_large:
        pages: Sequence[Findings] = [_stream_file(streamer, options, files, source)]
    else:
        segmented = segmenter.segment_pages(data, options, source.path.name)
        for name, path in files.items():
            path.write_bytes(encode(segmented, name))
        pages = segmented
    record = Record(
        image=source.name,
        key=key,
        sha256=sha256,
        pages=tuple(
            PageRecord(
                warnings=tuple(caveat.code for caveat in page.caveats), summary=page.summary, provenance=page.provenance
            )
            for page in pages
        ),
    )
    record_path.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return record, False


def _stream_file(
    streamer: Streamer, options: SegmentationOptions, files: dict[FileFormat, Path], source: Source
) -> StreamedFindings:
    writers = {path: streamed_format(name) for name, path in files.items()}
    with room_needed(), TemporaryDirectory(prefix="karyometer-") as folder:
        found = streamer.segment(source.path, options, Path(folder), source.path.name)
        for path, write in writers.items():
            write(found, path)
    return found


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _path(output: Path, image: str, file_format: FileFormat) -> Path:
    return output / f"{image}{FILE_FORMATS[file_format].ending}"


def _join_csv(records: Iterable[Record], output: Path) -> None:
    with (output / NUCLEI_NAME).open("w", encoding="utf-8", newline="") as joined:
        for index, record in enumerate(records):
            header, *rows = _path(output, record.image, "csv").read_text(encoding="utf-8").splitlines(keepends=True)
            image = io.StringIO()
            csv.writer(image, lineterminator="").writerow([record.image])
            if index == 0:
                joined.write(f"image,{header}")
            joined.writelines(f"{image.getvalue()},{row}" for row in rows)


def _join_parquet(records: Sequence[Record], output: Path) -> None:
    if not records:
        return
    tables = (parquet.read_table(_path(output, record.image, "parquet")) for record in records)
    with_image = (
        table.add_column(0, "image", pyarrow.array([record.image] * len(table), pyarrow.string()))
        for record, table in zip(records, tables, strict=True)
    )
    first = next(with_image)
    with parquet.ParquetWriter((output / NUCLEI_NAME).with_suffix(".parquet"), first.schema) as writer:
        writer.write_table(first)
        for table in with_image:
            writer.write_table(table)


def _summary_row(record: Record, page: PageRecord) -> dict[str, Any]:
    model, applied = page.provenance["model"], page.provenance["options"]
    return {
        "image": record.image,
        "page": applied["page_applied"],
        "count": page.summary["count"],
        **{f"area_{name}_px": value for name, value in page.summary["area_px"].items()},
        "foreground_fraction": page.summary["foreground_fraction"],
        "density_per_mm2": page.summary["density_per_mm2"],
        "warnings": " ".join(page.warnings),
        "channel": applied["channel_applied"],
        "pixel_size_um": applied["pixel_size_um_applied"],
        "threshold": applied["threshold_applied"],
        "model": f"{model['name']}/{model['version']}",
        "model_dtype": model["dtype"],
        "karyometer": page.provenance["karyometer"],
        "sha256": record.sha256,
    }


def _write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    written = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, written[0] if written else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(written)


def mean_scores(scores: Iterable[Evaluation]) -> dict[str, float]:
    """Several images' scores as one: means of `iou`, `dice` and `average_precision` over images, the rest pooled."""
    every = list(scores)
    return {
        "images": len(every),
        "iou": fmean(one.pixels.iou for one in every),
        "dice": fmean(one.pixels.dice for one in every),
        "average_precision": fmean(one.average_precision for one in every),
        "f1": pooled_f1(one.matching[0] for one in every),
        "count_predicted": sum(one.count_predicted for one in every),
        "count_true": sum(one.count_true for one in every),
    }
