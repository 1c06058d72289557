"""Queues whose requests are worked on in turn: large images have one of their own, so that they keep nobody waiting."""

import asyncio
import math
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from fastapi import Request

from app.errors import BusyError, ClientGoneError

# Of the measured rate, the part that the newest request replaces.
_NEWEST = 0.1
# Told before anything has been measured.
_FIRST_RETRY_S = 10
# What large images get of the processor beside small ones: about a tenth.
BACKGROUND_NICE = 10
_T = TypeVar("_T")


class Lane:
    """Requests of which some are worked on at once, while the others wait; keys take turns.

    Parameters
    ----------
    n_workers
        How many are worked on at once.
    max_queued_px
        Pixels that may wait or be worked on together. A key that has less than its equal share is let in all the same,
        so that one key cannot keep the others out.
    max_wait_s
        How long a request may wait for its turn.
    is_background
        Whether its threads leave the processor to others.
    """

    def __init__(self, n_workers: int, max_queued_px: int, max_wait_s: float, *, is_background: bool = False) -> None:
        self._max_queued_px = max_queued_px
        self._max_wait_s = max_wait_s
        self._n_free = n_workers
        self._waiting: dict[str | None, deque[asyncio.Future[None]]] = {}
        self._queued_px: Counter[str | None] = Counter()
        self._threads = ThreadPoolExecutor(
            n_workers, "background" if is_background else "worker", _lower_priority if is_background else None
        )
        self._rate = Rate()

    @property
    def queued_px(self) -> int:
        """Pixels that wait or are worked on."""
        return self._queued_px.total()

    def close(self) -> None:
        """Begin nothing new; what is worked on is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def check(self, key: str | None, n_pixels: int = 1) -> None:
        """Refuse what the queue has no room for; an empty one takes anything.

        Raises
        ------
        BusyError
            It is full, and the key has its share of it.
        """
        queued = self.queued_px
        share = self._max_queued_px / len({*+self._queued_px, key})
        if queued and queued + n_pixels > self._max_queued_px and self._queued_px[key] + n_pixels > share:
            raise self.busy("The queue is full")

    async def run(self, request: Request, key: str | None, n_pixels: int, work: Callable[[], _T]) -> _T:
        """What `work` answers, in a thread, when it is this request's turn.

        Parameters
        ----------
        request
            Whose client may leave, and is not waited for then.
        key
            The name of the API key; keys take turns, and the requests of one are first come, first served.
        n_pixels
            How much work it is.

        Raises
        ------
        BusyError
            The queue is full, or the deadline passes before the turn comes.
        ClientGoneError
            The client left before the turn came.
        """
        self.check(key, n_pixels)
        self._queued_px[key] += n_pixels
        try:
            async with self._turn(request, key):
                start = time.monotonic()
                answer = await asyncio.get_running_loop().run_in_executor(self._threads, work)
                self._rate.finished(n_pixels, start)
                return answer
        finally:
            self._queued_px[key] -= n_pixels

    def busy(self, why: str) -> BusyError:
        """What to tell: when to ask again."""
        seconds = self._rate.seconds(self.queued_px)
        return BusyError(f"{why}; try again in {seconds} seconds.", seconds)

    @asynccontextmanager
    async def _turn(self, request: Request, key: str | None) -> AsyncIterator[None]:
        if self._n_free:
            self._n_free -= 1
        else:
            await self._wait(request, key)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, request: Request, key: str | None) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(turn)
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({turn, gone}, timeout=self._max_wait_s, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if turn.done():
                self._pass_on()
            raise
        finally:
            gone.cancel()
            # One that is cancelled is passed over.
            turn.cancel()
        if not turn.cancelled():
            return
        if gone.done() and not gone.cancelled():
            raise ClientGoneError("The client left before its image was looked at.")
        raise self.busy("The image waited too long for its turn")

    def _pass_on(self) -> None:
        """Give the turn to the key that has waited longest since its last one."""
        while self._waiting:
            key = next(iter(self._waiting))
            of_key = self._waiting.pop(key)
            turn = of_key.popleft()
            if of_key:
                # At the end: all other keys come first.
                self._waiting[key] = of_key
            if not turn.cancelled():
                turn.set_result(None)
                return
        self._n_free += 1


class Rate:
    """Pixels a second, while there is something to do."""

    def __init__(self) -> None:
        self._pixels, self._seconds, self._last = 0.0, 0.0, 0.0

    def finished(self, n_pixels: int, start: float) -> None:
        """Count what was done since it was begun, or since another one was finished."""
        now = time.monotonic()
        self._pixels += n_pixels - _NEWEST * self._pixels
        self._seconds += now - max(start, self._last) - _NEWEST * self._seconds
        self._last = now

    def seconds(self, n_pixels: int) -> int:
        """How long so many pixels will take, at least 1 s."""
        return max(1, math.ceil(n_pixels * self._seconds / self._pixels)) if self._pixels else _FIRST_RETRY_S


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _lower_priority() -> None:
    # On Linux threads have priorities of their own, and so have the threads that they start.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICE)
