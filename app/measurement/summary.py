"""All nuclei of an image together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.measurement.intensities import Background
from app.measurement.measure import Table
from app.reading.stack import PixelSize

_STATISTICS = ("mean", "median", "std", "min", "max", "q25", "q75", "mad")
_SUMMARISED = ("intensity_mean", "intensity_integrated")


def summarise(table: Table, background: Background, pixel_size: PixelSize | None) -> dict[str, Any]:
    """The areas and intensities of all nuclei of an image, and how densely they lie in what was imaged.

    Parameters
    ----------
    table
        See `app.measurement.measure.measure`.
    background
        See `app.measurement.intensities.background`.
    pixel_size
        None where it is not known.

    Returns
    -------
    dict
        `count`; `area_px` with `mean`, `median`, `std`, `min`, `max`, the quartiles `q25` and `q75`, and `mad`, the
        median absolute deviation from the median; `foreground_fraction` in [0, 1]; `density_per_mm2`; of each channel
        `intensity_mean` and `intensity_integrated` with `mean` and `median` over nuclei, and `intensity_background`,
        the median of all pixels outside nuclei. Padding is no part of the image. None is what cannot be known,
        without nuclei or a pixel size.
    """
    areas = table["area_px"]
    n_pixels = int(areas.sum()) + background.n_px
    area_mm2 = None if pixel_size is None else n_pixels * pixel_size.row_um * pixel_size.col_um / 1e6
    summary = {
        "count": len(areas),
        "area_px": _statistics(areas),
        "foreground_fraction": float(areas.sum() / n_pixels),
        "density_per_mm2": None if area_mm2 is None else len(areas) / area_mm2,
    }
    for suffix, around in background.medians.items():
        for name in _SUMMARISED:
            values = table[f"{name}{suffix}"]
            mean, median = (values.mean(), np.median(values)) if values.size else (np.nan, np.nan)
            summary[f"{name}{suffix}"] = {"mean": _known(mean), "median": _known(median)}
        summary[f"intensity_background{suffix}"] = _known(around)
    return summary


def _statistics(values: NDArray[Any]) -> dict[str, float | None]:
    if not values.size:
        return dict.fromkeys(_STATISTICS)
    q25, median, q75 = np.quantile(values, (0.25, 0.5, 0.75))
    # As in scipy.stats, which checks for longer than it computes.
    mad = np.median(np.abs(values - median))
    spread = values.mean(), median, values.std(), values.min(), values.max(), q25, q75, mad
    return dict(zip(_STATISTICS, map(float, spread), strict=True))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
