"""Images that were sent to be looked at, and their pictures: on disk, of bounded size and age, each for its sender."""

import asyncio
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from app.engine.preview import Preview
from app.errors import NoPreviewError, UploadTooLargeError
from app.options import Channel
from app.reading.memmap import disk_full_told

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
    last_s: float = 0.0


# Owner and digest of an image; of a picture the place too.
_Key = tuple[Any, ...]


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
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        # What was asked for to what it is.
        self._places: dict[_Key, Place] = {}
        self._folder: Path | None = None
        self._lock = Lock()

    def add(self, owner: str, data: bytes) -> str:
        """Keep an image; its digest.

        Raises
        ------
        UploadTooLargeError
            It is larger than all that may be kept.
        NoRoomError
            The disk is full.
        """
        digest = sha256(data).hexdigest()
        if self._is_there(owner, digest):
            return digest
        if len(data) > self.max_bytes:
            raise UploadTooLargeError(f"The image has more than {self.max_bytes} bytes; crop or compress it.")
        with disk_full_told(), self._new_folder() as folder:
            path = folder / "image"
            path.write_bytes(data)
            self._keep((owner, digest), _Kept(folder, len(data), path))
        return digest

    def refer(self, owner: str, digest: str, path: Path) -> None:
        """Keep in mind where an image lies that is kept elsewhere."""
        if not self._is_there(owner, digest):
            self._keep((owner, digest), _Kept(None, 0, path))

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
        source = self.source(owner, digest)
        with disk_full_told(), self._new_folder() as folder:
            try:
                drawn = draw(source, folder)
            except FileNotFoundError as exc:
                raise NoPreviewError(_GONE) from exc
            place = Place(drawn.image.channel, drawn.image.page, drawn.image.scene)
            kept: Preview = self._keep((owner, digest, place), _Kept(folder, drawn.n_bytes, drawn), asked)
        return kept

    @contextmanager
    def _new_folder(self) -> Iterator[Path]:
        """An empty folder, in one that is made when it is first needed; removed if nothing in it is kept."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="karyometer-previews-"))
            folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield folder
        finally:
            with self._lock:
                is_kept = any(kept.folder == folder for kept in self._kept.values())
            if not is_kept:
                shutil.rmtree(folder, ignore_errors=True)

    async def sweep_on(self) -> None:
        """Let go of what is too old, again and again."""
        while True:
            await asyncio.sleep(self._keep_s / _SWEEPS)
            await asyncio.to_thread(self.sweep)

    def sweep(self) -> None:
        """Let go of what is too old."""
        with self._lock:
            gone = self._make_room(0)
        _remove(gone)

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            self._kept.clear()
            self._places.clear()
            folder, self._folder = self._folder, None
        _remove([folder] if folder else [])

    def _is_there(self, owner: str, digest: str) -> bool:
        """Whether an image is kept; one that lies elsewhere may have been removed there."""
        path = self._look_at((owner, digest))
        return path is not None and path.exists()

    def _look_at(self, key: _Key) -> Any:
        """What is kept under a key; an image is looked at when its picture is."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or self._is_old(kept):
                return None
            for looked_at in (key, key[:2]):
                if looked_at in self._kept:
                    self._kept[looked_at].last_s = self._clock()
                    self._kept.move_to_end(looked_at)
            return kept.value

    def _keep(self, key: _Key, new: _Kept, asked: Place | None = None) -> Any:
        """Keep something; of a picture that is there already, the older one stays."""
        new.last_s = self._clock()
        with self._lock:
            if asked and (there := self._kept.get(key)):
                new, gone = there, []
            else:
                gone = [*self._let_go(key), *self._make_room(new.n_bytes)]
                self._kept[key] = new
            if asked:
                self._places[*key[:2], asked] = key[2]
            if key[:2] in self._kept:
                self._kept.move_to_end(key[:2])
        _remove(gone)
        return new.value

    def _is_old(self, kept: _Kept) -> bool:
        return kept.last_s < self._clock() - self._keep_s

    def _make_room(self, n_bytes: int) -> list[Path]:
        """Forget what is too old or too much; the folders to be removed."""
        gone = []
        n_kept = sum(one.n_bytes for one in self._kept.values())
        while self._kept and (self._is_old(next(iter(self._kept.values()))) or n_kept + n_bytes > self.max_bytes):
            gone += self._let_go(next(iter(self._kept)))
            n_kept = sum(one.n_bytes for one in self._kept.values())
        return gone

    def _let_go(self, key: _Key) -> list[Path]:
        """Forget one, of an image all its pictures too; the folders to be removed."""
        pictures = [other for other in self._kept if other[:2] == key and other != key]
        gone = [self._kept.pop(one).folder for one in (key, *pictures) if one in self._kept]
        self._places = {asked: place for asked, place in self._places.items() if asked[:2] != key}
        return [folder for folder in gone if folder]


def _remove(folders: Iterable[Path]) -> None:
    """In no lock: large files take their time."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
