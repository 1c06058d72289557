"""What the commands of training and of the benchmarks share."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path


def data_arguments() -> argparse.ArgumentParser:
    """A parent parser with `--data`."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        required=True,
        metavar="PATH",
        help="a data set, zip or folder: images/ and labels/, or Kaggle's or BBBC039's layout; repeatable",
    )
    return parser


def command_line(module: str, arguments: Sequence[str]) -> str:
    """The command as a document may quote it.

    Folders outside the project differ from machine to machine and are nobody else's business: their names stay.

    Examples
    --------
    >>> command_line("training", ["evaluate", "--data", "/home/me/bbbc039.zip", "--model=models/fast/2"])
    'python -m training evaluate --data bbbc039.zip --model=models/fast/2'
    """

    def portable(argument: str) -> str:
        option, equals, value = argument.rpartition("=")
        path = Path(value)
        return option + equals + (path.name if path.is_absolute() or ".." in path.parts else value)

    return shlex.join(["python", "-m", module, *map(portable, arguments)])
