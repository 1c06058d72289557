"""What is known of a segmented image, whether it fits into the memory or not."""

from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app import __version__
from app.engine.count_doubt import CountSignals
from app.evaluation.matching import Matching, PixelScores
from app.evaluation.truth import MaskKind
from app.inference.model_card import ModelCard
from app.measurement.intensities import Background
from app.measurement.measure import Table
from app.measurement.summary import summarise
from app.options import SegmentationOptions
from app.reading.memmap import MemmapArray
from app.reading.stack import ImageDescription, PixelSize
from app.reading.warnings import ImageWarning


@dataclass(frozen=True, eq=False)
class LabelsOnDisk:
    """Labels of a plane that is not in memory; there as long as its result is open.

    Attributes
    ----------
    found
        uint32 `(H, W)` on disk, numbered as found.
    numbers
        By such a label the nucleus's own, 1..N; 0 is background.
    """

    found: MemmapArray
    numbers: NDArray[np.uint32]


@dataclass(frozen=True, eq=False, kw_only=True)
class PlaneResult:
    """The nuclei of one plane.

    Attributes
    ----------
    filename
        What the image was called, where that is known.
    image
        What was read.
    stored_labels
        In memory int32 `(H, W)`: 0 is background, nuclei are 1..`count`; `LabelsOnDisk` of a plane that is out of core.
    normalised
        float32 `(H, W, 3)` in [0, 1], what the network saw, or would have seen; None out of core.
    nuclei
        One row a nucleus.
    background
        See `app.measurement.intensities.background`.
    options
        As asked for; `pixel_size`, `threshold`, `min_area_px` and `scale` below are the values that were applied;
        nuclei that were given have no threshold.
    warnings
        What to know before the numbers are trusted.
    count_signals
        By which a wrong count is known.
    card
        The model's.
    dtype
        In what numbers its network computed.
    timing_ms
        Milliseconds a stage.
    corrected_from
        Of nuclei that were given: the name and version of the model whose labels people have corrected to these, if
        that is known.
    """

    filename: str | None
    image: ImageDescription
    stored_labels: NDArray[np.int32] | LabelsOnDisk
    normalised: NDArray[np.float32] | None = None
    nuclei: Table
    background: Background
    options: SegmentationOptions
    pixel_size: PixelSize | None
    threshold: float | None
    min_area_px: int
    scale: float = 1.0
    warnings: tuple[ImageWarning, ...]
    count_signals: CountSignals
    card: ModelCard
    dtype: str
    timing_ms: dict[str, float]
    corrected_from: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether the nuclei were given, and not found."""
        return self.threshold is None

    @property
    def is_in_memory(self) -> bool:
        """Whether the image was worked on whole, and not out of core."""
        return not isinstance(self.stored_labels, LabelsOnDisk)

    @property
    def labels(self) -> NDArray[np.int32]:
        """All labels `(H, W)`; those on disk are read."""
        if isinstance(self.stored_labels, LabelsOnDisk):
            return np.concatenate(list(self.label_rows(self.image.height))).astype(np.int32)
        return self.stored_labels

    def label_rows(self, n_rows: int) -> Iterator[NDArray[Any]]:
        """The labels, some rows `(n_rows, W)` at a time."""
        stored = self.stored_labels
        for first in range(0, self.image.height, n_rows):
            rows = slice(first, min(first + n_rows, self.image.height))
            if isinstance(stored, LabelsOnDisk):
                yield stored.numbers[stored.found[rows, 0 : self.image.width]]
            else:
                yield stored[rows]

    @property
    def n_pixels(self) -> int:
        """Height times width."""
        return self.image.height * self.image.width

    @property
    def count(self) -> int:
        """Number of nuclei."""
        return len(self.nuclei["label"])

    @property
    def min_confidence(self) -> float | None:
        """The lowest confidence of a nucleus that was kept, as asked for or as calibrated; None of nuclei given."""
        if self.is_given:
            return None
        asked = self.options.min_confidence
        return self.card.calibration.min_confidence if asked is None else asked

    @property
    def sides_um(self) -> dict[str, float | None]:
        """How large a pixel is, None where that is not known; it has one size only where it is square."""
        size = self.pixel_size
        return {
            "pixel_size_um": size and size.side_um,
            "pixel_height_um": size and size.row_um,
            "pixel_width_um": size and size.col_um,
        }

    @property
    def summary(self) -> dict[str, Any]:
        """All nuclei together; see `app.measurement.summary.summarise`."""
        return summarise(self.nuclei, self.background, self.pixel_size)

    @property
    def provenance(self) -> dict[str, Any]:
        """How it came to be: with the image it can be made again. Options are as asked for and as applied."""
        options = self.options.model_dump(include=set(SegmentationOptions.model_fields))
        applied = {
            "threshold_applied": self.threshold,
            "min_area_px_applied": self.min_area_px,
            "min_confidence_applied": self.min_confidence,
            "scale_applied": self.scale,
            **{f"{name}_applied": side for name, side in self.sides_um.items()},
            "channel_applied": self.image.channel,
            "page_applied": self.image.page,
            "scene_applied": self.image.scene,
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
            **self._origin,
        }

    @property
    def _origin(self) -> dict[str, str]:
        """Where the nuclei are from that no model has found."""
        if self.corrected_from is not None:
            return {"labels": "corrected", "corrected_from": self.corrected_from}
        return {"labels": "given"} if self.is_given else {}


@dataclass(frozen=True, eq=False)
class Result:
    """The nuclei of an image: one plane, or all of them where the options ask for `all`.

    Attributes
    ----------
    planes
        At least one.
    """

    planes: tuple[PlaneResult, ...]
    _folder: TemporaryDirectory[str] | None = None

    @property
    def count(self) -> int:
        """Number of nuclei of all planes."""
        return sum(plane.count for plane in self.planes)

    @property
    def is_stack(self) -> bool:
        """Whether all planes were asked for."""
        return self.planes[0].options.page == "all"

    def close(self) -> None:
        """Let go of what lies on disk."""
        if self._folder:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A segmentation's scores against its ground truth.

    Attributes
    ----------
    truth
        int32 `(H, W)`, the true nuclei.
    mask_kind, mask_warnings
        See `app.evaluation.truth.Truth`.
    """

    truth: NDArray[np.int32]
    mask_kind: MaskKind
    mask_warnings: tuple[ImageWarning, ...]
    count_predicted: int
    count_true: int
    pixels: PixelScores
    matching: list[Matching]
    average_precision: float
