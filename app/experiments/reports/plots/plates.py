"""Plates as heat maps: where in the plate a value is high or low."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from numpy.typing import NDArray

from app.errors import TableError
from app.experiments.reports.plots.canvas import GREY, INK, MAP, figure, literal, styled
from app.experiments.reports.report_text import value_words
from app.statistics.aggregate import Values
from app.statistics.positions import plate_grid, plate_shape, well_positions
from app.statistics.well_table import WellTable

MOST_PLATES = 6


def draw_plates(wells: WellTable, endpoint: str) -> Figure | None:
    """A map a plate, all with the same colours; None where wells are no places of a plate."""
    values = wells.endpoints[endpoint]
    known = np.isfinite(values)
    try:
        positions = well_positions(wells.well.tolist())
        shape = plate_shape(positions)
    except TableError:
        return None
    plates = np.unique(wells.plate[known]).tolist()[:MOST_PLATES]
    if not plates or known.sum() < 6:
        return None
    n_columns = 1 if len(plates) == 1 else 2
    n_rows = math.ceil(len(plates) / n_columns)
    width = 5.2 if n_columns == 1 else 3.7
    drawn = figure(width * n_columns, n_rows * (0.86 * width * shape[0] / shape[1] + 0.5))
    panels = drawn.subplots(n_rows, n_columns, squeeze=False).ravel()
    limits = np.percentile(values[known], [1, 99])
    for axes, plate in zip(panels, plates):
        here = known & (wells.plate == plate)
        mesh = _draw_plate(axes, wells, values, here, positions, shape, limits)
        axes.set_title(literal(plate or "plate"), loc="left", fontsize=10, color=INK)
    for axes in panels[len(plates) :]:
        axes.set_visible(False)
    bar = drawn.colorbar(mesh, ax=panels.tolist(), shrink=0.8, aspect=30, extend="both")
    bar.set_label(literal(value_words(endpoint, wells.normalise)), color=INK, fontsize=10)
    bar.ax.tick_params(colors=INK, labelsize=9)
    bar.outline.set_edgecolor(GREY)
    return drawn


def _draw_plate(
    axes: Axes,
    wells: WellTable,
    values: Values,
    here: NDArray[np.bool_],
    positions: NDArray[np.intp],
    shape: tuple[int, int],
    limits: Values,
) -> QuadMesh:
    grid = plate_grid(values[here], wells.well[here].tolist(), shape)
    low, high = limits if limits[0] < limits[1] else (limits[0] - 1, limits[0] + 1)
    mesh = axes.pcolormesh(np.ma.masked_invalid(grid), cmap=MAP, vmin=low, vmax=high, edgecolors="none")
    axes.set_aspect("equal")
    axes.set_xlim(0, shape[1])
    axes.set_ylim(shape[0], 0)
    for sign, chosen in (("N", wells.is_negative), ("P", wells.is_positive)):
        for row, column in positions[here & chosen]:
            light = grid[row, column] > (low + high) / 2
            axes.text(
                *(column + 0.5, row + 0.55, sign),
                ha="center",
                va="center",
                fontsize=min(130 / shape[1], 9),
                color="#000000" if light else "#ffffff",
            )
    step = max(1, shape[1] // 12)
    axes.set_xticks(np.arange(0, shape[1], step) + 0.5, [str(one + 1) for one in range(0, shape[1], step)])
    letters = [chr(65 + row) if row < 26 else f"A{chr(39 + row)}" for row in range(shape[0])]
    step = max(1, shape[0] // 8)
    axes.set_yticks(np.arange(0, shape[0], step) + 0.5, letters[::step])
    styled(axes)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(True)
    return mesh
