"""What the headers of CZI, ND2, LIF and OME-Zarr promise, asked of each format's own library.

bioio lays out arrays of whatever a file promises, and follows a LIF to other files, so that this comes first.
"""

import json
import math
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import UnsupportedImageError
from app.segmentation.caveats import Caveat
from app.segmentation.stack import MAX_CHANNELS

MAX_MEMBERS = 100_000
# Codecs may do anything, and one of numcodecs' unpickles.
_CODECS = frozenset(
    [
        "blosc",
        "bytes",
        "bz2",
        "crc32c",
        "delta",
        "gzip",
        "lz4",
        "lzma",
        "sharding_indexed",
        "shuffle",
        "transpose",
        "zlib",
        "zstd",
    ]
)


@dataclass(frozen=True)
class Promise:
    """What a header says.

    Attributes
    ----------
    sizes
        Of each axis; `S` are colours, `M` the tiles of a mosaic.
    unit
        Of the pixel size that bioio tells.
    path
        Of what bioio shall read, where that is not the file.
    """

    sizes: dict[str, int]
    n_scenes: int = 1
    unit: str = "um"
    caveats: tuple[Caveat, ...] = ()
    path: Path | None = None


def _promise_czi(path: Path, _subject: str, _max_pixels: int) -> Promise:
    from aicspylibczi import CziFile

    with path.open("rb") as file:
        czi = CziFile(file)
        shapes = czi.get_dims_shape()
        scenes = [shape.get("S", (0, 1)) for shape in shapes]
        sizes = {axis.replace("A", "S"): end - first for axis, (first, end) in shapes[0].items() if axis not in "BS"}
        if "M" in sizes:
            box = czi.get_mosaic_scene_bounding_box(index=scenes[0][0])
            sizes |= {"Y": box.h, "X": box.w}
    return Promise(sizes, n_scenes=sum(end - first for first, end in scenes))


def _promise_nd2(path: Path, _subject: str, _max_pixels: int) -> Promise:
    import nd2

    with nd2.ND2File(path) as file:
        sizes = dict(file.sizes)
        # Without a calibration the library says that a pixel is one micrometre wide.
        volumes = [channel.volume for channel in file.metadata.channels or ()]
        unit = "um" if volumes and volumes[0].axesCalibrated[0] else ""
    return Promise(sizes, n_scenes=sizes.pop("P", 1), unit=unit)


def _promise_lif(path: Path, subject: str, _max_pixels: int) -> Promise:
    import liffile

    with liffile.LifFile(path) as file:
        if file.xml_element.find("./Element/Children/Reference") is not None:
            raise UnsupportedImageError(f"The {subject} is a LIF that refers to other files; save it as one file.")
        image = file.images[0]
        if image.nbytes > path.stat().st_size:
            raise ValueError("the header promises more pixels than the file has")
        return Promise(dict(image.sizes), n_scenes=len(file.images))


def _promise_zarr(path: Path, subject: str, max_pixels: int) -> Promise:
    import zarr

    store_path = path.with_name("image.zip")
    n_others = _copy_store(path, store_path, max_pixels, subject)
    with zarr.storage.ZipStore(store_path, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        attributes = group.attrs.asdict()
        scenes = attributes.get("ome", attributes)["multiscales"]
        array = group[scenes[0]["datasets"][0]["path"]]
    unread = sorted(set(_codecs(array.metadata.to_dict())) - _CODECS)
    if unread:
        raise UnsupportedImageError(f"The {subject} is compressed with {', '.join(unread)}; choose blosc or zstd.")
    if math.prod(array.chunks) > MAX_CHANNELS * max_pixels or array.nchunks > MAX_MEMBERS:
        raise UnsupportedImageError(
            f"The {subject} has {array.nchunks} chunks of {' x '.join(map(str, array.chunks))} pixels, which is more "
            "than is read; store it in chunks of 256 x 256 to 2048 x 2048."
        )
    n_scenes = len(scenes) + n_others
    axes = scenes[0].get("axes")
    units = {axis["name"].upper(): axis.get("unit") or "" for axis in axes} if axes else dict.fromkeys("TCZYX", "")
    assumed = Caveat(
        "axes_assumed",
        "The file does not name its axes, which were taken to be T, C, Z, Y and X; choose with channel and page.",
    )
    sizes = dict(zip(units, array.shape, strict=True))
    return Promise(sizes, n_scenes, units.get("X", ""), () if axes else (assumed,), store_path)


PROMISES = {"CZI": _promise_czi, "ND2": _promise_nd2, "LIF": _promise_lif, "OME-Zarr": _promise_zarr}


def _codecs(node: Any) -> Iterator[str]:
    """Names of all codecs in the metadata of an array, those inside of shards among them."""
    for key, value in node.items():
        if key in ("codecs", "index_codecs", "compressor", "filters"):
            for codec in [value] if isinstance(value, dict) else value or ():
                yield codec.get("name") or codec["id"]
                yield from _codecs(codec.get("configuration") or {})


def _copy_store(path: Path, store_path: Path, max_pixels: int, subject: str) -> int:
    """Write the first image of a zip as a zip of its own, and count the others.

    It is never unpacked, so that no name in it can lead anywhere.
    """
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(store_path, "w") as copy:
        members = [member for member in archive.infolist() if not member.is_dir()]
        sizes = [member.file_size for member in members]
        # The largest pixels have 8 bytes.
        if len(members) > MAX_MEMBERS or max(sizes, default=0) > 8 * max_pixels or sum(sizes) > 64 * max_pixels:
            raise UnsupportedImageError(
                f"The {subject} is a zip of {len(members)} files with {sum(sizes)} bytes, which is more than is read; "
                "send one image of the store."
            )
        images = [member.filename.rpartition("/")[0] for member in members if _describes_image(archive, member)]
        if not images:
            raise UnsupportedImageError(f"The {subject} is a zip without an OME-Zarr image; zip a whole store.")
        images.sort(key=lambda image: (image.count("/"), image))
        prefix = f"{images[0]}/" if images[0] else ""
        for member in members:
            if member.filename.startswith(prefix):
                with archive.open(member) as source, copy.open(member.filename.removeprefix(prefix), "w") as target:
                    shutil.copyfileobj(source, target)
    return len(images) - 1


def _describes_image(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    *folders, name = member.filename.split("/")
    if name not in (".zattrs", "zarr.json") or "labels" in folders:
        return False
    attributes = json.loads(archive.read(member))
    if name == "zarr.json":
        attributes = attributes.get("attributes", {})
    return "multiscales" in attributes.get("ome", attributes)
