"""Small images whose nuclei are known."""

import io
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image


def discs(shape: tuple[int, int], *circles: tuple[float, float, float]) -> NDArray[np.int32]:
    """Label image with one disc for each (row, column, radius); later discs lie below earlier ones."""
    rows, columns = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    for number, (row, column, radius) in enumerate(circles, start=1):
        inside = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        labels[inside & (labels == 0)] = number
    return labels


def picture(labels: NDArray[np.int32], dtype: type[np.unsignedinteger[Any]] = np.uint8) -> NDArray[Any]:
    """A fluorescence image of the nuclei: bright on black."""
    bright = 200 if dtype is np.uint8 else 40_000
    return np.where(labels > 0, bright, 0).astype(dtype)


def png(image: NDArray[Any]) -> bytes:
    """The image as a PNG file."""
    return _saved(image, "PNG")


def jpeg(image: NDArray[Any]) -> bytes:
    """The image as a JPEG file."""
    return _saved(image, "JPEG")


def tiff(image: NDArray[Any], **options: Any) -> bytes:
    """The image as a TIFF file; options are tifffile's."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, **options)
    return buffer.getvalue()


def _saved(image: NDArray[Any], file_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, file_format)
    return buffer.getvalue()
