"""Curves of doses, of the values themselves and of growth rates, with the band of their 95 % interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.experiments.reports.plots.canvas import COLOURS, GREY, INK, figure, literal, styled
from app.experiments.reports.report_text import number, value_words
from app.statistics.curve_result import DoseResponse
from app.statistics.results import Interval
from app.statistics.schema import ConditionCurve, EndpointEffects, GrowthRate
from app.statistics.table_curves import fitted_curve
from app.statistics.table_growth import fitted_growth_rate
from app.statistics.well_table import WellTable

MOST_CURVES = 12
_COLUMNS = 3
_Told = TypeVar("_Told", ConditionCurve, GrowthRate)


@dataclass(frozen=True, eq=False)
class _Panel:
    """A fit, and the dose that it tells."""

    condition: str
    unit: str | None
    fitted: DoseResponse
    name: str
    dose: float | None
    interval: Interval

    @property
    def is_identified(self) -> bool:
        return self.dose is not None and None not in self.interval


def draw_curves(wells: WellTable, answer: EndpointEffects) -> Figure | None:
    """A panel a curve; of too many those that depend on the dose most clearly."""
    values = wells.endpoints[answer.endpoint]
    panels = []
    for one in _clearest(answer.curves):
        fitted = fitted_curve(wells, values, one.condition)
        panels.append(_Panel(one.condition, one.dose_unit, fitted, "EC50", one.ec50, one.ec50_interval))
    relative = ", part of control" if answer.curves and answer.curves[0].relative_to_control else ""
    return _drawn(panels, value_words(answer.endpoint, wells.normalise) + relative)


def draw_growth_rates(wells: WellTable, answer: EndpointEffects) -> Figure | None:
    """The same of growth rates."""
    panels = []
    for one in _clearest(answer.growth_rates):
        fitted = fitted_growth_rate(wells, wells.endpoints[answer.endpoint], one.condition).curve
        panels.append(_Panel(one.condition, one.dose_unit, fitted, "GEC50", one.gec50, one.gec50_interval))
    return _drawn(panels, "growth rate, GR")


def _clearest(curves: Sequence[_Told]) -> list[_Told]:
    order = sorted(curves, key=lambda one: one.effect_p_value)[:MOST_CURVES]
    return [one for one in curves if one in order]


def _drawn(shown: Sequence[_Panel], words: str) -> Figure | None:
    if not shown:
        return None
    n_columns = min(len(shown), _COLUMNS)
    n_rows = math.ceil(len(shown) / n_columns)
    drawn = figure(max(2.5 * n_columns, 4.2), 0.4 + 2.5 * n_rows)
    panels = drawn.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, panel in zip(panels, shown):
        _draw(axes, panel)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    drawn.supylabel(literal(words, 60), fontsize=10, color=panels[0].yaxis.label.get_color())
    return drawn


def _draw(axes: Axes, panel: _Panel) -> None:
    fitted = panel.fitted
    dose, response = fitted.curve.dose, fitted.fit.response
    lowest, highest = float(dose[dose > 0].min()), float(dose.max())
    # Dose 0 has no logarithm; it stands a step to the left of the others.
    step = max((highest / lowest) ** 0.12, 1.6)
    zero = lowest / step**2
    axes.set_xscale("log")
    axes.scatter(np.where(dose > 0, dose, zero), response, s=14, color=COLOURS[0], alpha=0.6, linewidths=0, zorder=3)
    at = np.geomspace(lowest / step, highest * step, 120)
    band = fitted.band(at)
    if band is not None and panel.is_identified:
        axes.fill_between(at, *band, color=COLOURS[0], alpha=0.2, linewidth=0)
    line = fitted.predict(at)
    axes.plot(at, line, color=COLOURS[0], linewidth=1.6, linestyle="-" if panel.is_identified else "--")
    low, high = panel.interval
    if panel.dose is not None and low is not None and high is not None:
        axes.axvspan(low, high, color=COLOURS[1], alpha=0.2, linewidth=0)
        axes.axvline(panel.dose, color=COLOURS[1], linewidth=1.2)
    unit = panel.unit or ""
    said = f"{panel.name} {number(panel.dose)} {unit}" if panel.is_identified else f"{panel.name} not identified"
    axes.set_title(f"{literal(panel.condition, 24)}\n{literal(said)}", loc="left", fontsize=10, color=INK)
    styled(axes)
    axes.axvline(zero * step, color=GREY, linewidth=0.6, linestyle=":")
    ticks = _ticks(lowest, highest)
    axes.set_xticks([zero, *ticks], ["0", *(f"{tick:g}" for tick in ticks)])
    axes.minorticks_off()
    axes.set_xlabel(literal(f"dose, {unit}" if unit else "dose (no unit given)"))
    axes.set_xlim(zero / step, highest * step)
    shown = np.concatenate([response, line])
    axes.set_ylim(*_limits(float(shown.min()), float(shown.max())))


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
        return min(0.0, lowest - 0.05 * highest * (lowest < 0)), max(highest * 1.08, 1e-12)
    margin = 0.08 * (highest - lowest) or 1.0
    return lowest - margin, highest + margin
