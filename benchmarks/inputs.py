"""Writes one image in every kind of file that is read, and compares what is found with the plain PNG of its pixels.

`python -m benchmarks.inputs --image tests/data/fluorescence.tif --output docs/inputs.md`
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from app.engine.engine import Engine, Limits
from app.engine.result import PlaneResult
from app.evaluation.matching import pixel_scores
from app.options import SegmentationOptions
from app.reading.stack import DecodedImage
from app.settings import DEFAULT_MODEL
from training.arguments import command_line
from training.dataset import MAX_PIXELS

SIDE_PX = 256


class Kind(NamedTuple):
    """A way to write an image `(H, W)` of 16 bits, and how it is asked for."""

    name: str
    writer: str
    write: Callable[[NDArray[np.uint16]], bytes]
    options: Mapping[str, Any] = MappingProxyType({})


def eight_bits(image: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The image as most cameras' software would save it."""
    low, high = int(image.min()), int(image.max())
    return ((image.astype(np.float64) - low) / (high - low) * 255).round().astype(np.uint8)


def _pillow(
    file_format: str, change: Callable[[Image.Image], Image.Image] = lambda image: image, **options: Any
) -> Any:
    def write(image: NDArray[np.uint16]) -> bytes:
        buffer = io.BytesIO()
        change(Image.fromarray(eight_bits(image))).save(buffer, file_format, **options)
        return buffer.getvalue()

    return write


def _opencv(ending: str, *parameters: int) -> Any:
    return lambda image: cv2.imencode(ending, image, parameters)[1].tobytes()


def _tifffile(change: Callable[[NDArray[np.uint16]], NDArray[Any]] = lambda image: image, **options: Any) -> Any:
    def write(image: NDArray[np.uint16]) -> bytes:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, change(image), **options)
        return buffer.getvalue()

    return write


def _with_others(*shape: int) -> Callable[[NDArray[np.uint16]], NDArray[np.uint16]]:
    """The image as the last of pages or channels that else hold its mirror image."""

    def stacked(image: NDArray[np.uint16]) -> NDArray[np.uint16]:
        stack = np.broadcast_to(image[::-1], (*shape, *image.shape)).copy()
        stack[(-1,) * len(shape)] = image
        return stack

    return stacked


def _czi(change: Callable[[NDArray[np.uint16]], NDArray[Any]], **options: Any) -> Any:
    """Zeiss's own writer, of stacks `(Z, C, Y, X)` named GFP and DAPI."""

    def write(image: NDArray[np.uint16]) -> bytes:
        from pylibCZIrw import czi

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image.czi"
            stack = change(image)
            with czi.create_czi(str(path), **options) as writer:
                for z, c in np.ndindex(stack.shape[:2]):
                    writer.write(stack[z, c, ..., np.newaxis], plane={"Z": z, "C": c})
                writer.write_metadata("image", channel_names={0: "GFP", 1: "DAPI"}, scale_x=5e-7, scale_y=5e-7)
            return path.read_bytes()

    return write


def _ome_zarr(change: Callable[[NDArray[np.uint16]], NDArray[Any]], **options: Any) -> Any:
    """A zipped store of stacks `(T, C, Z, Y, X)` named GFP and DAPI."""

    def write(image: NDArray[np.uint16]) -> bytes:
        from bioio_ome_zarr.writers import Channel, OMEZarrWriter

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image.ozx"
            stack = change(image)
            channels = [Channel(label=name, color="FFFFFF") for name in ("GFP", "DAPI")]
            with OMEZarrWriter(str(path), stack.shape, stack.dtype, channels=channels, **options) as writer:
                writer.write_full_volume(stack)
            return path.read_bytes()

    return write


def _upside_down(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_180)


EXIF_UPSIDE_DOWN = Image.Exif()
EXIF_UPSIDE_DOWN[0x0112] = 3
LZW, DEFLATE = 5, 32946
KINDS = (
    Kind("PNG, 16 bits", "OpenCV", _opencv(".png")),
    Kind("PNG, 8 bits", "Pillow", _pillow("PNG")),
    Kind("PNG, RGB", "Pillow", _pillow("PNG", lambda image: image.convert("RGB"))),
    Kind("PNG, RGBA", "Pillow", _pillow("PNG", lambda image: image.convert("RGBA"))),
    Kind("PNG, palette", "Pillow", _pillow("PNG", lambda image: image.convert("RGB").quantize(256))),
    Kind("JPEG, quality 95", "Pillow", _pillow("JPEG", quality=95)),
    Kind("JPEG, upside down by EXIF", "Pillow", _pillow("JPEG", _upside_down, quality=95, exif=EXIF_UPSIDE_DOWN)),
    Kind("BMP", "Pillow", _pillow("BMP")),
    Kind("WebP, lossless", "Pillow", _pillow("WEBP", lossless=True)),
    Kind("TIFF, 8 bits, packbits", "Pillow (libtiff)", _pillow("TIFF", compression="packbits")),
    Kind("TIFF, JPEG inside", "Pillow (libtiff)", _pillow("TIFF", compression="jpeg", quality=95)),
    Kind("TIFF, 16 bits, LZW", "OpenCV (libtiff)", _opencv(".tiff", cv2.IMWRITE_TIFF_COMPRESSION, LZW)),
    Kind("TIFF, 16 bits, deflate", "OpenCV (libtiff)", _opencv(".tiff", cv2.IMWRITE_TIFF_COMPRESSION, DEFLATE)),
    Kind("TIFF, 16 bits, zstd", "tifffile", _tifffile(compression="zstd")),
    Kind("TIFF, 16 bits, big endian", "tifffile", _tifffile(byteorder=">")),
    Kind("TIFF, tiled", "tifffile", _tifffile(tile=(64, 64))),
    Kind("BigTIFF, strips of 7 rows", "tifffile", _tifffile(bigtiff=True, rowsperstrip=7)),
    Kind("TIFF, float32 in [0, 1]", "tifffile", _tifffile(lambda image: (image / 65_535).astype(np.float32))),
    Kind("TIFF, int32", "tifffile", _tifffile(lambda image: image.astype(np.int32))),
    Kind("TIFF, white is 0", "tifffile", _tifffile(lambda image: 65_535 - image, photometric="miniswhite")),
    Kind(
        "TIFF, pages without a name, last one",
        "tifffile",
        _tifffile(_with_others(3), metadata=None, photometric="minisblack"),
        {"page": 2},
    ),
    Kind(
        "OME-TIFF, T 2 Z 3 C 2, DAPI by its name",
        "tifffile",
        _tifffile(_with_others(2, 3, 2), ome=True, metadata={"axes": "TZCYX", "Channel": {"Name": ["GFP", "DAPI"]}}),
        {"page": 5},
    ),
    Kind(
        "ImageJ hyperstack, Z 3 C 2",
        "tifffile",
        _tifffile(_with_others(3, 2), imagej=True, metadata={"axes": "ZCYX"}),
        {"page": 2, "channel": 1},
    ),
    Kind(
        "TIFF, 5 channels side by side",
        "tifffile",
        _tifffile(
            lambda image: np.moveaxis(_with_others(5)(image), 0, -1), planarconfig="contig", photometric="minisblack"
        ),
        {"channel": 4},
    ),
    Kind(
        "TIFF, 5 channels one after the other",
        "tifffile",
        _tifffile(_with_others(5), planarconfig="separate", photometric="minisblack"),
        {"channel": 4},
    ),
    Kind(
        "OME-TIFF, brightest of Z 3",
        "tifffile",
        _tifffile(lambda image: np.stack([image // 2, image, image // 3]), ome=True, metadata={"axes": "ZYX"}),
        {"page": "max"},
    ),
    Kind("CZI, Z 3 C 2, DAPI by its name", "pylibCZIrw", _czi(_with_others(3, 2)), {"page": 2}),
    Kind(
        "CZI, zstd",
        "pylibCZIrw",
        _czi(_with_others(1, 2), compression_options="zstd1:ExplicitLevel=3"),
    ),
    Kind(
        "OME-Zarr 0.5 (ozx), T 2 C 2 Z 3, DAPI by its name",
        "bioio-ome-zarr",
        _ome_zarr(lambda image: np.moveaxis(_with_others(2, 3, 2)(image), 2, 1)),
        {"page": 5},
    ),
)


def _segmented(engine: Engine, data: bytes, options: Mapping[str, Any]) -> PlaneResult:
    return engine.segment(data, SegmentationOptions.model_validate(options)).planes[0]


def _pixels(plane: PlaneResult) -> NDArray[Any]:
    if not isinstance(plane.image, DecodedImage):
        raise TypeError("The image is too large to be compared.")
    return plane.image.image


def compare(engine: Engine, image: NDArray[np.uint16]) -> list[str]:
    """One line of a Markdown table a kind."""
    plain = {
        data_bits: _segmented(engine, _opencv(".png")(pixels), {})
        for data_bits, pixels in (("16", image), ("8", eight_bits(image)))
    }
    lines = []
    for kind in tqdm(KINDS, unit="kind"):
        found = _segmented(engine, kind.write(image), kind.options)
        pixels = _pixels(found) if _pixels(found).ndim == 2 else _pixels(found)[..., 0]
        bits = "8" if pixels.dtype == np.uint8 else "16"
        same_pixels = np.array_equal(pixels, _pixels(plain[bits]))
        same_labels = np.array_equal(found.labels, plain[bits].labels)
        cells = [
            kind.name,
            kind.writer,
            ", ".join(f"{name}={value}" for name, value in kind.options.items()),
            f"{bits} bits",
            "identical" if same_pixels else f"{pixels.dtype}, others",
            str(found.count),
            "identical" if same_labels else f"IoU {pixel_scores(plain[bits].labels > 0, found.labels > 0).iou:.4f}",
            ", ".join(warning.code for warning in found.warnings),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Read the arguments, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, required=True, help="a grey TIFF of 16 bits")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    engine = Engine.load(options.model, "cpu", Limits(MAX_PIXELS))
    image = tifffile.imread(options.image)[:SIDE_PX, :SIDE_PX]
    lines = [
        f"Made by `{command_line('benchmarks.inputs', sys.argv[1:])}`: the upper left {SIDE_PX} x {SIDE_PX} pixels of "
        "the image, written in each kind and segmented, against the PNG of as many bits.",
        "",
        "| kind | written by | asked for | against | pixels | count | labels | warnings |",
        "|---|---|---|---|---|---|---|---|",
        *compare(engine, image),
    ]
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
