"""Fractions of an experiment's nuclei, by well: positive for a marker, condensed, in G1 and in G2."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import TableError
from app.experiments.stored import read_nuclei
from app.experiments.tables import Tables
from app.statistics.aggregate import group_index, mean_of
from app.statistics.effects import EffectOptions
from app.statistics.gates import Mask, PositiveGate, cell_cycle_gates, condensed_gate
from app.statistics.results import StatisticsWarning

Nuclei = Mapping[str, NDArray[Any]]
Well = tuple[str, str]
Gate = Callable[[Nuclei], Mask]
POSITIVE, CONDENSED, G1, G2 = FRACTIONS = ("positive_fraction", "condensed_fraction", "g1_fraction", "g2_fraction")
# What the gates of controls are made of: of the channel that shows the nuclei.
_GATED = ("area_px", "intensity_mean", "intensity_integrated")


@dataclass(frozen=True)
class WellFractions:
    """What was asked for, of each well by plate and name; wells that cannot be told have none. And why not."""

    fractions: Mapping[str, Mapping[Well, float]]
    warnings: tuple[StatisticsWarning, ...]


def well_fractions(tables: Tables, options: EffectOptions, controls: Collection[Well]) -> WellFractions:
    """The fractions among the endpoints that are asked for: the means of the images of each well.

    Condensed nuclei and phases of the cell cycle are gated plate by plate, by the nuclei of its negative controls; see
    `statistics.gates`. An image without nuclei has no fraction.

    Raises
    ------
    TableError
        The marker, or its threshold, is missing, or no nucleus has its column.
    """
    asked = [name for name in FRACTIONS if name in options.endpoints]
    marker = _marker(options)
    images = tables.counted
    if marker and not any(marker.column in result.columns for _, _, result in images):
        known = dict.fromkeys(column for _, _, result in images for column in result.columns)
        raise TableError(f"The nuclei have no column {marker.column!r} for the marker; they have {', '.join(known)}.")
    columns = [*_GATED, *([marker.column] if marker else [])]
    found: dict[str, dict[Well, float]] = {name: {} for name in asked}
    untold: dict[str, list[str]] = {name: [] for name in asked}
    for plate in dict.fromkeys(plate for plate, _, _ in images):
        here = [(well, result) for name, well, result in images if name == plate]
        nuclei = [read_nuclei(tables.store.files, result.nuclei_sha256, columns) for _, result in here]
        gates = _gates([one for (well, _), one in zip(here, nuclei) if (plate, well) in controls], marker)
        names, well_of = group_index([well for well, _ in here])
        for name in asked:
            if name not in gates:
                untold[name].append(plate)
                continue
            fractions = mean_of(np.array([_fraction(gates[name], one) for one in nuclei]), well_of, len(names))
            found[name] |= {(plate, well): float(one) for (well,), one in zip(names, fractions) if np.isfinite(one)}
    return WellFractions(found, tuple(_warnings(untold)))


def _gates(controls: Sequence[Nuclei], marker: PositiveGate | None) -> dict[str, Gate]:
    """What tells which nuclei of a plate are of a kind, as far as its negative controls allow it."""
    gates: dict[str, Gate] = {} if marker is None else {POSITIVE: marker.holds}
    pooled = {name: np.concatenate([np.zeros(0), *(nuclei[name] for nuclei in controls)]) for name in _GATED}
    condensed, phases = condensed_gate(pooled), cell_cycle_gates(pooled)
    # In brightfield nuclei are dark, and condensed ones no brighter.
    if condensed is not None and np.nanmedian(pooled["intensity_integrated"]) > 0:
        gates[CONDENSED] = condensed.holds
    if phases is not None:
        gates |= {G1: lambda nuclei: phases.phases(nuclei)["g1"], G2: lambda nuclei: phases.phases(nuclei)["g2"]}
    return gates


def _fraction(gate: Gate, nuclei: Nuclei) -> float:
    """NaN of an image that has no nuclei, or not the marker's channel."""
    try:
        held = gate(nuclei)
    except KeyError:
        return np.nan
    return float(held.mean()) if held.size else np.nan


def _marker(options: EffectOptions) -> PositiveGate | None:
    is_asked = POSITIVE in options.endpoints
    if options.marker is None and options.marker_threshold is None and not is_asked:
        return None
    if options.marker is None or options.marker_threshold is None or not is_asked:
        raise TableError(
            f"The endpoint {POSITIVE} and the options marker (a column of the table of nuclei, such as "
            "intensity_mean_c1) and marker_threshold (nuclei above are positive) belong together; give all three."
        )
    if not np.isfinite(options.marker_threshold):
        raise TableError("The threshold of the marker is not a number; give one in the unit of the marker's column.")
    return PositiveGate(options.marker, options.marker_threshold)


def _warnings(untold: Mapping[str, Sequence[str]]) -> Iterator[StatisticsWarning]:
    if plates := untold.get(CONDENSED):
        yield StatisticsWarning(
            "condensed_not_told",
            f"The negative controls{_of(plates)}, by which condensed nuclei are told, have fewer than 50 nuclei, or "
            f"these are dark as in brightfield. {CONDENSED} is null there.",
        )
    if plates := untold.get(G1) or untold.get(G2):
        yield StatisticsWarning(
            "cell_cycle_not_told",
            f"The DNA content of the negative controls{_of(plates)} does not show G1 and G2: fewer than 300 nuclei, a "
            f"broad first peak, or no second one at twice its content. {G1} and {G2} are null there.",
        )


def _of(plates: Sequence[str]) -> str:
    names = [plate for plate in plates if plate]
    return f" of plate {', '.join(names)}" if names else ""
