"""The answer about a table, as plain numbers: one versioned schema for every door."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from app.statistics.power import PowerNote
from app.statistics.results import Interval, StatisticsWarning

VERSION = 1
Normalisation = Literal["none", "b_score"]


@dataclass(frozen=True)
class ConditionEffect:
    """One condition, at one dose, against its control. Differences are treated minus control, in the endpoint's unit.

    Attributes
    ----------
    condition, dose, dose_unit
        What was compared; dose and unit are None where there is none.
    replicate, block
        What n counts (`well`, `plate`, ...), and what treated and control share.
    n_treated, n_control
        Replicates; in blocks the blocks that hold both.
    mean_treated, mean_control, sd_treated, sd_control
        Of the replicates.
    difference, difference_interval
        Of the means, and its 95 % interval; of several comparisons with one control a simultaneous one.
    change_percent, change_percent_interval
        The same in percent of the control's mean, not below -100 where no value is below 0; None where the control's
        mean is not above 0, and of B-scores.
    ratio, ratio_interval
        Of geometric means, its interval symmetric on the logarithm.
    test
        The test of `p_value`.
    statistic, degrees_of_freedom
        Of the difference.
    p_value
        Two-sided; of several comparisons with one control that of the family.
    p_adjusted
        Corrected for the number of endpoints too.
    hedges_g, hedges_g_interval, ssmd
        The difference in standard deviations.
    power
        What could have been seen.
    warnings
        Why a number is None, or what should be known before one is used.
    """

    condition: str
    dose: float | None
    dose_unit: str | None
    replicate: str
    block: str | None
    n_treated: int
    n_control: int
    mean_treated: float
    mean_control: float
    sd_treated: float | None
    sd_control: float | None
    difference: float
    difference_interval: Interval | None
    change_percent: float | None
    change_percent_interval: Interval | None
    ratio: float | None
    ratio_interval: Interval | None
    test: str
    statistic: float | None
    degrees_of_freedom: float | None
    p_value: float | None
    p_adjusted: float | None
    hedges_g: float | None
    hedges_g_interval: Interval | None
    ssmd: float | None
    power: PowerNote | None
    warnings: tuple[StatisticsWarning, ...]


@dataclass(frozen=True)
class EffectiveDose:
    """A dose with `percent` of the effect, its two standard errors and its profile interval."""

    percent: float
    dose: float | None
    standard_error_hessian: float | None
    standard_error_jacobian: float | None
    interval: Interval


@dataclass(frozen=True)
class CurvePoint:
    """A point of a fitted curve, with the curve's pointwise 95 % interval; None where that is not determined."""

    dose: float
    response: float
    interval: Interval | None


@dataclass(frozen=True)
class ConditionCurve:
    """The dose-response curve of a condition. Doses are in `dose_unit`.

    Attributes
    ----------
    relative_to_control
        Whether responses were divided by the mean of their plate's negative controls, as they are for several plates.
    n_responses, n_doses, n_plates
        What was fitted; controls are dose 0.
    ec50, ec50_interval, slope, slope_interval, lower, upper
        Profile intervals; an end that the doses do not bound is None.
    effective_doses
        ED10, ED50 and ED90.
    points
        Of the curve, to draw it: from the lowest dose to the highest, evenly on the logarithm of the dose.
    effect_p_value, lack_of_fit_p_value, residual_deviation
        p of no dependence on the dose, p of a curve that fits, and what is left over.
    warnings
        What the doses do not tell.
    """

    condition: str
    dose_unit: str | None
    relative_to_control: bool
    n_responses: int
    n_doses: int
    n_plates: int
    ec50: float | None
    ec50_interval: Interval
    slope: float | None
    slope_interval: Interval
    lower: float
    upper: float
    effective_doses: tuple[EffectiveDose, ...]
    points: tuple[CurvePoint, ...]
    effect_p_value: float
    lack_of_fit_p_value: float | None
    residual_deviation: float
    warnings: tuple[StatisticsWarning, ...]


@dataclass(frozen=True)
class Ec50Ratio:
    """The EC50 of a condition over that of a reference, both curves of one endpoint with doses in one unit.

    Attributes
    ----------
    condition, reference, dose_unit
        Of the two curves.
    ratio, ratio_interval
        EC50 of the condition over that of the reference, and its profile interval; above 1 where the reference needs
        less. An end that the doses do not bound is None.
    p_value
        p of equal EC50 (F test).
    p_adjusted
        Corrected for the number of ratios in the answer: the one to report.
    shape_p_value
        p of equal plateaus and slopes; where it is small the ratio holds halfway of each effect, not at others.
    warnings
        What should be known before the ratio is used; the curves have their own.
    """

    condition: str
    reference: str
    dose_unit: str | None
    ratio: float
    ratio_interval: Interval
    p_value: float
    p_adjusted: float
    shape_p_value: float
    warnings: tuple[StatisticsWarning, ...]


@dataclass(frozen=True)
class GrowthRate:
    """Growth-rate inhibition by a condition; GR is 1 where cells grow as in the control, 0 where not, below 0 in death.

    Attributes
    ----------
    condition, dose_unit, n_responses
        What was fitted.
    gr50
        The dose at which the growth rate is halved, GR = 0.5; None where the curve does not get there.
    gec50, gec50_interval
        The dose halfway between 1 and `gr_inf`, and its profile interval; an end that the doses do not bound is None.
    gr_inf, gr_max
        GR at an endless dose, and the lower of GR at the two highest doses.
    gr_aoc
        Area over the curve on the logarithm of the dose, divided by the range of the doses: 0 where nothing changes.
    hill
        The curve's slope.
    effect_p_value
        p of no dependence on the dose.
    warnings
        What the doses do not tell.
    """

    condition: str
    dose_unit: str | None
    n_responses: int
    gr50: float | None
    gec50: float | None
    gec50_interval: Interval
    gr_inf: float
    gr_max: float
    gr_aoc: float
    hill: float | None
    effect_p_value: float
    warnings: tuple[StatisticsWarning, ...]


@dataclass(frozen=True)
class Separation:
    """Positive against negative controls of a plate."""

    condition: str
    dose: float | None
    n_negative: int
    n_positive: int
    z_prime: float | None
    robust_z_prime: float | None
    ssmd: float | None
    robust_ssmd: float | None


@dataclass(frozen=True)
class PlateQuality:
    """One plate.

    Attributes
    ----------
    plate, n_wells
        Its name, and its wells that have a value.
    control_mean, control_cv_percent
        Of the negative controls.
    control_edge_mean, control_inside_mean
        Of the negative controls in the outermost rows and columns, and of the others.
    separations
        One for each positive control.
    edge_difference, edge_p_value, row_gradient, column_gradient, gradient_p_value
        See `plate_quality.PositionEffects`.
    warnings
        What is wrong with the plate, or cannot be told.
    """

    plate: str
    n_wells: int
    control_mean: float | None
    control_cv_percent: float | None
    control_edge_mean: float | None
    control_inside_mean: float | None
    separations: tuple[Separation, ...]
    edge_difference: float | None
    edge_p_value: float | None
    row_gradient: float | None
    column_gradient: float | None
    gradient_p_value: float | None
    warnings: tuple[StatisticsWarning, ...]


@dataclass(frozen=True)
class EndpointEffects:
    """Everything about one endpoint."""

    endpoint: str
    comparisons: tuple[ConditionEffect, ...]
    curves: tuple[ConditionCurve, ...]
    ec50_ratios: tuple[Ec50Ratio, ...]
    growth_rates: tuple[GrowthRate, ...]
    plates: tuple[PlateQuality, ...]
    warnings: tuple[StatisticsWarning, ...]


@dataclass(frozen=True)
class Effects:
    """The whole answer.

    Attributes
    ----------
    version
        Of this schema: fields are only ever added.
    n_wells, plates, control
        Of the table; `control` names the conditions of the negative controls.
    correction
        Of p for several endpoints.
    normalise
        What was done to the values before they were compared: `none`, or `b_score`.
    endpoints
        One for each that was asked for.
    warnings
        Of the table as a whole.
    """

    version: int
    n_wells: int
    plates: tuple[str, ...]
    control: tuple[str, ...]
    correction: str
    normalise: Normalisation
    endpoints: tuple[EndpointEffects, ...]
    warnings: tuple[StatisticsWarning, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as dictionaries, lists, text and numbers: what JSON holds. Intervals have `low` and `high`."""
        plain: dict[str, Any] = _plain(self)
        return plain


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, (Interval, StatisticsWarning)):
        return value._asdict()
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
