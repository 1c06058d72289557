"""What is known of an experiment and its images."""

from dataclasses import dataclass
from typing import Any, Literal

from app.experiments.stored import StoredResult
from app.experiments.worker import Maker
from app.options import SegmentationOptions

ImageState = Literal["waiting", "running", "done", "failed", "set_aside"]
ExperimentState = Literal["open", "running", "done", "done_with_errors", "cancelled"]
IMAGE_STATES: tuple[ImageState, ...] = ("waiting", "running", "done", "failed", "set_aside")


@dataclass(frozen=True)
class Experiment:
    """One experiment, as it was asked for.

    Attributes
    ----------
    owner
        The name of the API key that made it; empty where nobody needs one.
    maker
        The model and version that all its images are measured with.
    dose_unit
        Of a layout whose doses have none.
    is_assumed
        Whether the channel of the nuclei was taken for that as the only one that has come; until the experiment is
        closed nothing is measured then.
    problem
        Code and sentence of what keeps its images from being understood.
    notes
        What was understood of its files; see `app.experiments.plan`.
    """

    id: str
    owner: str
    name: str
    options: SegmentationOptions
    nuclear_channel: str | None
    maker: Maker
    created: float
    is_started: bool
    is_closed: bool
    is_cancelled: bool
    layout_sha256: str | None
    layout_name: str | None
    dose_unit: str | None
    is_assumed: bool
    revision: int
    planned: int
    problem: dict[str, str] | None
    notes: dict[str, Any]

    @property
    def is_planned(self) -> bool:
        """Whether its images are those of all its files."""
        return self.revision == self.planned


@dataclass(frozen=True, kw_only=True)
class _PlacedImage:
    """Which files an image is made of, and where it belongs; empty is what is not known.

    Attributes
    ----------
    channels
        Names of the further channels, and of their files.
    digests
        Of the image's file and of the further channels'.
    key
        Of its result; see `app.experiments.stored.result_key`.
    """

    image: str
    plate: str
    well: str
    site: str
    plane: str
    channels: tuple[tuple[str, str], ...]
    digests: tuple[str, ...]
    key: str


@dataclass(frozen=True, kw_only=True)
class PlannedImage(_PlacedImage):
    """One image that is to be measured, as its files and the layout say; see `app.experiments.layouts.fields.Field`."""

    labels_key: str


@dataclass(frozen=True, kw_only=True)
class Image(_PlacedImage):
    """What has become of an image."""

    id: int
    state: ImageState
    attempt: int
    error_code: str | None
    error: str | None
    result: StoredResult | None


@dataclass(frozen=True)
class Exclusion:
    """A well or an image that counts for nothing, and why; without a plate, that well of every plate."""

    plate: str | None
    well: str | None
    image: str | None
    reason: str
    created: float

    def holds(self, image: Image) -> bool:
        """Whether the image is excluded."""
        if self.image is not None:
            return image.image == self.image
        return image.well == self.well and self.plate in (None, image.plate)


@dataclass(frozen=True)
class Progress:
    """How far an experiment is.

    Attributes
    ----------
    state
        See `ExperimentState`.
    n_files
        Files that have come.
    n_images
        By their state.
    images_per_minute, seconds_left
        Of the last minutes; None where nothing was measured in them.
    """

    state: ExperimentState
    n_files: int
    n_images: dict[ImageState, int]
    images_per_minute: float | None
    seconds_left: float | None
