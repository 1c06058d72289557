"""Every replicate a dot, and beside it how far each treatment lies from its control."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from app.experiments.reports.plots.canvas import COLOURS, GREY, INK, figure, literal, styled
from app.experiments.reports.report_text import change_percent, treatment_words, value_words
from app.statistics.aggregate import Values, mean_of
from app.statistics.families import unit_index
from app.statistics.schema import ConditionEffect, EndpointEffects
from app.statistics.well_table import WellTable

# More do not fit a page: those with the smallest p are shown.
MOST_GROUPS = 30
_LEVEL = 0.05


def draw_replicates(wells: WellTable, answer: EndpointEffects) -> Figure | None:
    """A row a treatment: dots on the left, the change with its 95 % interval on the right."""
    if not answer.comparisons:
        return None
    shown = shown_comparisons(answer.comparisons)
    values = wells.endpoints[answer.endpoint]
    groups = _with_controls(wells, shown)
    drawn = figure(7.4, 1.1 + 0.28 * len(groups))
    dots, change = drawn.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    rows = range(len(groups), 0, -1)
    for row, group in zip(rows, groups):
        _draw_group(dots, wells, values, group.chosen, group.unit, row)
        if group.effect:
            _draw_change(change, group.effect, row)
    styled(dots).set_yticks(list(rows), [literal(group.label) for group in groups])
    dots.set_xlabel(literal(value_words(answer.endpoint, wells.normalise)))
    dots.margins(x=0.06)
    dots.set_ylim(0.4, len(groups) + 0.6)
    _legend(drawn, wells)
    change.axvline(0, color=GREY, linewidth=1)
    styled(change).set_xlabel("change from control, %")
    change.tick_params(axis="y", length=0)
    change.spines["left"].set_visible(False)
    return drawn


@dataclass(frozen=True)
class _Group:
    """A row of the figure; `effect` is None of controls."""

    label: str
    chosen: NDArray[np.bool_]
    unit: str
    effect: ConditionEffect | None


def _with_controls(wells: WellTable, effects: Sequence[ConditionEffect]) -> list[_Group]:
    """Treatments, each below the controls that it is compared with: its condition's own, or those of all."""
    groups = []
    control = None
    for effect in effects:
        own = wells.is_negative & (wells.condition == effect.condition)
        name = f"{effect.condition}, control" if own.any() else "control"
        if name != control:
            groups.append(_Group(name, own if own.any() else wells.is_negative, effect.replicate, None))
            control = name
        doses = wells.dose == effect.dose if effect.dose is not None else np.isnan(wells.dose)
        chosen = (wells.condition == effect.condition) & doses & ~wells.is_negative
        label = treatment_words(effect.condition, effect.dose, effect.dose_unit)
        groups.append(_Group(label, chosen, effect.replicate, effect))
    return groups


def shown_comparisons(comparisons: Sequence[ConditionEffect]) -> list[ConditionEffect]:
    """All, or, of too many, those with the smallest p, in the order of the table."""
    if len(comparisons) <= MOST_GROUPS:
        return list(comparisons)
    order = sorted(comparisons, key=lambda one: (2.0 if one.p_value is None else one.p_value, -abs(one.ssmd or 0)))
    chosen = order[:MOST_GROUPS]
    return [one for one in comparisons if one in chosen]


def _draw_group(axes: Axes, wells: WellTable, values: Values, chosen: NDArray[np.bool_], unit: str, row: int) -> None:
    """Wells as small dots, replicates as large ones where these are several wells, and the mean as a bar."""
    known = chosen & np.isfinite(values)
    if not known.any():
        return
    plates = np.unique(wells.plate).tolist()
    colours = np.array([COLOURS[plates.index(plate) % len(COLOURS)] for plate in wells.plate.tolist()])
    unit_of = unit_index(wells, unit)
    units = np.unique(unit_of[known])
    several = units.size < known.sum()
    spread = _spread(values[known])
    axes.scatter(
        values[known],
        row + spread,
        s=9 if several else 26,
        c=colours[known],
        alpha=0.45 if several else 0.9,
        linewidths=0,
    )
    means = mean_of(values[known], unit_of[known], int(unit_of.max()) + 1)[units]
    if several:
        of_unit = [colours[known & (unit_of == one)][0] for one in units]
        axes.scatter(means, np.full(units.size, row), s=46, c=of_unit, edgecolors=INK, linewidths=0.8, zorder=3)
    axes.plot([means.mean()] * 2, [row - 0.36, row + 0.36], color=INK, linewidth=1.6, zorder=2)


def _spread(values: Values) -> Values:
    """Small steps up and down, by which dots of equal values stay visible."""
    if values.size < 2:
        return np.zeros(values.size)
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return np.asarray(((order * 0.618034) % 1 - 0.5) * 0.4, np.float64)


def _draw_change(axes: Axes, effect: ConditionEffect, row: int) -> None:
    found = change_percent(effect)
    if found is None:
        return
    value, interval = found
    p_value = effect.p_adjusted
    colour = COLOURS[1] if p_value is not None and p_value <= _LEVEL else COLOURS[0]
    if interval:
        axes.plot(interval, [row, row], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot(
        value, row, "o" if interval else "D", color=colour, markersize=5, markerfacecolor=colour if interval else "none"
    )


def _legend(drawn: Figure, wells: WellTable) -> None:
    plates = np.unique(wells.plate).tolist()
    if not 1 < len(plates) <= len(COLOURS):
        return
    axes = drawn.axes[0]
    for plate, colour in zip(plates, COLOURS):
        axes.scatter([], [], s=26, color=colour, label=literal(plate or "no plate"))
    legend = drawn.legend(loc="outside upper left", ncols=len(plates), frameon=False, fontsize=9, handletextpad=0.2)
    for text in legend.get_texts():
        text.set_color(INK)
