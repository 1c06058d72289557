"""Images that were sent to be looked at, and their pictures: on disk, of bounded size and age, each for its sender."""

import asyncio
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from app.engine.preview import Preview
from app.errors import NoPreviewError, UploadTooLargeError
from app.options import Channel

_GONE = "This image is not kept here any more; send it again."
# How often what is too old is looked for, as a part of the age.
_SWEEPS = 4


class Place(NamedTuple):
    """Which plane of an image: as asked for, or as it is."""

    channel: Channel | None
    page: int | str | None
    scene: int | None


@dataclass
class _Kept:
    """A folder of our own, or none, and what is known of what lies there."""

    folder: Path | None
    n_bytes: int
    value: Any
    last_s: float


class PreviewStore:
    """Keeps images and pictures until there is no room, or nobody has looked at them for long.

    Each belongs to the one who sent the image, an owner of any name; there is nothing for others. An image outlives its
    pictures, which can be drawn again.

    Parameters
    ----------
    max_bytes
        What all of it may take on disk.
    keep_s
        How long something is kept after it was last looked at.
    clock
        Seconds since any moment.
    """

    def __init__(self, max_bytes: int, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes = max_bytes
        self._keep_s = keep_s
        self._clock = clock
        # The one that was not looked at for longest first: images by owner and digest, pictures by place too.
        self._kept: OrderedDict[tuple[Any, ...], _Kept] = OrderedDict()
        # What was asked for to what it is.
        self._places: dict[tuple[Any, ...], Place] = {}
        self._folder: Path | None = None
        self._lock = Lock()

    def add(self, owner: str, data: bytes) -> str:
        """Keep an image; its digest.

        Raises
        ------
        UploadTooLargeError
            It is larger than all that may be kept.
        """
        digest = sha256(data).hexdigest()
        if self._is_there(owner, digest):
            return digest
        if len(data) > self.max_bytes:
            raise UploadTooLargeError(f"The image has more than {self.max_bytes} bytes; crop or compress it.")
        folder = self.new_folder()
        path = folder / "image"
        path.write_bytes(data)
        self._keep((owner, digest), folder, len(data), path)
        return digest

    def refer(self, owner: str, digest: str, path: Path) -> None:
        """Keep in mind where an image lies that is kept elsewhere."""
        if not self._is_there(owner, digest):
            self._keep((owner, digest), None, 0, path)

    def source(self, owner: str, digest: str) -> Path:
        """Where an image lies.

        Raises
        ------
        NoPreviewError
            It is not kept any more, or never was for this owner.
        """
        found = self._look_at((owner, digest))
        if found is None:
            raise NoPreviewError(_GONE)
        return Path(found)

    def preview(self, owner: str, digest: str, asked: Place) -> Preview | None:
        """The picture of a plane, if it is drawn."""
        place = self._places.get((owner, digest, asked), asked)
        found: Preview | None = self._look_at((owner, digest, place))
        return found

    def draw(self, owner: str, digest: str, asked: Place, draw: Callable[[Path, Path], Preview]) -> Preview:
        """Draw the picture of a plane and keep it.

        Parameters
        ----------
        owner, digest, asked
            Of which plane.
        draw
            From where the image lies, and a folder for the picture's files, to the picture.

        Raises
        ------
        NoPreviewError
            The image is not kept any more.
        """
        source, folder = self.source(owner, digest), self.new_folder()
        with ExitStack() as if_it_fails:
            if_it_fails.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                drawn = draw(source, folder)
            except FileNotFoundError as exc:
                raise NoPreviewError(_GONE) from exc
            if_it_fails.pop_all()
        place = Place(drawn.image.channel, drawn.image.page, drawn.image.scene)
        self._keep((owner, digest, place), folder, drawn.n_bytes, drawn)
        self._places[owner, digest, asked] = place
        return drawn

    def new_folder(self) -> Path:
        """An empty folder, in one that is made when it is first needed."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="karyometer-previews-"))
            return Path(tempfile.mkdtemp(dir=self._folder))

    async def sweep_on(self) -> None:
        """Let go of what is too old, again and again."""
        while True:
            await asyncio.sleep(self._keep_s / _SWEEPS)
            await asyncio.to_thread(self.sweep)

    def sweep(self) -> None:
        """Let go of what is too old."""
        with self._lock:
            self._make_room(0)

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            self._kept.clear()
            self._places.clear()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _is_there(self, owner: str, digest: str) -> bool:
        """Whether an image is kept; one that lies elsewhere may have been removed there."""
        path = self._look_at((owner, digest))
        return path is not None and path.exists()

    def _look_at(self, key: tuple[Any, ...]) -> Any:
        """What is kept under a key; an image is looked at when its picture is."""
        with self._lock:
            self._make_room(0)
            for looked_at in (key, key[:2]):
                if looked_at in self._kept:
                    self._kept[looked_at].last_s = self._clock()
                    self._kept.move_to_end(looked_at)
            return self._kept[key].value if key in self._kept else None

    def _keep(self, key: tuple[Any, ...], folder: Path | None, n_bytes: int, value: Any) -> None:
        with self._lock:
            if key in self._kept:
                self._let_go(key)
            self._make_room(n_bytes)
            self._kept[key] = _Kept(folder, n_bytes, value, self._clock())
            if key[:2] in self._kept:
                self._kept.move_to_end(key[:2])

    def _make_room(self, n_bytes: int) -> None:
        oldest_s = self._clock() - self._keep_s
        while self._kept:
            key, first = next(iter(self._kept.items()))
            n_kept = sum(one.n_bytes for one in self._kept.values())
            if first.last_s >= oldest_s and n_kept + n_bytes <= self.max_bytes:
                return
            self._let_go(key)

    def _let_go(self, key: tuple[Any, ...]) -> None:
        """Let go of one; of an image with all its pictures."""
        for gone in [key, *([other for other in self._kept if other[:2] == key] if len(key) == 2 else [])]:
            kept = self._kept.pop(gone, None)
            if kept and kept.folder:
                shutil.rmtree(kept.folder, ignore_errors=True)
        if len(key) == 2:
            self._places = {asked: place for asked, place in self._places.items() if asked[:2] != key}
