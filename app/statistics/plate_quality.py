"""Is a plate good enough to tell? Separation of its controls, effects of edge and gradient, wells unlike the rest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.statistics.effect_size import MAD_TO_SD, centre_and_deviation
from app.statistics.power import ALPHA
from app.statistics.results import StatisticsWarning, f_test
from app.statistics.wells import at_edge, plate_shape, well_positions

Values = NDArray[np.float64]
# Modified z scores past this are outliers. The usual 3.5 (Iglewicz and Hoaglin 1993) names one without cause in 8 to
# 19 % of plates (12 to 384 wells, 1,500 simulated ones each), this one in 3 % of 12 wells and 0.2 % of 384.
OUTLIER = 5.0
# Fewer values have no rest that one of them could be unlike.
_FEWEST_FOR_OUTLIERS = 12
# Medians and shares of fewer nuclei are mostly chance.
FEWEST_NUCLEI = 50
# A part of the sum of squares below which residuals are rounding.
_ROUNDING = 1e-20
# Positions go from 0 to 1; wells that differ by less lie in the same place.
_SAME_PLACE = 1e-9


def z_prime(negative: Values, positive: Values, robust: bool = False) -> float | None:
    """Z' of a plate's controls, 1 - 3 (sd + sd) / |difference of means| (Zhang et al. 1999).

    Parameters
    ----------
    negative, positive
        `(N,)` and `(M,)` wells.
    robust
        Medians and 1.4826 median absolute deviations instead.

    Returns
    -------
    float or None
        0.5 and more is taken as an excellent assay, below 0 as none. None where neither group varies, one has fewer
        than two wells, or both have the same mean.

    Examples
    --------
    >>> z_prime(np.array([95.0, 105.0, 100.0]), np.array([10.0, 12.0, 8.0]))
    0.7666666666666666
    """
    if min(negative.size, positive.size) < 2:
        return None
    (centre, deviation), (other, other_deviation) = (
        centre_and_deviation(values, robust) for values in (negative, positive)
    )
    if deviation + other_deviation == 0 or centre == other:
        return None
    return 1 - 3 * (deviation + other_deviation) / abs(centre - other)


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


def modified_z(values: Values) -> Values:
    """Distances from the median in robust standard deviations, `(N,)` (Iglewicz and Hoaglin 1993).

    Of any measure of wells or images, such as focus: those past `OUTLIER` are unlike the rest. Where more than half of
    the values are equal the mean absolute deviation stands in for the median one; where all are, every distance is 0.

    Examples
    --------
    >>> modified_z(np.array([1.0, 2.0, 3.0, 100.0])).round(1).tolist()
    [-1.0, -0.3, 0.3, 65.8]
    """
    from_median = values - np.nanmedian(values)
    spread = MAD_TO_SD * float(np.nanmedian(np.abs(from_median)))
    # 1.2533 mean absolute deviations are a normal distribution's standard deviation.
    spread = spread or math.sqrt(math.pi / 2) * float(np.nanmean(np.abs(from_median)))
    return from_median / spread if spread else np.zeros_like(values)


def outliers(values: Values, names: Sequence[str], what: str) -> tuple[StatisticsWarning, ...]:
    """A warning that names the wells, or images, whose measure is unlike the rest; of fewer than 12 there is none.

    Examples
    --------
    >>> [warning.code for warning in outliers(np.array([1.0, 2, 3] * 4 + [40]), list("abcdefghijklm"), "focus")]
    ['unlike_the_rest']
    """
    if values.size < _FEWEST_FOR_OUTLIERS:
        return ()
    far = np.abs(modified_z(values)) > OUTLIER
    if not far.any():
        return ()
    return (
        StatisticsWarning(
            "unlike_the_rest",
            f"In {what} {_listed(names, far)} {'is' if far.sum() == 1 else 'are'} unlike the rest of the plate; look "
            "at the images before you use them.",
        ),
    )


def too_few_nuclei(counts: Values, names: Sequence[str], least: int = FEWEST_NUCLEI) -> tuple[StatisticsWarning, ...]:
    """A warning that names the wells whose nuclei are too few for medians and shares; their counts are as good as any.

    Examples
    --------
    >>> too_few_nuclei(np.array([12, 400]), ["A1", "A2"])[0].message
    'A1 has fewer than 50 nuclei: its count counts, but its medians and shares are mostly chance.'
    """
    few = counts < least
    if not few.any():
        return ()
    has, its = ("has", "its count counts, but its") if few.sum() == 1 else ("have", "their counts count, but their")
    return (
        StatisticsWarning(
            "too_few_nuclei",
            f"{_listed(names, few)} {has} fewer than {least} nuclei: {its} medians and shares are mostly chance.",
        ),
    )


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


def _listed(names: Sequence[str], chosen: NDArray[np.bool_], most: int = 8) -> str:
    """Some names and how many more there are."""
    found = [name for name, is_chosen in zip(names, chosen) if is_chosen]
    if len(found) > most:
        return f"{', '.join(found[:most])} and {len(found) - most} more"
    return " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))
