"""The commands `train`, `export`, `calibrate`, `evaluate` and `leave-out`."""

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.errors import KaryometerError
from app.inference.load import require_tensorflow
from app.inference.model_card import NAME_PATTERN, ModelCard, read_model_card
from training.arguments import command_line, data_arguments
from training.config import PRESETS

logger = logging.getLogger(__name__)

INTERRUPTED = 130
# Epochs of a training by the clock.
_ENDLESS = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments, argparse.Namespace(command_line=command_line("training", arguments)))
    try:
        require_tensorflow("Training", extra="training")
        options.command(options)
    except KaryometerError as exc:
        logger.error("%s", exc)
        return 1
    except KeyboardInterrupt:
        logger.warning("Stopped.")
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="{train,export,calibrate,evaluate,leave-out}")

    data = data_arguments()
    train = commands.add_parser("train", parents=[data], help="train a network", description="Train a network.")
    train.add_argument("--preset", choices=sorted(PRESETS), default="fast", help="configuration (%(default)s)")
    train.add_argument("--run", type=Path, required=True, metavar="FOLDER", help="where checkpoints and logs go")
    train.add_argument(
        "--splits",
        type=Path,
        action="append",
        metavar="CSV",
        help="image_id,split,modality,group; repeatable; without it a seeded split",
    )
    train.add_argument(
        "--begin-with", type=Path, metavar="FOLDER", help="an exported model whose weights are the first"
    )
    train.add_argument("--resume", action="store_true", help="continue the run from its newest checkpoint")
    train.add_argument("--epochs", type=int, metavar="N", help="stop after this many; the others follow with --resume")
    train.add_argument("--minutes", type=float, metavar="N", help="train for so long instead of the preset's epochs")
    train.add_argument("--seed", type=int, metavar="N", help="instead of the preset's seed")
    train.add_argument("--mixed-precision", action="store_true", help="float16 arithmetic, for GPUs that gain from it")
    train.set_defaults(command=_train)

    export = commands.add_parser(
        "export",
        parents=[data],
        help="write a run's best network as a SavedModel with its card",
        description="Calibrate a run's best network on its validation split and write it as a SavedModel with a card.",
    )
    export.add_argument("--run", type=Path, required=True, metavar="FOLDER", help="the run to export")
    export.add_argument("--models", type=Path, default=Path("models"), metavar="FOLDER", help="(%(default)s)")
    export.add_argument("--name", type=_name, required=True, help="the model's name")
    export.add_argument("--version", type=_name, required=True, help="the model's version")
    export.add_argument("--data-name", required=True, metavar="TEXT", help="what the card calls the data")
    export.add_argument("--data-licence", required=True, metavar="TEXT", help="the data's licence, CC0-1.0 for one")
    export.add_argument(
        "--data-attribution", action="append", default=[], metavar="TEXT", help="for the card: whom to name; repeatable"
    )
    export.set_defaults(command=_export)

    calibrate = commands.add_parser(
        "calibrate",
        parents=[data],
        help="learn which nuclei are too doubtful, and when counts are to be warned of",
        description="Learn, on the validation images, which nuclei of an exported model are too doubtful to count, "
        "and, on images made hard and empty ones too, when its counts are to be warned of. Both are written into the "
        "model's card. python -m benchmarks.warnings measures the warning.",
    )
    calibrate.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="a folder that export wrote")
    calibrate.add_argument(
        "--splits", type=Path, action="append", required=True, metavar="CSV", help="that of the training; repeatable"
    )
    calibrate.set_defaults(command=_calibrate)

    evaluate = commands.add_parser(
        "evaluate",
        parents=[data],
        help="score an exported model",
        description="Score an exported model on one split, through the very steps that the service runs.",
    )
    evaluate.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="a folder that export wrote")
    evaluate.add_argument(
        "--splits", type=Path, action="append", metavar="CSV", help="which image belongs to which split; repeatable"
    )
    evaluate.add_argument("--split", choices=("train", "val", "test"), default="test", help="(%(default)s)")
    evaluate.add_argument("--quality", choices=("fast", "best"), default="fast", help="(%(default)s)")
    evaluate.add_argument("--report", type=Path, metavar="MARKDOWN", help="write the table here")
    evaluate.add_argument("--record", action="store_true", help="write the figures into the model's card")
    evaluate.add_argument(
        "--limit", action="append", default=[], metavar="TEXT", help="for the card: what it is bad at; repeatable"
    )
    evaluate.set_defaults(command=_evaluate)

    leave_out = commands.add_parser(
        "leave-out",
        help="write a splits file that keeps groups or modalities for testing",
        description="Write a splits file in which all images of the named groups and modalities are test: a network "
        "trained by it shows what to expect of patients or kinds of image that it never saw.",
    )
    leave_out.add_argument("--splits", type=Path, action="append", required=True, metavar="CSV", help="repeatable")
    leave_out.add_argument(
        "--group", action="append", default=[], metavar="DATA/GROUP", help="a data set's group, tnbc/03 for one"
    )
    leave_out.add_argument("--modality", action="append", default=[], metavar="NAME", help="a modality; repeatable")
    leave_out.add_argument("--output", type=Path, required=True, metavar="CSV", help="the file to write")
    leave_out.set_defaults(command=_leave_out)
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError("takes letters, digits, dots, dashes and underscores")
    return text


# The commands import TensorFlow when they run, so that --help answers at once.


def _train(options: argparse.Namespace) -> None:
    from app.inference.savedmodel import choose_device
    from training.crops import load_annotated, middles
    from training.dataset import data_digest, find_samples
    from training.run import Run
    from training.splits import make_splits, read_splits, samples_of
    from training.targets import load_arrays
    from training.train import describe_device, train

    # Before anything runs on a GPU, or TensorFlow has taken all of its memory.
    choose_device("auto")
    changes = {
        "seed": options.seed,
        "minutes": options.minutes,
        "mixed_precision": options.mixed_precision or None,
    }
    config = PRESETS[options.preset].changed(**{name: value for name, value in changes.items() if value is not None})
    n_epochs = min(options.epochs or _ENDLESS, _ENDLESS if config.minutes else config.epochs)
    samples = find_samples(options.data)
    splits = read_splits(*options.splits) if options.splits else make_splits(samples, config.seed)
    chosen = {split: samples_of(samples, splits, split) for split in ("train", "val")}
    run = Run(options.run)
    digest = data_digest(samples)
    if options.resume:
        run.resume(config, splits, digest)
    else:
        run.start(config, splits, digest, options.command_line)
    logger.info("Training %s on %s.", config.preset, describe_device())
    if config.sampling == "resized":
        arrays = {split: load_arrays(of_split, config, split) for split, of_split in chosen.items()}
        train(arrays["train"], arrays["val"], config, n_epochs, run, options.begin_with)
    else:
        annotated = {split: load_annotated(of_split, splits, config, split) for split, of_split in chosen.items()}
        train(annotated["train"], middles(annotated["val"], config), config, n_epochs, run, options.begin_with)


def _export(options: argparse.Namespace) -> None:
    from app.inference.savedmodel import choose_device
    from training.dataset import find_samples
    from training.export import export
    from training.run import Run

    choose_device("auto")
    folder = options.models / options.name / options.version
    export(
        Run(options.run),
        find_samples(options.data),
        options.data_name,
        options.data_licence,
        folder,
        options.data_attribution,
    )
    logger.info("Wrote %s.", folder)


def _calibrate(options: argparse.Namespace) -> None:
    from app.engine.engine import Engine, Limits
    from training.count_doubt import fit_count_doubt, judge_all
    from training.dataset import MAX_PIXELS, find_samples
    from training.describe import write_page
    from training.evaluate import score
    from training.min_confidence import EVERY_NUCLEUS, fit_min_confidence
    from training.splits import read_splits_of, samples_of

    samples = find_samples(options.data)
    splits = read_splits_of(samples, *options.splits)
    engine = Engine.load(options.model, "cpu", Limits(MAX_PIXELS))
    validated = samples_of(samples, splits, "val")
    scores = [(one.tree.name, score(engine.model, one, splits, EVERY_NUCLEUS)) for one in tqdm(validated, "val")]
    card = _calibrated(options.model, min_confidence=fit_min_confidence(scores))
    # Which counts are wrong depends on it.
    engine = Engine.load(options.model, "cpu", Limits(MAX_PIXELS))
    card = _calibrated(options.model, count_doubt=fit_count_doubt(judge_all(engine, samples, splits)))
    write_page(card, options.model)
    logger.info("%s", card.calibration.model_dump_json(indent=1))


def _calibrated(folder: Path, **fitted: Any) -> ModelCard:
    """Write values of the calibration into a model's card."""
    card = read_model_card(folder)
    card = card.model_copy(update={"calibration": card.calibration.model_copy(update=fitted)})
    card.write(folder)
    return card


def _evaluate(options: argparse.Namespace) -> None:
    from app.inference.model_card import Evaluation, read_model_card
    from app.options import SegmentationOptions
    from training.dataset import find_samples
    from training.describe import write_page
    from training.evaluate import evaluate, report
    from training.splits import read_splits_of, samples_of

    samples, splits, split = find_samples(options.data), {}, "all"
    if options.splits:
        splits, split = read_splits_of(samples, *options.splits), options.split
        samples = samples_of(samples, splits, split)
    evaluation = Evaluation(
        command=options.command_line,
        split=split,
        n_images=len(samples),
        limits=tuple(options.limit),
        figures=evaluate(options.model, samples, splits, SegmentationOptions(quality=options.quality)),
    )
    text = report(evaluation)
    logger.info("%s", text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    if options.record:
        card = read_model_card(options.model)
        name = " ".join([split, "+".join(sorted(path.stem for path in options.data)), options.quality])
        card = card.model_copy(update={"evaluations": card.evaluations | {name: evaluation}})
        card.write(options.model)
        write_page(card, options.model)


def _leave_out(options: argparse.Namespace) -> None:
    from training.splits import leave_out, read_splits, write_splits

    write_splits(leave_out(read_splits(*options.splits), options.group, options.modality), options.output)
    logger.info("Wrote %s.", options.output)
