"""Tables of many images as one, whose columns are those of all of them; what an image has not is empty."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow
from pyarrow import parquet

from app.export.atomic import atomic_file

_IMAGE = "image"


def join_csv(tables: Mapping[str, Path], path: Path) -> None:
    """CSV files as one, with each image's name in the first column; a row at a time, the values as they are written."""
    columns = merge_columns(header for header, _ in map(_read_csv, tables.values()))
    with atomic_file(path) as file:
        rows = _Rows(file)
        rows.write([_IMAGE, *columns])
        for image, table in tables.items():
            header, of_image = _read_csv(table)
            places = [header.index(column) if column in header else None for column in columns]
            for row in of_image:
                rows.write([image, *("" if place is None else row[place] for place in places)])


def join_parquet(tables: Mapping[str, Path], path: Path) -> None:
    """Parquet files as one, as `join_csv` does; an image at a time, in types that hold all images' values."""
    schemas = [parquet.read_schema(table).remove_metadata() for table in tables.values()]
    columns = merge_columns(schema.names for schema in schemas)
    unified = pyarrow.unify_schemas(schemas, promote_options="permissive") if schemas else pyarrow.schema([])
    schema = pyarrow.schema([(_IMAGE, pyarrow.string()), *(unified.field(column) for column in columns)])
    with atomic_file(path) as file, parquet.ParquetWriter(file, schema) as writer:
        for image, table in tables.items():
            rows = parquet.read_table(table).replace_schema_metadata(None)
            rows = rows.add_column(0, _IMAGE, pyarrow.array([image] * len(rows), pyarrow.string()))
            writer.write_table(pyarrow.concat_tables([schema.empty_table(), rows], promote_options="permissive"))


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path, columns: Sequence[str] = ()) -> None:
    """Rows as CSV, with all columns that any has, or those given if there are no rows; None is empty."""
    merged = merge_columns(rows) if rows else columns
    with atomic_file(path) as file:
        written = _Rows(file)
        written.write(merged)
        for row in rows:
            written.write([row.get(column) for column in merged])


def merge_columns(headers: Iterable[Iterable[str]]) -> list[str]:
    """The columns of all tables, in an order that does not depend on the tables' order.

    It is that of the widest table; what only others have comes after what it comes after there.

    Examples
    --------
    >>> merge_columns([["area", "end"], ["page", "area", "end"], ["area", "c0", "c1", "end"]])
    ['page', 'area', 'c0', 'c1', 'end']
    """
    merged: list[str] = []
    for header in sorted(set(map(tuple, headers)), key=lambda header: (-len(header), header)):
        place = 0
        for column in header:
            if column not in merged:
                merged.insert(place, column)
            place = merged.index(column) + 1
    return merged


def _read_csv(path: Path) -> tuple[list[str], Iterator[list[str]]]:
    """Header and rows."""

    def lines() -> Iterator[list[str]]:
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.reader(file)

    rows = lines()
    return next(rows), rows


class _Rows:
    """Writes rows of CSV, in which a carriage return within a field is quoted as a line feed is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._line = io.StringIO()
        # With this terminator Python before 3.13 quotes both.
        self._writer = csv.writer(self._line, lineterminator="\r\n")

    def write(self, row: Iterable[Any]) -> None:
        """One row."""
        self._writer.writerow(row)
        self._file.write(self._line.getvalue().removesuffix("\r\n").encode() + b"\n")
        self._line.seek(0)
        self._line.truncate()
