"""What the API takes and gives, with the units in the names. Types for the documentation and for clients."""

from copy import copy
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.evaluation.matching import Matching
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
        description="a model such as fast/6: whose labels were corrected, as the header X-Model told; without it the "
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


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Answer):
    """An error, as RFC 9457 describes it."""

    type: str
    title: str
    status: int
    detail: str = Field(description="one sentence that says what to do")
    code: str = Field(description="snake_case; never changes")


class ImageInfo(_Answer):
    """What was uploaded."""

    filename: str | None
    sha256: str
    height_px: int
    width_px: int
    n_channels: int
    n_pages: int
    n_scenes: int = Field(description="images of the file, such as positions; the option scene chooses one")
    channel: int | None = Field(description="which channel was segmented, from 0; null where colour was")
    channel_names: tuple[str, ...] = Field(description="as the file names them")
    page: int | Literal["max"] = Field(description="which page was segmented, from 0, or the brightest of all")
    dtype: str
    axes: str
    pixel_size_um: float | None = Field(description="the side of a square pixel; null where its sides differ")
    pixel_height_um: float | None = Field(description="from one row to the next; null where no size is known")
    pixel_width_um: float | None = Field(description="from one column to the next; null where no size is known")


class EncodedFile(_Answer):
    """A file inside the answer."""

    media_type: str
    data: str = Field(description="base64")


class Nucleus(_Answer):
    """One nucleus; coordinates are 0-based (row, column), the box is half-open.

    Lengths in micrometres are null without a pixel size. In colour the intensities are of the mean over channels, and
    each channel's follow with its number, as in `intensity_mean_c0`. Where pixels are not square, orientation,
    eccentricity and circularity are those of the nucleus in micrometres, not in pixels.
    """

    model_config = ConfigDict(extra="allow")

    label: int
    area_px: int
    area_um2: float | None
    centroid_row_px: float
    centroid_col_px: float
    bbox_px: tuple[int, int, int, int]
    perimeter_px: float
    perimeter_um: float | None
    equivalent_diameter_px: float
    equivalent_diameter_um: float | None
    axis_major_px: float = Field(description="of the ellipse with the same second moments")
    axis_major_um: float | None
    axis_minor_px: float
    axis_minor_um: float | None
    orientation_rad: float = Field(description="between the rows' axis and the longer axis, -pi/2 to pi/2")
    eccentricity: float
    solidity: float = Field(description="part of the pixels in the convex hull, as scikit-image counts them")
    circularity: float = Field(description="4 pi area / perimeter^2, at most 1")
    nearest_neighbour_px: float | None = Field(description="between centroids")
    nearest_neighbour_um: float | None
    intensity_mean: float = Field(description="intensities are in the image's own units")
    intensity_median: float
    intensity_min: float
    intensity_max: float
    intensity_std: float
    intensity_sum: float = Field(description="of all its pixels, nothing subtracted")
    intensity_background: float | None = Field(description="the median close around the nucleus, without padding")
    intensity_integrated: float | None = Field(
        description="the sum of what lies above that background: intensity_sum - area_px * intensity_background"
    )
    confidence: float | None = Field(
        description="the probability that a person would outline it too; null of nuclei that were given"
    )
    touches_border: bool


class Statistics(_Answer):
    """Null where there is no nucleus."""

    mean: float | None
    median: float | None
    std: float | None
    min: float | None
    max: float | None
    q25: float | None
    q75: float | None
    mad: float | None = Field(description="median absolute deviation from the median")


class Centre(_Answer):
    """Of one value a nucleus; null where there is none."""

    mean: float | None
    median: float | None


class Summary(_Answer):
    """All nuclei together; each channel's intensities follow with its number, as in `intensity_mean_c0`."""

    model_config = ConfigDict(extra="allow")

    count: int
    area_px: Statistics
    foreground_fraction: float
    density_per_mm2: float | None = Field(description="null without a pixel size")
    intensity_mean: Centre = Field(description="over nuclei")
    intensity_integrated: Centre = Field(description="over nuclei; each nucleus's own background is subtracted")
    intensity_background: float | None = Field(description="median of all pixels outside nuclei and padding")


class ImageWarning(_Answer):
    """Something to know before trusting the numbers."""

    code: str
    message: str


class ModelReference(_Answer):
    """Which model it was."""

    name: str
    version: str
    sha256: str
    dtype: str = Field(description="in what numbers it computed: int8 on a CPU, float32 on a GPU and of older models")


class Provenance(_Answer):
    """How the result came to be; with the image it can be made again."""

    karyometer: str
    model: ModelReference
    options: dict[str, Any] = Field(description="as asked for, and what was applied, as in `threshold_applied`")
    labels: Literal["given", "corrected"] | None = Field(
        None, description="`given`: no model found these nuclei; `corrected`: people corrected by hand what one found"
    )
    corrected_from: str | None = Field(None, description="the model whose labels were corrected, as name/version")
    timing_ms: dict[str, float]


class Hit(_Answer):
    """A nucleus that is one of the truth."""

    label: int
    iou: float


class Miss(_Answer):
    """A true nucleus that was not found."""

    polygon: list[list[tuple[float, float]]] = Field(description="its rings, as in `polygons` of POST /segment")


class Matches(_Answer):
    """The fate of each nucleus, found or true."""

    thresh: float = Field(description="from which IoU on a nucleus counts as found")
    hits: list[Hit] = Field(description="found, with the IoU")
    inventions: list[int] = Field(description="labels of what is no true nucleus")
    misses: list[Miss]


class Scores(_Answer):
    """A segmentation against its ground truth; `iou` to `recall` count pixels."""

    iou: float
    dice: float
    precision: float
    recall: float
    count_predicted: int
    count_true: int
    count_error: int = Field(description="predicted less true")
    mask_kind: Literal["binary", "labels"] = Field(
        description="`binary`: true instances are the mask's connected components; `labels`: those of equal value"
    )
    matching: list[Matching]
    average_precision: float = Field(
        description="mean of `accuracy` over IoU 0.50:0.05:0.95, as in the 2018 Data Science Bowl; not COCO's AP"
    )
    matches: Matches | None = Field(None, description="there if `include` names them")


class EvaluateResponse(Scores):
    """The answer of `POST /evaluate`."""

    warnings: list[ImageWarning]
    provenance: Provenance


class SegmentResponse(_Answer):
    """The JSON answer of `POST /segment`; `mask` to `nuclei` are there if `include` names them."""

    count: int
    image: ImageInfo
    mask: EncodedFile | None = None
    labels: EncodedFile | None = None
    overlay: EncodedFile | None = None
    polygons: list[list[list[tuple[float, float]]]] | None = Field(
        None,
        description="the rings of each nucleus in (row, column), the outer one first, then its holes; along the "
        "pixels' edges, so that the middle of the first pixel lies at (0, 0)",
    )
    nuclei: list[Nucleus] | None = None
    summary: Summary
    warnings: list[ImageWarning]
    evaluation: Scores | None
    provenance: Provenance


class CocoFile(_Answer):
    """The file of `format=coco`, which is JSON too."""

    info: dict[str, Any]
    images: list[dict[str, Any]]
    categories: list[dict[str, Any]]
    annotations: list[dict[str, Any]] = Field(description="one a nucleus; without a `score` where it was given")


class PreviewInfo(_Answer):
    """What is in an image that was sent to be looked at, and how to ask for its tiles."""

    id: str = Field(description="the SHA-256 of its bytes")
    height_px: int
    width_px: int
    n_channels: int = Field(description="that can be looked at; alpha is none of them")
    channel_names: tuple[str, ...] = Field(description="as the file names them")
    n_pages: int
    n_scenes: int
    channel: int | None = Field(description="which is shown, from 0; null where colour is")
    page: int | Literal["max"]
    scene: int
    dtype: str
    axes: str
    pixel_size_um: float | None = Field(description="the side of a square pixel; null where its sides differ")
    pixel_height_um: float | None
    pixel_width_um: float | None
    tile_px: int = Field(description="the side of a tile")
    n_levels: int = Field(description="level 0 fits into one tile, the last has the image's own size")
    warnings: list[ImageWarning] = Field(
        description="among them `channel_needed` where nothing says which channel shows the nuclei"
    )


class StackResponse(_Answer):
    """The JSON answer of `POST /segment` with `page=all`."""

    count: int = Field(description="of all pages together")
    pages: list[SegmentResponse]


class Version(_Answer):
    """Which software answers."""

    karyometer: str


class Health(_Answer):
    """How the service is."""

    status: Literal["alive", "ready"]
