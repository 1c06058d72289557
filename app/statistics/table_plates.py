"""The quality of each plate of a table of wells."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from app.errors import TableError
from app.statistics.aggregate import Values, group_index
from app.statistics.effect_size import ssmd, standard_deviation
from app.statistics.plate_quality import (
    PositionEffects,
    outliers,
    position_effects,
    too_few_nuclei,
    z_prime,
)
from app.statistics.results import StatisticsWarning
from app.statistics.schema import PlateQuality, Separation
from app.statistics.well_table import WellTable
from app.statistics.wells import at_edge

COUNT = "count"


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
    if endpoint == COUNT:
        found += too_few_nuclei(values[here], names)
    cv = (
        float(100 * standard_deviation(negative) / negative.mean())
        if negative.size > 1 and negative.mean() > 0
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
