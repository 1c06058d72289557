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
from app.reading.stack import MAX_CHANNELS, choose_scene
from app.reading.warnings import ImageWarning, metadata_unreadable

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
# Where a group describes itself, of both versions of Zarr, and where the older repeats what it says.
_DESCRIBED = (".zattrs", "zarr.json")
_CONSOLIDATED = ".zmetadata"
_CHANNELS = "channels"
_MOST_AXES = 5


@dataclass(frozen=True)
class Promise:
    """What a header says.

    Attributes
    ----------
    sizes
        Of each axis; `S` are colours, `M` the tiles of a mosaic.
    scene
        Which image it is, of `n_scenes`.
    units
        Of the sides that bioio tells of a pixel, from one row to the next and from one column to the next.
    channel_names
        None where bioio tells them.
    path
        Of what bioio shall read, where that is not the file.
    scene_in_path
        Which image there it is.
    """

    sizes: dict[str, int]
    scene: int = 0
    n_scenes: int = 1
    units: tuple[str, str] = ("um", "um")
    channel_names: tuple[str, ...] | None = None
    warnings: tuple[ImageWarning, ...] = ()
    path: Path | None = None
    scene_in_path: int = 0


def _promise_czi(path: Path, _subject: str, _max_pixels: int, scene: int | None) -> Promise:
    from aicspylibczi import CziFile

    with path.open("rb") as file:
        czi = CziFile(file)
        shapes = czi.get_dims_shape()
        # One shape for each scene, or for all where they are alike; scenes need not be numbered from 0.
        scenes = [(number, shape) for shape in shapes for number in range(*shape.get("S", (0, 1)))]
        chosen, warnings = choose_scene(scene, len(scenes))
        index, shape = scenes[chosen]
        sizes = {axis.replace("A", "S"): end - first for axis, (first, end) in shape.items() if axis not in "BS"}
        if "M" in sizes:
            box = czi.get_mosaic_scene_bounding_box(index=index)
            sizes |= {"Y": box.h, "X": box.w}
    return Promise(sizes, chosen, len(scenes), warnings=tuple(warnings))


def _promise_nd2(path: Path, _subject: str, _max_pixels: int, scene: int | None) -> Promise:
    import nd2

    with nd2.ND2File(path) as file:
        sizes = dict(file.sizes)
        # Without a calibration the library says that a pixel is one micrometre wide.
        volumes = [channel.volume for channel in file.metadata.channels or ()]
        unit = "um" if volumes and volumes[0].axesCalibrated[0] else ""
    n_scenes = sizes.pop("P", 1)
    chosen, warnings = choose_scene(scene, n_scenes)
    return Promise(sizes, chosen, n_scenes, (unit, unit), warnings=tuple(warnings))


def _promise_lif(path: Path, subject: str, _max_pixels: int, scene: int | None) -> Promise:
    import liffile

    with liffile.LifFile(path) as file:
        if file.xml_element.find("./Element/Children/Reference") is not None:
            raise UnsupportedImageError(f"The {subject} is a LIF that refers to other files; save it as one file.")
        chosen, warnings = choose_scene(scene, len(file.images))
        image = file.images[chosen]
        if image.nbytes > path.stat().st_size:
            raise ValueError("the header promises more pixels than the file has")
        return Promise(dict(image.sizes), chosen, len(file.images), warnings=tuple(warnings))


def _promise_zarr(path: Path, subject: str, max_pixels: int, scene: int | None) -> Promise:
    import zarr

    store_path = path.with_name("image.zip")
    chosen, n_images, in_group, warnings = _copy_store(path, store_path, max_pixels, subject, scene)
    with zarr.storage.ZipStore(store_path, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        attributes = group.attrs.asdict()
        said = attributes.get("ome", attributes)
        image = said["multiscales"][in_group]
        array = group[image["datasets"][0]["path"]]
    unread = sorted(set(_codecs(array.metadata.to_dict())) - _CODECS)
    if unread:
        raise UnsupportedImageError(f"The {subject} is compressed with {', '.join(unread)}; choose blosc or zstd.")
    if math.prod(array.chunks) > MAX_CHANNELS * max_pixels or array.nchunks > MAX_MEMBERS:
        raise UnsupportedImageError(
            f"The {subject} has {array.nchunks} chunks of {' x '.join(map(str, array.chunks))} pixels, which is more "
            "than is read; store it in chunks of 256 x 256 to 2048 x 2048."
        )
    axes = image.get("axes")
    units = {axis["name"].upper(): axis.get("unit") or "" for axis in axes} if axes else dict.fromkeys("TCZYX", "")
    assumed = ImageWarning(
        "axes_assumed",
        "The file does not name its axes, which were taken to be T, C, Z, Y and X; choose with channel and page.",
    )
    sizes = dict(zip(units, array.shape, strict=True))
    names = [str(channel.get("label") or "") for channel in said.get(_CHANNELS) or ()]
    n_channels = sizes.get("C", 1)
    contradicted = [metadata_unreadable("list of channels")] if names and len(names) != n_channels else []
    return Promise(
        sizes,
        chosen,
        n_images,
        (units.get("Y", ""), units.get("X", "")),
        tuple((*names, *[""] * n_channels)[:n_channels]),
        warnings=(*warnings, *contradicted, *(() if axes else (assumed,))),
        path=store_path,
        scene_in_path=in_group,
    )


PROMISES = {"CZI": _promise_czi, "ND2": _promise_nd2, "LIF": _promise_lif, "OME-Zarr": _promise_zarr}


def _codecs(node: Any) -> Iterator[str]:
    """Names of all codecs in the metadata of an array, those inside of shards among them."""
    for key, value in node.items():
        if key in ("codecs", "index_codecs", "compressor", "filters"):
            for codec in [value] if isinstance(value, dict) else value or ():
                yield codec.get("name") or codec["id"]
                yield from _codecs(codec.get("configuration") or {})


def _copy_store(
    path: Path, store_path: Path, max_pixels: int, subject: str, scene: int | None
) -> tuple[int, int, int, list[ImageWarning]]:
    """Write the group of one image of a zip as a zip of its own.

    The zip is never unpacked, so that no name in it can lead anywhere.

    Returns
    -------
    tuple
        The image's number, how many there are, its number in its group, and what to say of the others.
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
        images = [
            (member.filename.rpartition("/")[0], in_group)
            for member in members
            for in_group in range(_n_multiscales(archive, member))
        ]
        if not images:
            raise UnsupportedImageError(f"The {subject} is a zip without an OME-Zarr image; zip a whole store.")
        images.sort(key=lambda image: (image[0].count("/"), *image))
        chosen, warnings = choose_scene(scene, len(images))
        group, in_group = images[chosen]
        prefix = f"{group}/" if group else ""
        for member in members:
            if member.filename.startswith(prefix):
                name = member.filename.removeprefix(prefix)
                with archive.open(member) as source, copy.open(name, "w") as target:
                    if name in _DESCRIBED:
                        target.write(_completed(name, source.read()))
                    elif name != _CONSOLIDATED:
                        shutil.copyfileobj(source, target)
    return chosen, len(images), in_group, warnings


def _completed(name: str, content: bytes) -> bytes:
    """A group's description as bioio takes it, which looks for the finest level and for scales in the first place.

    Of channels it takes as many names as there are and no others; these are kept where it does not look for them.
    """
    description = json.loads(content)
    attributes = description.get("attributes", {}) if name == "zarr.json" else description
    said = attributes.get("ome", attributes)
    for image in said.get("multiscales", ()):
        axes = [_named(axis) for axis in image.get("axes") or ()]
        scales = [_scale_first(level) for level in image["datasets"]]
        if all(scales):
            image["datasets"].sort(key=lambda level: abs(math.prod(level["coordinateTransformations"][0]["scale"])))
        else:
            # Without a scale a unit means nothing.
            axes = [{key: value for key, value in axis.items() if key != "unit"} for axis in axes]
            for level in image["datasets"]:
                level["coordinateTransformations"] = [{"type": "scale", "scale": [1.0] * (len(axes) or _MOST_AXES)}]
        if axes:
            image["axes"] = axes
    if "omero" in said:
        said[_CHANNELS] = said.pop("omero").get("channels")
    return json.dumps(description).encode()


def _named(axis: Any) -> dict[str, Any]:
    """An axis of any version; that of the channels has one name."""
    named = dict(axis) if isinstance(axis, dict) else {"name": axis}
    return named | {"name": "c"} if named.get("type") == "channel" else named


def _scale_first(level: dict[str, Any]) -> bool:
    """Put a level's scale before its other transformations; whether it has one."""
    steps = level.get("coordinateTransformations") or []
    level["coordinateTransformations"] = sorted(steps, key=lambda step: step["type"] != "scale")
    return bool(steps) and level["coordinateTransformations"][0]["type"] == "scale"


def _n_multiscales(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """How many images a file of a store describes; each is there in several sizes."""
    *folders, name = member.filename.split("/")
    if name not in _DESCRIBED or "labels" in folders:
        return 0
    attributes = json.loads(archive.read(member))
    if name == "zarr.json":
        attributes = attributes.get("attributes", {})
    return len(attributes.get("ome", attributes).get("multiscales", ()))
