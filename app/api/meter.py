"""What a request measures: for the log and the metrics, and against the quota of its key."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Annotated

from fastapi import Depends, Request

from app.api.metrics import Metrics
from app.engine.engine import n_predicted
from app.engine.result import Result
from app.engine.timing import milliseconds_since
from app.errors import QuotaError
from app.logs import RequestRecord, request_record

_MINUTE_S = 60


class Quota:
    """Pixels a minute for each key: a bucket that holds one minute's, and fills as fast as it may be emptied.

    What an image's header says is taken before the work, and corrected when the image has been decoded. The bucket may
    be overdrawn by one image, and then lets nothing pass until that is made up for.

    Parameters
    ----------
    pixels_per_minute
        None for no limit.
    clock
        Seconds since any moment.

    Examples
    --------
    >>> seconds = iter([0.0, 0.0, 10.0, 90.0])
    >>> quota = Quota(600, clock=lambda: next(seconds))
    >>> quota.charge("alice", 900)
    >>> quota.wait_s("alice"), quota.wait_s("alice"), quota.wait_s("alice")
    (30.0, 20.0, 0.0)
    """

    def __init__(self, pixels_per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._pixels_per_minute = pixels_per_minute
        self._clock = clock
        # When each key's bucket will be full again.
        self._full_at: dict[str | None, float] = {}
        self._lock = Lock()

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._pixels_per_minute is not None

    def wait_s(self, key: str | None) -> float:
        """How long until the bucket is no longer overdrawn; 0 if it is not."""
        return max(0.0, self._full_at.get(key, -math.inf) - self._clock() - _MINUTE_S)

    def charge(self, key: str | None, n_pixels: int) -> None:
        """Take pixels out of the bucket, or put back what was taken too many."""
        if self._pixels_per_minute is None:
            return
        with self._lock:
            now = self._clock()
            full_at = max(now, self._full_at.get(key, now))
            self._full_at[key] = full_at + _MINUTE_S * n_pixels / self._pixels_per_minute

    def check(self, key: str | None) -> None:
        """Let nothing pass while the bucket is overdrawn.

        Raises
        ------
        QuotaError
            It is.
        """
        if wait_s := math.ceil(self.wait_s(key)):
            raise QuotaError(f"The quota of pixels a minute is used up; try again in {wait_s} s.", wait_s)


@dataclass
class Meter:
    """Where one request's measurements go."""

    metrics: Metrics
    quota: Quota
    record: RequestRecord
    _predicted_px: int = 0

    @contextmanager
    def charged(self, n_pixels: int) -> Iterator[None]:
        """Charge pixels that the network is likely to see in what follows; in the end, those that it has seen.

        Raises
        ------
        QuotaError
            Other requests of the key have used it up meanwhile.
        """
        self.quota.check(self.record.key)
        self.quota.charge(self.record.key, n_pixels)
        try:
            yield
        finally:
            self.quota.charge(self.record.key, self._predicted_px - n_pixels)

    def measured(self, result: Result) -> None:
        """Count what was segmented."""
        self._predicted_px = sum(n_predicted(plane.n_pixels, plane.options, plane.scale) for plane in result.planes)
        self.record.n_pixels = sum(plane.n_pixels for plane in result.planes)
        self.record.count = result.count
        self.metrics.measured(self.record.n_pixels, self.record.count)
        for plane in result.planes:
            self.metrics.staged(plane.timing_ms)

    def encoded(self, start: float) -> float:
        """Milliseconds since `start`, of `time.perf_counter`, counted as those of encoding the answer."""
        encode_ms = milliseconds_since(start)
        self.metrics.staged({"encode": encode_ms})
        return encode_ms


async def get_meter(request: Request) -> Meter:
    """The meter of a request; ask for it before the upload, so that a refused one need not be read.

    Raises
    ------
    QuotaError
        The key has used up its pixels.
    """
    state = request.app.state
    meter = Meter(state.metrics, state.quota, request_record.get(RequestRecord()))
    meter.quota.check(meter.record.key)
    return meter


MeterDependency = Annotated[Meter, Depends(get_meter)]
