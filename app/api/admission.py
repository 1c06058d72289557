"""Who may come in: bounded bytes, bounded pixels, bounded waiting."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from app.api.lanes import Lane
from app.errors import NotReadyError
from app.inference.load import LARGE_PX
from app.logs import RequestRecord, request_record
from app.settings import Settings

# The first image after the memory was released takes 50 to 100 ms more; an instrument's come more often.
IDLE_S = 30.0
_T = TypeVar("_T")

logger = logging.getLogger(__name__)


class Admission:
    """What all requests together may hold, and whose turn it is.

    Parameters
    ----------
    settings
        The limits.
    n_workers
        How many requests are worked on at once, beside one large image. The network sees one image at a time all the
        same: the others are decoded, measured and encoded meanwhile.
    release_memory
        What to do when nobody has asked for `IDLE_S`.

    Attributes
    ----------
    held_bytes
        Bytes of uploads in memory.
    n_requests
        Requests that hold a ticket.
    draining
        Whether the service is about to stop: who holds a ticket is served, nobody else comes in.
    """

    def __init__(self, settings: Settings, n_workers: int, release_memory: Callable[[], None]) -> None:
        self._settings = settings
        self._release_memory = release_memory
        self._idle: asyncio.Task[None] | None = None
        self._lane = Lane(n_workers, settings.max_queued_pixels, settings.max_wait_s)
        # One at a time, because each may take gigabytes.
        largest_px = max(settings.max_queued_pixels, settings.max_streamed_pixels)
        self._large_lane = Lane(1, largest_px, settings.max_wait_s, is_background=True)
        self.held_bytes = 0
        self.n_requests = 0
        self.draining = False

    @property
    def queued_px(self) -> int:
        """Pixels that wait or are worked on."""
        return self._lane.queued_px + self._large_lane.queued_px

    def close(self) -> None:
        """Begin nothing new."""
        self.draining = True
        if self._idle:
            self._idle.cancel()
        self._lane.close()
        self._large_lane.close()

    def enter(self) -> None:
        """Count a request."""
        self.n_requests += 1
        if self._idle:
            self._idle.cancel()

    def leave(self) -> None:
        """It has been answered."""
        self.n_requests -= 1
        if not self.n_requests and not self.draining:
            self._idle = asyncio.create_task(self._release_when_idle())

    async def _release_when_idle(self) -> None:
        await asyncio.sleep(IDLE_S)
        try:
            await asyncio.to_thread(self._release_memory)
        # Broad, because nobody awaits this task, and what it raises would be lost.
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
            raise self._lane.busy("The service holds as many uploads as it may")
        self.held_bytes += n_bytes

    def check_queue(self) -> None:
        """Refuse a request before its body is read where there is no room for any.

        Raises
        ------
        BusyError
            The queue is full.
        """
        self._lane.check(_key())

    def lane(self, n_pixels: int) -> Lane:
        """Where a request of so much work waits for its turn."""
        return self._large_lane if n_pixels > LARGE_PX else self._lane


def _key() -> str | None:
    return request_record.get(RequestRecord()).key


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
        """What `work` answers when it is this request's turn; see `app.api.lanes.Lane`."""
        return await self._admission.lane(n_pixels).run(self._request, _key(), n_pixels, work)

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


@asynccontextmanager
async def ticket_for(request: Request) -> AsyncIterator[Ticket]:
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


async def admitted(request: Request) -> AsyncIterator[Ticket]:
    """As `ticket_for`, for routes that always need one."""
    async with ticket_for(request) as ticket:
        yield ticket


TicketDependency = Annotated[Ticket, Depends(admitted)]
