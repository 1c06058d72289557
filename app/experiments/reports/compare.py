"""`karyometer compare`: a table of measurements from a file to the answer, its report, figures and tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from app import __version__
from app.errors import OutputError, TableError
from app.experiments.layouts.layout import read_layout
from app.experiments.reports.measurements import Column, read_measurements
from app.experiments.reports.report_text import (
    answer_sentences,
    answered,
    change_percent,
    number,
    p_words,
    percent,
    treatment_words,
)
from app.export.atomic import atomic_file
from app.export.joined import write_rows
from app.statistics.effects import EffectOptions, effects
from app.statistics.schema import Effects
from app.statistics.well_table import POSITIVE

_COLUMNS = ("endpoint", "treatment", "n", "mean", "control", "change", "p")


@dataclass(frozen=True)
class Compared:
    """What a table says.

    Attributes
    ----------
    effects
        The answer; None where none can be given.
    why_no_effects
        The sentence that says why.
    wells
        The table itself.
    """

    effects: Effects | None
    why_no_effects: str | None
    wells: Mapping[str, Column]

    @property
    def answer(self) -> Mapping[str, Any]:
        """The answer as JSON holds it."""
        return answered(self.effects) if self.effects else {"why_no_effects": self.why_no_effects}

    def lines(self) -> Iterator[str]:
        """The answer in two sentences, and a small table."""
        yield from answer_sentences(self.effects, self.why_no_effects)
        if self.effects is None:
            return
        rows = [_COLUMNS, *_table(self.effects)]
        widths = [max(len(row[index]) for row in rows) for index in range(len(_COLUMNS))]
        yield ""
        for row in rows:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()


def compare_tables(
    table: Path,
    layout: Path | None,
    output: Path,
    options: EffectOptions,
    *,
    positive: str | None = None,
    dose_unit: str | None = None,
) -> Compared:
    """Compare treated with control and write `effects.json`, `report.html`, `figures/` and `tables/`.

    Parameters
    ----------
    table, layout
        Files: measurements, and what each well got where the first does not say.
    output
        The folder.
    options
        What is asked.
    positive
        A condition that is the positive control.
    dose_unit
        Of a layout whose doses have none.

    Raises
    ------
    TableError
        The table, or the layout, cannot be read.
    OutputError
        The folder cannot be written to.
    """
    sources = [path for path in (table, layout) if path is not None]
    data = {path: _read(path) for path in sources}
    read_as = read_layout(data[layout], layout.name, dose_unit) if layout else None
    measured = read_measurements(data[table], read_as)
    wells = dict(measured.columns)
    if positive is not None:
        wells["control"] = _marked(wells, positive)
    found, why = None, None
    try:
        found = effects(wells, options)
        found = replace(found, warnings=(*measured.warnings, *found.warnings))
    except TableError as exc:
        why = str(exc)
    provenance = {
        "files": {path.name: sha256(data[path]).hexdigest() for path in sources},
        "options": {
            "endpoint": options.endpoints,
            "control": options.control,
            "positive": positive,
            "replicate": options.replicate,
            "block": options.block,
            "correction": options.correction,
            "test": options.test,
            "normalise": options.normalise,
            "dose_unit": dose_unit,
        },
    }
    compared = Compared(found, why, wells)
    try:
        write_compared(compared, table.stem, provenance, output)
    except OSError as exc:
        raise OutputError(f"The results cannot be written to {output}: {exc.strerror}.") from exc
    return compared


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise TableError(f"{path} cannot be read: {exc.strerror}; name a CSV or TSV file.") from exc


def _marked(wells: Mapping[str, Column], positive: str) -> Column:
    conditions = wells.get("condition", ())
    if positive not in conditions:
        raise TableError(f"No row has the condition {positive!r} that was given as the positive control.")
    marks = wells.get("control") or [None] * len(conditions)
    return [POSITIVE if condition == positive else mark for condition, mark in zip(conditions, marks)]


def write_compared(
    compared: Compared,
    title: str,
    provenance: Mapping[str, Any],
    output: Path,
    images: Mapping[str, bytes] = MappingProxyType({}),
) -> None:
    """Write `effects.json`, `report.html`, `figures/` and `tables/` into a folder; see `report.Report`."""
    # What draws takes seconds to import.
    from app.experiments.reports.report import Report

    report = Report(compared.wells, compared.effects, compared.why_no_effects)
    whole = {"effects": compared.answer, "karyometer": __version__, "provenance": provenance}
    files = {
        "effects.json": orjson.dumps(whole, option=orjson.OPT_INDENT_2),
        "report.html": report.page(title, images, provenance).encode(),
    }
    files |= {f"figures/{name}": content for name, content in report.figures().items()}
    for name, content in files.items():
        with atomic_file(output / name) as file:
            file.write(content)
    for name, rows in tables(compared.wells, compared.effects).items():
        write_rows(rows, output / "tables" / name)


def tables(wells: Mapping[str, Column], found: Effects | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Rows of the tables that stand beside a report, by the names of their files."""
    measured = [dict(zip(wells, row)) for row in zip(*wells.values())]
    if found is None:
        return {"measurements.csv": measured}
    answer = found.as_dict()
    parts = {
        f"{part}.csv": [
            {"endpoint": endpoint["endpoint"]} | _flat(one)
            for endpoint in answer["endpoints"]
            for one in endpoint[part]
        ]
        for part in ("comparisons", "curves", "ec50_ratios", "growth_rates", "plates")
    }
    return {"measurements.csv": measured} | {name: rows for name, rows in parts.items() if rows}


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested numbers in columns of their own; warnings as their codes."""
    flat: dict[str, Any] = {}
    for name, one in value.items():
        if name == "warnings":
            flat[before + name] = " ".join(warning["code"] for warning in one) or None
        elif isinstance(one, Mapping):
            flat |= _flat(one, f"{before}{name}_")
        elif isinstance(one, list):
            for item in one:
                label = f"{item['percent']:g}" if "percent" in item else str(len(flat))
                flat |= _flat(item, f"{before}{name}_{label}_")
        else:
            flat[before + name] = one
    return flat


def _table(found: Effects) -> Iterator[tuple[str, ...]]:
    for endpoint in found.endpoints:
        for one in endpoint.comparisons:
            change = change_percent(one)
            yield (
                endpoint.endpoint,
                treatment_words(one.condition, one.dose, one.dose_unit),
                str(one.n_treated) if one.block else f"{one.n_treated}/{one.n_control}",
                number(one.mean_treated),
                number(one.mean_control),
                number(one.difference) if change is None else f"{percent(change[0])} %",
                p_words(one.p_adjusted),
            )
