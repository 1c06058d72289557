"""The command `karyometer`: what the service does, from a shell."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.api.keys import new_key
from app.batch import evaluate_files, mean_scores, segment_files, told
from app.command_line import api_key, command_line, effect_options, segmentation_options
from app.engine.engine import Engine
from app.errors import KaryometerError, OptionError, OutputError
from app.experiments.folder import DATA_NAME, measure_folder
from app.experiments.reports.compare import compare_tables
from app.export.lock import folder_lock
from app.inference.model_card import read_model_card
from app.logs import JsonFormatter
from app.main import create_app
from app.memory import keep_freed_memory
from app.reading.pairing import pair_masks
from app.reading.sources import Failure, Found, find_images
from app.server import serve
from app.settings import Settings
from app.start import open_engine
from app.temporary import temporary_folder
from app.watch.memory import Memory, memory_path
from app.watch.remote import RemoteService
from app.watch.watch import Watch

logger = logging.getLogger(__name__)

SOME_FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 1 where files failed, 2 where options, settings or the model are wrong."""
    handler = logging.StreamHandler()
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    # It mutters about damage that is told, with the file's name, as an error.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    options = command_line().parse_args(arguments)
    if options.command == "serve":
        handler.setFormatter(JsonFormatter())
    try:
        return _COMMANDS[options.command](options)
    except KaryometerError as exc:
        logger.error("%s", told(exc))
        return WRONG_USE
    except KeyboardInterrupt:
        logger.warning("Stopped.%s", " Add --resume to go on." if options.command in ("segment", "experiment") else "")
        return INTERRUPTED


def _compare(options: argparse.Namespace) -> int:
    with _output_folder(options.output, is_resumed=False):
        found = compare_tables(
            options.table,
            options.layout,
            options.output,
            effect_options(options),
            positive=options.positive,
            dose_unit=options.dose_unit,
        )
    if options.json:
        _print(json.dumps(found.answer))
    else:
        for line in found.lines():
            _print(_printable(line))
        logger.info("The report is %s.", options.output / "report.html")
    return 0 if found.effects else SOME_FAILED


def _segment(options: argparse.Namespace) -> int:
    chosen = segmentation_options(options)
    output: Path = options.output
    found = find_images(options.paths, besides=output)
    _tell_left_out(found)
    with _output_folder(output, options.resume), _engine(options) as engine:
        report = segment_files(engine, found, chosen, options.format, output, options.workers)
    _tell_failures(report.failures)
    if options.json:
        failures = [failure._asdict() for failure in report.failures]
        _print(json.dumps(asdict(report) | {"failures": failures, "left_out": found.left_out}))
    else:
        logger.info(
            "%d segmented, %d there already, %d failed; %d nuclei. The table is %s.",
            report.n_segmented,
            report.n_skipped,
            len(report.failures),
            report.n_nuclei,
            output / "nuclei.csv",
        )
    return SOME_FAILED if report.failures else 0


def _experiment(options: argparse.Namespace) -> int:
    chosen = segmentation_options(options)
    settings = Settings.from_environment()
    settings = settings.model_copy(
        update={
            "model": options.model or settings.model,
            "data": options.output / DATA_NAME,
            "database_url": None,
            "experiment_workers": options.workers,
            "keep_days": None,
        }
    )
    with _output_folder(options.output, options.resume), temporary_folder():
        measured = measure_folder(
            settings,
            options.folder,
            options.layout,
            options.dose_unit,
            chosen,
            options.nuclear_channel,
            options.output,
            options.format,
            options.names,
            effect_options(options),
        )
    _tell_failures(measured.failures)
    if options.json:
        _print(json.dumps(asdict(measured) | {"failures": [failure._asdict() for failure in measured.failures]}))
    else:
        for warning in measured.warnings:
            logger.warning("%s", warning)
        for line in measured.answer:
            _print(_printable(line))
        logger.info(
            "%d images in %d wells measured, %d failed; %d nuclei. The tables are in %s.",
            measured.n_measured,
            measured.n_wells,
            len(measured.failures),
            measured.n_nuclei,
            options.output,
        )
    return SOME_FAILED if measured.failures else 0


def _evaluate(options: argparse.Namespace) -> int:
    chosen = segmentation_options(options)
    found = find_images([options.images])
    _tell_left_out(found)
    masks = find_images([options.masks], results=True)
    are_files = not any(Path(path).is_dir() for path in (options.images, options.masks))
    paired = pair_masks(found.images, masks.images, are_files)
    if paired.unused:
        logger.warning(
            "%d masks are those of no image, such as %s.", len(paired.unused), _printable(paired.unused[0].name)
        )
    with _engine(options) as engine:
        scores, failures = evaluate_files(engine, paired.pairs, chosen, options.workers)
    failures = (*found.failures, *masks.failures, *paired.failures, *failures)
    _tell_failures(failures)
    for name, score in scores.items():
        for warning in score.mask_warnings:
            logger.warning("%s: %s", _printable(name), warning.message)
    rows = {name: mean_scores([score]) for name, score in scores.items()}
    if options.json:
        answer = {"images": rows, "all": mean_scores(scores.values()) if scores else None}
        _print(json.dumps(answer | {"failures": [failure._asdict() for failure in failures]}))
    elif scores:
        rows["all"] = mean_scores(scores.values())
        columns = list(rows["all"])
        width = max(len(_printable(name)) for name in rows)
        _print(" " * width + "".join(f"  {column:>17}" for column in columns))
        for name, row in rows.items():
            _print(f"{_printable(name):<{width}}" + "".join(f"  {row[column]:>17.4g}" for column in columns))
    return SOME_FAILED if failures else 0


def _watch(options: argparse.Namespace) -> int:
    folder = options.folder.resolve()
    service = RemoteService(options.server, api_key(options.key_file))
    name = options.name or folder.name
    memory = Memory(memory_path(service.address, folder, options.experiment or name))
    layout = options.layout and options.layout.resolve()
    report = Watch(
        *(service, folder, memory, name),
        experiment=options.experiment,
        nuclear_channel=options.nuclear_channel,
        layout=layout,
        settle_s=options.settle,
        close_after_s=options.close_after,
    ).run()
    logger.info("The experiment is closed; %d files were sent and %d were not taken.", report.n_taken, report.n_left)
    return SOME_FAILED if report.n_left else 0


def _info(options: argparse.Namespace) -> int:
    card = read_model_card(options.model or Settings.from_environment().model)
    if options.json:
        _print(card.model_dump_json())
        return 0
    _print(f"{card.name}/{card.version}, exported on {card.created}. {card.architecture.description}")
    _print(f"{card.architecture.n_parameters:,} parameters. SHA-256 {card.sha256}")
    _print(f"Data: {card.data.name}; {card.data.licence}.")
    for name, evaluation in card.evaluations.items():
        figures = evaluation.figures["all"]
        shown = ", ".join(f"{column} {figures[column]:.3f}" for column in ("iou", "ap50", "average_precision", "f1"))
        _print(f"{name} ({evaluation.n_images} images): {shown}, count error {figures['count_error']:+.1%}")
        for limit in evaluation.limits:
            _print(f"  - {limit}")
    return 0


def _serve(_: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    keep_freed_memory()
    serve(create_app(settings), settings)
    return 0


def _key(options: argparse.Namespace) -> int:
    key, line = new_key(options.name)
    sys.stderr.write(f"{key}\n")
    _print(line)
    return 0


@contextmanager
def _output_folder(output: Path, is_resumed: bool) -> Iterator[None]:
    """Make the folder, which this run alone writes to."""
    with ExitStack() as held:
        try:
            output.mkdir(parents=True, exist_ok=True)
            # Some folders only show that they cannot be written to when that is tried.
            held.enter_context(folder_lock(output))
            is_empty = all(path.name.startswith(".") for path in output.iterdir())
        except OSError as exc:
            is_file = isinstance(exc, FileExistsError | NotADirectoryError)
            reason = "a file stands where a folder must be" if is_file else exc.strerror
            raise OutputError(
                f"The results cannot be written to {output}: {reason}. Name a folder that can be written to."
            ) from exc
        if not is_resumed and not is_empty:
            raise OptionError(
                f"{output} is not empty; add --resume to go on with what is in it, or name another folder."
            )
        yield


def _tell_left_out(found: Found) -> None:
    if found.left_out:
        logger.warning("%s. A file that is named by itself is read whatever its ending.", found.told)


def _tell_failures(failures: Iterable[Failure]) -> None:
    for name, reason in failures:
        logger.error("%s: %s", _printable(name), reason)


def _printable(name: str) -> str:
    """A file's name may hold what ends a line or moves the cursor."""
    return name if name.isprintable() else repr(name)


@contextmanager
def _engine(options: argparse.Namespace) -> Iterator[Engine]:
    with temporary_folder(), open_engine(Settings.from_environment(), options.workers, options.model) as engine:
        yield engine


def _print(line: Any) -> None:
    sys.stdout.write(f"{line}\n")


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "segment": _segment,
    "experiment": _experiment,
    "watch": _watch,
    "evaluate": _evaluate,
    "compare": _compare,
    "info": _info,
    "serve": _serve,
    "key": _key,
}


if __name__ == "__main__":
    sys.exit(main())
