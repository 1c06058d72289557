"""Reads the public data sets as they are downloaded: a zip or a folder, in Kaggle's or BBBC039's layout."""

import hashlib
import logging
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.errors import EmptyUploadError, ImageError, KaryometerError
from app.segmentation.decode import decode_image, decode_mask
from app.segmentation.split import label

logger = logging.getLogger(__name__)

Split = Literal["train", "val", "test"]

MAX_PIXELS = 100_000_000
_KAGGLE = re.compile(r"(?:^|/)(?P<id>[^/]+)/(?P<part>images|masks)/(?P<file>[^/]+)\.png$")
_BBBC039 = re.compile(r"(?:^|/)(?:images/(?P<image>[^/]+)\.tif|masks/(?P<mask>[^/]+)\.png)$")
_BBBC039_LISTS: dict[str, Split] = {"training.txt": "train", "validation.txt": "val", "test.txt": "test"}


class DatasetError(KaryometerError):
    """A data set cannot be read; the message names the files."""


class FileTree:
    """The files below a folder or inside a zip, addressed by their path with forward slashes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if root.is_dir():
            self._zip = None
            found: Iterable[str] = (file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
        elif zipfile.is_zipfile(root):
            self._zip = zipfile.ZipFile(root)
            found = (name for name in self._zip.namelist() if not name.endswith("/"))
        else:
            raise DatasetError(f"{root} is neither a folder nor a zip file; give the path of the downloaded data set.")
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
    image_path, mask_paths
        Where image and masks lie in `tree`.
    masks_are_labels
        True where one mask holds several nuclei, the connected components of equal value (BBBC039); else one a nucleus.
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
            mask = decode_mask(self.tree.read(path), MAX_PIXELS)
        except (ImageError, EmptyUploadError) as exc:
            raise DatasetError(f"{path}: {exc}") from exc
        if mask.shape != shape:
            raise DatasetError(
                f"{path} is {mask.shape[0]} x {mask.shape[1]} pixels, its image {shape[0]} x {shape[1]}."
            )
        return _components(mask) if self.masks_are_labels else (mask > 0).astype(np.int32)


def _components(mask: NDArray[np.int64]) -> NDArray[np.int32]:
    """Connected components of equal value."""
    labels = np.zeros(mask.shape, np.int32)
    for value in np.unique(mask[mask > 0]):
        of_value = label(mask == value)
        labels += np.where(of_value > 0, of_value + labels.max(), 0)
    return labels


def find_samples(roots: Iterable[Path]) -> list[Sample]:
    """Samples of all data sets below `roots`, by image id; each root may be a folder or a zip.

    Raises
    ------
    DatasetError
        A root holds neither layout, or images and masks do not pair up; the message names the files.
    """
    samples: list[Sample] = []
    for root in roots:
        tree = FileTree(root)
        found = list(_bbbc039_samples(tree)) or list(_kaggle_samples(tree))
        if not found:
            raise DatasetError(
                f"{root} holds neither Kaggle's layout (<id>/images/<id>.png, <id>/masks/*.png) nor BBBC039's "
                "(images/*.tif, masks/*.png)."
            )
        samples += found
    return sorted(samples, key=lambda sample: sample.image_id)


def _kaggle_samples(tree: FileTree) -> Iterator[Sample]:
    parts: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"images": [], "masks": []})
    for path in tree.paths:
        if match := _KAGGLE.search(path):
            parts[match["id"]][match["part"]].append(path)
    _require_pairs(tree, {i: len(p["images"]) == 1 and bool(p["masks"]) for i, p in parts.items()})
    for image_id, paths in parts.items():
        yield Sample(image_id, tree, paths["images"][0], tuple(paths["masks"]), masks_are_labels=False)


def _bbbc039_samples(tree: FileTree) -> Iterator[Sample]:
    images, masks = {}, {}
    for path in tree.paths:
        if match := _BBBC039.search(path):
            if match["image"]:
                images[match["image"]] = path
            else:
                masks[match["mask"]] = path
    if not images:
        return
    _require_pairs(tree, {image_id: image_id in images and image_id in masks for image_id in images | masks})
    listed = {
        PurePosixPath(line.strip()).stem: split
        for path in tree.paths
        if (split := _BBBC039_LISTS.get(PurePosixPath(path).name))
        for line in tree.read(path).decode().split()
    }
    for image_id, path in images.items():
        yield Sample(image_id, tree, path, (masks[image_id],), True, listed.get(image_id))


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
