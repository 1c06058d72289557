"""Sends what an instrument writes while it writes, and loses nothing when the service is away."""

import hashlib
import logging
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from app.errors import OptionError, ServerError
from app.reading.result_name import result_name
from app.watch.files import ChangedError, Listing, Settling, Stamp, UnreadableError, list_files, read_unchanged
from app.watch.memory import CONFLICT, TAKEN, Memory, Sent
from app.watch.remote import Answer, LaterError, RemoteService

logger = logging.getLogger(__name__)

_POLL_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_ASKED_S = 1.0, 60.0, 3600.0
# What is wrong with the address, the key or the experiment, and not with one file.
_OF_ALL = (301, 302, 303, 307, 308, 401, 403, 404, 405, 421)


class Report(NamedTuple):
    """How many files the service has, and how many it has not."""

    n_taken: int
    n_left: int


@dataclass
class Watch:
    """Sends each file of a folder to an experiment when it has stopped growing.

    Parameters
    ----------
    service, folder, memory
        What is sent where, and what was.
    name, nuclear_channel
        Of an experiment to make.
    experiment
        The ID of one that is there, instead.
    layout
        A layout, sent again whenever it changes.
    settle_s
        How long a file must not have changed.
    close_after_s
        After so long without a new file the experiment is closed: with 0 as soon as all that is there is sent, with
        None never.
    clock, sleep
        Seconds that never run backwards, and a wait.
    """

    service: RemoteService
    folder: Path
    memory: Memory
    name: str
    nuclear_channel: str | None = None
    experiment: str | None = None
    layout: Path | None = None
    settle_s: float = 5
    close_after_s: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _settling: Settling = field(init=False)
    # What is wrong with files that could not be read, and how they were then.
    _unreadable: dict[Path, Stamp] = field(default_factory=dict, init=False)
    _tries: Counter[Path] = field(default_factory=Counter, init=False)
    _n_pauses: int = field(default=0, init=False)
    _told: dict[Path | None, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._settling = Settling(self.settle_s)

    def run(self) -> Report:
        """Send until the experiment is closed.

        Raises
        ------
        ServerError
            The service refuses the key, the experiment, or to close it.
        OptionError
            There is no such folder or layout, or nothing in it that can be waited for.
        """
        if not self.folder.is_dir():
            raise OptionError(f"There is no folder {self.folder}; name the one that the instrument writes to.")
        if self.layout is not None and not self.layout.is_file():
            raise OptionError(f"There is no layout {self.layout}; name a file.")
        if self.close_after_s == 0 and not list_files(self.folder).stamps:
            raise OptionError(f"There are no images in {self.folder}; name the folder that holds them.")
        experiment = self._begin()
        quiet_since = self.clock()
        while True:
            listing = self._turn(experiment)
            if listing is None:
                quiet_since = self.clock()
            elif listing.stamps and self._is_over(quiet_since):
                return self._close(experiment, listing)
            self.sleep(_POLL_S)

    def _is_over(self, quiet_since: float) -> bool:
        return self.close_after_s is not None and self.clock() - quiet_since >= self.close_after_s

    def _begin(self) -> str:
        """The experiment's path."""
        known = self.experiment or self.memory.about.get("experiment")
        if known is None:
            # Remembered before it is used, so that no crash makes two experiments.
            if "idempotency_key" not in self.memory.about:
                self.memory.keep(idempotency_key=uuid.uuid4().hex)
            headers = {"Idempotency-Key": self.memory.about["idempotency_key"]}
            asked = {"name": self.name, "nuclear_channel": self.nuclear_channel}
            answer = self._ask("POST", "/experiments", asked, headers)
            known = answer.location.rpartition("/")[2]
            if not known:
                raise ServerError(f"{self.service.address} makes no experiments; check the address and its version.")
            self.memory.keep(experiment=known)
        path = f"/experiments/{quote(known, safe='')}"
        self._check_open(path)
        logger.info("Files of %s go to %s%s.", self.folder, self.service.address, path)
        return path

    def _check_open(self, experiment: str) -> None:
        if self._ask("GET", experiment).body.get("state") != "open":
            raise ServerError(
                f"{self.service.address}{experiment} is closed and takes no more files; give another --name to send "
                "the folder to a new experiment."
            )

    def _turn(self, experiment: str) -> Listing | None:
        """Look once and send what has settled; what there is, or None where something was sent or is still to come."""
        try:
            listing = list_files(self.folder)
            if self.layout is not None:
                listing.stamps[self.layout] = Stamp.of(self.layout.stat())
        except OSError as exc:
            self._tell(None, f"{exc.filename} cannot be read: {exc.strerror}. It is tried again.")
            return None
        for path, said in listing.unreadable.items():
            self._tell(path, said)
        stamps = listing.stamps
        settled = self._settling.look(stamps, self.clock())
        ready = [path for path in settled if not self.memory.is_answered(path, stamps[path])]
        n_taken = 0
        # A file whose sending fails again and again must not keep the others.
        for path in sorted(ready, key=lambda path: self._tries[path]):
            try:
                n_taken += self._send(experiment, path, stamps[path])
            except LaterError as exc:
                self._tries[path] += 1
                self._pause(exc)
                break
        if n_taken:
            logger.info("%d files sent.", n_taken)
        is_all = all(
            self.memory.is_answered(path, stamp) or self._unreadable.get(path) == stamp
            for path, stamp in stamps.items()
        )
        return listing if is_all and not n_taken else None

    def _send(self, experiment: str, path: Path, stamp: Stamp) -> bool:
        """Send a file; whether the service has taken it."""
        digest = hashlib.sha256()
        try:
            if known := self._touched(path, stamp):
                self.memory.keep_sent(path, known)
                return False
            answer = self.service.send(
                "PUT",
                f"{experiment}/{self._target(path)}",
                read_unchanged(path, stamp, digest),
                stamp.n_bytes,
                {"Content-Type": "text/csv" if path == self.layout else "application/octet-stream"},
            )
        except ChangedError:
            return False
        except UnreadableError as exc:
            # On network drives a file that is being written to cannot always be read.
            self._unreadable[path] = stamp
            self._settling.forget(path)
            self._tell(path, str(exc))
            return False
        self._works()
        self._check(answer)
        if answer.status == CONFLICT:
            self._check_open(experiment)
        if answer.status not in TAKEN:
            self._tell(path, answer.sentence)
        self.memory.keep_sent(path, Sent(stamp, digest.hexdigest(), answer.status))
        return answer.status in TAKEN

    def _target(self, path: Path) -> str:
        if path == self.layout:
            return f"layout?filename={quote(result_name(path.name), safe='')}"
        return f"images/{quote(result_name(path.relative_to(self.folder).as_posix()))}"

    def _touched(self, path: Path, stamp: Stamp) -> Sent | None:
        """What is known of a file whose time has changed, and nothing else."""
        known = self.memory.sent.get(path)
        if known is None or known.stamp.n_bytes != stamp.n_bytes:
            return None
        digest = hashlib.sha256()
        for _ in read_unchanged(path, stamp, digest):
            pass
        return known._replace(stamp=stamp) if known.sha256 == digest.hexdigest() else None

    def _close(self, experiment: str, listing: Listing) -> Report:
        """Let the experiment take no more files, if the service has all that it took."""
        # Where it has another file of a name, it has one.
        n_there = sum(
            sent.status in (*TAKEN, CONFLICT) for path, sent in self.memory.sent.items() if path != self.layout
        )
        expected = "" if self.experiment else f"?expected={n_there}"
        self._ask("POST", f"{experiment}/close{expected}")
        n_taken = sum(self.memory.is_taken(path, stamp) for path, stamp in listing.stamps.items())
        return Report(n_taken, len(listing.stamps) + len(listing.unreadable) - n_taken)

    def _ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask until there is an answer, which must be yes."""
        while True:
            try:
                answer = self.service.ask(method, path, body, headers)
            except LaterError as exc:
                self._pause(exc)
                continue
            self._works()
            self._check(answer)
            if answer.status not in TAKEN:
                raise ServerError(f"{self.service.address} refuses: {answer.sentence}")
            return answer

    def _check(self, answer: Answer) -> None:
        if answer.status in _OF_ALL:
            raise ServerError(f"{self.service.address} refuses: {answer.sentence}")

    def _pause(self, exc: LaterError) -> None:
        """Wait as long as the service asks for, or longer each time."""
        self._tell(None, f"{exc} It is tried again until it works.")
        backed_off = min(_FIRST_PAUSE_S * 2**self._n_pauses, _LONGEST_PAUSE_S)
        self._n_pauses = min(self._n_pauses + 1, 10)
        self.sleep(backed_off if exc.retry_after_s is None else min(exc.retry_after_s, _LONGEST_ASKED_S))

    def _works(self) -> None:
        self._n_pauses = 0
        if self._told.pop(None, None):
            logger.info("It works again.")

    def _tell(self, path: Path | None, said: str) -> None:
        """Say something of a file, or of all; once, until there is something else to say."""
        if self._told.get(path) != said:
            self._told[path] = said
            logger.warning("%s", said if path is None else f"{result_name(os.fspath(path))}: {said}")
