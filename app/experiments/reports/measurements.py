"""Tables of measurements, ours and those of other programs, to the columns that the statistics take."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.errors import TableError
from app.experiments.layouts.columns import CORE, column_key, our_name, with_unit
from app.experiments.layouts.layout import Layout
from app.experiments.layouts.names import normal_well, parse_name, row_number, well_at
from app.reading.delimited import read_columns
from app.statistics.results import StatisticsWarning

Column = Sequence[str | float | None]
# Of CellProfiler, Columbus and Harmony, beside those that layouts have.
_CALLED = {
    "platename": "plate",
    "plate_name": "plate",
    "wellname": "well",
    "well_name": "well",
    "count_nuclei": "count",
    "nuclei_number_of_objects": "count",
    "number_of_nuclei": "count",
    "nuclei_count": "count",
    "count_time0": "time0_count",
    "cell_count_time0": "time0_count",
}
_FILE_NAME = re.compile(r"filename_.+")
# Harmony and Columbus write about the plate above the table.
_ABOVE = re.compile(rb"(?:\A|\n)\[?Data\]?[\t ]*\r?\n", re.IGNORECASE)
_PLATE_ABOVE = re.compile(r"Plate Name[\t:;,]+([^\t\r\n;,]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Measurements:
    """A table, and what was assumed of it.

    Attributes
    ----------
    columns
        Of one length: `plate`, `well` or `image`, `condition` and the other columns of layouts as far as they are
        known, `count`, and all others as the table calls them.
    warnings
        What was left out or assumed.
    """

    columns: Mapping[str, Column]
    warnings: tuple[StatisticsWarning, ...]


def read_measurements(data: bytes, layout: Layout | None = None) -> Measurements:
    r"""Read a table with a row a well or an image.

    Parameters
    ----------
    data
        CSV or TSV with our names of columns, or CellProfiler's, Columbus's or Harmony's.
    layout
        What each well got; it goes before what the table says.

    Raises
    ------
    TableError
        It cannot be read, or no row of it is in the layout.

    Examples
    --------
    >>> table = b"Metadata_Plate,Metadata_Well,Image_Count_Nuclei\nP1,A1,120\n"
    >>> read_measurements(table).columns
    {'plate': ['P1'], 'well': ['A01'], 'count': ['120']}
    """
    above, data = _parted(data)
    columns = _named(read_columns(data))
    plate = _PLATE_ABOVE.search(above)
    if plate and "plate" not in columns:
        columns["plate"] = [plate[1].strip()] * len(next(iter(columns.values())))
    _place(columns)
    return _with_layout(columns, layout) if layout else Measurements(columns, ())


def _parted(data: bytes) -> tuple[str, bytes]:
    """What stands above the table, and the table."""
    found = _ABOVE.search(data)
    return (data[: found.start()].decode("utf-8", "replace"), data[found.end() :]) if found else ("", data)


def _named(columns: Mapping[str, list[str]]) -> dict[str, Column]:
    """The columns by our names, as far as we have one; of two for the same thing the first, the other keeps its own."""
    named: dict[str, Column] = {}
    for name, cells in columns.items():
        key = column_key(name).removeprefix("image_")
        ours = our_name(key) or _CALLED.get(key) or ("image" if _FILE_NAME.fullmatch(key) else None)
        if key == "count":
            ours = "count"
        taken = ours is None or ours in named or (ours != name and ours in columns)
        named[name if taken else str(ours)] = cells
        unit = with_unit(key)[1]
        if unit and ours == "dose" and "dose_unit" not in columns:
            named["dose_unit"] = [unit] * len(cells)
    return named


def _place(columns: dict[str, Column]) -> None:
    """Give every row its well: by the column, by row and column of the plate, or by the image's name."""
    if "well" not in columns and {"row", "column"} <= columns.keys():
        columns["well"] = [_well_at(str(row), str(number)) for row, number in zip(columns["row"], columns["column"])]
    if "well" not in columns and "image" in columns:
        places = [parse_name(str(image)) for image in columns["image"]]
        wells = [place.well if place else None for place in places]
        if all(wells):
            columns["well"] = wells
            plates = [place.plate if place else None for place in places]
            if "plate" not in columns and all(plates):
                columns["plate"] = plates
    if "well" in columns:
        columns["well"] = [normal_well(str(well)) or well for well in columns["well"]]


def _well_at(row: str, number: str) -> str:
    letter = re.fullmatch(r"[A-Z]|A[A-F]", row, re.IGNORECASE)
    if (letter or row.isdecimal()) and number.isdecimal():
        well = well_at(row_number(row) if letter else int(row), int(number))
        if well is not None:
            return well
    return f"{row}/{number}"


def _with_layout(columns: dict[str, Column], layout: Layout) -> Measurements:
    """The rows that the layout knows, with what it says of them."""
    n_rows = len(next(iter(columns.values())))
    places = [columns.get(name, [None] * n_rows) for name in ("plate", "well", "image")]
    if not any("".join(str(one or "") for one in column) for column in places[1:]):
        raise TableError("The table has no column 'well' or 'image' by which the layout could be joined to it.")
    said = [
        layout.of(str(plate or "") or None, str(well or "") or None, str(image or ""))
        for plate, well, image in zip(*places)
    ]
    known = [row for row, values in enumerate(said) if values is not None]
    if not known:
        raise TableError(
            "The layout knows no row of the table; plates and wells, or images, must be called the same in both."
        )
    warnings = [StatisticsWarning(*warning) for warning in layout.warnings]
    if len(known) < n_rows:
        told = f"{n_rows - len(known)} of {n_rows} rows are in no line of the layout, and were left out."
        warnings.append(StatisticsWarning("rows_not_in_layout", told))
    replaced = [name for name in layout.columns if name in columns and name in CORE]
    if replaced:
        told = f"Table and layout both have {', '.join(replaced)}; what the layout says was taken."
        warnings.append(StatisticsWarning("layout_taken", told))
    joined: dict[str, Column] = {name: [cells[row] for row in known] for name, cells in columns.items()}
    for name in layout.columns:
        if name in CORE or name not in joined:
            joined[name] = [values[name] for values in map(said.__getitem__, known) if values is not None]
    return Measurements(joined, tuple(warnings))
