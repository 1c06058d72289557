"""The whole story: from the bytes of an image to its nuclei, and from a ground truth to scores."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.errors import OptionError, SizeMismatchError
from app.segmentation.binarise import ThresholdRule, binarise, threshold_value
from app.segmentation.blocks import CanvasMaps, find_in_blocks, measure_in_blocks
from app.segmentation.decode import claimed_pixels, decode_mask, decode_pages
from app.segmentation.findings import Evaluation, Findings, nuclei_caveats, pixel_size, unlike_caveats
from app.segmentation.load import load_predictor
from app.segmentation.maps import N_ORIENTATIONS, Maps, Predictor, predict_best
from app.segmentation.measure import Table, background_of, complete, measure
from app.segmentation.metrics import average_precision, match_all, pixel_scores
from app.segmentation.model_card import Calibration, ModelCard, read_model_card
from app.segmentation.normalise import normalise
from app.segmentation.options import SegmentationOptions
from app.segmentation.split import label, select, split
from app.segmentation.stack import DecodedImage

# Larger images are parted and measured in blocks, with the same result.
MOST_WHOLE_PX = 4_000_000
_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, eq=False, kw_only=True)
class Segmentation(Findings):
    """All that is known of one segmented image.

    Attributes
    ----------
    normalised
        float32 `(H, W, 3)` in [0, 1], what the network saw.
    labels
        int32 `(H, W)`: 0 is background, nuclei are 1..`count`.
    """

    decoded: DecodedImage
    normalised: NDArray[np.float32]
    labels: NDArray[np.int32]


class Call(Protocol):
    """Calls a function, in this process or another."""

    def __call__(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What it answers."""
        ...


def _here(function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    return function(*args, **kwargs)


class Segmenter:
    """A loaded model and everything around it.

    Parameters
    ----------
    predictor
        The network.
    card
        Its card.
    max_pixels
        Largest image that is accepted, height times width.
    call
        Calls the decoders, here or in another process.
    """

    def __init__(self, predictor: Predictor, card: ModelCard, max_pixels: int, call: Call = _here) -> None:
        self.predictor = predictor
        self.card = card
        self.max_pixels = max_pixels
        self.call = call

    @classmethod
    def load(cls, folder: Path, device: str, max_pixels: int, call: Call = _here) -> Self:
        """Check the model in `folder` against its card, load it onto the device and warm it up.

        Raises
        ------
        ModelError
            The model cannot be used; the message is one sentence that says what to do.
        """
        card = read_model_card(folder)
        return cls(load_predictor(folder, card.contract, device), card, max_pixels, call)

    def pixels_to_segment(self, data: bytes, options: SegmentationOptions) -> int:
        """How much work an image is, by its header: the pixels that the network will see; 0 of what is refused."""
        n_orientations = N_ORIENTATIONS if options.quality == "best" else 1
        return claimed_pixels(data, options.page, self.max_pixels) * n_orientations

    def segment_pages(
        self, data: bytes, options: SegmentationOptions, filename: str | None = None
    ) -> list[Segmentation]:
        """Every page that the options ask for, which is one unless they say `all`; see `segment`.

        Raises
        ------
        ImageTooLargeError
            All pages together have more pixels than the limit.
        """
        start = time.perf_counter()
        pages = self.call(decode_pages, data, self.max_pixels, options.channel, options.page)
        timing_ms = {"decode": milliseconds_since(start) / max(1, len(pages))}
        return [self._segment_page(decoded, options, filename, dict(timing_ms)) for decoded in pages]

    def segment(self, data: bytes, options: SegmentationOptions, filename: str | None = None) -> Segmentation:
        """Find and measure the nuclei of one image; `filename` is for the record only.

        Raises
        ------
        ImageError, EmptyUploadError, ChannelNeededError
            The bytes are not an image that can be measured.
        OptionError
            There is no such channel or page, or more than one page is asked for.
        """
        if options.page == "all":
            raise OptionError("This takes one page at a time; choose it with page, or give page=max.")
        return self.segment_pages(data, options, filename)[0]

    def _segment_page(
        self,
        decoded: DecodedImage,
        options: SegmentationOptions,
        filename: str | None,
        timing_ms: dict[str, float],
    ) -> Segmentation:
        with timed(timing_ms, "predict"):
            image = self.normalise(decoded.image)
            maps = self.predict(image, options)
        pixel_size_um, caveats = pixel_size(decoded, options)
        in_parts = maps.probability.size > MOST_WHOLE_PX
        find = self._find_in_blocks if in_parts else self._find
        threshold, min_area_px, labels, nuclei = find(decoded, maps, options, pixel_size_um, timing_ms)
        is_grey = decoded.image.ndim == 2 or decoded.channels.shape[2] == 1
        caveats = (*caveats, *nuclei_caveats(nuclei, is_grey), *unlike_caveats(maps.unlikeness, self.card.calibration))
        return Segmentation(
            filename=filename,
            decoded=decoded,
            n_pixels=labels.size,
            normalised=image,
            labels=labels,
            nuclei=nuclei,
            options=options,
            pixel_size_um=pixel_size_um,
            threshold=threshold,
            min_area_px=min_area_px,
            caveats=caveats,
            card=self.card,
            dtype=self.predictor.dtype,
            timing_ms=timing_ms,
        )

    def _find(
        self,
        decoded: DecodedImage,
        maps: Maps,
        options: SegmentationOptions,
        pixel_size_um: float | None,
        timing_ms: dict[str, float],
    ) -> tuple[float, int, NDArray[np.int32], Table]:
        """Threshold and minimum area that were applied, labels and table."""
        calibration = self.card.calibration
        with timed(timing_ms, "split"):
            threshold, min_area_px, labels = find_nuclei(maps, options, calibration)
        with timed(timing_ms, "measure"):
            image, channels = decoded.image, decoded.channels
            nuclei = measure(labels, image, channels, maps, calibration.confidence, pixel_size_um)
        return threshold, min_area_px, labels, nuclei

    def _find_in_blocks(
        self,
        decoded: DecodedImage,
        maps: Maps,
        options: SegmentationOptions,
        pixel_size_um: float | None,
        timing_ms: dict[str, float],
    ) -> tuple[float, int, NDArray[np.int32], Table]:
        """The same, faster and in less memory where the image is large."""
        calibration, image, channels = self.card.calibration, decoded.image, decoded.channels
        canvases = CanvasMaps(maps.probability, maps.distance)
        with timed(timing_ms, "split"):
            rule, min_area_px = applied(options, calibration)
            threshold = threshold_value(maps.probability, rule)
            fixed = options.model_copy(update={"threshold": threshold})
            labels = np.zeros(maps.probability.shape, np.int32)
            found = find_in_blocks(
                canvases, labels, threshold, lambda part: find_nuclei(part, fixed, calibration)[2], labels.size
            )
        with timed(timing_ms, "measure"):
            table = measure_in_blocks(
                found, labels, lambda part: (image[part], channels[part]), canvases, calibration.confidence
            )
            nuclei = complete(table, labels.shape, background_of(labels, image, channels), pixel_size_um)
            labels = found.numbers.astype(np.int32)[labels]
        return threshold, min_area_px, labels, nuclei

    def evaluate(self, segmentation: Segmentation, mask_data: bytes) -> Evaluation:
        """Score a segmentation against the bytes of its ground-truth mask.

        Raises
        ------
        SizeMismatchError
            The mask's size is not the image's.
        ImageError, EmptyUploadError
            The mask cannot be read.
        """
        mask = self.call(decode_mask, mask_data, self.max_pixels)
        size, mask_size = segmentation.labels.shape, mask.shape
        if size != mask_size:
            raise SizeMismatchError(
                f"The mask is {mask_size[0]} x {mask_size[1]} pixels, the image {size[0]} x {size[1]} "
                "(height x width); send a mask of the image's size."
            )
        kind, truth = true_instances(mask)
        matching = match_all(truth, segmentation.labels)
        return Evaluation(
            mask_kind=kind,
            count_predicted=segmentation.count,
            count_true=int(truth.max()),
            pixels=pixel_scores(truth > 0, segmentation.labels > 0),
            matching=matching,
            average_precision=average_precision(matching),
        )

    def predict(self, image: NDArray[np.float32], options: SegmentationOptions) -> Maps:
        """The network's maps of a normalised image, in the quality asked for."""
        return predict_best(self.predictor, image) if options.quality == "best" else self.predictor.predict(image)

    def normalise(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """An image as the network wants it."""
        percentiles = self.card.normalisation
        return normalise(image, percentiles.low_percentile, percentiles.high_percentile)


def applied(options: SegmentationOptions, calibration: Calibration) -> tuple[ThresholdRule | float, int]:
    """How the threshold is found, or what it is, and the minimum area: as asked for, or as calibrated."""
    threshold = calibration.threshold if options.threshold == "model" else options.threshold
    return threshold, calibration.min_area_px if options.min_area_px is None else options.min_area_px


def find_nuclei(
    maps: Maps, options: SegmentationOptions, calibration: Calibration
) -> tuple[float, int, NDArray[np.int32]]:
    """The threshold and the minimum area that were applied, and the labels."""
    rule, min_area_px = applied(options, calibration)
    threshold = threshold_value(maps.probability, rule)
    mask = binarise(maps.probability, threshold)
    labels = split(mask, calibration.marker_depth, maps.distance) if options.split_touching else label(mask)
    return threshold, min_area_px, select(labels, min_area_px, options.exclude_border)


def true_instances(mask: NDArray[np.int64]) -> tuple[str, NDArray[np.int32]]:
    """Whether a ground-truth mask `(H, W)` is `binary` or `labels`, and its instances as 1..N.

    Examples
    --------
    >>> true_instances(np.array([[255, 0, 255]]))
    ('binary', array([[1, 0, 2]], dtype=int32))
    >>> true_instances(np.array([[7, 0, 9, 7]]))
    ('labels', array([[1, 0, 2, 1]], dtype=int32))
    """
    values = np.unique(mask[mask != 0])
    if values.size <= 1:
        return "binary", label(mask != 0)
    instances = np.where(mask != 0, np.searchsorted(values, mask) + 1, 0)
    return "labels", instances.astype(np.int32)


@contextmanager
def timed(timing_ms: dict[str, float], stage: str) -> Iterator[None]:
    """Add to a stage what happens within."""
    start = time.perf_counter()
    yield
    timing_ms[stage] = round(timing_ms.get(stage, 0) + milliseconds_since(start), 3)


def milliseconds_since(start: float) -> float:
    """As `time.perf_counter` has them, to the microsecond."""
    return round(1000 * (time.perf_counter() - start), 3)
