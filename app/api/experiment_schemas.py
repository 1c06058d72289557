"""What the routes of experiments take and give."""

import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.api.schemas import ImageWarning
from app.errors import OptionError
from app.experiments.experiment import Exclusion, ExperimentState, ImageState
from app.experiments.layouts.names import normal_well
from app.options import SegmentationOptions


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewExperiment(_Body):
    """What an experiment is to be."""

    name: str = Field(min_length=1, max_length=200, description="for people")
    options: SegmentationOptions = Field(SegmentationOptions(), description="those of `POST /segment`")
    nuclear_channel: str | None = Field(
        None,
        max_length=255,
        description="which channel shows the nuclei, as file names call it; without it one with a nuclear stain's name",
    )


class ImageCounts(_Body):
    """Images by their state."""

    waiting: int
    running: int
    done: int
    failed: int
    set_aside: int = Field(description="their workers died again and again")


class ExperimentStatus(_Body):
    """How an experiment is."""

    id: str
    name: str
    state: ExperimentState
    created: str = Field(description="UTC, ISO 8601")
    is_started: bool
    model: str
    karyometer: str
    options: dict[str, Any]
    nuclear_channel: str | None
    layout: str | None = Field(description="the name or digest of its layout")
    n_files: int
    images: ImageCounts
    images_per_minute: float | None
    seconds_left: float | None
    warnings: list[ImageWarning] = Field(description="what keeps images from being measured, and what was assumed")
    understood: dict[str, Any] = Field(
        description="what its files were taken for: numbers, and the first names, of those that match nothing "
        "(`unmatched`), are there twice (`duplicates`), or are not used (`ignored`), and wells of the layout without "
        "images (`wells_without_images`); and the `channels` that files are of"
    )


class ExperimentList(_Body):
    """Experiments."""

    experiments: list[ExperimentStatus]


class Stored(_Body):
    """A file that is safe on the disk."""

    name: str
    sha256: str
    n_bytes: int


class FateOfFile(_Body):
    """What became of a file."""

    name: str
    state: Literal["added", "there_already", "left_out", "refused"]
    code: str | None = None
    reason: str | None = None


class Fates(_Body):
    """What became of each file."""

    files: list[FateOfFile]


class Retried(_Body):
    """How many images will be measured again."""

    n_images: int


class ExclusionBody(_Body):
    """A well, or an image, and why it counts for nothing."""

    plate: str | None = Field(None, max_length=500)
    well: str | None = Field(None, max_length=10)
    image: str | None = Field(None, max_length=500)
    reason: str = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _names_one(self) -> "ExclusionBody":
        if (self.well is None) == (self.image is None):
            raise ValueError("Name a well or an image.")
        return self

    def as_exclusion(self) -> Exclusion:
        """With the time of now.

        Raises
        ------
        OptionError
            There is no such well.
        """
        well = None if self.well is None else normal_well(self.well)
        if self.well is not None and well is None:
            raise OptionError(f"There is no well {self.well!r}; give one such as B02.")
        return Exclusion(self.plate, well, self.image, self.reason, time.time())


class ExclusionTold(_Body):
    """A well, or an image, that counts for nothing, and since when."""

    plate: str | None
    well: str | None
    image: str | None
    reason: str
    created: float = Field(description="seconds since 1970, UTC")


class ExclusionList(_Body):
    """All of an experiment, the oldest first."""

    exclusions: list[ExclusionTold]


class ImageStatus(_Body):
    """What has become of one image."""

    image: str
    plate: str | None
    well: str | None
    site: str | None
    plane: str | None
    state: ImageState
    error_code: str | None
    error: str | None
    count: int | None
    warnings: list[ImageWarning]
    excluded: bool


class ImageList(_Body):
    """Images of an experiment, in the order of plate, well, site and plane."""

    images: list[ImageStatus]
    n_images: int = Field(description="of all pages")
