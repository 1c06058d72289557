"""The growth-rate metrics of a table of wells that says how many nuclei there were when the treatment began."""

import numpy as np

from app.errors import TableError
from app.statistics.aggregate import Values, mean_of
from app.statistics.dose_response import FEWEST_DOSES
from app.statistics.growth_rate import GrowthRateMetrics, growth_rate, growth_rate_metrics
from app.statistics.results import StatisticsWarning
from app.statistics.schema import GrowthRate
from app.statistics.table_curves import Mask, controls_of, replicate_means, treated_of
from app.statistics.well_table import WellTable


def growth_rates(wells: WellTable, counts: Values) -> tuple[tuple[GrowthRate, ...], tuple[StatisticsWarning, ...]]:
    """GR metrics of every condition with enough doses and counts at time 0, and a warning where there can be none.

    Each well is compared with the mean of its plate's controls, as for curves.
    """
    found, warnings = [], []
    for condition in np.unique(wells.condition[np.isfinite(wells.time_zero) & (wells.dose > 0)]).tolist():
        treated = _treated(wells, counts, condition)
        if np.unique(wells.dose[treated & (wells.dose > 0)]).size < FEWEST_DOSES:
            continue
        try:
            found.append(_told(wells, counts, condition, treated))
        except TableError as exc:
            warnings.append(StatisticsWarning("growth_rate_not_told", f"{condition} has no GR metrics: {exc}"))
    return tuple(found), tuple(warnings)


def fitted_growth_rate(wells: WellTable, counts: Values, condition: str) -> GrowthRateMetrics:
    """The metrics and their fit, for plots.

    Raises
    ------
    TableError
        There are none.
    """
    return _fit(wells, counts, condition, _treated(wells, counts, condition))


def _treated(wells: WellTable, counts: Values, condition: str) -> Mask:
    return treated_of(wells, counts, condition) & np.isfinite(wells.time_zero)


def _fit(wells: WellTable, counts: Values, condition: str, treated: Mask) -> GrowthRateMetrics:
    names, plate_of = np.unique(wells.plate, return_inverse=True)
    control = controls_of(wells, counts, condition, treated)
    controls = mean_of(np.where(control, counts, np.nan), plate_of, names.size)[plate_of]
    used = treated & np.isfinite(controls)
    if not used.any():
        raise TableError("No plate holds both it and its control.")
    rates = growth_rate(counts[used], controls[used], wells.time_zero[used])
    dose, response = replicate_means(wells, used, wells.dose[used], rates)
    return growth_rate_metrics(dose, response)


def _told(wells: WellTable, counts: Values, condition: str, treated: Mask) -> GrowthRate:
    metrics = _fit(wells, counts, condition, treated)
    return GrowthRate(
        condition=condition,
        dose_unit=str(wells.unit[treated][0]) or None,
        n_responses=metrics.curve.n_responses,
        gr50=metrics.gr50,
        gec50=metrics.gec50,
        gec50_interval=metrics.gec50_interval,
        gr_inf=metrics.gr_inf,
        gr_max=metrics.gr_max,
        gr_aoc=metrics.gr_aoc,
        hill=metrics.hill,
        effect_p_value=metrics.curve.effect_p_value,
        warnings=metrics.warnings,
    )
