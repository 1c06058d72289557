"""A layout: what each well, or image, of an experiment got."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from app.errors import LayoutError
from app.experiments.layouts.checks import checked
from app.experiments.layouts.columns import CORE
from app.experiments.layouts.kinds import read_records
from app.experiments.layouts.names import ImagePlace
from app.experiments.layouts.plate_maps import is_packed, joined_maps, unpack
from app.experiments.layouts.records import Record, Records
from app.experiments.layouts.sheet import read_sheet

Value = str | float | None
# More are not compared.
_MOST_FOLDERS = 12


class LayoutWarning(NamedTuple):
    """A stable code and a plain sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class LayoutRow:
    """What a layout says in one line.

    Attributes
    ----------
    line
        Its number in the file.
    plate
        None where all plates are meant.
    well
        None where only images are named.
    site
        Of the images; None where it is not said.
    files
        Channel and path of the images that the line names, with folders as far as it says them.
    values
        What is there, by the layout's columns; None is missing.
    """

    line: int
    plate: str | None
    well: str | None
    site: str | None
    files: tuple[tuple[str | None, str], ...]
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Layout:
    r"""What each well or image got.

    Attributes
    ----------
    columns
        Of the values: condition, dose, dose_unit, replicate, control, then further ones as they are called.
    rows
        One a line of the file, and with a table of barcodes one a plate and line.
    warnings
        What was assumed.

    Examples
    --------
    >>> layout = read_layout(b"well,condition,dose\nA1,DMSO,0\nA2,taxol,10\n")
    >>> layout.of(None, "A02", "any.tif")["condition"]
    'taxol'
    """

    columns: tuple[str, ...]
    rows: tuple[LayoutRow, ...]
    warnings: tuple[LayoutWarning, ...] = ()

    def of(self, plate: str | None, well: str | None, image: str) -> Mapping[str, Value] | None:
        """What is in a field: by its file's name, or else by its well; None where the layout does not say.

        Parameters
        ----------
        plate
            Empty and None are a plate without a name.
        well
            Such as A01.
        image
            The file's name, with the folders it lies in.
        """
        path = self.path_of(image)
        if path is not None:
            return self._by_path[path].values
        row = self.wells.get((plate or None, well)) or self.wells.get((None, well)) if well else None
        return row.values if row else None

    @cached_property
    def plates(self) -> tuple[str, ...]:
        """The plates that it names, in its order; none where it is that of every plate."""
        return tuple(dict.fromkeys(row.plate for row in self.rows if row.plate is not None))

    @cached_property
    def wells(self) -> Mapping[tuple[str | None, str], LayoutRow]:
        """By plate and well; of a well with several images what all have in common."""
        wells: dict[tuple[str | None, str], LayoutRow] = {}
        for row in self.rows:
            if row.well is not None:
                key = (row.plate, row.well)
                wells[key] = _common(wells[key], row) if key in wells else row
        return wells

    @cached_property
    def says_sites(self) -> bool:
        """Whether it says of any image which site of its well it shows."""
        return any(row.site is not None for row in self.rows)

    def path_of(self, image: str) -> str | None:
        """What the layout calls a file: a path that agrees with its own as far as both have folders; None if none does.

        The longest comes first, and none where several would fit.
        """
        parts = _parts(image)
        longer = self._by_ending.get(parts, [])
        if longer:
            same = [path for path in longer if _parts(path) == parts]
            return same[0] if same else longer[0] if len(longer) == 1 else None
        endings = (self._by_parts.get(parts[start:]) for start in range(1, len(parts)))
        return next(filter(None, endings), None)

    def place_of(self, path: str) -> ImagePlace:
        """Where the layout puts a file, by the path that it calls it; sites that it does not say are counted.

        Those are the files of a well and channel, from 1, in the order of the lines.
        """
        row, channel = self._by_path[path], self._channels[path]
        return ImagePlace(row.plate, row.well, row.site or self._counted_sites.get(path), channel, None)

    @cached_property
    def _by_path(self) -> dict[str, LayoutRow]:
        return {path: row for row in self.rows for _, path in row.files}

    @cached_property
    def _channels(self) -> dict[str, str | None]:
        return {path: channel for row in self.rows for channel, path in row.files}

    @cached_property
    def _by_parts(self) -> dict[tuple[str, ...], str]:
        return {_parts(path): path for path in self._by_path}

    @cached_property
    def _by_ending(self) -> dict[tuple[str, ...], list[str]]:
        """Two paths are enough to know that there are several, beside the one that is called exactly so."""
        by_ending: dict[tuple[str, ...], list[str]] = {}
        for parts, path in self._by_parts.items():
            for start in range(len(parts)):
                paths = by_ending.setdefault(parts[start:], [])
                if not start or len(paths) < 2:
                    paths.append(path)
        return by_ending

    @cached_property
    def _counted_sites(self) -> dict[str, str]:
        groups: dict[tuple[str | None, ...], list[str]] = {}
        for row in self.rows:
            for channel, path in row.files if row.well is not None else ():
                groups.setdefault((row.plate, row.well, channel), []).append(path)
        return {
            path: str(number) for paths in groups.values() if len(paths) > 1 for number, path in enumerate(paths, 1)
        }


def read_layout(data: bytes, filename: str | None = None, dose_unit: str | None = None) -> Layout:
    """What a file says that each well got; `docs/plates.md` has the kinds.

    Parameters
    ----------
    data
        CSV or TSV, or a zip of plate maps and their table of barcodes.
    filename
        For messages.
    dose_unit
        Of doses for which the file has none.

    Raises
    ------
    LayoutError
        It cannot be read, or does not say which well got what; the message is a sentence with the number of the line.
    """
    try:
        if is_packed(data):
            files = [(name, *_read(content, name)) for name, content in unpack(data).items()]
            found, is_certain = joined_maps([(name, found) for name, found, _ in files]), all(one for *_, one in files)
        else:
            one, is_certain = _read(data)
            found = joined_maps([(filename or "the layout", one)])
        records = checked(found)
    except LayoutError as exc:
        raise LayoutError(f"{filename[:100]}: {exc}" if filename else str(exc)) from exc
    for record in records:
        record.dose_unit = record.dose_unit or (dose_unit if record.dose is not None else None)
    warnings = list(map(LayoutWarning._make, found.warnings))
    if not is_certain:
        said = "The layout is not in UTF-8 and was read as Windows-1252; see that letters beyond ASCII are right."
        warnings.append(LayoutWarning("encoding_assumed", said))
    if len(records) < len(found.records):
        said = f"{len(found.records) - len(records)} lines repeat others, and were left out."
        warnings.append(LayoutWarning("lines_repeated", said))
    if any(record.dose and not record.dose_unit for record in records):
        why = "the unit in the header of a plate map is often wrong" if found.is_plate_map else "nothing says it"
        said = f"Doses have no unit, since {why}; add the column dose_unit, or say it with the option dose_unit."
        warnings.append(LayoutWarning("dose_unit_unknown", said))
    return Layout(
        columns=(*CORE, *found.further),
        rows=tuple(_row(record, found.further) for record in records),
        warnings=tuple(warnings),
    )


def _read(data: bytes, name: str | None = None) -> tuple[Records, bool]:
    """What is in one file, and whether its encoding is certain."""
    try:
        sheet = read_sheet(data)
        return read_records(sheet), sheet.is_certain
    except LayoutError as exc:
        raise LayoutError(f"{name[:100]}: {exc}" if name else str(exc)) from exc


def _row(record: Record, further: Iterable[str]) -> LayoutRow:
    values: dict[str, Value] = {
        "condition": record.condition,
        "dose": record.dose,
        "dose_unit": record.dose_unit,
        "replicate": record.replicate,
        "control": record.control,
    }
    values |= {name: record.further.get(name) for name in further}
    return LayoutRow(record.line, record.plate, record.well, record.site, record.files, values)


def _common(one: LayoutRow, other: LayoutRow) -> LayoutRow:
    values = {name: value if other.values[name] == value else None for name, value in one.values.items()}
    return replace(one, site=None, files=(), values=values)


def _parts(path: str) -> tuple[str, ...]:
    """A file's name and the nearest folders."""
    parts = tuple(part for part in path.replace("\\", "/").split("/") if part not in ("", "."))
    return parts[-_MOST_FOLDERS:] or ("",)
