"""What routes are asked: the options in their query strings, with the units in the names."""

from copy import copy
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.export.formats import FILE_FORMATS, FileFormat
from app.options import Channel, SegmentationOptions
from app.statistics.effects import Correction, Test
from app.statistics.schema import Normalisation

Format = Literal["json"] | FileFormat
Include = Literal["mask", "labels", "overlay", "polygons", "nuclei"]

PlanePage = Annotated[int, Field(ge=0)] | Literal["max"]
PLANE_PAGE: Any = Field(
    None,
    description="a number from 0, or `max`: which page (z, t) of a stack it is, or the brightest of all pages; without "
    "it the first",
)

MEDIA_TYPES: dict[Format, str] = {"json": "application/json"}
MEDIA_TYPES.update((name, kind.media_type) for name, kind in FILE_FORMATS.items())


class SegmentQuery(SegmentationOptions):
    """The options of `POST /segment`: how to segment, and what to answer."""

    format: Format | None = Field(
        None,
        description="`json`, `mask` (PNG, 0 and 255), `labels` (TIFF, uint16 or uint32), `overlay` (PNG), `csv`, "
        "`parquet`, `geojson` (for QuPath), `rois` (a zip for ImageJ) or `coco` (JSON); without it the Accept header "
        "decides",
    )
    include: tuple[Include | Literal["matches"], ...] = Field(
        ("mask", "nuclei"),
        description="`mask`, `labels`, `overlay`, `polygons` or `nuclei`, and `matches` beside a ground truth, "
        "repeated for several: what a JSON answer holds",
    )


def _as_in_segment(name: str) -> Any:
    """A field of `SegmentQuery`, with its values and its description."""
    return copy(SegmentQuery.model_fields[name])


class PlaneQuery(BaseModel):
    """Which plane of an image is looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel: Channel | None = _as_in_segment("channel")
    page: PlanePage | None = PLANE_PAGE
    scene: int | None = _as_in_segment("scene")

    @property
    def options(self) -> SegmentationOptions:
        """For the engine."""
        return SegmentationOptions(**self.model_dump())


class MeasureQuery(BaseModel):
    """The options of `POST /measure`: what is read, what is kept of the labels, and what to answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    channel: Channel | None = _as_in_segment("channel")
    page: PlanePage | None = PLANE_PAGE
    scene: int | None = _as_in_segment("scene")
    pixel_size_um: float | None = _as_in_segment("pixel_size_um")
    exclude_border: bool = _as_in_segment("exclude_border")
    numbered: bool = _as_in_segment("numbered")
    format: Format | None = _as_in_segment("format")
    include: tuple[Include, ...] = Field(
        ("mask", "nuclei"),
        description="`mask`, `labels`, `overlay`, `polygons` or `nuclei`, repeated for several: what a JSON answer "
        "holds",
    )
    corrected: bool = Field(
        False, description="true or false: whether people corrected by hand the labels that a model had found"
    )
    corrected_from: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_.-]{1,64}/[A-Za-z0-9_.-]{1,64}$",
        description="a model such as fast/7: whose labels were corrected, as the header X-Model told; without it the "
        "service's",
    )

    @property
    def options(self) -> SegmentationOptions:
        """Those of them that the engine takes."""
        return SegmentationOptions(**self.model_dump(include=set(SegmentationOptions.model_fields)))


class EvaluateQuery(SegmentationOptions):
    """The options of `POST /evaluate`: a mask is that of one page."""

    page: PlanePage | None = PLANE_PAGE
    include: tuple[Literal["matches"], ...] = Field(
        (), description="`matches`: what the answer holds beside the scores, the fate of each nucleus"
    )


class EffectsQuery(BaseModel):
    """The options of `POST /effects`: what is asked of a table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: tuple[str, ...] = Field(
        ("count",),
        min_length=1,
        max_length=50,
        description="a column of numbers, repeated for several: what was measured; p is corrected for several",
    )
    control: str | None = Field(
        None, description="a condition: the negative control, where the column `control` does not say"
    )
    replicate: str | None = Field(
        None, description="a column: its values are the replicates, such as `well`, `plate` or `replicate`"
    )
    block: str | None = Field(
        None, description="a column, or `none`: its values, such as plates or days, are what treated and control share"
    )
    correction: Correction = Field("holm", description="holm or benjamini-hochberg: how p is corrected for endpoints")
    test: Test = Field("t", description="t, rank or permutation: the test; rank and permutation need more replicates")
    normalise: Normalisation = Field(
        "none", description="none or b_score: B-scores of each plate, without the effects of its rows and columns"
    )


class ExperimentEffectsQuery(EffectsQuery):
    """The options of the effects of an experiment, whose nuclei are known."""

    marker: str | None = Field(
        None,
        description="a column of the table of nuclei, such as `intensity_mean_c1`: of endpoint `positive_fraction`",
    )
    marker_threshold: float | None = Field(
        None, allow_inf_nan=False, description="a number: nuclei whose `marker` is above are positive"
    )
