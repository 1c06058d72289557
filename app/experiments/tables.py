"""The tables of an experiment: nuclei, images, wells and conditions, each row with the place that it comes from."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow
from pyarrow import parquet

from app.experiments import cellprofiler
from app.experiments.experiment import Exclusion, Experiment, Image
from app.experiments.layouts.layout import Layout
from app.experiments.plan import layout_of
from app.experiments.store import Store
from app.experiments.stored import StoredResult
from app.export.joined import merge_columns
from app.export.record import PageRecord, summary_row
from app.statistics.aggregate import group_index, of_replicates, of_wells

TableName = Literal["nuclei", "images", "wells", "conditions"]
Names = Literal["karyometer", "cellprofiler"]
Row = dict[str, Any]

PLACE = ("plate", "well", "site", "plane", "image")
# What tells one treatment from another.
_TREATMENT = ("condition", "dose", "dose_unit", "control")
_ENDPOINTS = ("area_", "foreground_", "density_", "intensity_")


@dataclass(frozen=True)
class Tables:
    """The tables of one experiment as it is now.

    Images that are excluded stand in the tables of nuclei and images, marked, and count in none of the others. Images
    with warnings count in all of them, and each says how many there are.

    Attributes
    ----------
    store, experiment
        Whose images they are.
    names
        Of the columns: ours, or CellProfiler's.
    """

    store: Store
    experiment: Experiment
    names: Names = "karyometer"

    def batches(self, table: TableName) -> tuple[pyarrow.Schema, Iterator[pyarrow.Table]]:
        """The columns of a table, and its rows, of which only some are in memory at a time."""
        if table == "nuclei":
            schema, batches = self._nuclei()
        else:
            rows: list[Row] = {"images": self.images, "wells": self.wells, "conditions": self.conditions}[table]
            whole = _as_table(rows, _EMPTY[table])
            schema, batches = whole.schema, iter([whole])
        if self.names == "karyometer":
            return schema, batches
        names = _NAMES[table](schema.names, self._channel_names)
        renamed = pyarrow.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])
        return renamed, (batch.rename_columns(names) for batch in batches)

    @property
    def provenance(self) -> dict[str, Any]:
        """How the tables came to be."""
        return {
            "experiment": self.experiment.id,
            "name": self.experiment.name,
            **asdict(self.experiment.maker),
            "options": self.experiment.options.model_dump(),
            "layout_sha256": self.experiment.layout_sha256,
            "exclusions": [asdict(one) for one in self._exclusions],
        }

    @cached_property
    def _images(self) -> list[Image]:
        return self.store.images(self.experiment.id)

    @cached_property
    def _layout(self) -> Layout | None:
        return layout_of(self.store, self.experiment)

    @cached_property
    def _exclusions(self) -> list[Exclusion]:
        return self.store.exclusions(self.experiment.id)

    @cached_property
    def _channel_names(self) -> tuple[str, ...]:
        """Of the first image that is measured."""
        first = next((image for image in self._images if image.result), None)
        if first is None or first.result is None:
            return ()
        named = tuple(first.result.record["image"]["channel_names"])
        nuclear = self.experiment.notes.get("nuclear_channel")
        if first.channels or (nuclear and not named):
            return (nuclear or "nuclei", *(name for name, _ in first.channels))
        return named

    @property
    def _metadata_columns(self) -> tuple[str, ...]:
        return self._layout.columns if self._layout else ()

    def _metadata(self, plate: str, well: str, image: str) -> Row:
        """What the layout says of a place; None where it says nothing."""
        known = self._layout.of(plate or None, well or None, image) if self._layout else None
        values = known or {}
        return {_metadata_name(column): values.get(column) for column in self._metadata_columns}

    def _place(self, image: Image) -> Row:
        place = {column: getattr(image, column) or None for column in PLACE}
        exclusion = next((one for one in self._exclusions if one.holds(image)), None)
        place |= self._metadata(image.plate, image.well, image.image)
        return place | {"excluded": int(exclusion is not None), "exclusion_reason": exclusion and exclusion.reason}

    @cached_property
    def images(self) -> list[Row]:
        """One row an image, in whatever state it is."""
        return [self._image_row(image) for image in self._images]

    def _image_row(self, image: Image) -> Row:
        row = self._place(image)
        row["channels"] = " ".join(name for name, _ in image.channels) or None
        row |= {"state": image.state, "error_code": image.error_code, "error": image.error}
        if image.result is None:
            return row | {"count": None}
        record = image.result.record
        codes = _warning_codes(record)
        summary = summary_row(PageRecord(warnings=tuple(codes), **_kept(record)))
        height_um, width_um, median_px = (
            summary[name] for name in ("pixel_height_um", "pixel_width_um", "area_median_px")
        )
        is_known = None not in (height_um, width_um, median_px)
        summary["area_median_um2"] = median_px * height_um * width_um if is_known else None
        return row | summary | {"n_warnings": len(codes), "sha256": image.digests[0], "result": image.key}

    @property
    def counted(self) -> list[tuple[str, str, StoredResult]]:
        """Plate, well and result of each image that counts in the table of wells."""
        return [
            (image.plate, image.well, image.result)
            for image, row in zip(self._images, self.images, strict=True)
            if image.result and image.state == "done" and image.well and not row["excluded"]
        ]

    @cached_property
    def wells(self) -> list[Row]:
        """One row a well, with images or in the layout: its images' sums and means."""
        rows = [row for row in self.images if row["well"]]
        images = [row for row in rows if not row["excluded"] and row["state"] == "done"]
        places, well_of = group_index([row["plate"] for row in images], [row["well"] for row in images])
        names = [name for name in merge_columns(images) if name.startswith(_ENDPOINTS)]
        measured = {name: _numbers(images, name) for name in ("count", *names)}
        endpoints = of_wells(measured, well_of, len(places)) if images else {}
        number = {place: index for index, place in enumerate(places)}
        every = dict.fromkeys((row["plate"], row["well"]) for row in rows)
        plates = list(dict.fromkeys(plate for plate, _ in every)) or [None]
        for plate, well in self._layout.wells if self._layout else ():
            every |= dict.fromkeys((one, well) for one in ([plate] if plate else plates))
        of_well: dict[tuple[str | None, str], list[Row]] = {place: [] for place in every}
        for row in rows:
            of_well[row["plate"], row["well"]].append(row)
        wells = []
        for plate, well in sorted(every, key=lambda place: (place[0] or "", len(place[1]), place[1])):
            mine = of_well[plate, well]
            wells.append(
                {"plate": plate, "well": well}
                | self._metadata(plate or "", well, mine[0]["image"] if mine else "")
                | _counts(mine)
                | {
                    name: _known(values[number[plate, well]]) if (plate, well) in number else None
                    for name, values in endpoints.items()
                    if name != "n_images"
                }
            )
        return wells

    @cached_property
    def conditions(self) -> list[Row]:
        """One row a treatment: means and standard deviations over its replicates, which are means of their wells."""
        if "condition" not in self._metadata_columns:
            return []
        treatment = [column for column in _TREATMENT if column in self._metadata_columns]
        wells = [row for row in self.wells if row["condition"] is not None]
        treatments, treatment_of = group_index(*([row[column] for row in wells] for column in treatment))
        # Without a column of replicates each well is one.
        replicates = [row.get("replicate") or (row["plate"], row["well"]) for row in wells]
        groups, group_of = group_index(treatment_of.tolist(), replicates)
        names = [name for name in merge_columns(wells) if name.startswith(("count", *_ENDPOINTS))]
        means = of_replicates({name: _numbers(wells, name) for name in names}, group_of, len(groups)) if wells else {}
        of_group = np.array([group[0] for group in groups], np.intp)
        rows = []
        for number, values in enumerate(treatments):
            mine = [row for row, of in zip(wells, treatment_of, strict=True) if of == number]
            row: Row = dict(zip(treatment, values, strict=True))
            row |= {"n_wells": len(mine), "n_replicates": int((of_group == number).sum())}
            row |= {name: sum(one[name] for one in mine) for name in _COUNTED}
            for name, of_replicate in means.items():
                known = of_replicate[(of_group == number) & np.isfinite(of_replicate)]
                row[f"{name}_mean"] = float(known.mean()) if known.size else None
                row[f"{name}_sd"] = float(known.std(ddof=1)) if known.size > 1 else None
            rows.append(row)
        return rows

    def _nuclei(self) -> tuple[pyarrow.Schema, Iterator[pyarrow.Table]]:
        done = [image for image in self._images if image.result]
        first = {image.result.columns: image.result for image in reversed(done) if image.result}
        schemas = [
            parquet.read_schema(self.store.files.path(result.nuclei_sha256)).remove_metadata()
            for result in first.values()
        ]
        of_place = _as_table([self._place(image) for image in done], self._place_columns).schema
        columns = merge_columns(schema.names for schema in schemas)
        unified = pyarrow.unify_schemas(schemas, promote_options="permissive") if schemas else pyarrow.schema([])
        ends = [("warnings", pyarrow.string()), ("model", pyarrow.string()), ("result", pyarrow.string())]
        schema = pyarrow.schema([*of_place, *(unified.field(column) for column in columns), *ends])
        return schema, (self._nuclei_of(image, schema) for image in done)

    @property
    def _place_columns(self) -> tuple[str, ...]:
        return (*PLACE, *map(_metadata_name, self._metadata_columns), "excluded", "exclusion_reason")

    def _nuclei_of(self, image: Image, schema: pyarrow.Schema) -> pyarrow.Table:
        assert image.result is not None  # noqa: S101
        table = parquet.ParquetFile(io.BytesIO(self.store.files.read(image.result.nuclei_sha256))).read()
        table = table.replace_schema_metadata(None)
        told = {
            "warnings": " ".join(_warning_codes(image.result.record)),
            "model": self.experiment.maker.model,
            "result": image.key,
        }
        known = {name: table.column(name) for name in table.column_names}
        constant = self._place(image) | told
        columns = [
            known[field.name].cast(field.type)
            if field.name in known
            else pyarrow.repeat(pyarrow.scalar(constant.get(field.name), field.type), len(table))
            for field in schema
        ]
        return pyarrow.Table.from_arrays(columns, schema=schema)


_NAMES: dict[TableName, Callable[[Sequence[str], Sequence[str]], list[str]]] = {
    "nuclei": cellprofiler.nuclei_names,
    "images": cellprofiler.image_names,
    "wells": cellprofiler.group_names,
    "conditions": cellprofiler.group_names,
}
_OURS = frozenset(
    (
        *(*PLACE, "excluded", "exclusion_reason", "channels", "channel", "state", "error_code", "error", "page"),
        *("warnings", "scale", "threshold", "model", "model_dtype", "karyometer", "sha256", "result", "label"),
        *("eccentricity", "solidity", "circularity", "confidence", "touches_border", "orientation_rad"),
    )
)
_COUNTED = ("n_images", "n_failed", "n_warned", "n_excluded")
_EMPTY: dict[TableName, Sequence[str]] = {
    "images": (*PLACE, "state", "count"),
    "wells": ("plate", "well", *_COUNTED, "count"),
    "conditions": ("condition", "n_wells", "n_replicates", *_COUNTED),
}


def _metadata_name(column: str) -> str:
    """What a column of the layout is called in our tables, which have columns of their own."""
    is_ours = column in _OURS or column.startswith(("n_", "count", "bbox_", "centroid_", "axis_", *_ENDPOINTS))
    return f"metadata_{column}" if is_ours else column


def _warning_codes(record: Mapping[str, Any]) -> list[str]:
    return sorted({warning["code"] for warning in record["warnings"]})


def _kept(record: Mapping[str, Any]) -> Row:
    return {"summary": record["summary"], "provenance": record["provenance"]}


def _counts(rows: Sequence[Row]) -> Row:
    """How many of a well's images are what."""
    used = [row for row in rows if not row["excluded"]]
    return {
        "n_images": sum(row["state"] == "done" for row in used),
        "n_failed": sum(row["state"] in ("failed", "set_aside") for row in used),
        "n_warned": sum(bool(row.get("n_warnings")) for row in used),
        "n_excluded": len(rows) - len(used),
    }


def _numbers(rows: Sequence[Row], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    values = (row.get(name) for row in rows)
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _as_table(rows: Sequence[Row], columns: Sequence[str]) -> pyarrow.Table:
    """Rows as a table with all columns that any has, or with some that are given if there are none."""
    names = merge_columns(rows) if rows else columns
    arrays = {}
    for name in names:
        arrays[name] = _as_array([row.get(name) for row in rows])
    return pyarrow.table(arrays)


def _as_array(values: Sequence[Any]) -> pyarrow.Array:
    """Of one type; text, where values are of several or all are missing."""
    try:
        array = pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
        return pyarrow.array([None if value is None else str(value) for value in values], pyarrow.string())
    return array.cast(pyarrow.string()) if pyarrow.types.is_null(array.type) else array
