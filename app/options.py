"""What a user may choose; the same for API, command line, page and jobs."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

# The number first: documentation pages offer a free field for the first kind, and a closed list for names.
Threshold = Annotated[float, Field(gt=0, lt=1)] | Literal["model", "mean", "otsu"]

SMALLEST_SCALE, LARGEST_SCALE = 1 / 16, 4.0
Scale = Annotated[float, Field(ge=SMALLEST_SCALE, le=LARGEST_SCALE)] | Literal["auto"]
Channel = Annotated[Annotated[int, Field(ge=0)] | str, Field(union_mode="left_to_right")]
Page = Annotated[int, Field(ge=0)] | Literal["max", "all"]


class SegmentationOptions(BaseModel):
    """How an image is segmented and measured. Each field's description says which values it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    quality: Literal["fast", "best"] = Field(
        "fast",
        description="`fast` or `best`: how often the network sees the image; `best` is test-time augmentation, the "
        "mean of eight orientations (turned and mirrored), a little better and eight times slower",
    )
    threshold: Threshold = Field(
        "model",
        description="`model`, `mean`, `otsu` or a number between 0 and 1: a pixel is nucleus from this probability on; "
        "`model` is what the model was calibrated to, `mean` the image's mean probability, `otsu` is found by Otsu's "
        "method",
        examples=["model"],
    )
    split_touching: bool = Field(True, description="true or false: whether touching nuclei are separated")
    min_area_px: int | None = Field(
        None,
        ge=0,
        le=2**63 - 1,
        description="a whole number from 0: nuclei with fewer pixels are dropped; by default the smallest area that "
        "the model's card names",
    )
    min_confidence: float | None = Field(
        None,
        ge=0,
        le=1,
        description="a number from 0 to 1: nuclei with a lower `confidence` are dropped; without it those that the "
        "model's validation images have too many of",
    )
    exclude_border: bool = Field(
        False,
        description="true or false: whether nuclei that touch the image's edge, or the padding of a "
        "stitcher, are dropped",
    )
    pixel_size_um: float | None = Field(
        None,
        ge=0.0001,
        le=10,
        description="a number from 0.0001 to 10: a pixel's edge in micrometres, for areas in square micrometres",
    )
    scale: Scale = Field(
        "auto",
        description="`auto`, or a number from 0.0625 to 4: the network sees the image resized by this factor; it is "
        "best where nuclei are then about 24 pixels wide. Sizes in the answer are those in the original image",
        examples=["auto"],
    )
    diameter_px: float | None = Field(
        None,
        ge=3,
        le=1000,
        description="a number from 3 to 1000, and no number for scale: the typical diameter of the nuclei in pixels; "
        "the scale is computed from it",
    )
    diameter_um: float | None = Field(
        None,
        ge=0.1,
        le=1000,
        description="a number from 0.1 to 1000, and neither diameter_px nor a number for scale: the same in "
        "micrometres, where the size of a pixel is known",
    )
    channel: Channel | None = Field(
        None,
        description="a number from 0, or a channel's name: the channel that shows the nuclei; by default a colour "
        "image is segmented in colour, and of several channels the one that is named after a nuclear stain",
    )
    page: Page | None = Field(
        None,
        description="a number from 0, `max` or `all`: the page (z, t) of a stack that is segmented; `max` takes "
        "each pixel's highest value over all pages, `all` segments every page by itself; by default the first page",
    )
    scene: int | None = Field(
        None,
        ge=0,
        description="a number from 0: the image that is segmented, where a file holds several (positions, series, "
        "sizes); by default the first that is no preview",
    )
    numbered: bool = Field(False, description="true or false: whether the overlay shows each nucleus's number")

    @field_validator("diameter_px", "diameter_um")
    @classmethod
    def _says_it_once(cls, diameter: float | None, info: ValidationInfo) -> float | None:
        others = [info.data.get("scale", "auto") != "auto", info.data.get("diameter_px") is not None]
        if diameter is not None and any(others):
            raise ValueError("The scale follows from one of scale, diameter_px and diameter_um.")
        return diameter
