"""CellProfiler's names for the columns of our tables, for CytoTable, pycytominer and scripts that expect them."""

import re
from collections.abc import Sequence

_PLACES = {"plate": "Metadata_Plate", "well": "Metadata_Well", "site": "Metadata_Site", "plane": "Metadata_Plane"}
_SHAPES = {
    "area_px": "AreaShape_Area",
    "perimeter_px": "AreaShape_Perimeter",
    "equivalent_diameter_px": "AreaShape_EquivalentDiameter",
    "axis_major_px": "AreaShape_MajorAxisLength",
    "axis_minor_px": "AreaShape_MinorAxisLength",
    "eccentricity": "AreaShape_Eccentricity",
    "solidity": "AreaShape_Solidity",
    "circularity": "AreaShape_FormFactor",
    "centroid_col_px": "Location_Center_X",
    "centroid_row_px": "Location_Center_Y",
    "bbox_col_min_px": "AreaShape_BoundingBoxMinimum_X",
    "bbox_row_min_px": "AreaShape_BoundingBoxMinimum_Y",
    "bbox_col_max_px": "AreaShape_BoundingBoxMaximum_X",
    "bbox_row_max_px": "AreaShape_BoundingBoxMaximum_Y",
}
_INTENSITIES = {
    "mean": "MeanIntensity",
    "median": "MedianIntensity",
    "min": "MinIntensity",
    "max": "MaxIntensity",
    "std": "StdIntensity",
    # Nothing is subtracted there either.
    "sum": "IntegratedIntensity",
}
_INTENSITY = re.compile(r"intensity_([a-z]+)(?:_c([0-9]+))?")
# Of our own rows, and no metadata.
_OURS = ("excluded", "exclusion_reason", "warnings", "model", "result")


def nuclei_names(columns: Sequence[str], channels: Sequence[str]) -> list[str]:
    """Names of the columns of nuclei; what CellProfiler has no name for is `Nuclei_Karyometer_...`.

    Intensities are in the image's own units, where CellProfiler divides them by the largest that the file could hold.

    Examples
    --------
    >>> nuclei_names(["well", "image", "drug", "label", "area_px", "intensity_mean_c1"], ["DNA", "GFP"])[3:]
    ['Metadata_ObjectNumber', 'Nuclei_AreaShape_Area', 'Nuclei_Intensity_MeanIntensity_GFP']
    """
    first = columns.index("label") if "label" in columns else len(columns)
    before = [_metadata_name(column, channels) for column in columns[:first]]
    return [*before, *(_nucleus_name(column, channels) for column in columns[first:])]


def image_names(columns: Sequence[str], channels: Sequence[str]) -> list[str]:
    """Names of the columns of images."""
    first = columns.index("excluded") if "excluded" in columns else len(columns)
    before = [_metadata_name(column, channels) for column in columns[:first]]
    known = {"count": "Image_Count_Nuclei"}
    return [*before, *(known.get(column, f"Image_Karyometer_{column}") for column in columns[first:])]


def group_names(columns: Sequence[str], channels: Sequence[str]) -> list[str]:
    """Names of the columns of wells and conditions."""
    first = columns.index("n_images") if "n_images" in columns else len(columns)
    before = [_metadata_name(column, channels) for column in columns[:first]]
    return [*before, *("Count_Nuclei" if column == "count" else column for column in columns[first:])]


def _metadata_name(column: str, channels: Sequence[str]) -> str:
    if column == "image":
        return f"Image_FileName_{_channel(channels, 0)}"
    return _PLACES.get(column) or (f"Image_Karyometer_{column}" if column in _OURS else f"Metadata_{column}")


def _nucleus_name(column: str, channels: Sequence[str]) -> str:
    if column == "label":
        return "Metadata_ObjectNumber"
    if column in _SHAPES:
        return f"Nuclei_{_SHAPES[column]}"
    intensity = _INTENSITY.fullmatch(column)
    if intensity and intensity[1] in _INTENSITIES and (intensity[2] or len(channels) < 2):
        return f"Nuclei_Intensity_{_INTENSITIES[intensity[1]]}_{_channel(channels, int(intensity[2] or 0))}"
    return f"Image_Karyometer_{column}" if column in _OURS else f"Nuclei_Karyometer_{column}"


def _channel(channels: Sequence[str], number: int) -> str:
    """A channel's name without what such names may not have."""
    name = channels[number] if number < len(channels) else "DNA" if number == 0 else f"Channel{number}"
    return re.sub(r"[^0-9A-Za-z]+", "", name) or f"Channel{number}"
