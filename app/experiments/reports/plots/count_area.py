"""Count against area: whether fewer nuclei are larger ones."""

import numpy as np
from matplotlib.figure import Figure

from app.experiments.reports.plots.canvas import COLOURS, GREY, INK, figure, literal, styled
from app.experiments.reports.report_text import endpoint_words
from app.statistics.aggregate import Values
from app.statistics.well_table import WellTable

_MOST_NAMED = 5


def draw_count_area(wells: WellTable, count: Values, area: Values, area_name: str) -> Figure | None:
    """A dot a well: controls grey, the treatments with most wells in colours of their own."""
    known = np.isfinite(count) & np.isfinite(area)
    if not known.any():
        return None
    drawn = figure(5.4, 3.8)
    axes = styled(drawn.subplots())
    names, n = np.unique(wells.condition[known & ~wells.is_negative], return_counts=True)
    named = names[np.argsort(-n, kind="stable")][:_MOST_NAMED].tolist()
    groups = [("control", wells.is_negative, GREY)]
    groups += [(name, (wells.condition == name) & ~wells.is_negative, COLOURS[i]) for i, name in enumerate(named)]
    others = ~wells.is_negative & ~np.isin(wells.condition, named)
    groups += [("others", others, COLOURS[-1])] if others.any() else []
    for name, chosen, colour in groups:
        shown = known & chosen
        axes.scatter(count[shown], area[shown], s=18, color=colour, alpha=0.75, linewidths=0, label=literal(name, 24))
    axes.set_xlabel(literal(endpoint_words("count")))
    axes.set_ylabel(literal(endpoint_words(area_name), 40))
    legend = axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1), handletextpad=0.2)
    for text in legend.get_texts():
        text.set_color(INK)
    return drawn
