"""CZI, ND2, LIF and zipped OME-Zarr to their pages and channels, by the readers of the extra `bio`.

The readers' libraries can crash, run for ever or fill the memory on damaged files: see `app.reading.isolation`.
"""

import errno
import importlib
import importlib.util
import math
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import KaryometerError, NoRoomError, UnsupportedImageError
from app.reading.bio_header import PROMISES, Promise
from app.reading.stack import MAX_PAGES, Stack, believed, check_channels, check_size
from app.reading.warnings import ImageWarning

READERS = {"CZI": "bioio_czi", "ND2": "bioio_nd2", "LIF": "bioio_lif", "OME-Zarr": "bioio_ome_zarr"}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def open_bio(data: bytes, file_format: str, subject: str, max_pixels: int, scene: int | None = None) -> Stack:
    """What is in a file of one of the `READERS`; no pixel is decoded yet.

    Time points come before depths, and both are pages. Of several resolutions it is the highest; tiles of a CZI are put
    where the file says.

    Parameters
    ----------
    data
        The whole file.
    file_format
        One of `READERS`.
    subject
        What it is called in messages.
    max_pixels
        Largest allowed height times width, in pixels.
    scene
        Which image of the file, from 0; None is the first.

    Raises
    ------
    OptionError
        There is no such scene.
    NoRoomError
        A temporary file cannot be written.
    UnsupportedImageError
        The extra is not installed, or the file holds what is not read.
    ImageTooLargeError
        The header claims more than `max_pixels`.
    ValueError
        The file is damaged; the libraries' own errors mean damage too.
    """
    if importlib.util.find_spec(READERS[file_format]) is None:
        raise UnsupportedImageError(
            f"The {subject} is of the format {file_format}, which takes Karyometer's extra `bio`; run `scripts/install "
            "bio` where Karyometer is installed, or save the image as OME-TIFF."
        )
    with _no_room_told():
        folder = tempfile.TemporaryDirectory(prefix="karyometer-")
    path = Path(folder.name) / f"image.{file_format.lower()}"
    with ExitStack() as if_it_fails:
        if_it_fails.callback(folder.cleanup)
        with _no_room_told():
            path.write_bytes(data)
        with _damage_named(), _no_room_told(_FULL):
            fields, read_laid_out = lay_out(path, file_format, subject, max_pixels, scene)
        if_it_fails.pop_all()

    def read_page(number: int) -> NDArray[Any]:
        with _damage_named():
            return read_laid_out(number)

    return Stack(read_page=read_page, close=folder.cleanup, **fields)


def installed_readers() -> list[str]:
    """The modules that read these formats, as far as the extra is installed."""
    return [reader for reader in READERS.values() if importlib.util.find_spec(reader)]


@contextmanager
def _no_room_told(numbers: Collection[int] | None = None) -> Iterator[None]:
    """That a file cannot be written, which any error or those of some numbers mean, is no damage of the image."""
    try:
        yield
    except OSError as exc:
        if numbers is not None and exc.errno not in numbers:
            raise
        raise NoRoomError(
            "The service cannot write its temporary files; try again later, or see that the folder which TMPDIR names "
            "can be written to and has room."
        ) from exc


@contextmanager
def _damage_named() -> Iterator[None]:
    """Whatever the libraries raise is damage."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except KaryometerError:
        raise
    # Broad, because none of five libraries says what it raises.
    except Exception as exc:
        raise ValueError(f"{type(exc).__name__}: {exc}") from exc


def lay_out(
    path: Path, file_format: str, subject: str, max_pixels: int, scene: int | None = None
) -> tuple[dict[str, Any], Callable[[int], NDArray[Any]]]:
    """What a `Stack` is made of, and how its pages are read; raises whatever the libraries raise."""
    promise = PROMISES[file_format](path, subject, max_pixels, scene)
    sizes = {axis: size for axis, size in promise.sizes.items() if size != 1 or axis in "YX"}
    _check_sizes(sizes, file_format, max_pixels, subject)
    # One plane at a time; a CZI's colours have an axis A, which bioio forgets.
    options = {"CZI": {"chunk_dims": ["Y", "X", "A"]}, "LIF": {"chunk_dims": ["Y", "X"]}}.get(file_format, {})
    reader = importlib.import_module(READERS[file_format]).Reader(promise.path or path, **options)
    # A zip has been reduced to the group of the one image.
    number = promise.scene if promise.path is None else promise.scene_in_path
    if number:
        if number >= len(reader.scenes):
            # bioio counts a CZI's scenes by their names, which not every program writes.
            reader._implementation._scenes = tuple(map(str, range(promise.n_scenes)))
        reader.set_scene(number)
    array = reader.mosaic_xarray_dask_data if "M" in sizes and file_format == "CZI" else reader.xarray_dask_data
    if array.dtype.kind not in "biuf":
        raise UnsupportedImageError(f"The {subject}'s pixels are of type {array.dtype}; save whole or real numbers.")
    names = promise.channel_names
    if names is None:
        names = tuple(str(name) for name in reader.channel_names or ()) if "C" in array.coords else ()
    sides = reader.physical_pixel_sizes
    pixel_size, ignored = believed(sides.Y, sides.X, promise.units)
    # Other axes come first, then time points, then depths.
    leading = sorted((axis for axis in array.dims if axis not in "CYXS"), key="TZ".find)
    shape = [array.sizes[axis] for axis in leading]

    def read_page(number: int) -> NDArray[Any]:
        index = {axis: int(one) for axis, one in zip(leading, np.unravel_index(number, shape))} if shape else {}
        page = array.isel(index).transpose("Y", "X", ...).compute(scheduler="synchronous").to_numpy()
        pixels: NDArray[Any] = page.reshape(sizes["Y"], sizes["X"], -1)
        # Both formats that have colours store blue first, and bioio hands them on like that.
        return pixels[..., ::-1] if "S" in sizes else pixels

    fields = {
        "axes": "".join(axis for axis in array.dims if axis in sizes).replace("S", "C"),
        "height": sizes["Y"],
        "width": sizes["X"],
        "n_pages": math.prod(shape),
        "n_channels": sizes.get("C", 1) * sizes.get("S", 1),
        "is_colour": "S" in sizes,
        "channel_names": (names,) if any(names) else (),
        "pixel_size": pixel_size,
        "scene": promise.scene,
        "n_scenes": promise.n_scenes,
        "warnings": (*_told(promise, sizes, file_format), *ignored),
    }
    return fields, read_page


def _check_sizes(sizes: Mapping[str, int], file_format: str, max_pixels: int, subject: str) -> None:
    """Refuse what bioio cannot lay out, or would for hours."""
    if min(sizes.values()) < 1 or not {"Y", "X"} <= sizes.keys():
        raise ValueError("there are no pixels")
    check_size(sizes["Y"], sizes["X"], max_pixels, subject)
    check_channels(sizes.get("C", 1) * sizes.get("S", 1), subject)
    if math.prod(size for axis, size in sizes.items() if axis not in "CYXS") > MAX_PAGES:
        raise ValueError("there are too many pages")
    unread = sorted(sizes.keys() - set("TCZMYX")) if file_format == "LIF" else []
    if unread or sizes.get("S", 3) != 3 or ("S" in sizes and "C" in sizes):
        raise UnsupportedImageError(
            f"The {subject} has axes {''.join(sizes)}, which are not read together in {file_format} files; save it as "
            "TIFF."
        )


def _told(promise: Promise, sizes: Mapping[str, int], file_format: str) -> Iterator[ImageWarning]:
    yield from promise.warnings
    for axis, size in sizes.items():
        if axis not in ("TCZYXS" if file_format != "CZI" else "TCZMYXS"):
            yield ImageWarning(
                "axes_assumed", f"The file's axis {axis} of {size} was read as pages; choose one of them with page."
            )
    if "S" in sizes and file_format == "ND2":
        yield ImageWarning(
            "axes_assumed",
            "The file does not say in which order its colours are; blue was taken to be the first. Choose one of them "
            "with channel.",
        )
