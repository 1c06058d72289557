"""A folder as an experiment, from a shell: the same store, coordinator and tables, and no service."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import get_args

from tqdm import tqdm

from app.engine.engine import Engine, Limits
from app.errors import ChannelNeededError, OptionError, OutputError
from app.experiments.experiment import Experiment
from app.experiments.layouts.fields import is_sidecar
from app.experiments.layouts.zarr_plates import zarr_plate_fields
from app.experiments.opened import coordinated, open_store
from app.experiments.plan import plan
from app.experiments.rendering import TableFormat, render
from app.experiments.reports.compare import Compared, write_compared
from app.experiments.reports.conclusion import conclude, shown_images
from app.experiments.store import Store
from app.experiments.tables import Names, TableName, Tables
from app.experiments.worker import Maker
from app.export.atomic import atomic_file
from app.inference.load import load_model
from app.options import SegmentationOptions
from app.reading.sources import Failure, find_images, read_source
from app.settings import Settings
from app.statistics.effects import EffectOptions

# Below the output: what is measured already, for `--resume`.
DATA_NAME = "karyometer-data"
_LOOK_S = 0.5


@dataclass(frozen=True)
class Measured:
    """What became of a folder; the answer about its treatments in lines."""

    n_measured: int
    n_wells: int
    n_nuclei: int
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    answer: tuple[str, ...]


def measure_folder(
    settings: Settings,
    folder: Path,
    layout: Path | None,
    dose_unit: str | None,
    options: SegmentationOptions,
    nuclear_channel: str | None,
    output: Path,
    table_format: TableFormat,
    names: Names,
    asked: EffectOptions,
) -> Measured:
    """Measure all images below a folder, and write the tables.

    Parameters
    ----------
    settings
        Their `data` is where the experiment is kept.
    folder, layout, dose_unit
        The images, what each well got, and the unit of doses that have none.
    options, nuclear_channel
        How they are measured.
    output, table_format, names
        Where the tables go, and how.
    asked
        What is compared.

    Raises
    ------
    OptionError, ChannelNeededError, LayoutError
        There are no images, or they cannot be understood.
    OutputError
        The tables cannot be written.
    """
    if options.page == "all":
        raise OptionError("An experiment measures one page of each image; choose it with --page, or give --page max.")
    model = load_model(settings.model, settings.device)
    maker = Maker.of(model)
    with open_store(settings) as store:
        # Each run is an experiment of its own, whose images are what is in the folder now.
        for earlier in store.all_of("", limit=1000, offset=0):
            store.cancel(earlier.id)
        experiment_id, _ = store.create("", folder.resolve().name, options, maker, nuclear_channel=nuclear_channel)
        _add(store, experiment_id, folder, layout, dose_unit)
        store.close(experiment_id)
        experiment = plan(store, experiment_id)
        if experiment.problem:
            raise ChannelNeededError(experiment.problem["message"].replace("nuclear_channel", "--nuclear-channel"))
        with coordinated(settings, store, maker):
            _wait(store, experiment_id)
        tables = Tables(store, experiment, names)
        try:
            compared = write_results(tables, Engine(model, Limits(settings.max_pixels)), output, table_format, asked)
        except OSError as exc:
            raise OutputError(
                f"The tables cannot be written to {output}: {exc.strerror}. Mend this, then go on with --resume."
            ) from exc
        measured = _told(tables, experiment, compared)
        for earlier in store.all_of("", limit=1000, offset=0):
            if earlier.id != experiment_id:
                store.delete(earlier.id)
    return measured


def _add(store: Store, experiment_id: str, folder: Path, layout: Path | None, dose_unit: str | None) -> None:
    if not folder.is_dir():
        raise OptionError(f"There is no folder {folder}; name one with images below it.")
    found = find_images([str(folder)], besides=store.files.folder.parent.parent)
    sidecars = ((path, path.relative_to(folder).as_posix()) for path in sorted(folder.rglob("*")) if path.is_file())
    named = [*found.images, *((path, name) for path, name in sidecars if is_sidecar(name))]
    for path, name in tqdm(named, "Reading", unit="file", disable=None):
        if not path.is_dir():
            store.add_file(experiment_id, name, store.files.refer(path), path.stat().st_size)
            continue
        # An OME-Zarr, which may be a plate of images, is kept as a zip of each.
        plate = zarr_plate_fields(path)
        for image in [path.name] if plate is None else plate.images:
            content = read_source(path.parent / image)
            store.add_file(
                experiment_id, str(PurePosixPath(name).parent / image), store.files.add(content), len(content)
            )
    if layout is not None:
        try:
            digest = store.files.add(layout.read_bytes())
        except OSError as exc:
            raise OptionError(f"The layout {layout} cannot be read: {exc.strerror}.") from exc
        store.set_layout(experiment_id, digest, layout.name, dose_unit)


def write_results(
    tables: Tables, engine: Engine, output: Path, table_format: TableFormat, asked: EffectOptions
) -> Compared:
    """Write all tables, what the treatments did, and the report, into a folder; `engine` shows images to people."""
    for name in get_args(TableName):
        with atomic_file(output / f"{name}.{table_format}") as file:
            for part in render(table_format, *tables.batches(name), tables.provenance):
                file.write(part)
    compared = conclude(tables, asked)
    files, options = tables.store.files, tables.experiment.options
    images = shown_images(tables, compared, lambda digest: engine.normalised(files.read(digest), options))
    provenance = tables.provenance | {"effects": asdict(asked)}
    write_compared(compared, tables.experiment.name, provenance, output, images)
    return compared


def _wait(store: Store, experiment_id: str) -> None:
    with tqdm(desc="Measuring", unit="image", disable=None) as bar:
        for n_ended, n_images in _ended(store, experiment_id):
            bar.total = n_images
            bar.update(n_ended - bar.n)


def _ended(store: Store, experiment_id: str) -> Iterator[tuple[int, int]]:
    """How many images have ended, and how many there are, until all have."""
    while True:
        progress = store.progress(experiment_id)
        n_left = progress.n_images["waiting"] + progress.n_images["running"]
        n_images = sum(progress.n_images.values())
        yield n_images - n_left, n_images
        if not n_left:
            return
        time.sleep(_LOOK_S)


def _told(tables: Tables, experiment: Experiment, compared: Compared) -> Measured:
    notes = experiment.notes
    failures = [
        *(Failure(row["image"], row["error"]) for row in tables.images if row["state"] != "done"),
        *(Failure(name, f"It is where {first} is already, and was left out.") for first, name in notes["duplicates"]),
    ]
    warnings = [warning["message"] for warning in notes["warnings"]]
    if notes["n_unmatched"]:
        warnings.append(
            f"{notes['n_unmatched']} files say no well, such as {notes['unmatched'][0]}; they are in the tables of "
            "nuclei and images only."
        )
    if notes["n_wells_without_images"]:
        warnings.append(f"{notes['n_wells_without_images']} wells of the layout have no images.")
    return Measured(
        n_measured=sum(row["state"] == "done" for row in tables.images),
        n_wells=notes["n_wells"],
        n_nuclei=sum(row["count"] or 0 for row in tables.images),
        failures=tuple(failures),
        warnings=tuple(warnings),
        answer=tuple(compared.lines()),
    )
