"""Reads annotated images from a zip or a folder: images and labels side by side, Kaggle's layout, or BBBC039's."""

import hashlib
import logging
import re
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.errors import EmptyUploadError, ImageError, KaryometerError
from app.evaluation.truth import read_truth
from app.reading.decode import decode_image

logger = logging.getLogger(__name__)

Split = Literal["train", "val", "test"]

MAX_PIXELS = 100_000_000
_PLAIN = re.compile(
    r"(?:^|/)(?:images/(?P<image>[^/]+)\.(?:png|tiff?|jpe?g|bmp|webp)|labels/(?P<mask>[^/]+)\.(?:png|tiff?))$", re.I
)
_KAGGLE = re.compile(r"(?:^|/)(?P<id>[^/]+)/(?P<part>images|masks)/(?P<file>[^/]+)\.png$")
_BBBC039 = re.compile(r"(?:^|/)(?:images/(?P<image>[^/]+)\.tif|masks/(?P<mask>[^/]+)\.png)$")
_BBBC039_LISTS: dict[str, Split] = {"training.txt": "train", "validation.txt": "val", "test.txt": "test"}


class DatasetError(KaryometerError):
    """A data set cannot be read; the message names the files."""


class FileTree:
    """The files below a folder or inside a zip, addressed by their path with forward slashes.

    Attributes
    ----------
    name
        That of the folder, or of the zip without its suffix.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = root.resolve().name if root.is_dir() else root.stem
        if root.is_dir():
            self._zip = None
            found: Iterable[str] = (file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
        elif zipfile.is_zipfile(root):
            self._zip = zipfile.ZipFile(root)
            found = (name for name in self._zip.namelist() if not name.endswith("/"))
        else:
            raise DatasetError(f"{root} is neither a folder nor a zip file; give the path of the data set.")
        self.paths = sorted(path for path in found if "__MACOSX" not in path)

    def read(self, path: str) -> bytes:
        """The bytes of one file.

        Raises
        ------
        DatasetError
            The file cannot be read from the folder or zip.
        """
        try:
            return self._zip.read(path) if self._zip else (self.root / path).read_bytes()
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError) as exc:  # RuntimeError: an encrypted zip
            raise DatasetError(f"{self.root}: {path} cannot be read.") from exc


@dataclass(frozen=True)
class Sample:
    """One annotated image, read when asked for.

    Attributes
    ----------
    image_id
        Names the image in splits files: its file's name without the suffix, after the data set's name and a slash where
        images and labels lie side by side (`tnbc/01_1`).
    image_path, mask_paths
        Where image and masks lie in `tree`.
    masks_are_labels
        True where one mask holds several nuclei, the connected components of equal value; else one a nucleus.
    listed_split
        The split that the data set itself names, if any.
    """

    image_id: str
    tree: FileTree
    image_path: str
    mask_paths: tuple[str, ...]
    masks_are_labels: bool
    listed_split: Split | None = None

    def image_bytes(self) -> bytes:
        """The image's file."""
        return self.tree.read(self.image_path)

    def image(self) -> NDArray[Any]:
        """The image, `(H, W)` or `(H, W, 3)`, uint8 or uint16.

        Raises
        ------
        DatasetError
            The file is not a readable image.
        """
        try:
            return decode_image(self.image_bytes(), MAX_PIXELS).image
        except (ImageError, EmptyUploadError) as exc:
            raise DatasetError(f"{self.image_path}: {exc}") from exc

    def labels(self, shape: tuple[int, int]) -> NDArray[np.int32]:
        """The masks as one label image `(H, W)`: 0 is background, nuclei are 1..N.

        A pixel that two masks claim goes to the first one by name; a warning names the later one.

        Raises
        ------
        DatasetError
            A mask is unreadable or its size is not `shape`; the message names the file.
        """
        labels = np.zeros(shape, np.int32)
        n_nuclei = 0
        for path in self.mask_paths:
            nuclei = self._mask(path, shape)
            claimed = np.nonzero(nuclei)
            free = labels[claimed] == 0
            if not free.all():
                logger.warning(
                    "%s overlaps earlier masks by %d pixels, which stay theirs.", path, np.count_nonzero(~free)
                )
            labels[claimed] = np.where(free, nuclei[claimed] + n_nuclei, labels[claimed])
            n_nuclei += int(nuclei.max())
        return labels

    def _mask(self, path: str, shape: tuple[int, int]) -> NDArray[np.int32]:
        try:
            labels = read_truth(self.tree.read(path), MAX_PIXELS, one_nucleus=not self.masks_are_labels).labels
        except (ImageError, EmptyUploadError) as exc:
            raise DatasetError(f"{path}: {exc}") from exc
        if labels.shape != shape:
            raise DatasetError(
                f"{path} is {labels.shape[0]} x {labels.shape[1]} pixels, its image {shape[0]} x {shape[1]}."
            )
        return labels


def find_samples(roots: Iterable[Path]) -> list[Sample]:
    """Samples of all data sets below `roots`, by image id; each root may be a folder or a zip.

    Raises
    ------
    DatasetError
        A root holds no known layout, images and masks do not pair up, or two images have the same id; the message names
        the files.
    """
    samples: list[Sample] = []
    for root in roots:
        tree = FileTree(root)
        found = list(_plain_samples(tree)) or list(_bbbc039_samples(tree)) or list(_kaggle_samples(tree))
        if not found:
            raise DatasetError(
                f"{root} holds no layout that is read: images/NAME.png or .tif with labels/NAME.png or .tif (one value "
                "a nucleus, 0 is background), Kaggle's (<id>/images/<id>.png, <id>/masks/*.png), or BBBC039's "
                "(images/*.tif, masks/*.png)."
            )
        samples += found
    n_images = Counter(sample.image_id for sample in samples)
    twice = sorted(image_id for image_id, n in n_images.items() if n > 1)
    if twice:
        raise DatasetError(f"The data have several images of the same id: {', '.join(twice)}; rename these files.")
    return sorted(samples, key=lambda sample: sample.image_id)


def _plain_samples(tree: FileTree) -> Iterator[Sample]:
    images, masks = _pairs(tree, _PLAIN)
    if not masks:
        return
    _require_pairs(tree, {name: len(images[name]) == len(masks[name]) == 1 for name in images | masks})
    for name, (path,) in images.items():
        yield Sample(f"{tree.name}/{name}", tree, path, tuple(masks[name]), masks_are_labels=True)


def _kaggle_samples(tree: FileTree) -> Iterator[Sample]:
    parts: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"images": [], "masks": []})
    for path in tree.paths:
        if match := _KAGGLE.search(path):
            parts[match["id"]][match["part"]].append(path)
    _require_pairs(tree, {i: len(p["images"]) == 1 and bool(p["masks"]) for i, p in parts.items()})
    for image_id, paths in parts.items():
        yield Sample(image_id, tree, paths["images"][0], tuple(paths["masks"]), masks_are_labels=False)


def _bbbc039_samples(tree: FileTree) -> Iterator[Sample]:
    images, masks = _pairs(tree, _BBBC039)
    if not images:
        return
    _require_pairs(tree, {name: len(images[name]) == len(masks[name]) == 1 for name in images | masks})
    listed = {
        PurePosixPath(line.strip()).stem: split
        for path in tree.paths
        if (split := _BBBC039_LISTS.get(PurePosixPath(path).name))
        for line in tree.read(path).decode().split()
    }
    for name, (path,) in images.items():
        yield Sample(name, tree, path, tuple(masks[name]), True, listed.get(name))


def _pairs(tree: FileTree, layout: re.Pattern[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Paths of images and of masks by their file's name without the suffix."""
    images: dict[str, list[str]] = defaultdict(list)
    masks: dict[str, list[str]] = defaultdict(list)
    for path in tree.paths:
        if match := layout.search(path):
            (images if match["image"] else masks)[match["image"] or match["mask"]].append(path)
    return images, masks


def _require_pairs(tree: FileTree, is_paired: dict[str, bool]) -> None:
    alone = sorted(image_id for image_id, paired in is_paired.items() if not paired)
    if alone:
        raise DatasetError(f"{tree.root}: these need one image and its masks: {', '.join(alone)}.")


def data_digest(samples: Iterable[Sample]) -> str:
    """SHA-256 over the names and bytes of all images and masks; the same for a zip and its unpacked folder."""
    digest = hashlib.sha256()
    for sample in samples:
        for path in (sample.image_path, *sample.mask_paths):
            digest.update(f"{sample.image_id}/{PurePosixPath(path).name}\0".encode())
            digest.update(hashlib.sha256(sample.tree.read(path)).digest())
    return digest.hexdigest()
