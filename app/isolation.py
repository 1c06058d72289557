"""Decoders of untrusted files in processes of their own, bounded in memory and time."""

import multiprocessing
import queue
import resource
import signal
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, ParamSpec, TypeVar

from app.errors import ImageTooLargeError, UnreadableImageError

_P = ParamSpec("_P")
_T = TypeVar("_T")
_START_S = 60
# Forked from a process that has never run a thread, as this one will.
_CONTEXT = multiprocessing.get_context("forkserver")


class DecodeProcesses:
    """Processes that decode; one that dies or hangs harms no other request, and is replaced.

    Each has a pipe of its own: with a common one, a process that is killed while it waits takes the pipe's lock along,
    which is why no library's pool serves here.

    Parameters
    ----------
    n_processes
        How many.
    max_bytes
        Address space of each.
    max_seconds
        What one file may take.
    """

    def __init__(self, n_processes: int, max_bytes: int, max_seconds: float) -> None:
        _CONTEXT.set_forkserver_preload(["app.segmentation.decode"])
        self._max_seconds = max_seconds
        self._idle: queue.Queue[_Process] = queue.Queue()
        self._processes = [_Process(max_bytes) for _ in range(n_processes)]
        for process in self._processes:
            self._idle.put(process)

    def call(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What a function of a module answers; what it raises is raised here.

        Raises
        ------
        ImageTooLargeError
            It needs more time or memory than it may.
        UnreadableImageError
            Its process died, twice.
        """
        process = self._idle.get()
        try:
            try:
                answer = process.ask((function, args, kwargs), self._max_seconds)
            except (EOFError, ConnectionError):
                # Perhaps it was another's fault that it died.
                process.replace()
                answer = process.ask((function, args, kwargs), self._max_seconds)
        except TimeoutError as exc:
            process.replace()
            raise ImageTooLargeError(
                f"The file takes more than {self._max_seconds:g} seconds to decode; crop it or save it with another "
                "compression, or raise KARYOMETER_MAX_DECODE_S on the server."
            ) from exc
        except (EOFError, ConnectionError) as exc:
            process.replace()
            raise UnreadableImageError(
                "The file made its decoder break down; check it in an image viewer and save it anew."
            ) from exc
        finally:
            self._idle.put(process)
        if isinstance(answer, MemoryError):
            raise ImageTooLargeError(
                "The file needs more memory to decode than it may; crop it, or raise KARYOMETER_MAX_DECODE_BYTES on "
                "the server."
            )
        if isinstance(answer, Exception):
            raise answer
        decoded: _T = answer
        return decoded

    def close(self) -> None:
        """End them."""
        for process in self._processes:
            process.end()


class _Process:
    """A process, the pipe to it, and the folder for its temporary files."""

    _temporary: tempfile.TemporaryDirectory[str]
    _connection: Connection
    _process: ForkServerProcess
    _has_started: bool

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._start()

    def ask(self, call: Any, max_seconds: float) -> Any:
        """The answer, or the exception that was raised instead."""
        if not self._has_started:
            self._receive(_START_S)
            self._has_started = True
        self._connection.send(call)
        return self._receive(max_seconds)

    def replace(self) -> None:
        """Start anew, without what it may have left."""
        self.end()
        self._start()

    def end(self) -> None:
        """Kill it: it holds nothing that would have to be kept."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._connection.close()
        self._temporary.cleanup()

    def _receive(self, max_seconds: float) -> Any:
        if not self._connection.poll(max_seconds):
            raise TimeoutError
        return self._connection.recv()

    def _start(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="karyometer-")
        self._connection, theirs = _CONTEXT.Pipe()
        of_child = (theirs, self._max_bytes, self._temporary.name)
        self._process = _CONTEXT.Process(target=_serve, args=of_child, daemon=True)
        self._process.start()
        theirs.close()
        self._has_started = False


def _serve(connection: Connection, max_bytes: int, temporary: str) -> None:
    tempfile.tempdir = temporary
    # Ctrl-C is for the one who started this process, and who will end it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send("started")
    while True:
        try:
            function, args, kwargs = connection.recv()
        except EOFError:
            # The service has gone.
            return
        try:
            connection.send(function(*args, **kwargs))
        except Exception as exc:
            connection.send(exc)
