"""Images on disk: files, folders and patterns to what is to be read."""

import glob
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from app.errors import OptionError

IMAGE_ENDINGS = frozenset(
    (".bmp", ".czi", ".jpeg", ".jpg", ".lif", ".nd2", ".ozx", ".png", ".tif", ".tiff", ".webp", ".zarr", ".zarr.zip")
)


class Source(NamedTuple):
    """An image file or OME-Zarr folder, and what it is called in the results: its path below the folder named."""

    path: Path
    name: str

    def read(self) -> bytes:
        """The file; of a folder a zip that depends on nothing but what is in it."""
        return _zipped(self.path) if self.path.is_dir() else self.path.read_bytes()


def find_images(paths: Sequence[str], besides: Path | None = None) -> list[Source]:
    """All images that the paths name: files, folders with all below them, and patterns with `*`, `?` and `**`.

    Parameters
    ----------
    paths
        As given in the shell.
    besides
        A folder whose files are no images of ours, such as that of the results.

    Raises
    ------
    OptionError
        A path names nothing, there are no images, or two images would have results of one name.
    """
    sources: dict[str, Path] = {}
    for text in paths:
        # Path.glob refuses patterns that begin at the root.
        matching = [text] if Path(text).exists() else sorted(glob.glob(text, recursive=True))  # noqa: PTH207
        found = [Path(one) for one in matching if Path(text).exists() or not _is_in_store(Path(one))]
        if not found:
            raise OptionError(f"There is nothing at {text}; name files, folders or a pattern.")
        for path in found:
            is_folder = path.is_dir() and not _is_store(path)
            for image in _below(path) if is_folder else [path]:
                if besides is not None and image.resolve().is_relative_to(besides.resolve()):
                    continue
                name = image.relative_to(path).as_posix() if is_folder else image.name
                if sources.setdefault(name, image).resolve() != image.resolve():
                    raise OptionError(
                        f"{sources[name]} and {image} would both have results named {name}; segment them one by one."
                    )
    if not sources:
        raise OptionError(f"There are no images here; Karyometer reads {', '.join(sorted(IMAGE_ENDINGS))}.")
    return [Source(path, name) for name, path in sources.items()]


def _below(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.name.lower().endswith(tuple(IMAGE_ENDINGS)))
    return sorted(
        path
        for path in found
        if (_is_store(path) or path.is_file()) and not _is_in_store(path.relative_to(folder), folder)
    )


def _is_store(path: Path) -> bool:
    return path.suffix.lower() == ".zarr" and path.is_dir()


def _is_in_store(path: Path, below: Path = Path()) -> bool:
    return any(_is_store(below / parent) for parent in path.parents)


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            member.create_system = 3
            archive.writestr(member, path.read_bytes())
    return buffer.getvalue()


def pair_masks(images: Sequence[Source], masks: Sequence[Source]) -> list[tuple[Source, Source]]:
    """Each image with the mask of the same name, whatever its ending.

    Raises
    ------
    OptionError
        An image has no mask, or more than one.
    """

    def stem(source: Source) -> str:
        return source.name.removesuffix(source.path.suffix)

    by_stem: dict[str, list[Source]] = {}
    for mask in masks:
        by_stem.setdefault(stem(mask), []).append(mask)
    if len(images) == len(masks) == 1:
        return [(images[0], masks[0])]
    for image in images:
        n_masks = len(by_stem.get(stem(image), ()))
        if n_masks != 1:
            raise OptionError(f"{image.name} has {n_masks} masks of its name; give each image one.")
    return [(image, by_stem[stem(image)][0]) for image in images]
