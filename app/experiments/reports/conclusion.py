"""What the treatments of an experiment did: its table of wells to effects, and the images that show them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.errors import KaryometerError, TableError
from app.experiments.experiment import Image
from app.experiments.reports.compare import Compared
from app.experiments.reports.fractions import FRACTIONS, well_fractions
from app.experiments.reports.report_text import treatment_words
from app.experiments.stored import StoredPlane
from app.experiments.tables import Tables
from app.export.formats import FILE_FORMATS
from app.statistics.effects import EffectOptions, effects
from app.statistics.results import StatisticsWarning
from app.statistics.well_table import well_table

# The control and the treatments that differ most from it.
_MOST_SHOWN = 6
_SHOWN_PX = 480
_NO_LAYOUT = (
    "No layout says what each well got, so nothing can be compared; add one with the columns well and condition."
)
# From an image's digest and the experiment's options to what people see, `(H, W, 3)` in [0, 1].
Look = Callable[[str], NDArray[np.float32]]


def conclude(tables: Tables, options: EffectOptions, most_comparisons: int | None = None) -> Compared:
    """The effects of an experiment's treatments, or the sentence that says why there are none."""
    wells = tables.wells
    columns = {name: [row.get(name) for row in wells] for name in dict.fromkeys(key for row in wells for key in row)}
    if "condition" not in columns:
        return Compared(None, _NO_LAYOUT, columns)
    # A well that got nothing that is known, or was left out, says nothing.
    known = [row["condition"] is not None and row["n_images"] > 0 for row in wells]
    columns = {name: [value for value, is_known in zip(values, known) if is_known] for name, values in columns.items()}
    try:
        fractions, told = _fractions(tables, columns, options)
        columns |= fractions
        found = effects(columns, options, most_comparisons)
    except TableError as exc:
        return Compared(None, str(exc), columns)
    return Compared(replace(found, warnings=(*told, *_of_images(columns, options), *found.warnings)), None, columns)


def _fractions(
    tables: Tables, wells: dict[str, list[Any]], options: EffectOptions
) -> tuple[dict[str, list[Any]], tuple[StatisticsWarning, ...]]:
    """Columns of the fractions of nuclei that are asked for, and what could not be told."""
    if not (set(FRACTIONS) & set(options.endpoints) or options.marker or options.marker_threshold is not None):
        return {}, ()
    places = [(plate or "", well) for plate, well in zip(wells["plate"], wells["well"])]
    is_control = well_table(wells, (), options.control).is_negative
    found = well_fractions(tables, options, {place for place, negative in zip(places, is_control) if negative})
    columns = {name: [of_well.get(place) for place in places] for name, of_well in found.fractions.items()}
    return columns, found.warnings


def _of_images(wells: dict[str, list[Any]], options: EffectOptions) -> list[StatisticsWarning]:
    """What the images say of the wells."""
    told = []
    fewest, most = min(wells["n_images"]), max(wells["n_images"])
    if fewest < most and "count" in options.endpoints:
        told.append(
            StatisticsWarning(
                "images_differ",
                f"Wells have {fewest} to {most} images, so that their counts are not those of equal areas; compare "
                "count_per_image.",
            )
        )
    if n_warned := sum(wells["n_warned"]):
        told.append(
            StatisticsWarning(
                "images_with_warnings",
                f"{n_warned} of {sum(wells['n_images'])} images have warnings, and count all the same. The table of "
                "images says which; look at them, and exclude those that are wrong.",
            )
        )
    return told


def shown_images(tables: Tables, compared: Compared, look: Look) -> dict[str, bytes]:
    """A typical image of the control and of each of some treatments, with outlines: PNG files by their captions."""
    images = {}
    for treatment in _treatments(compared):
        found = _typical(tables, treatment)
        if found is None:
            continue
        where = " ".join(part for part in (found.plate, found.well) if part)
        counted = found.result.count if found.result else 0
        try:
            picture = overlay(tables, found, look, _SHOWN_PX)
        except KaryometerError:
            # Too large for a picture, or gone since.
            continue
        images[f"{treatment_words(*treatment)} ({where}, {found.image}): {counted} nuclei"] = picture
    return images


def overlay(tables: Tables, image: Image, look: Look, most_px: int) -> bytes:
    """PNG of an image with outlines, at most so wide and high."""
    assert image.result is not None  # noqa: S101
    options = tables.experiment.options
    plane = StoredPlane(tables.store.files, image.result, image.image, options, look(image.digests[0]))
    pixels = np.asarray(cv2.imdecode(np.frombuffer(FILE_FORMATS["overlay"].encode(plane), np.uint8), cv2.IMREAD_COLOR))
    factor = min(1.0, most_px / max(pixels.shape[:2]))
    size = [max(1, round(factor * side)) for side in pixels.shape[1::-1]]
    return bytes(cv2.imencode(".png", cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))[1].tobytes())


def _treatments(compared: Compared) -> list[tuple[str, float | None, str | None]]:
    """The control, and the treatments whose p is smallest."""
    if compared.effects is None:
        return []
    compared_with = compared.effects.endpoints[0].comparisons
    by_p = sorted(compared_with, key=lambda one: 2.0 if one.p_value is None else one.p_value)
    shown = [(one.condition, one.dose, one.dose_unit) for one in by_p[: _MOST_SHOWN - 1]]
    return [*((control, None, None) for control in compared.effects.control[:1]), *shown]


def _typical(tables: Tables, treatment: tuple[str, float | None, str | None]) -> Image | None:
    """The image of a treatment whose count is nearest to their median."""
    condition, dose, _ = treatment
    rows: Sequence[dict[str, Any]] = [
        row
        for row in tables.images
        if row["state"] == "done" and not row["excluded"] and row.get("condition") == condition
        if dose is None or row.get("dose") == dose
    ]
    if not rows:
        return None
    middle = np.median([row["count"] for row in rows])
    chosen = min(rows, key=lambda row: (abs(row["count"] - middle), row["image"]))
    return tables.store.image(tables.experiment.id, chosen["image"])
