"""Who may come in: bounded bytes, bounded pixels, bounded waiting."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from app.errors import BusyError, ClientGoneError, NotReadyError
from app.settings import Settings

# Of the measured rate, the part that the newest request replaces.
_NEWEST = 0.1
# The first image after a rest takes 50 to 100 ms more; an instrument's come more often.
IDLE_S = 30.0
# Told before anything has been measured.
_FIRST_RETRY_S = 10
_T = TypeVar("_T")

logger = logging.getLogger(__name__)


class Admission:
    """What all requests together may hold, and whose turn it is.

    Parameters
    ----------
    settings
        The limits.
    n_workers
        How many requests are worked on at once. The network sees one image at a time all the same: the others are
        decoded, measured and encoded meanwhile.
    rest
        What to do when nobody has asked for `IDLE_S`.

    Attributes
    ----------
    queued_px
        Pixels that wait or are worked on.
    held_bytes
        Bytes of uploads in memory.
    n_requests
        Requests that hold a ticket.
    draining
        Whether the service is about to stop: who holds a ticket is served, nobody else comes in.
    """

    def __init__(self, settings: Settings, n_workers: int, rest: Callable[[], None]) -> None:
        self._settings = settings
        self._rest = rest
        self._idle: asyncio.Task[None] | None = None
        self._turns = asyncio.Semaphore(n_workers)
        self._threads = ThreadPoolExecutor(n_workers, "worker")
        self._rate = _Rate()
        self.queued_px = 0
        self.held_bytes = 0
        self.n_requests = 0
        self.draining = False

    def close(self) -> None:
        """Let the threads go."""
        self.draining = True
        if self._idle:
            self._idle.cancel()
        self._threads.shutdown()

    def enter(self) -> None:
        """Count a request."""
        self.n_requests += 1
        if self._idle:
            self._idle.cancel()

    def leave(self) -> None:
        """It has been answered."""
        self.n_requests -= 1
        if not self.n_requests and not self.draining:
            self._idle = asyncio.create_task(self._rest_when_idle())

    async def _rest_when_idle(self) -> None:
        await asyncio.sleep(IDLE_S)
        try:
            await asyncio.to_thread(self._rest)
        except Exception:
            logger.exception("The memory of the last images could not be given back.")

    def hold(self, n_bytes: int) -> None:
        """Count bytes that a request has sent.

        Raises
        ------
        BusyError
            All requests together hold more than the limit.
        """
        if self.held_bytes + n_bytes > self._settings.max_held_bytes:
            raise self._busy("The service holds as many uploads as it may")
        self.held_bytes += n_bytes

    def check_queue(self, n_pixels: int = 1) -> None:
        """Refuse what the queue has no room for; an empty one takes anything.

        Raises
        ------
        BusyError
            It is full.
        """
        if self.queued_px and self.queued_px + n_pixels > self._settings.max_queued_pixels:
            raise self._busy("The queue is full")

    async def run(self, request: Request, n_pixels: int, work: Callable[[], _T]) -> _T:
        """What `work` answers, in a thread, when it is this request's turn; first come, first served.

        Parameters
        ----------
        request
            Whose client may leave, and is not waited for then.
        n_pixels
            How much work it is.

        Raises
        ------
        BusyError
            The queue is full, or the deadline passes before the turn comes.
        ClientGoneError
            The client left before the turn came.
        """
        self.check_queue(n_pixels)
        self.queued_px += n_pixels
        try:
            await self._turn(request)
            try:
                start = time.monotonic()
                answer = await asyncio.get_running_loop().run_in_executor(self._threads, work)
                self._rate.finished(n_pixels, start)
                return answer
            finally:
                self._turns.release()
        finally:
            self.queued_px -= n_pixels

    async def _turn(self, request: Request) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        turn = asyncio.ensure_future(self._turns.acquire())
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({turn, gone}, timeout=self._settings.max_wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            has_turn = turn.done() or not turn.cancel()
        if not has_turn:
            if gone.done():
                raise ClientGoneError("The client left before its image was looked at.")
            raise self._busy("The image waited too long for its turn")

    def _busy(self, why: str) -> BusyError:
        seconds = self._rate.seconds(self.queued_px)
        return BusyError(f"{why}; try again in {seconds} seconds.", seconds)


class _Rate:
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


class Ticket:
    """One request's share, given back when it has been answered."""

    def __init__(self, admission: Admission, request: Request) -> None:
        self._admission = admission
        self._request = request
        self._n_bytes = 0

    def hold(self, n_bytes: int) -> None:
        """Bytes of this request's upload; see `Admission.hold`."""
        self._admission.hold(n_bytes)
        self._n_bytes += n_bytes

    async def run(self, n_pixels: int, work: Callable[[], _T]) -> _T:
        """See `Admission.run`."""
        return await self._admission.run(self._request, n_pixels, work)

    def give_back(self) -> None:
        """Let the bytes go."""
        self._admission.held_bytes -= self._n_bytes


async def get_admission(request: Request) -> Admission:
    """The lifespan's.

    Raises
    ------
    NotReadyError
        The service is starting or stopping.
    """
    admission: Admission | None = request.app.state.admission
    if admission is None or admission.draining:
        raise NotReadyError("The service is starting or stopping; try again when GET /health/ready answers 200.")
    return admission


AdmissionDependency = Annotated[Admission, Depends(get_admission)]


async def admitted(request: Request) -> AsyncIterator[Ticket]:
    """A ticket, before any of the body is read; see `get_admission`.

    Raises
    ------
    BusyError
        The queue is full already.
    """
    admission = await get_admission(request)
    admission.check_queue()
    ticket = Ticket(admission, request)
    admission.enter()
    try:
        yield ticket
    finally:
        admission.leave()
        ticket.give_back()


TicketDependency = Annotated[Ticket, Depends(admitted)]
