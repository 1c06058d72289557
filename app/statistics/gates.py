"""Kinds of nuclei by gates on what was measured: positive and condensed ones, and phases of the cell cycle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from app.statistics.effect_size import centre_and_deviation
from app.statistics.plate_quality import FEWEST_NUCLEI

Mask = NDArray[np.bool_]
# Robust standard deviations from the median past which a nucleus is small, or bright.
_FAR = 2.0
_FEWEST_IN_A_HISTOGRAM = 300
_BIN_LOG2 = 0.05
_SMOOTHING_BINS = 1.5
# A G1 peak is no wider than that, half a side at half its height (in log2: a CV of about 17 %).
_WIDEST_G1_LOG2 = 0.3
# G2 holds twice the DNA of G1; log2 of what is measured of it.
_G2_LOG2 = (0.8, 1.15)
# The valley between the peaks, as a part of the lower peak.
_DEEPEST_VALLEY = 0.8
# A second peak lower than that, as a part of the first, is chance.
_LOWEST_G2 = 0.05


@dataclass(frozen=True)
class PositiveGate:
    """Nuclei that are positive for a marker: those above a threshold, in the unit of its column."""

    column: str
    above: float

    def holds(self, nuclei: Mapping[str, NDArray[Any]]) -> Mask:
        """Which nuclei are positive, `(N,)`."""
        positive: Mask = nuclei[self.column] > self.above
        return positive


@dataclass(frozen=True)
class CondensedGate:
    """Small bright nuclei, as of dying cells: both bounds in the units of their columns.

    Attributes
    ----------
    area_below_px, intensity_above
        Bounds of `area_px` and of the intensity.
    intensity
        The column.
    """

    area_below_px: float
    intensity_above: float
    intensity: str = "intensity_mean"

    def holds(self, nuclei: Mapping[str, NDArray[Any]]) -> Mask:
        """Which nuclei are condensed, `(N,)`."""
        small: Mask = nuclei["area_px"] < self.area_below_px
        return small & (nuclei[self.intensity] > self.intensity_above)


def condensed_gate(controls: Mapping[str, NDArray[Any]], intensity: str = "intensity_mean") -> CondensedGate | None:
    """Two robust standard deviations smaller, and brighter, than the median nucleus of untreated wells.

    None of fewer than 50 nuclei.
    """
    if len(controls["area_px"]) < FEWEST_NUCLEI:
        return None
    area, area_deviation = centre_and_deviation(np.asarray(controls["area_px"], np.float64), robust=True)
    light, light_deviation = centre_and_deviation(np.asarray(controls[intensity], np.float64), robust=True)
    return CondensedGate(area - _FAR * area_deviation, light + _FAR * light_deviation, intensity)


@dataclass(frozen=True)
class CellCycleGates:
    """DNA content of a nucleus in G1 and in G2 (Roukos et al. 2015, doi 10.1038/nprot.2015.016).

    Attributes
    ----------
    g1, g2
        The peaks' integrated intensities.
    intensity
        The column.
    """

    g1: float
    g2: float
    intensity: str = "intensity_integrated"

    def phases(self, nuclei: Mapping[str, NDArray[Any]]) -> dict[str, Mask]:
        """Which nuclei, `(N,)`, lie around the peaks of G1 and of G2, a quarter of their distance to either side."""
        content = np.asarray(nuclei[self.intensity], np.float64)
        quarter = (self.g2 - self.g1) / 4
        return {
            "g1": (content >= self.g1 - quarter) & (content < self.g1 + quarter),
            "g2": (content >= self.g2 - quarter) & (content < self.g2 + 2 * quarter),
        }


def cell_cycle_gates(
    controls: Mapping[str, NDArray[Any]], intensity: str = "intensity_integrated"
) -> CellCycleGates | None:
    """Find the peaks of G1 and G2 in the DNA content of untreated nuclei.

    Returns
    -------
    CellCycleGates or None
        None where the histogram does not allow it: fewer than 300 nuclei, a broad first peak, or no second one at twice
        its content.
    """
    content = np.asarray(controls[intensity], np.float64)
    content = content[np.isfinite(content) & (content > 0)]
    if content.size < _FEWEST_IN_A_HISTOGRAM:
        return None
    logs = np.log2(content)
    low, high = np.percentile(logs, [0.5, 99.5])
    edges = np.arange(low - 1, high + 1, _BIN_LOG2)
    middles = (edges[1:] + edges[:-1]) / 2
    height = gaussian_filter1d(np.histogram(logs, edges)[0].astype(np.float64), _SMOOTHING_BINS)
    first = int(height.argmax())
    risen = np.flatnonzero(height[:first] < height[first] / 2)
    if risen.size == 0 or middles[first] - middles[risen[-1]] > _WIDEST_G1_LOG2:
        return None
    distance = middles - middles[first]
    where = np.flatnonzero((distance >= _G2_LOG2[0]) & (distance <= _G2_LOG2[1]))
    second = int(where[height[where].argmax()])
    if height[second] < _LOWEST_G2 * height[first] or height[first:second].min() > _DEEPEST_VALLEY * height[second]:
        return None
    if not height[second - 1] <= height[second] >= height[second + 1]:
        return None
    return CellCycleGates(float(2 ** middles[first]), float(2 ** middles[second]), intensity)
