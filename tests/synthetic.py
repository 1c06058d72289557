"""Small images whose nuclei are known."""

import io
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage


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


def dense(shape: tuple[int, int], spacing_px: float = 20, seed: int = 0) -> NDArray[np.int32]:
    """Label image of ellipses on a shaken grid, so close that most touch."""
    generator = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    middles = np.mgrid[spacing_px / 2 : shape[0] : spacing_px, spacing_px / 2 : shape[1] : spacing_px].reshape(2, -1).T
    for number, middle in enumerate(middles + generator.normal(0, spacing_px / 8, middles.shape), start=1):
        angle, ratio = generator.uniform(0, np.pi), generator.uniform(1, 1.4)
        down, right = rows - middle[0], columns - middle[1]
        along, across = down * np.cos(angle) + right * np.sin(angle), right * np.cos(angle) - down * np.sin(angle)
        inside = along**2 / ratio + across**2 * ratio <= (spacing_px / 2) ** 2
        labels[inside & (labels == 0)] = number
    return labels


def brightfield(labels: NDArray[np.int32], seed: int = 0) -> NDArray[np.uint8]:
    """A colour image of stained nuclei: violet on nearly white, a little blurred, with noise; `(H, W, 3)`."""
    generator = np.random.default_rng(seed)
    stain = generator.uniform(0.6, 1, labels.max() + 1)[labels] * (labels > 0)
    stain = ndimage.gaussian_filter(stain, 1)[..., np.newaxis]
    # What a full stain lets through of red, green and blue.
    light = 235 * (np.array([0.4, 0.25, 0.6]) ** stain) + generator.normal(0, 4, (*labels.shape, 3))
    shown: NDArray[np.uint8] = np.clip(light, 0, 255).astype(np.uint8)
    return shown


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
