"""B-scores: a plate's wells without the effects of their rows and columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import TableError
from app.statistics.effect_size import MAD_TO_SD
from app.statistics.results import StatisticsWarning

Values = NDArray[np.float64]
_MOST_SWEEPS = 20


@dataclass(frozen=True, eq=False)
class BScores:
    """Values without their rows' and columns' effects, in median absolute deviations (Brideau et al. 2003).

    Attributes
    ----------
    scores
        `(rows, columns)`; NaN where there is no well.
    plate, row, column
        What was taken out: one number, `(rows,)` and `(columns,)`.
    warnings
        Never empty: the scores replace the measured values, and that must be said.
    """

    scores: Values
    plate: float
    row: Values
    column: Values
    warnings: tuple[StatisticsWarning, ...]


def b_scores(grid: Values) -> BScores:
    """B-scores of a plate by Tukey's median polish: an option for screens in which most wells do nothing.

    Parameters
    ----------
    grid
        `(rows, columns)`, NaN where there is no well; `wells.plate_grid` makes it.

    Raises
    ------
    TableError
        Fewer than three rows or columns have wells, or the wells do not vary beyond rows and columns.
    """
    filled = np.isfinite(grid)
    if min(filled.any(axis=0).sum(), filled.any(axis=1).sum()) < 3:
        raise TableError("B-scores need wells in three rows and three columns at least; leave the option out.")
    left, plate = grid.copy(), 0.0
    row, column = np.zeros(grid.shape[0]), np.zeros(grid.shape[1])
    for _ in range(_MOST_SWEEPS):
        taken = _medians(left, axis=1)
        left, row = left - taken[:, None], row + taken
        taken_too = _medians(left, axis=0)
        left, column = left - taken_too, column + taken_too
        if max(np.abs(taken).max(), np.abs(taken_too).max()) <= 1e-9 * np.nanmax(np.abs(grid)):
            break
    for effects, in_use in ((row, filled.any(axis=1)), (column, filled.any(axis=0))):
        middle = float(np.median(effects[in_use]))
        plate += middle
        effects[in_use] -= middle
    spread = MAD_TO_SD * float(np.nanmedian(np.abs(left)))
    if spread == 0:
        raise TableError("The wells hardly vary beyond their rows and columns; B-scores cannot be computed of them.")
    said = StatisticsWarning(
        "b_scores",
        f"The values are B-scores: the plate's rows (spread {np.ptp(row):.3g}) and columns (spread "
        f"{np.ptp(column):.3g}) were taken out by median polish. This removes true effects too where a condition "
        "fills a row or column, or many wells are active.",
    )
    return BScores(left / spread, plate, row, column, (said,))


def _medians(grid: Values, axis: int) -> Values:
    """Of rows (axis 1) or columns (axis 0); 0 of those without wells."""
    lines = grid if axis == 1 else grid.T
    return np.array([np.median(line[np.isfinite(line)]) if np.isfinite(line).any() else 0.0 for line in lines])
