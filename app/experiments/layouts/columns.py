"""What the columns of layouts are called, here and in the field's programs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.errors import LayoutError
from app.experiments.layouts.sheet import Row

# What a table says of each well, in the order of the tables that are written.
CORE = ("condition", "dose", "dose_unit", "replicate", "control")
# First our own name, then those of Fractal, GR metrics, Broad plate maps and CellProfiler.
_CALLED = {
    "plate": ("plate", "metadata_plate"),
    "well": ("well", "metadata_well", "well_position"),
    "row": ("row", "metadata_row"),
    "column": ("column", "col", "metadata_column", "metadata_col"),
    "image": ("image",),
    "site": ("site", "metadata_site"),
    "channel": ("channel", "metadata_channel"),
    "condition": ("condition", "metadata_condition", "drug", "agent", "treatment", "broad_sample"),
    "dose": ("dose", "metadata_dose", "concentration", "mmoles_per_liter"),
    "dose_unit": ("dose_unit", "metadata_dose_unit", "concentration_unit"),
    "replicate": ("replicate", "metadata_replicate"),
    "control": ("control", "metadata_control"),
}
_UNITS = {
    unit.lower(): unit
    for unit in (
        "M",
        "mM",
        "uM",
        "nM",
        "pM",
        "fM",
        "g/l",
        "mg/l",
        "g/ml",
        "mg/ml",
        "ug/ml",
        "ng/ml",
        "pg/ml",
        "%",
        "Gy",
    )
}
_WITH_UNIT = re.compile(r"((?:metadata_)?(?:dose|concentration|conc))_?[\[(]?([a-z%/]{1,5})[\])]?")


@dataclass(frozen=True)
class Columns:
    """Where what is.

    Attributes
    ----------
    places
        The number of the column of each name of ours.
    keys
        All headers, in lower case with underscores, by the number of their column.
    further
        Other columns, as they are called.
    unit
        Of doses, where their header says it.
    """

    places: dict[str, int]
    keys: dict[int, str]
    further: dict[int, str]
    unit: str | None

    def cell(self, row: Row, name: str) -> str:
        """What is in a column of ours; empty where there is no such column."""
        place = self.places.get(name)
        return row.cells[place] if place is not None and place < len(row.cells) else ""

    def number_of(self, key: str) -> int | None:
        """Of the column whose header is `key`."""
        return next((number for number, other in self.keys.items() if other == key), None)

    def called(self, pattern: re.Pattern[str]) -> int | None:
        """The number of the first column whose whole header the pattern fits."""
        return next((number for number, key in self.keys.items() if pattern.fullmatch(key)), None)

    def with_places(self, **places: int | None) -> "Columns":
        """The same with some columns taken for others."""
        taken = {name: number for name, number in places.items() if number is not None}
        further = {number: name for number, name in self.further.items() if number not in taken.values()}
        return replace(self, places=self.places | taken, further=further)


def read_columns(header: Row) -> Columns:
    """The columns that a header names.

    Raises
    ------
    LayoutError
        Two have one name.
    """
    keys: dict[int, str] = {}
    for number, name in enumerate(header.cells):
        if name:
            key = column_key(name)
            if key in keys.values():
                raise LayoutError(f"Line {header.line} names the column {name[:60]!r} twice; leave one out.")
            keys[number] = key
    by_key = {key: number for number, key in keys.items()}
    places = {
        name: next(by_key[key] for key in called if key in by_key)
        for name, called in _CALLED.items()
        if any(key in by_key for key in called)
    }
    unit = None
    if "dose" not in places:
        for key, number in by_key.items():
            of_dose, unit_in_name = with_unit(key)
            if unit_in_name is not None and of_dose == "dose":
                places["dose"], unit = number, unit_in_name
                break
    further = {number: header.cells[number] for number in keys if number not in places.values()}
    return Columns(places, keys, further, unit)


def our_name(text: str) -> str | None:
    """What we call a column; None of one that is not ours.

    Examples
    --------
    >>> our_name("Concentration"), our_name("Dose unit"), our_name("passage")
    ('dose', 'dose_unit', None)
    """
    key = column_key(text)
    name = next((name for name, called in _CALLED.items() if key in called), None)
    return name or ("dose" if with_unit(key)[1] else None)


def with_unit(key: str) -> tuple[str, str | None]:
    """A column of doses whose header names their unit.

    Examples
    --------
    >>> with_unit("dose_um"), with_unit("concentration_[nm]"), with_unit("dose_group")
    (('dose', 'uM'), ('dose', 'nM'), ('dose_group', None))
    """
    match = _WITH_UNIT.fullmatch(key)
    unit = _UNITS.get(match[2]) if match else None
    return ("dose", unit) if unit else (key, None)


def column_key(text: str) -> str:
    """A header as it is compared: in lower case, with underscores.

    Examples
    --------
    >>> column_key(" Dose  Unit"), column_key("Conc. (µM)")
    ('dose_unit', 'conc_(um)')
    """
    return re.sub(r"[\s_.-]+", "_", normal_unit(text).strip().lower()).strip("_")


def normal_unit(text: str) -> str:
    """A unit with `u` for micro, which is written with two other signs too.

    Examples
    --------
    >>> normal_unit("µM"), normal_unit("\u03bcg/ml")
    ('uM', 'ug/ml')
    """
    return text.replace("\u00b5", "u").replace("\u03bc", "u")


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first of many."""
    told = ", ".join(repr(name[:40]) for name in names[:12])
    return f"{told} and {len(names) - 12} more" if len(names) > 12 else told
