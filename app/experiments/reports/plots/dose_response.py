"""Dose-response curves with the band of their 95 % interval."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.experiments.reports.plots.canvas import COLOURS, GREY, INK, figure, literal, styled
from app.experiments.reports.report_text import number, value_words
from app.statistics.aggregate import Values
from app.statistics.schema import ConditionCurve, EndpointEffects
from app.statistics.table_curves import fitted_curve
from app.statistics.well_table import WellTable

MOST_CURVES = 12
_COLUMNS = 3


def draw_curves(wells: WellTable, answer: EndpointEffects) -> Figure | None:
    """A panel a curve; of too many those that depend on the dose most clearly."""
    if not answer.curves:
        return None
    order = sorted(answer.curves, key=lambda one: one.effect_p_value)[:MOST_CURVES]
    shown = [one for one in answer.curves if one in order]
    n_columns = min(len(shown), _COLUMNS)
    n_rows = math.ceil(len(shown) / n_columns)
    drawn = figure(max(2.5 * n_columns, 4.2), 0.4 + 2.5 * n_rows)
    panels = drawn.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, curve in zip(panels, shown):
        _draw_curve(axes, wells, wells.endpoints[answer.endpoint], curve)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    words = value_words(answer.endpoint, wells.normalise)
    relative = ", part of control" if shown[0].relative_to_control else ""
    drawn.supylabel(literal(words + relative, 60), fontsize=10, color=panels[0].yaxis.label.get_color())
    return drawn


def _draw_curve(axes: Axes, wells: WellTable, values: Values, curve: ConditionCurve) -> None:
    fitted = fitted_curve(wells, values, curve.condition)
    dose, response = fitted.curve.dose, fitted.fit.response
    lowest, highest = float(dose[dose > 0].min()), float(dose.max())
    # Dose 0 has no logarithm; it stands a step to the left of the others.
    step = max((highest / lowest) ** 0.12, 1.6)
    zero = lowest / step**2
    axes.set_xscale("log")
    axes.scatter(np.where(dose > 0, dose, zero), response, s=14, color=COLOURS[0], alpha=0.6, linewidths=0, zorder=3)
    at = np.geomspace(lowest / step, highest * step, 120)
    band = fitted.band(at)
    identified = curve.ec50 is not None and None not in curve.ec50_interval
    if band is not None and identified:
        axes.fill_between(at, *band, color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.plot(at, fitted.predict(at), color=COLOURS[0], linewidth=1.6, linestyle="-" if identified else "--")
    low, high = curve.ec50_interval
    if curve.ec50 is not None and identified and low is not None and high is not None:
        axes.axvspan(low, high, color=COLOURS[1], alpha=0.2, linewidth=0)
        axes.axvline(curve.ec50, color=COLOURS[1], linewidth=1.2)
    unit = curve.dose_unit or ""
    said = f"EC50 {number(curve.ec50)} {unit}" if identified else "EC50 not identified"
    axes.set_title(f"{literal(curve.condition, 24)}\n{literal(said)}", loc="left", fontsize=10, color=INK)
    styled(axes)
    axes.axvline(zero * step, color=GREY, linewidth=0.6, linestyle=":")
    ticks = _ticks(lowest, highest)
    axes.set_xticks([zero, *ticks], ["0", *(f"{tick:g}" for tick in ticks)])
    axes.minorticks_off()
    axes.set_xlabel(literal(f"dose, {unit}" if unit else "dose (no unit given)"))
    axes.set_xlim(zero / step, highest * step)
    axes.set_ylim(*_limits(float(response.min()), float(response.max())))


def _ticks(lowest: float, highest: float) -> list[float]:
    """A few powers of ten between the doses; of doses that are closer together twice and five times these too."""
    first, last = math.ceil(math.log10(lowest) - 1e-9), math.floor(math.log10(highest) + 1e-9)
    if last - first >= 2:
        return [10.0**power for power in range(first, last + 1, max(1, (last - first) // 3))]
    steps = (factor * 10.0**power for power in range(first - 1, last + 1) for factor in (1, 2, 5))
    return [step for step in steps if lowest * (1 - 1e-9) <= step <= highest * (1 + 1e-9)]


def _limits(lowest: float, highest: float) -> tuple[float, float]:
    """From 0 where the responses come near it; else a change by a few percent would be a flat line."""
    if lowest < highest / 2:
        return min(0.0, lowest) * 1.05, max(highest * 1.08, 1e-12)
    margin = 0.08 * (highest - lowest) or 1.0
    return lowest - margin, highest + margin
