"""The dose-response curves of a table of wells."""

from typing import Any

import numpy as np

from app.statistics.aggregate import Values, group_index, mean_of, relative_to_control
from app.statistics.curve_result import DoseResponse
from app.statistics.dose_response import FEWEST_DOSES, fit_curve
from app.statistics.results import StatisticsWarning
from app.statistics.schema import ConditionCurve, EffectiveDose
from app.statistics.well_table import WellTable

PERCENTS = (10.0, 50.0, 90.0)


def condition_curves(
    wells: WellTable, values: Values
) -> tuple[tuple[ConditionCurve, ...], tuple[StatisticsWarning, ...]]:
    """A curve of every condition with enough doses, and a warning that names those with too few of several.

    Controls enter each curve as dose 0: those of the same plates. Where these are several plates, responses are taken
    relative to the mean of their plate's controls.
    """
    found, too_few = [], []
    for condition in np.unique(wells.condition[wells.dose > 0]).tolist():
        same = (wells.condition == condition) & np.isfinite(wells.dose) & np.isfinite(values) & ~wells.is_negative
        n_doses = np.unique(wells.dose[same & (wells.dose > 0)]).size
        if n_doses >= FEWEST_DOSES:
            found.append(_curve(wells, values, condition, same))
        elif n_doses > 1:
            too_few.append(condition)
    if not too_few:
        return tuple(found), ()
    said = f"A curve needs {FEWEST_DOSES} doses above 0; there are fewer of {', '.join(too_few)}, which have no EC50."
    return tuple(found), (StatisticsWarning("too_few_doses", said),)


def fitted_curve(wells: WellTable, values: Values, condition: str) -> DoseResponse:
    """The fit itself, for plots."""
    same = (wells.condition == condition) & np.isfinite(wells.dose) & np.isfinite(values) & ~wells.is_negative
    return _fit(wells, values, condition, same)[0]


def _fit(wells: WellTable, values: Values, condition: str, treated: Any) -> tuple[DoseResponse, bool, int]:
    plates = np.unique(wells.plate[treated])
    own = wells.is_negative & (wells.condition == condition)
    control = (own if own.any() else wells.is_negative) & np.isfinite(values) & np.isin(wells.plate, plates)
    relative = plates.size > 1
    plate_of = np.unique(wells.plate, return_inverse=True)[1]
    responses = relative_to_control(values, plate_of, control) if relative else values
    used = (treated | control) & np.isfinite(responses)
    doses = np.where(control, 0.0, wells.dose)[used]
    dose, response = _replicates(wells, used, doses, responses[used])
    return fit_curve(dose, response), relative, plates.size


def _replicates(wells: WellTable, used: Any, doses: Values, responses: Values) -> tuple[Values, Values]:
    """Doses and responses of replicates: wells, but the mean of those that share a plate's replicate among several."""
    plate, replicate, well = (wells.labels[name][used].tolist() for name in ("plate", "replicate", "well"))
    several = {name for name in set(plate) if len({r for p, r in zip(plate, replicate) if p == name}) > 1}
    unit = [r if p in several and r else w for p, r, w in zip(plate, replicate, well)]
    keys, unit_of = group_index(doses.tolist(), plate, unit)
    return np.array([key[0] for key in keys]), mean_of(responses, unit_of, len(keys))


def _curve(wells: WellTable, values: Values, condition: str, treated: Any) -> ConditionCurve:
    curve, relative, n_plates = _fit(wells, values, condition, treated)
    return ConditionCurve(
        condition=condition,
        dose_unit=str(wells.unit[treated][0]) or None,
        relative_to_control=relative,
        n_responses=curve.n_responses,
        n_doses=curve.n_doses,
        n_plates=n_plates,
        ec50=curve.ec50,
        ec50_interval=curve.ec50_interval,
        slope=curve.slope,
        slope_interval=curve.slope_interval,
        lower=curve.lower,
        upper=curve.upper,
        effective_doses=tuple(_effective_dose(curve, percent) for percent in PERCENTS),
        effect_p_value=curve.effect_p_value,
        lack_of_fit_p_value=curve.lack_of_fit_p_value,
        residual_deviation=curve.residual_deviation,
        warnings=curve.warnings,
    )


def _effective_dose(curve: DoseResponse, percent: float) -> EffectiveDose:
    return EffectiveDose(
        percent=percent,
        dose=curve.effective_dose(percent),
        standard_error_hessian=curve.effective_dose_error(percent, "hessian"),
        standard_error_jacobian=curve.effective_dose_error(percent, "jacobian"),
        interval=curve.ec50_interval if percent == 50 else curve.effective_dose_interval(percent),
    )
