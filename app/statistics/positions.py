"""Where a well lies in its plate, and whether that changes what is measured of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import TableError
from app.statistics.aggregate import Values
from app.statistics.distributions import f_test
from app.statistics.power import ALPHA
from app.statistics.results import StatisticsWarning

# A part of the sum of squares below which residuals are rounding.
_ROUNDING = 1e-20
# Positions go from 0 to 1; wells that differ by less lie in the same place.
_SAME_PLACE = 1e-9
# Rows and columns of the plates that labs use: 6, 12, 24, 48, 96, 384 and 1,536 wells.
PLATES = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))
_WELL = re.compile(r"([A-Z]|A[A-F])0*([1-9]\d?)", re.IGNORECASE)


def well_positions(wells: Sequence[str]) -> NDArray[np.intp]:
    """Rows and columns, `(N, 2)`, counted from 0, of wells such as A1, B02 or AF48.

    Raises
    ------
    TableError
        A name is not a well's.

    Examples
    --------
    >>> well_positions(["A1", "h12", "AF48"]).tolist()
    [[0, 0], [7, 11], [31, 47]]
    """
    positions = np.empty((len(wells), 2), np.intp)
    for index, well in enumerate(wells):
        named = _WELL.fullmatch(well.strip())
        if named is None:
            raise TableError(
                f"{well!r} is not the name of a well; give a row's letter and a column's number, as in B02."
            )
        letters = named[1].upper()
        row = ord(letters[-1]) - ord("A") + (26 if len(letters) == 2 else 0)
        positions[index] = row, int(named[2]) - 1
    return positions


def plate_shape(positions: NDArray[np.intp]) -> tuple[int, int]:
    """Rows and columns of the smallest usual plate that holds the positions, `(N, 2)`.

    Examples
    --------
    >>> plate_shape(well_positions(["A1", "H12"])), plate_shape(well_positions(["P24"]))
    ((8, 12), (16, 24))
    """
    n_rows, n_columns = (positions.max(axis=0) + 1).tolist()
    for shape in PLATES:
        if n_rows <= shape[0] and n_columns <= shape[1]:
            return shape
    raise TableError(f"The wells need {n_rows} rows and {n_columns} columns; plates have at most 32 and 48.")


def at_edge(wells: Sequence[str], shape: tuple[int, int] | None = None) -> NDArray[np.bool_]:
    """Which wells, `(N,)`, lie in the outermost rows and columns of their plate; see `plate_shape`.

    Examples
    --------
    >>> at_edge(["A1", "B2", "B12", "H3"]).tolist()
    [True, False, True, True]
    """
    positions = well_positions(wells)
    last = np.array(shape or plate_shape(positions)) - 1
    edge: NDArray[np.bool_] = ((positions == 0) | (positions == last)).any(axis=1)
    return edge


def plate_grid(
    values: NDArray[np.float64], wells: Sequence[str], shape: tuple[int, int] | None = None
) -> NDArray[np.float64]:
    """Values `(N,)` in the places of their wells, `(rows, columns)`: what a heat map shows. Wells without one are NaN.

    Examples
    --------
    >>> plate_grid(np.array([5.0, 7.0]), ["A1", "B3"], (2, 3))
    array([[ 5., nan, nan],
           [nan, nan,  7.]])
    """
    positions = well_positions(wells)
    grid = np.full(shape or plate_shape(positions), np.nan)
    grid[*positions.T] = values
    return grid


@dataclass(frozen=True)
class PositionEffects:
    """Whether a value depends on where in the plate a well lies, its condition being equal.

    Edge and gradient are tested each for itself: where both show, the layout may not tell them apart.

    Attributes
    ----------
    edge_difference, edge_p_value
        Wells of the outermost rows and columns minus those inside, and p of none (F test).
    row_gradient, column_gradient, gradient_p_value
        Change from the first to the last row, and column, and p of neither.
    warnings
        `edge_effect`, `gradient` where p is at most 0.05, and `positions_not_testable` where nothing can be told.
    """

    edge_difference: float | None
    edge_p_value: float | None
    row_gradient: float | None
    column_gradient: float | None
    gradient_p_value: float | None
    warnings: tuple[StatisticsWarning, ...]


def position_effects(
    values: Values, wells: Sequence[str], condition: Sequence[str], shape: tuple[int, int] | None = None
) -> PositionEffects:
    """Test a plate for an effect of its edge and for gradients, by linear models of conditions and positions.

    Parameters
    ----------
    values
        `(N,)`, one a well.
    wells
        `(N,)` names such as `B02`.
    condition
        `(N,)`: what each well holds, with its dose. Only conditions with several wells tell anything.
    shape
        Rows and columns of the plate; without it the smallest usual plate that holds the wells.
    """
    rows, columns, edge = _positions(wells, shape)
    condition_of = np.unique(np.asarray(condition), return_inverse=True)[1]
    edge_test = _f_test(values, condition_of, edge[:, None])
    gradient_test = _f_test(values, condition_of, np.column_stack([rows, columns]))
    if edge_test is None and gradient_test is None:
        return PositionEffects(None, None, None, None, None, (_NOT_TESTABLE,))
    found, mean = [], float(values.mean())
    edge_difference = edge_p = row_gradient = column_gradient = gradient_p = None
    if edge_test is not None:
        (edge_difference,), edge_p = edge_test
    if gradient_test is not None:
        (row_gradient, column_gradient), gradient_p = gradient_test
    if edge_difference is not None and edge_p is not None and edge_p <= ALPHA:
        found.append(_edge_effect(edge_difference, edge_p, mean))
    if row_gradient is not None and column_gradient is not None and gradient_p is not None and gradient_p <= ALPHA:
        found.append(_gradient(row_gradient, column_gradient, gradient_p, mean))
    return PositionEffects(edge_difference, edge_p, row_gradient, column_gradient, gradient_p, tuple(found))


_NOT_TESTABLE = StatisticsWarning(
    "positions_not_testable",
    "Position and condition cannot be told apart in this layout, so that neither an edge effect nor a gradient can be "
    "tested. Spread the wells of a condition, the controls first, over edge and inside.",
)


def _positions(wells: Sequence[str], shape: tuple[int, int] | None) -> tuple[Values, Values, Values]:
    """Rows and columns from 0 to 1, and 1 for wells at the edge, `(N,)` each."""
    positions = well_positions(wells)
    rows, columns = (positions / (np.array(shape or plate_shape(positions)) - 1)).T
    return rows, columns, at_edge(wells, shape).astype(np.float64)


def _f_test(values: Values, condition_of: NDArray[np.intp], positions: Values) -> tuple[list[float], float] | None:
    """Coefficients of the positions and p of all being 0, beside the conditions; None where these are the same.

    What is left of a linear model of the conditions are the distances from their means; the positions are fitted to
    these (Frisch and Waugh 1933).
    """
    wells, places = (_within(columns, condition_of) for columns in (values[:, None], positions))
    n_positions = positions.shape[1]
    degrees_of_freedom = values.size - (int(condition_of.max()) + 1) - n_positions
    if np.linalg.matrix_rank(places, tol=_SAME_PLACE) < n_positions or degrees_of_freedom < 1:
        return None
    coefficients = np.linalg.lstsq(places, wells[:, 0])[0]
    simpler_left, left = (float((rest**2).sum()) for rest in (wells, wells[:, 0] - places @ coefficients))
    found = coefficients.tolist()
    if left <= _ROUNDING * float((values**2).sum()):
        return found, 1.0 if simpler_left <= _ROUNDING * float((values**2).sum()) else 0.0
    statistic = (simpler_left - left) / n_positions / (left / degrees_of_freedom)
    return found, f_test(statistic, n_positions, degrees_of_freedom)


def _within(columns: Values, condition_of: NDArray[np.intp]) -> Values:
    """Columns, `(N, K)`, less the means of their conditions."""
    n = np.bincount(condition_of)
    sums = np.stack([np.bincount(condition_of, column) for column in columns.T], axis=1)
    within: Values = columns - (sums / n[:, None])[condition_of]
    return within


def _edge_effect(difference: float, p_value: float, mean: float) -> StatisticsWarning:
    return StatisticsWarning(
        "edge_effect",
        f"Wells at the plate's edge lie {abs(difference):.4g} ({abs(difference / mean):.1%} of the mean) "
        f"{'below' if difference < 0 else 'above'} those inside (p {p_value:.2g}). Leave the edge out, or spread the "
        "conditions over edge and inside.",
    )


def _gradient(row: float, column: float, p_value: float, mean: float) -> StatisticsWarning:
    return StatisticsWarning(
        "gradient",
        f"Values change by {row / mean:+.1%} of the mean from the first row to the last and by {column / mean:+.1%} "
        f"from the first column to the last (p {p_value:.2g}). Spread the conditions over the plate.",
    )
