"""The dose-response curves of a table of wells."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from app.statistics.aggregate import Values, group_index, mean_of, relative_to_control
from app.statistics.curve_comparison import compare_curves
from app.statistics.curve_result import DoseResponse
from app.statistics.dose_response import FEWEST_DOSES, fit_curve
from app.statistics.results import Interval, StatisticsWarning
from app.statistics.schema import ConditionCurve, CurvePoint, Ec50Ratio, EffectiveDose
from app.statistics.well_table import WellTable

Mask = NDArray[np.bool_]
PERCENTS = (10.0, 50.0, 90.0)
_N_POINTS = 41
# So many curves have six pairs; of more each is compared with that of a positive control.
_MOST_IN_PAIRS = 4
_MOST_RATIOS = 24
_MOST_NAMED = 3


@dataclass(frozen=True)
class TableCurves:
    """The curves of an endpoint, the ratios of their EC50, and what could not be told."""

    curves: tuple[ConditionCurve, ...]
    ratios: tuple[Ec50Ratio, ...]
    warnings: tuple[StatisticsWarning, ...]


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A curve as it is told, and its fit."""

    told: ConditionCurve
    fit: DoseResponse

    @property
    def scale(self) -> tuple[str | None, bool]:
        """What curves must share to be compared: the unit of doses, and whether responses are parts of the control."""
        return self.told.dose_unit, self.told.relative_to_control


def condition_curves(wells: WellTable, values: Values) -> TableCurves:
    """A curve of every condition with enough doses, compared in pairs; a warning names those with too few of several.

    Controls enter each curve as dose 0: those of the same plates. Where these are several plates, responses are taken
    relative to the mean of their plate's controls. Of many curves each is compared with that of a positive control.
    """
    found, too_few = [], []
    for condition in np.unique(wells.condition[wells.dose > 0]).tolist():
        same = treated_of(wells, values, condition)
        n_doses = np.unique(wells.dose[same & (wells.dose > 0)]).size
        if n_doses >= FEWEST_DOSES:
            found.append(_curve(wells, values, condition, same))
        elif n_doses > 1:
            too_few.append(condition)
    warnings = []
    if too_few:
        names = ", ".join(too_few)
        said = f"A curve needs {FEWEST_DOSES} doses above 0; there are fewer of {names}, which have no EC50."
        warnings.append(StatisticsWarning("too_few_doses", said))
    positive = set(wells.condition[wells.is_positive].tolist())
    ratios, not_compared = _ratios([one for one in found if one.fit.ec50 is not None], positive)
    return TableCurves(tuple(one.told for one in found), ratios, (*warnings, *not_compared))


def _ratios(
    fitted: Sequence[_Fitted], positive: Collection[str]
) -> tuple[tuple[Ec50Ratio, ...], tuple[StatisticsWarning, ...]]:
    """Ratios of the EC50 of curves that have one, and warnings that name those that were not compared."""
    pairs: list[tuple[_Fitted, _Fitted]] = list(combinations(fitted, 2))
    warnings = []
    if len(fitted) > _MOST_IN_PAIRS:
        reference = next((one for one in fitted if one.told.condition in positive), None)
        if reference is None:
            said = (
                f"The EC50 of {len(fitted)} curves were not compared, because none is that of a positive control. Mark "
                f"one, or send a table of at most {_MOST_IN_PAIRS} conditions."
            )
            return (), (StatisticsWarning("curves_not_compared", said),)
        clearest = sorted((one for one in fitted if one is not reference), key=lambda one: one.told.effect_p_value)
        pairs = [(reference, one) for one in fitted if one in clearest[:_MOST_RATIOS]]
        if len(clearest) > _MOST_RATIOS:
            said = (
                f"{_MOST_RATIOS} of {len(clearest)} curves, those that depend on the dose most clearly, were compared "
                f"with that of {reference.told.condition}. Send parts of the table for the others."
            )
            warnings.append(StatisticsWarning("curves_not_compared", said))
    alike = [(reference, one) for reference, one in pairs if one.scale == reference.scale]
    if len(alike) < len(pairs):
        apart = [f"{one.told.condition} and {other.told.condition}" for other, one in pairs if one.scale != other.scale]
        more = f" and {len(apart) - _MOST_NAMED} more pairs" if len(apart) > _MOST_NAMED else ""
        said = (
            f"The EC50 were not compared of {'; '.join(apart[:_MOST_NAMED])}{more}: their doses are in different "
            "units, or one of the two is on several plates and the other on one. Convert the doses, or put both on the "
            "same plates."
        )
        warnings.append(StatisticsWarning("curves_not_compared", said))
    return tuple(_ratio(one, reference) for reference, one in alike), tuple(warnings)


def _ratio(one: _Fitted, reference: _Fitted) -> Ec50Ratio:
    compared = compare_curves(one.fit, reference.fit)
    return Ec50Ratio(
        condition=one.told.condition,
        reference=reference.told.condition,
        dose_unit=one.told.dose_unit,
        ratio=compared.ratio,
        ratio_interval=compared.ratio_interval(),
        p_value=compared.p_value,
        p_adjusted=compared.p_value,
        shape_p_value=compared.shape_p_value,
        warnings=compared.warnings,
    )


def fitted_curve(wells: WellTable, values: Values, condition: str) -> DoseResponse:
    """The fit itself, for plots."""
    return _fit(wells, values, condition, treated_of(wells, values, condition))[0]


def treated_of(wells: WellTable, values: Values, condition: str) -> Mask:
    """The wells of a condition's doses that have a value, `(N,)`."""
    treated: Mask = (wells.condition == condition) & np.isfinite(wells.dose) & np.isfinite(values) & ~wells.is_negative
    return treated


def controls_of(wells: WellTable, values: Values, condition: str, treated: Mask) -> Mask:
    """The controls of treated wells, `(N,)`: those of the condition if it has its own, on the same plates."""
    own = wells.is_negative & (wells.condition == condition)
    control = own if own.any() else wells.is_negative
    of_plates: Mask = control & np.isfinite(values) & np.isin(wells.plate, np.unique(wells.plate[treated]))
    return of_plates


def _fit(wells: WellTable, values: Values, condition: str, treated: Mask) -> tuple[DoseResponse, bool, int]:
    plates = np.unique(wells.plate[treated])
    control = controls_of(wells, values, condition, treated)
    relative = plates.size > 1 and wells.are_amounts
    plate_of = np.unique(wells.plate, return_inverse=True)[1]
    responses = relative_to_control(values, plate_of, control) if relative else values
    used = (treated | control) & np.isfinite(responses)
    doses = np.where(control, 0.0, wells.dose)[used]
    dose, response = replicate_means(wells, used, doses, responses[used])
    return fit_curve(dose, response), relative, plates.size


def replicate_means(wells: WellTable, used: Mask, doses: Values, responses: Values) -> tuple[Values, Values]:
    """Doses and responses of replicates: wells, but the mean of those that share a plate's replicate among several."""
    plate, replicate, well = (wells.labels[name][used].tolist() for name in ("plate", "replicate", "well"))
    several = {name for name in set(plate) if len({r for p, r in zip(plate, replicate) if p == name}) > 1}
    unit = [r if p in several and r else w for p, r, w in zip(plate, replicate, well)]
    keys, unit_of = group_index(doses.tolist(), plate, unit)
    return np.array([key[0] for key in keys]), mean_of(responses, unit_of, len(keys))


def _curve(wells: WellTable, values: Values, condition: str, treated: Mask) -> _Fitted:
    curve, relative, n_plates = _fit(wells, values, condition, treated)
    told = ConditionCurve(
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
        points=_points(curve),
        effect_p_value=curve.effect_p_value,
        lack_of_fit_p_value=curve.lack_of_fit_p_value,
        residual_deviation=curve.residual_deviation,
        warnings=curve.warnings,
    )
    return _Fitted(told, curve)


def _effective_dose(curve: DoseResponse, percent: float) -> EffectiveDose:
    return EffectiveDose(
        percent=percent,
        dose=curve.effective_dose(percent),
        standard_error_hessian=curve.effective_dose_error(percent, "hessian"),
        standard_error_jacobian=curve.effective_dose_error(percent, "jacobian"),
        interval=curve.ec50_interval if percent == 50 else curve.effective_dose_interval(percent),
    )


def _points(curve: DoseResponse) -> tuple[CurvePoint, ...]:
    doses = curve.curve.dose[curve.curve.dose > 0]
    at = np.geomspace(doses.min(), doses.max(), _N_POINTS)
    band = curve.band(at)
    low, high = np.full((2, _N_POINTS), np.nan) if band is None else band
    points = zip(at.tolist(), curve.predict(at).tolist(), low.tolist(), high.tolist())
    return tuple(
        CurvePoint(dose, response, Interval(low, high) if math.isfinite(high - low) else None)
        for dose, response, low, high in points
    )
