"""The command `karyometer`: what the service does, from a shell."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, get_args

import shtab
from pydantic import ValidationError

from app import __version__
from app.api.keys import new_key
from app.batch import evaluate_files, mean_scores, segment_files, told
from app.engine.engine import Engine
from app.errors import KaryometerError, OptionError, OutputError
from app.export.formats import FileFormat
from app.inference.model_card import read_model_card
from app.logs import JsonFormatter
from app.main import create_app, open_engine
from app.memory import keep_freed_memory
from app.options import SegmentationOptions
from app.reading.pairing import HOW_PAIRED, pair_masks
from app.reading.sources import Failure, Found, find_images
from app.server import serve
from app.settings import Settings

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
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    if command is _serve:
        handler.setFormatter(JsonFormatter())
    try:
        return command(options)
    except KaryometerError as exc:
        logger.error("%s", told(exc))
        return WRONG_USE
    except KeyboardInterrupt:
        logger.warning("Stopped.%s", " Add --resume to go on." if command is _segment else "")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="karyometer", description="Counts and measures cell nuclei.")
    parser.add_argument("--version", action="version", version=f"karyometer {__version__}")
    shtab.add_argument_to(parser, help="print a completion script for your shell")
    commands = parser.add_subparsers(required=True, metavar="{segment,evaluate,info,serve,key}")
    environment = "; ".join(
        f"KARYOMETER_{name.upper()}, {field.description}" for name, field in Settings.model_fields.items()
    )

    machine = argparse.ArgumentParser(add_help=False)
    machine.add_argument("--json", action="store_true", help="answer in JSON")
    work = argparse.ArgumentParser(add_help=False, parents=[machine])
    work.add_argument("--model", type=Path, help="the folder of an exported model (the one that is shipped)")
    work.add_argument("--workers", type=int, default=2, metavar="N", help="images worked on at once (%(default)s)")
    group = work.add_argument_group("segmentation")
    for name, field in SegmentationOptions.model_fields.items():
        group.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar="VALUE", help=field.description)

    segment = commands.add_parser(
        "segment",
        parents=[work],
        help="count and measure the nuclei of images",
        description="Segment images into a folder: files for each, the joined table nuclei.csv, one row an image in "
        "summary.csv and, where files failed, errors.csv. Links to folders are followed; hidden files, and files below "
        "a folder with other endings than those of images, are left out and counted.",
    )
    segment.add_argument("paths", nargs="+", metavar="PATH", help="images, folders with images below them, patterns")
    segment.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where the results go")
    segment.add_argument(
        "--format",
        action="append",
        default=[],
        choices=get_args(FileFormat),
        help="a file to write for each image, beside its csv; repeatable",
    )
    segment.add_argument("--resume", action="store_true", help="leave alone what is already there and still right")
    segment.set_defaults(command=_segment)

    evaluate = commands.add_parser(
        "evaluate",
        parents=[work],
        help="score images against their masks",
        description=f"Score the segmentation of images against their masks. {HOW_PAIRED}.",
    )
    evaluate.add_argument("images", metavar="IMAGES", help="an image, or a folder of images")
    evaluate.add_argument("masks", metavar="MASKS", help="its mask, or a folder of masks")
    evaluate.set_defaults(command=_evaluate)

    info = commands.add_parser(
        "info", parents=[machine], help="what a model is", description="Say what a model is and how well it does."
    )
    info.add_argument("model", type=Path, nargs="?", metavar="MODEL", help="its folder (the one that is shipped)")
    info.set_defaults(command=_info)

    serve = commands.add_parser(
        "serve",
        help="start the service",
        description=f"Start the service. Settings come from the environment: {environment}.",
    )
    serve.set_defaults(command=_serve)

    key = commands.add_parser(
        "key",
        help="make an API key",
        description="Make a random API key: its line for the file of keys goes to the standard output, the key itself, "
        "which is kept nowhere, to the standard error.",
    )
    key.add_argument("name", metavar="NAME", help="who it is for")
    key.set_defaults(command=_key)
    return parser


def _segment(options: argparse.Namespace) -> int:
    chosen = _segmentation_options(options)
    output: Path = options.output
    found = find_images(options.paths, besides=output)
    _tell_left_out(found)
    _make_folder(output, options.resume)
    with _engine(options) as engine:
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


def _evaluate(options: argparse.Namespace) -> int:
    chosen = _segmentation_options(options)
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


def _segmentation_options(options: argparse.Namespace) -> SegmentationOptions:
    if options.workers < 1:
        raise OptionError("--workers takes a whole number from 1.")
    given = {name: getattr(options, name) for name in SegmentationOptions.model_fields}
    try:
        return SegmentationOptions.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as exc:
        error = exc.errors()[0]
        name = str(error["loc"][0])
        values = (SegmentationOptions.model_fields[name].description or "").partition(": ")[0]
        raise OptionError(f"--{name.replace('_', '-')} does not take {error['input']!r}; give {values}.") from exc


def _make_folder(output: Path, is_resumed: bool) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        if not is_resumed and any(not path.name.startswith(".") for path in output.iterdir()):
            raise OptionError(
                f"{output} is not empty; add --resume to go on with what is in it, or name another folder."
            )
        # Some folders only show that they cannot be written to when that is tried.
        with TemporaryFile(dir=output):
            pass
    except OSError as exc:
        is_file = isinstance(exc, FileExistsError | NotADirectoryError)
        reason = "a file stands where a folder must be" if is_file else exc.strerror
        raise OutputError(
            f"The results cannot be written to {output}: {reason}. Name a folder that can be written to."
        ) from exc


def _tell_left_out(found: Found) -> None:
    if found.left_out:
        logger.warning("%s. A file that is named by itself is read whatever its ending.", found.told)


def _tell_failures(failures: Iterable[Failure]) -> None:
    for name, reason in failures:
        logger.error("%s: %s", _printable(name), reason)


def _printable(name: str) -> str:
    """A file's name may hold what ends a line or moves the cursor."""
    return name if name.isprintable() else repr(name)


def _engine(options: argparse.Namespace) -> AbstractContextManager[Engine]:
    return open_engine(Settings.from_environment(), options.workers, options.model)


def _print(line: Any) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
