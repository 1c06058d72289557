"""How long the stages of an image take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def timed(timing_ms: dict[str, float], stage: str) -> Iterator[None]:
    """Add to a stage what happens within."""
    start = time.perf_counter()
    yield
    timing_ms[stage] = round(timing_ms.get(stage, 0) + milliseconds_since(start), 3)


def milliseconds_since(start: float) -> float:
    """As `time.perf_counter` has them, to the microsecond."""
    return round(1000 * (time.perf_counter() - start), 3)
