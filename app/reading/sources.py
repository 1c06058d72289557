"""Images on disk: files, folders and patterns to what is to be read."""

import io
import re
import stat
import zipfile
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import NamedTuple

from app.errors import OptionError
from app.reading.result_name import result_name

# Those after ".zarr.zip" are TIFFs that microscopes and slide scanners write.
IMAGE_ENDINGS = (
    *(".bmp", ".czi", ".jpeg", ".jpg", ".lif", ".nd2", ".ozx", ".png", ".tif", ".tiff", ".webp", ".zarr", ".zarr.zip"),
    *(".bif", ".btf", ".flex", ".lsm", ".ndpi", ".qptiff", ".scn", ".stk", ".svs", ".tf2", ".tf8"),
)
# What stands beside the results of an image, and names them as such.
RECORD_ENDING = ".karyometer.json"
_STORE_ENDING = ".zarr"
_PACKED = frozenset((".bz2", ".gz", ".xz", ".zip", ".zst"))
# Operating systems, network drives and Karyometer write them into every folder.
_OF_SYSTEMS = frozenset(
    (
        ".ds_store",
        "thumbs.db",
        ".karyometer.lock",
        "desktop.ini",
        "__macosx",
        "@eadir",
        "$recycle.bin",
        "system volume information",
    )
)
# What is not there, as behind a broken link, is an image too: that it cannot be read is told with its name.
_READABLE = (stat.S_IFREG, stat.S_IFDIR, 0)
# MetaXpress writes one beside each image, with a number of its own in its name.
_THUMBNAIL = re.compile(r"_thumb[0-9a-f-]*\.[a-z0-9]+$")
_MOST_ENDINGS_TOLD = 8


class Source(NamedTuple):
    """An image file or OME-Zarr folder, and what it is called in the results; see `result_name`."""

    path: Path
    name: str

    @property
    def place(self) -> Path:
        """Where it lies, whatever links led there."""
        return self.path.parent.resolve() / self.path.name

    def read(self) -> bytes:
        """Its bytes; see `read_source`."""
        return read_source(self.path)


def read_source(path: Path) -> bytes:
    """An image file; of an OME-Zarr folder a zip that depends on nothing but what is in it."""
    return _zipped(path) if path.is_dir() else path.read_bytes()


class Failure(NamedTuple):
    """A file or folder without a result, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What there is at some paths.

    Attributes
    ----------
    images
        In the order of the paths, and below a folder in that of their names.
    left_out
        How many files were taken for no images, by their ending or another short reason.
    failures
        Folders that cannot be read.
    """

    images: tuple[Source, ...]
    left_out: dict[str, int]
    failures: tuple[Failure, ...]

    @property
    def told(self) -> str:
        """What was left out, such as `Left out: 3 .xml, 1 hidden`; empty if nothing was."""
        by_number = sorted(self.left_out.items(), key=lambda item: (-item[1], item[0]))
        told = [f"{number} {reason}" for reason, number in by_number[:_MOST_ENDINGS_TOLD]]
        n_others = sum(number for _, number in by_number[_MOST_ENDINGS_TOLD:])
        return f"Left out: {', '.join([*told, *([f'{n_others} others'] if n_others else [])])}" if told else ""


def find_images(paths: Sequence[str], besides: Path | None = None, results: bool = False) -> Found:
    """All images that the paths name: files, folders with all below them, and patterns with `*`, `?`, `[...]` and `**`.

    A file that is named is taken, whatever its ending; below folders and by patterns those of `IMAGE_ENDINGS` are, and
    hidden ones are not. Links to folders are followed. A folder that can be reached in several ways is read once.

    Parameters
    ----------
    paths
        As given in the shell. What is really called so, with its brackets, is no pattern.
    besides
        A folder whose files are no images of ours, such as that of the results.
    results
        Whether Karyometer's own results, which are beside a record, are images too; as masks they are.

    Raises
    ------
    OptionError
        A path names nothing, there are no images, or two images would have results of one name.
    """
    search = _Search(besides, results)
    for text in paths:
        search.look(text)
    found = Found(
        images=tuple(Source(path, name) for name, path in search.images.items()),
        left_out=dict(search.left_out),
        failures=tuple(search.failures),
    )
    if not found.images:
        unread = "".join(f" {name}: {reason}" for name, reason in found.failures)
        left_out = f" {found.told}." if found.told else ""
        raise OptionError(f"There are no images here.{unread}{left_out} Karyometer reads {', '.join(IMAGE_ENDINGS)}.")
    return found


class _Search:
    """Collects what the paths name; every file and folder once, however it is reached."""

    def __init__(self, besides: Path | None, results: bool) -> None:
        self.images: dict[str, Path] = {}
        self.left_out: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self._besides = besides and besides.resolve()
        self._results = results
        self._folders: set[Path] = set()
        self._files: set[Path] = set()

    def look(self, text: str) -> None:
        """Add what one path names."""
        path = Path(text)
        if text and _mode(path):
            if _is_folder(path):
                self._walk(path)
            else:
                self._add(path, path.name)
            return
        top = Path(path.anchor)
        matching = list(self._matching(top, path.relative_to(top).parts)) if text else []
        if not matching:
            raise OptionError(f"There is nothing at {text or 'an empty path'}; name files, folders or a pattern.")
        for path in matching:
            if _is_folder(path):
                self._walk(path)
            else:
                self._judge(path, path.name)

    def _matching(self, folder: Path, pattern: Sequence[str]) -> Iterator[Path]:
        """What matches the pattern's parts below a folder, in order; a part that is there as written is itself."""
        if not pattern:
            yield folder
            return
        part, *rest = pattern
        if part == "**":
            for below, _ in self._tree(folder):
                yield from self._matching(below, rest)
        elif _mode(folder / part) or (folder / part).is_symlink():
            yield from self._matching(folder / part, rest)
        elif any(sign in part for sign in "*?["):
            names = [path.name for path in self._listed(folder) if part[0] == "." or path.name[0] != "."]
            matching = [name for name in names if fnmatchcase(name, part)]
            # Brackets may be meant as they are, beside a star.
            for name in matching or [name for name in names if fnmatchcase(name, part.replace("[", "[[]"))]:
                if not rest or _is_folder(folder / name):
                    yield from self._matching(folder / name, rest)

    def _tree(self, top: Path) -> Iterator[tuple[Path, list[Path]]]:
        """A folder and all below it, each once, with its files.

        Links come last, so that a folder has its own name where it has one below `top`.
        """
        seen: set[Path] = set()
        waiting = deque([top])
        while waiting:
            folder = waiting.popleft()
            real = folder.resolve()
            if real in seen or self._is_besides(real):
                continue
            seen.add(real)
            files = []
            for path in self._listed(folder):
                if not _is_folder(path) or path.name[0] == "." or path.name.lower() in _OF_SYSTEMS:
                    files.append(path)
                elif path.is_symlink():
                    waiting.append(path)
                else:
                    waiting.appendleft(path)
            yield folder, files

    def _listed(self, folder: Path) -> list[Path]:
        try:
            return sorted(folder.iterdir())
        except NotADirectoryError:
            return []
        except OSError as exc:
            failure = Failure(result_name(str(folder)), f"The folder cannot be read: {exc.strerror}.")
            if failure not in self.failures:
                self.failures.append(failure)
            return []

    def _walk(self, top: Path) -> None:
        found: list[Path] = []
        for folder, files in self._tree(top):
            real = folder.resolve()
            found += files if real not in self._folders else []
            self._folders.add(real)
        for path in sorted(found):
            self._judge(path, path.relative_to(top).as_posix())

    def _judge(self, path: Path, name: str) -> None:
        """Add a file that nobody named, or count why not."""
        lower = path.name.lower()
        if lower in _OF_SYSTEMS or lower.startswith("._"):
            return
        if lower.startswith("."):
            self.left_out["hidden"] += 1
        elif _THUMBNAIL.search(lower):
            self.left_out["thumbnails"] += 1
        elif not lower.endswith(IMAGE_ENDINGS):
            self.left_out[_ending(lower)] += 1
        elif stat.S_IFMT(_mode(path)) not in _READABLE:
            self.left_out["that are no files"] += 1
        else:
            self._add(path, name)

    def _add(self, path: Path, name: str) -> None:
        place = path.parent.resolve() / path.name
        if place in self._files or self._is_besides(place):
            return
        self._files.add(place)
        if not self._results and _is_result(place):
            self.left_out["results of Karyometer"] += 1
            return
        name = result_name(name)
        other = self.images.setdefault(name, path)
        if other != path and not (_mode(path) and _mode(other) and other.samefile(path)):
            raise OptionError(
                f"{other} and {path} would both have results named {name}; name a folder above both, or segment them "
                "one by one."
            )

    def _is_besides(self, place: Path) -> bool:
        return self._besides is not None and place.is_relative_to(self._besides)


def _is_folder(path: Path) -> bool:
    """Whether it has images below; an OME-Zarr is one itself."""
    return path.suffix.lower() != _STORE_ENDING and stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    """What is there; 0 where nothing is or it cannot be seen, of which pathlib's own questions raise some."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _is_result(place: Path) -> bool:
    stems = [place.name[: dot.start()] for dot in re.finditer(r"\.", place.name)]
    return any(_mode(place.with_name(f"{stem}{RECORD_ENDING}")) for stem in stems)


def _ending(name: str) -> str:
    endings = PurePath(name).suffixes[-2:]
    if not endings:
        return "without an ending"
    return result_name("".join(endings if endings[-1] in _PACKED else endings[-1:]))


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            member.create_system = 3
            archive.writestr(member, path.read_bytes())
    return buffer.getvalue()
