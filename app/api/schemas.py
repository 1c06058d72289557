"""What the API gives, with the units in the names. Types for the documentation and for clients."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.evaluation.matching import Matching


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
