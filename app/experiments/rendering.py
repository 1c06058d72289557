"""Tables of any length to files, some rows at a time."""

import csv
import io
from collections.abc import Iterator
from typing import Any, Literal

import orjson
import pyarrow
from pyarrow import csv as arrow_csv
from pyarrow import parquet

TableFormat = Literal["csv", "parquet", "json"]
MEDIA_TYPES: dict[TableFormat, str] = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
}
_ROWS = 10_000


def render(
    table_format: TableFormat, schema: pyarrow.Schema, batches: Iterator[pyarrow.Table], provenance: dict[str, Any]
) -> Iterator[bytes]:
    """The file of a table in parts; a Parquet file holds the provenance in its metadata, under `karyometer`."""
    if table_format == "csv":
        return _csv(schema, batches)
    return _json(batches) if table_format == "json" else _parquet(schema, batches, provenance)


def _csv(schema: pyarrow.Schema, batches: Iterator[pyarrow.Table]) -> Iterator[bytes]:
    """Empty is what is not known; true and false are 1 and 0, as in the tables of single images."""
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(schema.names)
    yield header.getvalue().encode()
    options = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")
    numbers = pyarrow.schema(
        [field.with_type(pyarrow.int8()) if pyarrow.types.is_boolean(field.type) else field for field in schema]
    )
    for batch in _joined(batches):
        part = io.BytesIO()
        arrow_csv.write_csv(batch.cast(numbers), part, options)
        yield part.getvalue()


def _json(batches: Iterator[pyarrow.Table]) -> Iterator[bytes]:
    """A list with an object a row."""
    is_first = True
    for batch in _joined(batches):
        yield (b"[" if is_first else b",") + orjson.dumps(batch.to_pylist())[1:-1]
        is_first = False
    yield b"[]" if is_first else b"]"


def _parquet(schema: pyarrow.Schema, batches: Iterator[pyarrow.Table], provenance: dict[str, Any]) -> Iterator[bytes]:
    part = _Part()
    with parquet.ParquetWriter(part, schema.with_metadata({"karyometer": orjson.dumps(provenance)})) as writer:
        for batch in _joined(batches):
            writer.write_table(batch)
            yield part.take()
    yield part.take()


def _joined(batches: Iterator[pyarrow.Table]) -> Iterator[pyarrow.Table]:
    """Batches of some thousand rows; empty ones are left out."""
    waiting: list[pyarrow.Table] = []
    for batch in batches:
        if len(batch):
            waiting.append(batch)
        if sum(map(len, waiting)) >= _ROWS:
            yield pyarrow.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pyarrow.concat_tables(waiting)


class _Part(io.RawIOBase):
    """A file to write, whose bytes are taken away meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = bytearray()
        self._n_taken = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._bytes += data
        return len(data)

    def tell(self) -> int:
        return self._n_taken + len(self._bytes)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = bytes(self._bytes)
        self._n_taken += len(taken)
        self._bytes.clear()
        return taken
