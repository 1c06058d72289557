"""A table of measurements, one row a well or an image, checked and brought to one row a well."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import TableError
from app.statistics.aggregate import Values, group_index, mean_of
from app.statistics.results import StatisticsWarning
from app.statistics.schema import Normalisation

NEGATIVE, POSITIVE = "negative", "positive"
LAYOUT_COLUMNS = ("plate", "well", "image", "condition", "dose", "dose_unit", "replicate", "control")
# Nuclei that a well, or wells like it, had when the treatment began: for growth rates.
TIME_ZERO = "time0_count"
# What names replicates and blocks in every table; other columns must be asked for.
LABELS = ("plate", "well", "replicate")
# Squares and ratios of what lies beyond, or below its inverse, are no numbers any more.
_LARGEST = 1e60
_MISSING = ("", "na", "n/a", "nan", "none", "null")


@dataclass(frozen=True, eq=False)
class WellTable:
    """One row a well, `(N,)` each.

    Attributes
    ----------
    plate, well, condition
        Names.
    dose, unit
        NaN, and empty, where there is none.
    labels
        Columns that can name replicates or blocks, as text: the layout's and any further ones that were asked for.
    is_negative, is_positive
        Controls.
    endpoints
        Values by endpoint; NaN where one is missing.
    warnings
        What was put right, or assumed, on the way.
    time_zero
        Nuclei when the treatment began; NaN where that is unknown.
    normalise
        What was done to the values; see `normalise.normalised`.
    """

    plate: NDArray[np.str_]
    well: NDArray[np.str_]
    condition: NDArray[np.str_]
    dose: Values
    unit: NDArray[np.str_]
    labels: dict[str, NDArray[np.str_]]
    is_negative: NDArray[np.bool_]
    is_positive: NDArray[np.bool_]
    endpoints: dict[str, Values]
    warnings: tuple[StatisticsWarning, ...]
    time_zero: Values
    normalise: Normalisation = "none"

    @property
    def are_amounts(self) -> bool:
        """Whether 0 is nothing, so that ratios and percents of values say something; of B-scores it is not."""
        return self.normalise == "none"


def well_table(
    table: Mapping[str, Sequence[Any]],
    endpoints: Sequence[str],
    control: str | None = None,
    label_columns: Sequence[str] = (),
) -> WellTable:
    """Check a table and average the rows of each well.

    Parameters
    ----------
    table
        Columns of text or numbers: `well` (or `image`) and `condition`; perhaps `plate`, `dose`, `dose_unit`,
        `replicate`, `control` (`negative`, `positive`); and the endpoints.
    endpoints
        Columns of numbers.
    control
        The condition that is the negative control, where the column `control` does not say.
    label_columns
        Further columns that name replicates or blocks.

    Raises
    ------
    TableError
        A column is missing or holds something else than it should, a well has two conditions, a condition two units of
        dose, or nothing is a control.
    """
    n_rows = _n_rows(table, [*endpoints, *label_columns])
    text = {name: _text(table, name, n_rows) for name in LAYOUT_COLUMNS}
    if not any(text["well"]):
        text["well"] = text["image"]
    for name, what in (("well", "well (or image)"), ("condition", "condition")):
        if "" in text[name]:
            raise TableError(f"Row {list(text[name]).index('') + 1} has no {what}; every row needs one.")
    dose = _numbers(table, "dose", n_rows)
    unknown = set(np.char.lower(text["control"])) - {"", NEGATIVE, POSITIVE}
    if unknown:
        raise TableError(f"Column 'control' holds {sorted(unknown)[0]!r}; it takes 'negative', 'positive' or nothing.")
    if (dose < 0).any():
        raise TableError("A dose is below 0; give doses as amounts, not as logarithms.")
    keys, row_well = group_index(text["plate"].tolist(), text["well"].tolist())
    first = np.unique(row_well, return_index=True)[1]
    _check_one_treatment(text, dose, row_well, first)
    is_negative, assumed = _negative(text, dose, control)
    labels = {name: text[name] for name in LABELS}
    labels |= {name: _text(table, name, n_rows) for name in label_columns if name not in labels}
    return WellTable(
        plate=text["plate"][first],
        well=text["well"][first],
        condition=text["condition"][first],
        dose=dose[first],
        unit=_units(text["dose_unit"], text["condition"], dose)[first],
        labels={name: values[first] for name, values in labels.items()},
        is_negative=is_negative[first],
        is_positive=(np.char.lower(text["control"]) == POSITIVE)[first],
        endpoints={name: mean_of(_numbers(table, name, n_rows), row_well, len(keys)) for name in endpoints},
        warnings=(*assumed, *_repeated_rows(text, row_well, first), *_unit_warnings(text, dose)),
        time_zero=mean_of(_numbers(table, TIME_ZERO, n_rows), row_well, len(keys)),
    )


def _n_rows(table: Mapping[str, Sequence[Any]], wanted: Sequence[str]) -> int:
    for name in ("condition", *wanted):
        if name not in table:
            raise TableError(f"The table has no column {name!r}; it has {', '.join(map(repr, table)) or 'none'}.")
    if "well" not in table and "image" not in table:
        raise TableError("The table has neither a column 'well' nor 'image'; one of them must say what a row is.")
    lengths = {len(column) for column in table.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise TableError("The table has no rows, or columns of different lengths.")
    return lengths.pop()


def _text(table: Mapping[str, Sequence[Any]], name: str, n_rows: int) -> NDArray[np.str_]:
    """A column as text, empty where it is missing; whole numbers without a point."""
    return np.array([_as_text(value) for value in table[name]] if name in table else [""] * n_rows)


def _as_text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    said = f"{value:g}" if isinstance(value, float) else str(value).strip()
    return "" if said.lower() in _MISSING else said


def _numbers(table: Mapping[str, Sequence[Any]], name: str, n_rows: int) -> Values:
    """A column as numbers, NaN where it is missing."""
    numbers = np.full(n_rows, np.nan)
    for row, value in enumerate(table.get(name, [])):
        said = _as_text(value)
        try:
            numbers[row] = float(value if isinstance(value, (int, float)) and said else said or "nan")
        except ValueError:
            raise TableError(f"Row {row + 1} of column {name!r} holds {said!r}, which is not a number.") from None
    size = np.abs(numbers)
    beyond = (size > _LARGEST) | ((size > 0) & (size < 1 / _LARGEST))
    if beyond.any():
        row = int(np.flatnonzero(beyond)[0])
        raise TableError(
            f"Row {row + 1} of column {name!r} holds {numbers[row]:g}, which is no measurement; correct it."
        )
    return numbers


def _check_one_treatment(
    text: Mapping[str, NDArray[np.str_]], dose: Values, row_well: NDArray[np.intp], first: NDArray[np.intp]
) -> None:
    same_dose = (dose == dose[first][row_well]) | (np.isnan(dose) & np.isnan(dose[first][row_well]))
    same = same_dose & np.all(
        [text[name] == text[name][first][row_well] for name in ("condition", "dose_unit", "control")], axis=0
    )
    if not same.all():
        row = int(np.flatnonzero(~same)[0])
        raise TableError(
            f"Well {text['well'][row]}{_on(text['plate'][row])} has rows with different condition, dose or control; a "
            "well holds one. Name combinations as one condition."
        )


def _negative(
    text: Mapping[str, NDArray[np.str_]], dose: Values, control: str | None
) -> tuple[NDArray[np.bool_], tuple[StatisticsWarning, ...]]:
    if control is not None:
        named: NDArray[np.bool_] = text["condition"] == control
        if not named.any():
            raise TableError(f"No row has the condition {control!r} that was given as the control.")
        return named, ()
    marked: NDArray[np.bool_] = np.char.lower(text["control"]) == NEGATIVE
    if marked.any():
        return marked, ()
    untreated: NDArray[np.bool_] = dose == 0
    if untreated.any():
        said = (
            "No row is marked as a control, so that the wells of dose 0 were taken. Mark them with control = negative."
        )
        return untreated, (StatisticsWarning("control_assumed", said),)
    raise TableError(
        "Nothing says which wells are untreated; mark them in the column 'control' with 'negative', or name their "
        "condition with the option control."
    )


def _units(unit: NDArray[np.str_], condition: NDArray[np.str_], dose: Values) -> NDArray[np.str_]:
    """The unit of each row, one a condition; rows of dose 0 need not repeat it."""
    of_condition = {}
    for name in np.unique(condition).tolist():
        units = sorted(set(unit[(condition == name) & (dose > 0)]) - {""})
        if len(units) > 1:
            raise TableError(f"Condition {name!r} has doses in {' and in '.join(units)}; convert them to one unit.")
        of_condition[name] = units[0] if units else ""
    return np.array([of_condition[name] for name in condition])


def _unit_warnings(text: Mapping[str, NDArray[np.str_]], dose: Values) -> tuple[StatisticsWarning, ...]:
    units = set(text["dose_unit"][dose > 0])
    if "" in units:
        said = "Doses have no unit; EC50 are in whatever the column 'dose' holds. Add the column 'dose_unit'."
        return (StatisticsWarning("dose_unit_missing", said),)
    if len(units) > 1:
        said = f"Conditions have doses in different units, {', '.join(sorted(units))}; each EC50 is in its own."
        return (StatisticsWarning("dose_units_differ", said),)
    return ()


def _repeated_rows(
    text: Mapping[str, NDArray[np.str_]], row_well: NDArray[np.intp], first: NDArray[np.intp]
) -> tuple[StatisticsWarning, ...]:
    """Rows of one well are images of it; other replicates on them would be pseudo-replication."""
    if row_well.size == first.size:
        return ()
    if (text["replicate"] != text["replicate"][first][row_well]).any():
        return (
            StatisticsWarning(
                "pseudo_replication",
                "Rows of one well have different replicates. Images of a well are not replicates of a treatment: they "
                "were averaged, and each such well counts once.",
            ),
        )
    return (
        StatisticsWarning("rows_averaged", "Some wells have several rows (images); they were averaged to one a well."),
    )


def _on(plate: str) -> str:
    return f" of plate {plate}" if plate else ""
