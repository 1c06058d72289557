"""The options of the command `karyometer`, command by command, and what they ask for."""

import argparse
import os
from pathlib import Path
from typing import TypeAlias, get_args

import shtab
from pydantic import ValidationError

from app import __version__
from app.errors import OptionError
from app.experiments.rendering import TableFormat
from app.experiments.tables import Names
from app.export.formats import FileFormat
from app.options import SegmentationOptions
from app.reading.pairing import HOW_PAIRED
from app.settings import Settings
from app.statistics.effects import Correction, EffectOptions, Test
from app.statistics.schema import Normalisation

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def command_line() -> argparse.ArgumentParser:
    """The parser; what it reads has the name of the command as `command`."""
    parser = argparse.ArgumentParser(prog="karyometer", description="Counts and measures cell nuclei.")
    parser.add_argument("--version", action="version", version=f"karyometer {__version__}")
    shtab.add_argument_to(parser, help="print a completion script for your shell")
    commands = parser.add_subparsers(
        required=True, metavar="{segment,experiment,watch,evaluate,compare,info,serve,key}"
    )
    machine = argparse.ArgumentParser(add_help=False)
    machine.add_argument("--json", action="store_true", help="answer in JSON")
    work = _work(machine)
    statistics = _statistics()
    _add_segment(commands, work)
    _add_experiment(commands, work, statistics)
    _add_evaluate(commands, work)
    _add_watch(commands)
    _add_compare(commands, machine, statistics)
    _add_info(commands, machine)
    _add_serve(commands)
    _add_key(commands)
    return parser


def segmentation_options(options: argparse.Namespace) -> SegmentationOptions:
    """How images are measured, of a command that does so.

    Raises
    ------
    OptionError
        One of them has a value that it cannot have.
    """
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


def effect_options(options: argparse.Namespace) -> EffectOptions:
    """What is compared, of a command that does so."""
    return EffectOptions(
        endpoints=tuple(options.endpoint or ["count"]),
        control=options.control,
        replicate=options.replicate,
        block=options.block,
        correction=options.correction,
        test=options.test,
        normalise=options.normalise,
        marker=getattr(options, "marker", None),
        marker_threshold=getattr(options, "marker_threshold", None),
    )


def api_key(path: Path | None) -> str | None:
    """The key in a file, or that of the environment, where no other user of the machine sees it.

    Raises
    ------
    OptionError
        The file cannot be read.
    """
    if path is None:
        return os.environ.get("KARYOMETER_API_KEY") or None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise OptionError(f"--key-file names {path}, which is not a text file to read.") from exc


def _work(machine: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """What all commands take that measure images."""
    work = argparse.ArgumentParser(add_help=False, parents=[machine])
    work.add_argument("--model", type=Path, help="the folder of an exported model (the one that is shipped)")
    work.add_argument("--workers", type=int, default=2, metavar="N", help="images worked on at once (%(default)s)")
    group = work.add_argument_group("segmentation")
    for name, field in SegmentationOptions.model_fields.items():
        group.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar="VALUE", help=field.description)
    return work


def _statistics() -> argparse.ArgumentParser:
    """What all commands take that compare."""
    statistics = argparse.ArgumentParser(add_help=False)
    group = statistics.add_argument_group("statistics")
    group.add_argument("--endpoint", action="append", metavar="COLUMN", help="what is compared; repeatable (count)")
    group.add_argument("--control", metavar="CONDITION", help="the negative control, if no column says which it is")
    group.add_argument("--replicate", metavar="COLUMN", help="whose values are the replicates: well, plate, a column")
    group.add_argument("--block", metavar="COLUMN", help="what treated and control share: plate, a column, or none")
    group.add_argument(
        "--correction", choices=get_args(Correction), default="holm", help="of p for several endpoints (%(default)s)"
    )
    group.add_argument(
        "--test", choices=get_args(Test), default="t", help="rank and permutation need more replicates (%(default)s)"
    )
    group.add_argument(
        "--normalise",
        choices=get_args(Normalisation),
        default="none",
        help="b_score takes the effects of each plate's rows and columns out (%(default)s)",
    )
    group.add_argument("--dose-unit", metavar="UNIT", help="of the layout's doses, if it does not say, such as uM")
    return statistics


def _add_segment(commands: _Commands, work: argparse.ArgumentParser) -> None:
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
    segment.set_defaults(command="segment")


def _add_experiment(commands: _Commands, work: argparse.ArgumentParser, statistics: argparse.ArgumentParser) -> None:
    experiment = commands.add_parser(
        "experiment",
        parents=[work, statistics],
        help="measure a plate of images, with its layout",
        description="Measure the images of a folder as one experiment: which files belong together, and in which well, "
        "their names say; what each well got, the layout. The tables nuclei, images, wells and conditions go to the "
        "output. What is measured already is not measured again.",
    )
    experiment.add_argument("folder", type=Path, metavar="FOLDER", help="with the images below it")
    experiment.add_argument("--layout", type=Path, metavar="FILE", help="what each well got, as CSV or TSV")
    experiment.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where the results go")
    experiment.add_argument(
        "--nuclear-channel", metavar="NAME", help="which channel shows the nuclei, as the files' names call it"
    )
    experiment.add_argument(
        "--format", default="csv", choices=get_args(TableFormat), help="of the tables (%(default)s)"
    )
    experiment.add_argument(
        "--names", default="karyometer", choices=get_args(Names), help="whose names the columns have (%(default)s)"
    )
    experiment.add_argument("--resume", action="store_true", help="go on in a folder that is not empty")
    experiment.add_argument(
        "--marker", metavar="COLUMN", help="of the table of nuclei, for the endpoint positive_fraction"
    )
    experiment.add_argument("--marker-threshold", type=float, metavar="NUMBER", help="nuclei above are positive")
    experiment.set_defaults(command="experiment")


def _add_evaluate(commands: _Commands, work: argparse.ArgumentParser) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        parents=[work],
        help="score images against their masks",
        description=f"Score the segmentation of images against their masks. {HOW_PAIRED}.",
    )
    evaluate.add_argument("images", metavar="IMAGES", help="an image, or a folder of images")
    evaluate.add_argument("masks", metavar="MASKS", help="its mask, or a folder of masks")
    evaluate.set_defaults(command="evaluate")


def _add_watch(commands: _Commands) -> None:
    watch = commands.add_parser(
        "watch",
        help="send what an instrument writes to an experiment of a service",
        description="Send images from a folder that an instrument writes to, each as soon as it has stopped growing, "
        "to an experiment of a service. When the service cannot be reached, the files wait. A restart goes on. Links "
        "to folders are not followed. The API key comes from KARYOMETER_API_KEY or a file.",
    )
    watch.add_argument("folder", type=Path, metavar="FOLDER", help="the folder that the instrument writes to")
    watch.add_argument("--server", required=True, metavar="URL", help="the service, such as http://host:8000")
    watch.add_argument("--key-file", type=Path, metavar="FILE", help="a file that holds the API key")
    to = watch.add_mutually_exclusive_group()
    to.add_argument("--experiment", metavar="ID", help="an experiment that is there (a new one is made)")
    to.add_argument("--name", help="what the new experiment is called (the name of the folder)")
    watch.add_argument("--layout", type=Path, metavar="FILE", help="the layout, which is sent whenever it changes")
    watch.add_argument(
        "--nuclear-channel", metavar="NAME", help="which channel shows the nuclei, as the files' names call it"
    )
    watch.add_argument(
        "--settle",
        type=_seconds,
        default=5,
        metavar="SECONDS",
        help="how long a file must not have changed before it is sent (%(default)s)",
    )
    end = watch.add_mutually_exclusive_group()
    end.add_argument(
        "--close-after",
        type=_seconds,
        metavar="SECONDS",
        help="close the experiment and end when no new file has come for so long (never)",
    )
    end.add_argument(
        "--once",
        action="store_const",
        const=0,
        dest="close_after",
        help="send what is there, close the experiment and end",
    )
    watch.set_defaults(command="watch")


def _add_compare(
    commands: _Commands,
    machine: argparse.ArgumentParser,
    statistics: argparse.ArgumentParser,
) -> None:
    compare = commands.add_parser(
        "compare",
        parents=[machine, statistics],
        help="say what treatments did, by a table of measurements",
        description="Compare treated with control by a table with a row a well or image: ours, CellProfiler's, "
        "Columbus's or your own. Prints the answer and writes effects.json, report.html, figures and tables.",
    )
    compare.add_argument("table", type=Path, metavar="TABLE", help="CSV or TSV: measurements, a column an endpoint")
    compare.add_argument("--layout", type=Path, help="CSV or TSV: what each well got, if the table does not say")
    compare.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where the results go")
    compare.add_argument("--positive", metavar="CONDITION", help="the positive control, for Z' and SSMD of the plates")
    compare.set_defaults(command="compare")


def _add_info(commands: _Commands, machine: argparse.ArgumentParser) -> None:
    info = commands.add_parser(
        "info", parents=[machine], help="what a model is", description="Say what a model is and how well it does."
    )
    info.add_argument("model", type=Path, nargs="?", metavar="MODEL", help="its folder (the one that is shipped)")
    info.set_defaults(command="info")


def _add_serve(commands: _Commands) -> None:
    environment = "; ".join(
        f"KARYOMETER_{name.upper()}, {field.description}" for name, field in Settings.model_fields.items()
    )
    serve = commands.add_parser(
        "serve",
        help="start the service",
        description=f"Start the service. Settings come from the environment: {environment}.",
    )
    serve.set_defaults(command="serve")


def _add_key(commands: _Commands) -> None:
    key = commands.add_parser(
        "key",
        help="make an API key",
        description="Make a random API key: its line for the file of keys goes to the standard output, the key itself, "
        "which is kept nowhere, to the standard error.",
    )
    key.add_argument("name", metavar="NAME", help="who it is for")
    key.set_defaults(command="key")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0")
    return seconds
