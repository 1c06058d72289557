"""Decoders of untrusted files in processes of their own, bounded in memory and time."""

import multiprocessing
import queue
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.util import get_temp_dir
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from app.errors import ImageTooLargeError, KaryometerError, NotReadyError, SettingsError, UnreadableImageError
from app.reading.bio import installed_readers
from app.temporary import NO_TEMPORARY_FOLDER

_P = ParamSpec("_P")
_T = TypeVar("_T")
_START_S = 60
# A socket's path may have 107 bytes, and `multiprocessing` calls its own "/listener-" and eight letters.
_MAX_SOCKET_FOLDER_BYTES = 107 - 18
# What a process that was killed takes to be gone.
_DYING_S = 0.5
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
        _CONTEXT.set_forkserver_preload(["app.reading.decode", *installed_readers()])
        self._max_seconds = max_seconds
        try:
            of_sockets = get_temp_dir()
            self._temporary = tempfile.TemporaryDirectory(prefix="karyometer-")
        except OSError as exc:
            raise SettingsError(NO_TEMPORARY_FOLDER) from exc
        if len(bytes(Path(of_sockets))) > _MAX_SOCKET_FOLDER_BYTES:
            self._temporary.cleanup()
            raise SettingsError(
                f"The folder for temporary files, {tempfile.gettempdir()}, has too long a path for sockets; set TMPDIR "
                "to a shorter one."
            )
        folders = (Path(self._temporary.name) / str(number) for number in range(n_processes))
        self._processes = [_Process(max_bytes, folder) for folder in folders]
        self._idle: queue.Queue[_Process] = queue.Queue()
        # What they import takes seconds, and whoever made this has something to load meanwhile.
        self._starter = threading.Thread(target=self._start)
        self._starter.start()

    def call(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What a function of a module answers; what it raises is raised here.

        Raises
        ------
        NotReadyError
            No process can be started.
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
                process.end()
                answer = process.ask((function, args, kwargs), self._max_seconds)
        except TimeoutError as exc:
            process.end()
            raise ImageTooLargeError(
                f"The file takes more than {self._max_seconds:g} seconds to decode; crop it or save it with another "
                "compression.",
                "max_decode_s",
            ) from exc
        except (EOFError, ConnectionError) as exc:
            process.end()
            raise UnreadableImageError(
                "The file made its decoder break down; check it in an image viewer and save it anew."
            ) from exc
        finally:
            self._idle.put(process)
        if isinstance(answer, MemoryError):
            raise ImageTooLargeError("The file needs more memory to decode than it may; crop it.", "max_decode_bytes")
        if isinstance(answer, Exception):
            raise answer
        decoded: _T = answer
        return decoded

    def close(self) -> None:
        """End them."""
        self._starter.join()
        for process in self._processes:
            process.end()
        self._temporary.cleanup()

    def _start(self) -> None:
        for process in self._processes:
            # If it cannot be started, whoever needs it tries again and is told.
            with suppress(NotReadyError):
                process.start()
            self._idle.put(process)


class _Process:
    """A process, the pipe to it, and the folder for its temporary files; started when it is needed."""

    _connection: Connection
    _process: ForkServerProcess | None = None
    _has_started: bool

    def __init__(self, max_bytes: int, folder: Path) -> None:
        self._max_bytes = max_bytes
        self._folder = folder

    def ask(self, call: Any, max_seconds: float) -> Any:
        """The answer, or the exception that was raised instead."""
        if self._process is None:
            self.start()
        if not self._has_started:
            self._receive(_START_S)
            self._has_started = True
        self._connection.send(call)
        return self._receive(max_seconds)

    def start(self) -> None:
        """Start it, in an empty folder.

        Raises
        ------
        NotReadyError
            The machine has no room for it.
        """
        try:
            self._folder.mkdir()
            try:
                process = self._forked()
            except (OSError, EOFError):
                # The server that forks is replaced only when the one that was killed is gone.
                time.sleep(_DYING_S)
                process = self._forked()
        except (OSError, EOFError) as exc:
            self._clear()
            raise NotReadyError(
                "The service cannot start a process to decode the file; try again later, or see that its machine has "
                "room for processes and temporary files."
            ) from exc
        self._process, self._has_started = process, False

    def _forked(self) -> ForkServerProcess:
        self._connection, theirs = _CONTEXT.Pipe()
        with theirs, _nothing_to_import():
            process = _CONTEXT.Process(target=_serve, args=(theirs, self._max_bytes, str(self._folder)), daemon=True)
            process.start()
        return process

    def end(self) -> None:
        """Kill it: it holds nothing that would have to be kept."""
        if self._process:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
            self._connection.close()
            self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _receive(self, max_seconds: float) -> Any:
        if not self._connection.poll(max_seconds):
            raise TimeoutError
        return self._connection.recv()


@contextmanager
def _nothing_to_import() -> Iterator[None]:
    """Processes started meanwhile do without the program that was started: importing it would take them seconds."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _serve(connection: Connection, max_bytes: int, temporary: str) -> None:
    tempfile.tempdir = temporary
    # Ctrl-C is for the one who started this process, and who will end it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        connection.send("started")
        while True:
            function, args, kwargs = connection.recv()
            _answer(connection, function, args, kwargs)
    except (EOFError, ConnectionError):
        # Whoever asked has gone.
        return


def _answer(connection: Connection, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    try:
        connection.send(function(*args, **kwargs))
    except (KaryometerError, MemoryError) as exc:
        # Some libraries have causes pickled too, which do not all survive it.
        exc.__cause__ = exc.__context__ = None
        connection.send(exc.with_traceback(None))
    # Broad, because the service waits for an answer, and not every exception can be sent.
    except Exception as exc:
        connection.send(RuntimeError("".join(traceback.format_exception(exc))))
