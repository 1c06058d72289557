"""What a user may choose; the same for API, command line, page and jobs."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# The number first: documentation pages offer a free field for the first kind, and a closed list for names.
Threshold = Annotated[float, Field(gt=0, lt=1)] | Literal["model", "mean", "otsu"]


Channel = Annotated[Annotated[int, Field(ge=0)] | str, Field(union_mode="left_to_right")]
Page = Annotated[int, Field(ge=0)] | Literal["max", "all"]


class SegmentationOptions(BaseModel):
    """How an image is segmented and measured. Each field's description says which values it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    quality: Literal["fast", "best"] = Field(
        "fast",
        description="`fast` (the network sees the image once) or `best` (eight times, turned and mirrored, and the "
        "mean of its answers counts: a little better, eight times slower)",
    )
    threshold: Threshold = Field(
        "model",
        description="`model` (the card's calibrated value), `mean` (the image's mean probability), `otsu`, or a number "
        "between 0 and 1: pixels whose probability is at or above it are nucleus",
        examples=["model"],
    )
    split_touching: bool = Field(True, description="true or false: whether touching nuclei are separated")
    min_area_px: int | None = Field(
        None,
        ge=0,
        description="a whole number from 0: nuclei with fewer pixels are dropped; without it the card's value",
    )
    exclude_border: bool = Field(
        False, description="true or false: whether nuclei that touch the image's edge are dropped"
    )
    pixel_size_um: float | None = Field(
        None,
        ge=0.0001,
        le=10,
        description="a number from 0.0001 to 10: a pixel's edge in micrometres, for areas in square micrometres",
    )
    channel: Channel | None = Field(
        None,
        description="a number from 0, or a channel's name: which channel holds the nuclei; without it colour is "
        "segmented as colour, and of several channels that with a nuclear stain's name",
    )
    page: Page | None = Field(
        None,
        description="a number from 0, `max` or `all`: which page (z, t) of a stack is segmented, the brightest of all "
        "pages, or every one by itself; without it the first",
    )
    numbered: bool = Field(False, description="true or false: whether the overlay shows each nucleus's number")
