"""Is a plate good enough to tell? Separation of its controls, effects of edge and gradient, wells unlike the rest."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import TableError
from app.statistics.aggregate import Values, group_index
from app.statistics.effect_size import MAD_TO_SD, centre_and_deviation, ssmd, standard_deviation
from app.statistics.positions import PositionEffects, at_edge, position_effects
from app.statistics.results import StatisticsWarning
from app.statistics.schema import PlateQuality, Separation
from app.statistics.well_table import WellTable

# Modified z scores past this are outliers. The usual 3.5 (Iglewicz and Hoaglin 1993) names one without cause in 8 to
# 19 % of plates (12 to 384 wells, 1,500 simulated ones each), this one in 3 % of 12 wells and 0.2 % of 384.
OUTLIER = 5.0
# Fewer values have no rest that one of them could be unlike.
_FEWEST_FOR_OUTLIERS = 12
# Medians and shares of fewer nuclei are mostly chance.
FEWEST_NUCLEI = 50
COUNT = "count"


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


def _listed(names: Sequence[str], chosen: NDArray[np.bool_], most: int = 8) -> str:
    """Some names and how many more there are."""
    found = [name for name, is_chosen in zip(names, chosen) if is_chosen]
    if len(found) > most:
        return f"{', '.join(found[:most])} and {len(found) - most} more"
    return " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))


def plates_of(wells: WellTable, endpoint: str) -> tuple[PlateQuality, ...]:
    """The quality of each plate that has values of an endpoint."""
    known = np.isfinite(wells.endpoints[endpoint])
    return tuple(_plate(wells, endpoint, plate) for plate in np.unique(wells.plate[known]).tolist())


def _plate(wells: WellTable, endpoint: str, plate: str) -> PlateQuality:
    values = wells.endpoints[endpoint]
    here = (wells.plate == plate) & np.isfinite(values)
    negative = values[here & wells.is_negative]
    names = wells.well[here].tolist()
    separations = tuple(_separations(wells, values, here, negative))
    positions, edge_mean, inside_mean = _positions(wells, values, here)
    found = [] if separations else [_NO_POSITIVE]
    found += [_NOT_SEPARABLE] if any(separation.z_prime is None for separation in separations) else []
    found += outliers(
        negative, wells.well[here & wells.is_negative].tolist(), f"{endpoint}, among the negative controls,"
    )
    if endpoint == COUNT and wells.are_amounts:
        found += too_few_nuclei(values[here], names)
    cv = (
        float(100 * standard_deviation(negative) / negative.mean())
        if negative.size > 1 and negative.mean() > 0 and wells.are_amounts
        else None
    )
    return PlateQuality(
        plate=plate,
        n_wells=int(here.sum()),
        control_mean=float(negative.mean()) if negative.size else None,
        control_cv_percent=cv,
        control_edge_mean=edge_mean,
        control_inside_mean=inside_mean,
        separations=separations,
        edge_difference=positions.edge_difference,
        edge_p_value=positions.edge_p_value,
        row_gradient=positions.row_gradient,
        column_gradient=positions.column_gradient,
        gradient_p_value=positions.gradient_p_value,
        warnings=(*found, *positions.warnings),
    )


def _separations(wells: WellTable, values: Values, here: Any, negative: Values) -> Iterator[Separation]:
    positives = here & wells.is_positive
    keys, key_of = group_index(wells.condition[positives].tolist(), _dose_names(wells.dose[positives]))
    for index, (condition, dose) in enumerate(keys):
        positive = values[positives][key_of == index]
        yield Separation(
            condition=condition,
            dose=dose,
            n_negative=negative.size,
            n_positive=positive.size,
            z_prime=z_prime(negative, positive),
            robust_z_prime=z_prime(negative, positive, robust=True),
            ssmd=ssmd(positive, negative),
            robust_ssmd=ssmd(positive, negative, robust=True),
        )


def _positions(wells: WellTable, values: Values, here: Any) -> tuple[PositionEffects, float | None, float | None]:
    """Effects of positions, and the negative controls' means at the edge and inside."""
    names = wells.well[here].tolist()
    conditions = [f"{c}\t{d}" for c, d in zip(wells.condition[here], wells.dose[here])]
    try:
        edge = at_edge(names)
    except TableError:
        return PositionEffects(None, None, None, None, None, (_NOT_WELLS,)), None, None
    negative = wells.is_negative[here]
    edge_mean, inside_mean = (
        float(values[here][negative & where].mean()) if (negative & where).any() else None for where in (edge, ~edge)
    )
    return position_effects(values[here], names, conditions), edge_mean, inside_mean


def _dose_names(doses: Values) -> list[float | None]:
    return [None if np.isnan(dose) else float(dose) for dose in doses]


_NO_POSITIVE = StatisticsWarning(
    "no_positive_control",
    "No well is marked as a positive control, so that there are no Z' and SSMD of the plate. Mark them with control = "
    "positive.",
)
_NOT_SEPARABLE = StatisticsWarning(
    "controls_not_separable",
    "A positive control has no Z': it, or the negative control, has fewer than two wells, or neither varies.",
)
_NOT_WELLS = StatisticsWarning(
    "positions_unknown", "The wells' names tell no rows and columns, so that neither edge nor gradient can be tested."
)
