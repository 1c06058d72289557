"""Values of wells without the effects of their places in the plate, where that is asked for."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.errors import TableError
from app.statistics.aggregate import Index, Values, group_index
from app.statistics.b_score import b_scores
from app.statistics.positions import plate_grid, well_positions
from app.statistics.results import StatisticsWarning
from app.statistics.schema import Normalisation
from app.statistics.well_table import WellTable

# Median polish takes wells that do nothing for granted; with more active ones than that it takes effects out.
_MOST_ACTIVE = 0.2
_ACTIVE = 3.0
_FEWEST_CONTROLS = 4
_HALF = 0.5


def normalised(wells: WellTable, normalise: Normalisation) -> WellTable:
    """The same wells with B-scores of each plate as their values, or as they are.

    Raises
    ------
    TableError
        A plate's wells have no places, are in fewer than three rows or columns, or hardly vary.
    """
    if normalise == "none":
        return wells
    warnings, endpoints = [], {}
    for name, values in wells.endpoints.items():
        scores = np.full(values.size, np.nan)
        for plate in np.unique(wells.plate[np.isfinite(values)]).tolist():
            here = np.flatnonzero((wells.plate == plate) & np.isfinite(values))
            about = f"Plate {plate}, {name}" if plate else name
            places = well_positions(wells.well[here].tolist())
            try:
                found = b_scores(plate_grid(values[here], wells.well[here].tolist()))
            except TableError as exc:
                raise TableError(f"{about}: {exc}") from exc
            scores[here] = found.scores[*places.T]
            told = [*found.warnings, *_misleading(wells, scores, here, places)]
            warnings += [StatisticsWarning(code, f"{about}: {message}") for code, message in told]
        endpoints[name] = scores
    return replace(wells, endpoints=endpoints, normalise=normalise, warnings=(*wells.warnings, *warnings))


def _misleading(
    wells: WellTable, scores: Values, here: Index, places: NDArray[np.int64]
) -> Iterator[StatisticsWarning]:
    """What of a plate makes B-scores take true effects out, or leaves too little to compare with."""
    reasons = []
    active = float((np.abs(scores[here]) > _ACTIVE).mean())
    if active > _MOST_ACTIVE:
        reasons.append(f"{active:.0%} of its wells are active")
    n_controls = int(wells.is_negative[here].sum())
    if n_controls < _FEWEST_CONTROLS:
        reasons.append(f"it has {n_controls} negative controls")
    if _fills_lines(wells, here, places):
        reasons.append("whole rows or columns of it got the same condition or dose")
    if reasons:
        yield StatisticsWarning(
            "b_scores_misleading",
            f"B-scores mislead here, since {', and '.join(reasons)}: true effects are taken out, or cannot be told. "
            "Leave the option normalise out, and spread the treatments over the plate.",
        )


def _fills_lines(wells: WellTable, here: Index, places: NDArray[np.int64]) -> bool:
    """Whether all wells of a row or column got one condition, or dose, that less than half of the plate got."""
    doses = np.nan_to_num(wells.dose[here], nan=0.0)
    treatment_of = group_index(wells.condition[here].tolist(), doses.tolist())[1]
    for group_of in (treatment_of, np.where(doses > 0, doses, np.arange(-doses.size, 0))):
        for axis in (0, 1):
            for line in np.unique(places[:, axis]):
                on_line = group_of[places[:, axis] == line]
                if on_line.size > 1 and (on_line == on_line[0]).all() and (group_of == on_line[0]).mean() < _HALF:
                    return True
    return False
