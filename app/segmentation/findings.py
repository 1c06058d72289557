"""What is known of a segmented image, large or not."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from app import __version__
from app.segmentation.caveats import DARK_NUCLEI, UNLIKE_TRAINING_DATA, Caveat
from app.segmentation.measure import Table, summarise
from app.segmentation.metrics import Matching, PixelScores
from app.segmentation.model_card import Calibration, ModelCard
from app.segmentation.options import SegmentationOptions
from app.segmentation.stack import DecodedImage
from app.segmentation.unpack import LargeImage

# Two sizes of a pixel that differ by more are two sizes.
_SIZE_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False, kw_only=True)
class Findings:
    """What is found in an image, whether it fits into the memory or not.

    Attributes
    ----------
    filename
        What the image was called, where that is known.
    decoded
        The image as uploaded.
    n_pixels
        Height times width.
    nuclei
        One row a nucleus.
    options
        As asked for; `pixel_size_um`, `threshold` and `min_area_px` below are the values that were applied.
    card
        The model's.
    dtype
        In what numbers its network computed.
    timing_ms
        Milliseconds a stage.
    """

    filename: str | None
    decoded: DecodedImage | LargeImage
    n_pixels: int
    nuclei: Table
    options: SegmentationOptions
    pixel_size_um: float | None
    threshold: float
    min_area_px: int
    caveats: tuple[Caveat, ...]
    card: ModelCard
    dtype: str
    timing_ms: dict[str, float]

    @property
    def count(self) -> int:
        """Number of nuclei."""
        return len(self.nuclei["label"])

    @property
    def summary(self) -> dict[str, Any]:
        """All nuclei together; see `app.segmentation.measure.summarise`."""
        return summarise(self.nuclei, self.n_pixels, self.pixel_size_um)

    @property
    def provenance(self) -> dict[str, Any]:
        """How it came to be: with the image it can be made again. Options are as asked for and as applied."""
        options = self.options.model_dump(include=set(SegmentationOptions.model_fields))
        applied = {
            "threshold_applied": self.threshold,
            "min_area_px_applied": self.min_area_px,
            "pixel_size_um_applied": self.pixel_size_um,
            "channel_applied": self.decoded.channel,
            "page_applied": self.decoded.page,
        }
        return {
            "karyometer": __version__,
            "model": {
                "name": self.card.name,
                "version": self.card.version,
                "sha256": self.card.sha256,
                "dtype": self.dtype,
            },
            "options": options | applied,
        }


@dataclass(frozen=True)
class Evaluation:
    """A segmentation's scores against its ground truth.

    Attributes
    ----------
    mask_kind
        `binary` (one non-zero value: instances are the connected components) or `labels` (instances are the values).
    """

    mask_kind: str
    count_predicted: int
    count_true: int
    pixels: PixelScores
    matching: list[Matching]
    average_precision: float


def pixel_size(
    decoded: DecodedImage | LargeImage, options: SegmentationOptions
) -> tuple[float | None, tuple[Caveat, ...]]:
    """The option beats the file; the image's caveats, and one where they differ."""
    of_file, asked = decoded.pixel_size_um, options.pixel_size_um
    if asked is None or of_file is None or abs(asked - of_file) <= _SIZE_TOLERANCE * of_file:
        return of_file if asked is None else asked, decoded.caveats
    differs = Caveat(
        "pixel_size_differs",
        f"The file says that a pixel is {of_file:.4g} micrometres wide; {asked:.4g} was used, as asked for.",
    )
    return asked, (*decoded.caveats, differs)


def nuclei_caveats(nuclei: Table, is_grey: bool) -> list[Caveat]:
    """Whether most nuclei of a grey image are darker than their surroundings; in colour they always are."""
    n_dark = np.count_nonzero(nuclei["intensity_integrated"] < 0)
    return [DARK_NUCLEI] if is_grey and n_dark > len(nuclei["label"]) / 2 else []


def unlike_caveats(unlikeness: float | None, calibration: Calibration) -> list[Caveat]:
    """Whether an image is farther from the training data than the card allows."""
    limit = calibration.largest_unlikeness
    is_unlike = unlikeness is not None and limit is not None and unlikeness > limit
    return [UNLIKE_TRAINING_DATA] if is_unlike else []
