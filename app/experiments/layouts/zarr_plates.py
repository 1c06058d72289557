"""OME-Zarr plates, which are folders of images, to the names of these images.

After https://ngff.openmicroscopy.org/0.5/#plate-md: a plate lists its wells, and each well its images. From 0.5 on both
do so below `ome` in `zarr.json`, before in `.zattrs`.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from app.errors import UnreadableImageError

_MAX_BYTES = 16 * 2**20
_MAX_IMAGES = 100_000
_WELL_PATH = re.compile(r"(?:A[A-F]|[A-Z])/[0-9]{1,2}", re.IGNORECASE)
_IMAGE_PATH = re.compile(r"[0-9A-Za-z_-]{1,40}")


class ZarrPlate(NamedTuple):
    """The images of a plate, each as `plate.zarr/A/1/0`; and those that it lists but that are not there."""

    images: tuple[str, ...]
    missing: tuple[str, ...]


def zarr_plate_fields(folder: Path) -> ZarrPlate | None:
    """The images of an OME-Zarr plate; None of a folder that is none, such as a single image.

    Each name begins with that of the folder, so that `folder.parent / name` is the image, and `parse_name` tells its
    plate, well and site. The files of an image are not looked at.

    Raises
    ------
    UnreadableImageError
        It is a plate whose metadata are damaged.
    """
    plate = _metadata(folder, "plate")
    if plate is None:
        return None
    images: list[str] = []
    missing: list[str] = []
    for well in _listed(plate, "wells", folder):
        path = _path(well, _WELL_PATH, folder)
        described = _metadata(folder / path, "well")
        if described is None:
            missing.append(f"{folder.name}/{path}")
            continue
        for image in _listed(described, "images", folder):
            inside = f"{path}/{_path(image, _IMAGE_PATH, folder)}"
            there = (folder / inside).is_dir()
            (images if there else missing).append(f"{folder.name}/{inside}")
            if len(images) > _MAX_IMAGES:
                raise UnreadableImageError(f"{folder.name} lists more than {_MAX_IMAGES} images; divide the plate.")
    return ZarrPlate(tuple(dict.fromkeys(images)), tuple(dict.fromkeys(missing)))


def _metadata(folder: Path, key: str) -> Any:
    """What a group says of itself as a plate or a well; None where it is none."""
    for name in ("zarr.json", ".zattrs"):
        path = folder / name
        if not path.is_file():
            continue
        if path.stat().st_size > _MAX_BYTES:
            raise _damaged(folder)
        try:
            said = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as exc:
            raise _damaged(folder) from exc
        attributes = said.get("attributes", said) if isinstance(said, dict) else {}
        ome = attributes.get("ome", attributes) if isinstance(attributes, dict) else {}
        if isinstance(ome, dict) and key in ome:
            return ome[key]
    return None


def _listed(said: Any, key: str, folder: Path) -> list[Any]:
    found = said.get(key) if isinstance(said, dict) else None
    if not isinstance(found, list):
        raise _damaged(folder)
    return found


def _path(said: Any, pattern: re.Pattern[str], folder: Path) -> str:
    """A path of one of the expected kind, which leads nowhere else."""
    path = said.get("path") if isinstance(said, dict) else None
    if not isinstance(path, str) or not pattern.fullmatch(path):
        raise _damaged(folder)
    return path


def _damaged(folder: Path) -> UnreadableImageError:
    return UnreadableImageError(
        f"The metadata of the plate {folder.name} are damaged; each well needs a path such as A/1, and each image one "
        "such as 0. Export the plate again."
    )
