"""Many files from a shell: segmented or scored one after the other, their tables joined."""

import errno
import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from tqdm import tqdm

from app import __version__
from app.engine.engine import Engine
from app.engine.result import Evaluation, Result
from app.errors import KaryometerError, OutputError
from app.evaluation.matching import pooled_f1
from app.export.atomic import atomic_file
from app.export.formats import FILE_FORMATS, FileFormat, needs_whole, write
from app.export.joined import join_csv, join_parquet, write_rows
from app.export.record import Record
from app.options import SegmentationOptions
from app.reading.sources import RECORD_ENDING, Failure, Found, Source, read_source
from app.settings import Settings

logger = logging.getLogger(__name__)

NUCLEI_NAME, SUMMARY_NAME, ERRORS_NAME = "nuclei.csv", "summary.csv", "errors.csv"
# What is wrong with the name of one image's results, not with the folder of all.
_OF_ONE_NAME = frozenset(
    (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL, errno.EILSEQ)
)
_JOINED = frozenset(Path(name).stem for name in (NUCLEI_NAME, SUMMARY_NAME, ERRORS_NAME))
_T = TypeVar("_T")


@dataclass(frozen=True)
class Report:
    """What became of all files."""

    n_segmented: int
    n_skipped: int
    n_nuclei: int
    failures: tuple[Failure, ...]


def segment_files(
    engine: Engine,
    found: Found,
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
    engine, found, options
        What segments which images how.
    formats
        Files to write for each image.
    output
        An existing folder.
    n_workers
        Images that are worked on at once; the results do not depend on it.

    Raises
    ------
    OutputError
        The folder cannot be written to, or is full. What is done is kept.
    """
    formats = tuple(dict.fromkeys(("csv", *formats)))
    joined = [output / NUCLEI_NAME, (output / NUCLEI_NAME).with_suffix(".parquet"), output / SUMMARY_NAME]
    with _output_told(output):
        # Those of an earlier run say nothing of this one, which may be stopped before its own are written.
        for path in (*joined, output / ERRORS_NAME):
            path.unlink(missing_ok=True)
    work = partial(_segment_file, engine, options, formats, output)
    outcomes = _all(work, found.images, [source.name for source in found.images], n_workers, "Segmenting")
    failures = (*found.failures, *(outcome for outcome in outcomes if isinstance(outcome, Failure)))
    done = [outcome for outcome in outcomes if not isinstance(outcome, Failure)]
    records = [record for record, _ in done]
    with _output_told(output):
        join_csv({record.image: _path(output, record.image, "csv") for record in records}, joined[0])
        if "parquet" in formats:
            join_parquet({record.image: _path(output, record.image, "parquet") for record in records}, joined[1])
        write_rows([row for record in records for row in record.summary_rows], joined[2], ["image"])
        if failures:
            write_rows([{"file": name, "reason": reason} for name, reason in failures], output / ERRORS_NAME)
    return Report(
        n_segmented=sum(not skipped for _, skipped in done),
        n_skipped=sum(skipped for _, skipped in done),
        n_nuclei=sum(page.summary["count"] for record in records for page in record.pages),
        failures=failures,
    )


def evaluate_files(
    engine: Engine,
    pairs: Sequence[tuple[Source, Source]],
    options: SegmentationOptions,
    n_workers: int,
) -> tuple[dict[str, Evaluation], tuple[Failure, ...]]:
    """Score each image against its mask: the scores by the image's name, and what could not be scored."""

    def work(pair: tuple[Source, Source]) -> Evaluation:
        source, mask = pair
        with engine.segment(source.path, options, whole_for=["score"]) as result:
            return engine.evaluate(result, mask.read())

    names = [source.name for source, _ in pairs]
    outcomes = _all(work, pairs, names, n_workers, "Scoring")
    scores = {name: one for name, one in zip(names, outcomes, strict=True) if isinstance(one, Evaluation)}
    return scores, tuple(outcome for outcome in outcomes if isinstance(outcome, Failure))


def told(error: KaryometerError) -> str:
    """What is said of an error in a shell: its sentence, and which variable would prevent it."""
    variable = Settings.variable_for(error)
    return f"{error} {variable} in the environment sets this." if variable else str(error)


def _all(
    work: Callable[[Any], _T], items: Sequence[Any], names: Sequence[str], n_workers: int, description: str
) -> list[_T | Failure]:
    """The outcome of every item, in order; errors of single files become failures of their names."""

    def tried(item: Any, name: str) -> _T | Failure:
        try:
            return work(item)
        except OutputError:
            # The next image's results could not be written either.
            workers.shutdown(wait=False, cancel_futures=True)
            raise
        except KaryometerError as exc:
            return Failure(name, told(exc))
        except OSError as exc:
            return Failure(name, f"{exc.strerror or exc}.")
        except MemoryError:
            return Failure(name, "It needs more memory than there is; crop it, or give --workers 1.")
        # Broad, because what nobody foresaw must end one image's work and not a night's, and is in the log.
        except Exception as exc:
            logger.exception("%r", name)
            return Failure(name, f"Karyometer made an error ({type(exc).__name__}); please report what it wrote.")

    workers = ThreadPoolExecutor(n_workers)
    try:
        return list(tqdm(workers.map(tried, items, names), description, len(items), unit="image", disable=None))
    finally:
        # After Ctrl-C nothing new is begun.
        workers.shutdown(cancel_futures=True)


def _segment_file(
    engine: Engine,
    options: SegmentationOptions,
    formats: tuple[FileFormat, ...],
    output: Path,
    source: Source,
) -> tuple[Record, bool]:
    """The image's record, and whether it had been segmented before."""
    sha256 = _digest(source.path)
    model = engine.model
    decisive = [sha256, options.model_dump_json(), model.card.results_sha256, model.predictor.dtype, __version__]
    key = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()
    record_path = output / f"{source.name}{RECORD_ENDING}"
    known = Record.read(record_path)
    if known and known.key == key and all(_is_whole(known, name, output) for name in formats):
        return known, True

    if source.name.lower() in _JOINED:
        raise OSError(errno.EEXIST, "Its results would have the names of the joined tables; rename it")
    with _output_told(output, _OF_ONE_NAME):
        # Other options' files would pass for this run's.
        for path in (record_path, *(_path(output, source.name, name) for name in FILE_FORMATS)):
            path.unlink(missing_ok=True)
    with engine.segment(source.path, options, Path(source.name).name, needs_whole(formats)) as result:
        files = {name: _written(result, name, output, source.name) for name in formats}
        record = Record.of(result, source.name, key, sha256, files)
    # It comes last and vouches for the others.
    with _output_told(output, _OF_ONE_NAME), atomic_file(record_path) as file:
        file.write(record.model_dump_json(indent=1).encode() + b"\n")
    return record, False


def _is_whole(record: Record, name: FileFormat, output: Path) -> bool:
    path = _path(output, record.image, name)
    return path.is_file() and _digest(path) == record.files.get(name)


def _written(result: Result, name: FileFormat, output: Path, image: str) -> str:
    """The digest of the file that is written."""
    path = _path(output, image, name)
    with _output_told(output, _OF_ONE_NAME), atomic_file(path) as file:
        write(result, name, file)
    return _digest(path)


@contextmanager
def _output_told(output: Path, of_one_image: Collection[int] = ()) -> Iterator[None]:
    """Errors that keep results from being written end the run, but for those of some numbers, which are one image's."""
    try:
        yield
    except OSError as exc:
        if exc.errno in of_one_image:
            raise OSError(exc.errno, f"Its results cannot be written: {exc.strerror}") from exc
        raise OutputError(
            f"The results cannot be written to {exc.filename or output}: {exc.strerror}. Mend this, then go on with "
            "--resume."
        ) from exc


def _digest(path: Path) -> str:
    """Of a file, or of a folder as it is read."""
    if path.is_dir():
        return hashlib.sha256(read_source(path)).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _path(output: Path, image: str, file_format: FileFormat) -> Path:
    return output / f"{image}{FILE_FORMATS[file_format].ending}"


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
