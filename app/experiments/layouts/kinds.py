"""Layouts of each kind that labs have, to records."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.errors import LayoutError
from app.experiments.layouts.checks import NEGATIVE, POSITIVE
from app.experiments.layouts.columns import Columns, listed, read_columns
from app.experiments.layouts.combinations import combined
from app.experiments.layouts.grids import grid_records, has_grids
from app.experiments.layouts.records import Record, Records, cell_at, read_table, text_of
from app.experiments.layouts.sheet import Row, Sheet

_FILE_NAME = re.compile(r"(?:image_)?filename_.+")
_DOSES, _CONTROLS = re.compile(r"(?:.+_)?doses?"), re.compile(r"(?:.+_)?controls?")
_CONTROL_SIGNS = {"-1": NEGATIVE, "1": POSITIVE, "0": None}
# What GR metrics call wells without an agent.
_NO_AGENT = frozenset(("", "control", "ctrl"))
_BARCODES = ("assay_plate_barcode", "plate_map_name")


def read_records(sheet: Sheet) -> Records:
    """What a layout says, whatever its kind.

    Raises
    ------
    LayoutError
        It is of no kind that is known, or says something impossible.
    """
    if has_grids(sheet.rows):
        return grid_records(sheet)
    header, *rows = sheet.rows
    columns = read_columns(header)
    for row in rows:
        if len(row.cells) > len(header.cells):
            raise LayoutError(
                f"Line {row.line} has {len(row.cells)} cells, and the header has {len(header.cells)}; put cells that "
                "hold the delimiter into quotation marks, decimal commas among them."
            )
    keys = set(columns.keys.values())
    if keys.issuperset(_BARCODES):
        return _of_barcodes(columns, rows)
    is_load_data = columns.called(_FILE_NAME) is not None
    if not is_load_data:
        _check_wells(columns, header)
    if not rows:
        raise LayoutError("The layout has a header and no rows; give one row a well.")
    if is_load_data:
        return _of_load_data(columns, rows, sheet.delimiter)
    if {"plate_map_name", "well_position"} <= keys:
        return _of_plate_map(columns, rows, sheet.delimiter)
    if _has_doses_only(columns):
        return _of_doses(columns, rows, sheet.delimiter)
    if "condition" not in columns.places:
        raise LayoutError(
            f"Line {header.line} names no column condition; call the column so that says what each well got. There are "
            f"{listed(header.cells)}."
        )
    records = read_table(columns, rows, sheet.delimiter)
    further = tuple(columns.further.values())
    if "drug" in keys:
        return combined(records, further)
    if "cell_line" in keys:
        _name_controls(records)
    return Records(records, further)


def _check_wells(columns: Columns, header: Row) -> None:
    if {"well", "image"} & columns.places.keys() or {"row", "column"} <= columns.places.keys():
        return
    if "cell_line" in columns.keys.values() or any(key.startswith("cell_count") for key in columns.keys.values()):
        raise LayoutError(
            "This is a table of counts without wells, and no layout; add the column well, or send it to POST /effects "
            "with the columns condition, dose and count."
        )
    raise LayoutError(
        f"Line {header.line} names no column well or image; give one of them, and condition. There are "
        f"{listed(header.cells)}."
    )


def _of_plate_map(columns: Columns, rows: Sequence[Row], delimiter: str) -> Records:
    """Of the Broad Institute: a row a well; one without a sample is a control, and only got the solvent."""
    map_name, solvent = columns.number_of("plate_map_name"), columns.number_of("solvent")
    records = read_table(columns, rows, delimiter)
    for record, row in zip(records, rows, strict=True):
        record.plate = text_of(cell_at(row, map_name))
        if record.plate is None:
            raise LayoutError(f"Line {row.line} has no plate_map_name; give every line that of its map.")
        if record.condition is None:
            record.condition = text_of(cell_at(row, solvent)) or "control"
            record.control, record.dose = record.control or NEGATIVE, None
    return Records(records, tuple(columns.further.values()), is_plate_map=True)


def _of_barcodes(columns: Columns, rows: Sequence[Row]) -> Records:
    """Of the Broad Institute: which plates have which map."""
    plate_maps: dict[str, str] = {}
    for row in rows:
        barcode, name = (cell_at(row, columns.number_of(key)) for key in _BARCODES)
        if not barcode or not name:
            raise LayoutError(f"Line {row.line} lacks the barcode of a plate or the name of its plate map; give both.")
        if plate_maps.setdefault(barcode, name) != name:
            raise LayoutError(f"Line {row.line} gives plate {barcode[:40]!r} a second plate map; a plate has one.")
    return Records(plate_maps=plate_maps)


def _of_load_data(columns: Columns, rows: Sequence[Row], delimiter: str) -> Records:
    """CellProfiler's list of images: a row a field, a column for the file of each channel."""
    files = {number: name for number, name in columns.further.items() if _FILE_NAME.fullmatch(columns.keys[number])}
    further = {number: name for number, name in columns.further.items() if columns.keys[number].startswith("metadata_")}
    columns = replace(columns.with_places(image=next(iter(files))), further=further)
    records = read_table(columns, rows, delimiter)
    for record, row in zip(records, rows, strict=True):
        record.files = tuple(_named_files(columns, row, files))
    if "condition" in columns.places:
        return Records(records, tuple(further.values()))
    said = "The layout does not say what each well got, so that there are no conditions; add Metadata_condition."
    return Records(records, tuple(further.values()), (("condition_missing", said),), needs_condition=False)


def _named_files(columns: Columns, row: Row, files: Mapping[int, str]) -> list[tuple[str | None, str]]:
    named: list[tuple[str | None, str]] = []
    for number, header in files.items():
        folder = cell_at(row, columns.number_of(columns.keys[number].replace("filename", "pathname", 1)))
        channel = header[header.lower().index("filename") + len("filename_") :]
        # `OrigDNA` is an image as it was taken, `IllumDNA` its illumination, which is no image of the plate.
        file = cell_at(row, number)
        if file and not channel.startswith("Illum"):
            named.append(
                (
                    channel.removeprefix("Orig") or channel,
                    "/".join(filter(None, [folder.replace("\\", "/").rstrip("/"), file])),
                )
            )
    return named


def _has_doses_only(columns: Columns) -> bool:
    """Whether it has row, column and doses of one compound, as CellProfiler's example of a plate."""
    is_placed = {"row", "column"} <= columns.places.keys() and "well" not in columns.places
    return is_placed and "condition" not in columns.places and columns.called(_DOSES) is not None


def _of_doses(columns: Columns, rows: Sequence[Row], delimiter: str) -> Records:
    columns = columns.with_places(dose=columns.called(_DOSES), control=columns.called(_CONTROLS))
    records = read_table(columns, rows, delimiter)
    for record in records:
        record.control = _CONTROL_SIGNS.get(record.control or "", record.control)
        record.condition = f"{record.control} control" if record.control else "treatment"
    said = (
        "The layout has no column condition, so that all wells that are no controls were taken for one treatment, "
        "'treatment'; add the column if there were several."
    )
    return Records(records, tuple(columns.further.values()), (("condition_assumed", said),))


def _name_controls(records: Sequence[Record]) -> None:
    """Of GR metrics, whose controls have no agent, at no concentration."""
    for record in records:
        if (record.condition or "").lower() in _NO_AGENT and not record.dose:
            record.condition, record.control = "control", record.control or NEGATIVE
