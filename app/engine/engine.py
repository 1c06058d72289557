"""The one entry: an image and options in, a result out. What is too large for the memory is worked on out of core."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Self
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from app.engine.channels import add_channels
from app.engine.out_of_core import check_out_of_core, segment_out_of_core
from app.engine.pipeline import Call, here, measure_plane, score_plane, segment_plane
from app.engine.preview import Preview, preview_in_memory, preview_out_of_core
from app.engine.result import Evaluation, PlaneResult, Result
from app.engine.scale import claimed_scale
from app.engine.timing import milliseconds_since, timed
from app.errors import ChannelNeededError, ImageTooLargeError, OptionError
from app.evaluation.truth import Truth, read_truth
from app.inference.load import Model, load_model
from app.inference.predictions import N_ORIENTATIONS
from app.options import SegmentationOptions
from app.reading.decode import claimed_pixels, decode_pages
from app.reading.large_tiff import tiff_pixels
from app.reading.memmap import disk_full_told
from app.reading.sources import read_source
from app.reading.stack import DecodedImage
from app.reading.warnings import ImageWarning

# Of nuclei that are given: each takes some kilobytes until it is answered.
MOST_GIVEN = 250_000


@dataclass(frozen=True)
class Limits:
    """How large an image may be.

    Attributes
    ----------
    max_pixels
        Height times width of an image that is worked on in memory.
    max_out_of_core_pixels
        Of a TIFF that is worked on out of core, because it has more.
    max_out_of_core_bytes
        What the whole process may take of the memory meanwhile.
    """

    max_pixels: int
    max_out_of_core_pixels: int = 2**30
    max_out_of_core_bytes: int = 2 * 2**30


def n_predicted(n_pixels: int, options: SegmentationOptions, scale: float = 1.0) -> int:
    """How many pixels of an image the network sees, in all orientations and, at a scale above 1, enlarged."""
    return round(n_pixels * (N_ORIENTATIONS if options.quality == "best" else 1) * max(1.0, scale) ** 2)


class Engine:
    """A loaded model, and all that lies between an image and its nuclei.

    Parameters
    ----------
    model
        The network and its card.
    limits
        How large an image may be.
    call
        Calls the decoders, here or in another process.
    """

    def __init__(self, model: Model, limits: Limits, call: Call = here) -> None:
        self.model = model
        self.limits = limits
        self._call = call
        # Each may take as much memory as all together are allowed.
        self._one_large = Lock()
        self._folders: WeakSet[TemporaryDirectory[str]] = WeakSet()

    @classmethod
    def load(cls, folder: Path, device: str, limits: Limits, call: Call = here, n_threads: int | None = None) -> Self:
        """Check the model in `folder` against its card, load it onto the device and warm it up.

        Raises
        ------
        ModelError
            The model cannot be used; the message is one sentence that says what to do.
        """
        return cls(load_model(folder, device, n_threads), limits, call)

    def segment(
        self,
        source: bytes | Path,
        options: SegmentationOptions,
        filename: str | None = None,
        whole_for: Sequence[str] = (),
        channels: Sequence[tuple[str, bytes | Path]] = (),
    ) -> Result:
        """Find and measure the nuclei of an image.

        Parameters
        ----------
        source
            The bytes of a file of one of `app.reading.decode.FORMATS`, or the path of one, which may be a `*.zarr`
            folder.
        options
            How.
        filename
            For the record only.
        whole_for
            What the caller will want of the result that one from out of core cannot give; such an image is refused
            before the work.
        channels
            Names and sources of further channels that have files of their own, to be measured in the nuclei.

        Returns
        -------
        Result
            To be closed: an image that was worked on out of core has its labels on disk.

        Raises
        ------
        ImageError, EmptyUploadError, ChannelNeededError
            It is not an image that can be measured.
        OptionError
            There is no such channel or page, or an option needs the whole image at once.
        NoRoomError
            The disk is full.
        """
        if not self._is_out_of_core(source):
            data = _bytes_of(source)
            start = time.perf_counter()
            planes = self._decode(data, options)
            if channels:
                planes = [self._with_channels(planes, channels, options)]
            decode_ms = milliseconds_since(start) / len(planes)
            return Result(
                tuple(
                    segment_plane(self.model, plane, options, filename, self.limits.max_pixels, {"decode": decode_ms})
                    for plane in planes
                )
            )
        if whole_for:
            raise ImageTooLargeError(
                f"Of so large an image there is no {' or '.join(whole_for)}; ask for labels, mask or csv, or crop it."
            )
        if channels:
            raise ImageTooLargeError("Of so large an image further channels cannot be measured; crop them.")
        check_out_of_core(options, self.model.card)
        with self._one_large, disk_full_told():
            folder = TemporaryDirectory(prefix="karyometer-", ignore_cleanup_errors=True)
            self._folders.add(folder)
            with ExitStack() as if_it_fails:
                if_it_fails.callback(folder.cleanup)
                path = source if isinstance(source, Path) else Path(folder.name, "image")
                if isinstance(source, bytes):
                    path.write_bytes(source)
                found = segment_out_of_core(
                    self.model,
                    path,
                    options,
                    filename,
                    Path(folder.name),
                    self.limits.max_out_of_core_pixels,
                    self.limits.max_out_of_core_bytes,
                    self._call,
                )
                if_it_fails.pop_all()
        return Result((found,), folder)

    def measure(
        self,
        source: bytes | Path,
        labels: NDArray[np.int32],
        options: SegmentationOptions,
        filename: str | None = None,
        channels: Sequence[tuple[str, bytes | Path]] = (),
        corrected_from: str | None = None,
    ) -> PlaneResult:
        """Measure nuclei that are known, without the network: their confidence is NaN.

        Parameters
        ----------
        source, options, filename, channels
            As for `segment`; of the options those count that say what is read, the size of a pixel, and
            `exclude_border`.
        labels
            int32 `(H, W)`: 0 is background, nuclei are 1..N.
        corrected_from
            Which model's labels people have corrected to these, if that is known.

        Raises
        ------
        ImageError, EmptyUploadError, ChannelNeededError, OptionError
            As for `segment`.
        SizeMismatchError
            The labels have another size than the image.
        """
        if self._is_out_of_core(source):
            raise ImageTooLargeError("Of so large an image given nuclei cannot be measured; crop it.")
        data = _bytes_of(source)
        timing_ms: dict[str, float] = {}
        with timed(timing_ms, "decode"):
            plane = self._with_channels(self._decode(data, options), channels, options)
        return measure_plane(self.model, plane, labels, options, filename, timing_ms, corrected_from)

    def read_labels(self, data: bytes) -> Truth:
        """The nuclei of a label image, as those of a ground truth; see `app.evaluation.truth.read_truth`.

        Raises
        ------
        ImageError, EmptyUploadError
            It cannot be read, or has more nuclei than can be answered.
        """
        truth = self._call(read_truth, data, self.limits.max_pixels)
        if (n_nuclei := int(truth.labels.max(initial=0))) > MOST_GIVEN:
            raise ImageTooLargeError(
                f"The labels have {n_nuclei} nuclei, the limit is {MOST_GIVEN}; crop the image and its labels."
            )
        return truth

    def normalised(self, source: bytes | Path, options: SegmentationOptions) -> NDArray[np.float32]:
        """An image as the network sees it, and people on a screen: `(H, W, 3)` in [0, 1]; see `segment`."""
        if self._is_out_of_core(source):
            raise ImageTooLargeError("Of so large an image there is no picture; crop it.")
        return self.model.normalise(self._decode(_bytes_of(source), options)[0].image)

    def preview(self, source: Path, options: SegmentationOptions, folder: Path, max_bytes: int) -> Preview:
        """A plane as people see it on a screen, whether or not it fits into the memory.

        Where several channels could be that of the nuclei, the first is shown and a warning says so.

        Parameters
        ----------
        source
            Where the image is.
        options
            Its `channel`, `page` and `scene`.
        folder
            Where the preview's files are made.
        max_bytes
            What they may take.

        Raises
        ------
        ImageError, EmptyUploadError, OptionError, NoRoomError
            As for `segment`.
        FileNotFoundError
            The image is not there any more.
        """
        try:
            return self._preview(source, options, folder, max_bytes)
        except ChannelNeededError as exc:
            first = self._preview(source, options.model_copy(update={"channel": 0}), folder, max_bytes)
            told = ImageWarning(exc.code, f"{exc} The first channel is shown.")
            return replace(first, image=replace(first.image, warnings=(told, *first.image.warnings)))

    def _preview(self, source: Path, options: SegmentationOptions, folder: Path, max_bytes: int) -> Preview:
        with disk_full_told():
            if not self._is_out_of_core(source):
                plane = self._decode(read_source(source), options)[0]
                return preview_in_memory(self.model, plane, folder, max_bytes)
            limit = self.limits.max_out_of_core_pixels
            return preview_out_of_core(self.model, source, options, folder, limit, max_bytes, self._call)

    def _decode(self, data: bytes, options: SegmentationOptions) -> list[DecodedImage]:
        return self._call(decode_pages, data, self.limits.max_pixels, options.channel, options.page, options.scene)

    def _with_channels(
        self, planes: Sequence[DecodedImage], channels: Sequence[tuple[str, bytes | Path]], options: SegmentationOptions
    ) -> DecodedImage:
        if len(planes) != 1:
            raise OptionError("Further channels and given nuclei are those of one page; choose it with page.")
        of_channel = options.model_copy(update={"channel": None, "scene": None})
        others = [(name, self._decode(_bytes_of(source), of_channel)[0]) for name, source in channels]
        return add_channels(planes[0], others) if others else planes[0]

    def evaluate(self, result: Result, mask: bytes) -> Evaluation:
        """Score a result of one plane in memory against the bytes of its ground truth; see `score_plane`.

        Raises
        ------
        OptionError
            The result has all planes of a stack.
        """
        if result.is_stack:
            raise OptionError("A mask is that of one page; choose it with page, or give page=max.")
        return score_plane(result.planes[0], mask, self.limits.max_pixels, self._call)

    def pixels_to_segment(self, source: bytes | Path, options: SegmentationOptions) -> int:
        """How much work an image is, by its header: the pixels that the network will see; 0 of what is refused."""
        if self._is_out_of_core(source):
            n_pixels = tiff_pixels(source)
            return n_pixels if n_pixels <= self.limits.max_out_of_core_pixels else 0
        n_pixels = claimed_pixels(_bytes_of(source), options.page, self.limits.max_pixels)
        return n_predicted(n_pixels, options, claimed_scale(options))

    def close(self) -> None:
        """Remove all temporary files; whatever is still worked on out of core fails."""
        for folder in list(self._folders):
            folder.cleanup()

    def release_memory(self) -> None:
        """Let go of what the last image needed."""
        self.model.release_memory()

    def _is_out_of_core(self, source: bytes | Path) -> bool:
        is_file = isinstance(source, bytes) or source.is_file()
        return is_file and tiff_pixels(source) > self.limits.max_pixels


def _bytes_of(source: bytes | Path) -> bytes:
    return read_source(source) if isinstance(source, Path) else source
