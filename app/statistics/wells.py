"""Where a well lies in its plate."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.errors import TableError

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
