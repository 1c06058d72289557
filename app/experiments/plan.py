"""From the files of an experiment, and its layout, to the images that are to be measured."""

from collections.abc import Mapping, Set
from dataclasses import asdict
from typing import Any

from app.errors import ChannelNeededError, KaryometerError
from app.experiments.experiment import Experiment, PlannedImage
from app.experiments.layouts.fields import Field, Fields, find_fields, is_sidecar
from app.experiments.layouts.layout import Layout, read_layout
from app.experiments.store import Store
from app.experiments.stored import labels_key, result_key
from app.experiments.work import Work

# Names told of each kind; the numbers tell how many there are.
_MOST_TOLD = 200
_ASSUMED = (
    "Only one channel has come, and nothing says that it shows the nuclei; images are measured when the experiment is "
    "closed, or at once with nuclear_channel."
)


def plan(store: Store, experiment_id: str) -> Experiment:
    """Understand an experiment's files as they are now.

    Returns
    -------
    Experiment
        Its `problem` says why they cannot be understood, if they cannot: its images are those of before then. Its
        `notes` say what matched nothing or is there twice.
    """
    work = Work(store.database, store.files)
    experiment = store.experiment(experiment_id)
    digests = work.file_digests(experiment_id)
    try:
        layout = layout_of(store, experiment)
        sidecars = {name: store.files.read(digest) for name, digest in digests.items() if is_sidecar(name)}
        fields = find_fields(
            [name for name in digests if name not in sidecars], layout, experiment.nuclear_channel, sidecars
        )
    except KaryometerError as exc:
        problem = {"code": exc.code, "message": str(exc)}
        channels = list(exc.channels) if isinstance(exc, ChannelNeededError) else []
        # What was assumed before no longer holds.
        notes = experiment.notes | {"channels": channels, "nuclear_channel": None, "warnings": []}
        work.plan(experiment_id, experiment.revision, None, notes, problem, is_assumed=False)
    else:
        planned = [_planned_image(experiment, field, digests) for field in fields.fields]
        notes = _notes(fields, layout)
        if fields.is_assumed and not experiment.is_closed:
            notes["warnings"].append({"code": "nuclear_channel_assumed", "message": _ASSUMED})
        work.plan(experiment_id, experiment.revision, planned, notes, None, is_assumed=fields.is_assumed)
    return store.experiment(experiment_id)


def layout_of(store: Store, experiment: Experiment) -> Layout | None:
    """The layout that holds, if there is one.

    Raises
    ------
    KaryometerError
        It is no longer there.
    """
    if experiment.layout_sha256 is None:
        return None
    return read_layout(store.files.read(experiment.layout_sha256), experiment.layout_name, experiment.dose_unit)


def _planned_image(experiment: Experiment, field: Field, digests: Mapping[str, str]) -> PlannedImage:
    sources = tuple(digests[name] for name in (field.image, *(name for _, name in field.channels)))
    of_labels = labels_key(sources[0], experiment.options, asdict(experiment.maker))
    channels = [(channel, digest) for (channel, _), digest in zip(field.channels, sources[1:], strict=True)]
    return PlannedImage(
        image=field.image,
        plate=field.plate,
        well=field.well or "",
        site=field.site or "",
        plane=field.plane or "",
        channels=field.channels,
        digests=sources,
        labels_key=of_labels,
        key=result_key(of_labels, channels),
    )


def _notes(fields: Fields, layout: Layout | None) -> dict[str, Any]:
    """What users want to know of what was understood."""
    wells = {(field.plate or None, field.well) for field in fields.fields if field.well}
    without = [] if layout is None else [place for place in layout.wells if not _is_there(place, wells)]
    told: dict[str, list[Any]] = {
        "unmatched": list(fields.unmatched),
        "duplicates": [list(pair) for pair in fields.duplicates],
        "ignored": [list(pair) for pair in fields.ignored],
        "wells_without_images": [list(well) for well in without],
    }
    return {
        "n_images": len(fields.fields),
        "n_wells": len(wells),
        "channels": list(fields.channels),
        "nuclear_channel": fields.nuclear_channel,
        **{f"n_{name}": len(items) for name, items in told.items()},
        **{name: items[:_MOST_TOLD] for name, items in told.items()},
        "warnings": [warning._asdict() for warning in (*fields.warnings, *(layout.warnings if layout else ()))],
    }


def _is_there(place: tuple[str | None, str], wells: Set[tuple[str | None, str]]) -> bool:
    """Whether a well has images; a layout without plates is that of each."""
    plate, well = place
    return place in wells if plate else any(one == well for _, one in wells)
