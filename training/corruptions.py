"""What a network was not trained on: annotated images made hard (Hendrycks & Dietterich 2019, arXiv:1903.12261)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from training.stain import DYES, dyes_of

# Whole numbers that 0 and 1 become: a camera's of a grey image, a file's of a colour one.
_GREY_RANGE, _COLOUR_RANGE = (500, 40_500), (0, 255)
_SIDE_PX = 256
# Enlarged crops are of about so many pixels a side, since nothing is learned from the same nuclei at more places.
_ENLARGED_PX = 640


class Annotated(NamedTuple):
    """An image float32 `(H, W)` or, in colour, `(H, W, 3)`, about [0, 1], and its true nuclei int32 `(H, W)`, 1..N."""

    image: NDArray[np.float32]
    truth: NDArray[np.int32]

    @property
    def diameter_px(self) -> float:
        """Of a typical nucleus."""
        return float(np.sqrt(np.median(np.bincount(self.truth.ravel())[1:]) * 4 / np.pi))


Corruption = Callable[[Annotated, np.random.Generator], Annotated]


def corrupt(
    image: NDArray[Any], truth: NDArray[np.int32], corruption: str, generator: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """A crop of an image, made hard, as a file would hold it: grey uint16, colour uint8.

    Parameters
    ----------
    image
        `(H, W)` or `(H, W, 3)`.
    truth
        int32 `(H, W)`: 0 is background, nuclei are 1..N.
    corruption
        One of `corruptions_of` this image.

    Returns
    -------
    tuple of ndarray
        The image, and its true nuclei; where the crop holds none, there are none to be made hard, and it is as it was.
    """
    window = _crop(truth.shape, _CROPS_PX.get(corruption, _SIDE_PX), generator)
    crop = Annotated(_light(image)[window], _numbered(truth[window]))
    if crop.truth.any():
        crop = _ALL[corruption](crop, generator)
    low, high = _GREY_RANGE if crop.image.ndim == 2 else _COLOUR_RANGE
    written = np.clip(np.rint(low + crop.image * (high - low)), 0, 255 if crop.image.ndim == 3 else 2**16 - 1)
    return written.astype(np.uint8 if crop.image.ndim == 3 else np.uint16), crop.truth


def corruptions_of(image: NDArray[Any]) -> list[str]:
    """Those that make sense of an image, grey `(H, W)` or colour `(H, W, 3)`."""
    return [*_ANY, *(_GREY if image.ndim == 2 else _COLOUR)]


def _crop(size_px: tuple[int, ...], side_px: int, generator: np.random.Generator) -> tuple[slice, slice]:
    row, column = (int(generator.integers(max(1, length - side_px + 1))) for length in size_px)
    return slice(row, row + side_px), slice(column, column + side_px)


def _light(image: NDArray[Any]) -> NDArray[np.float32]:
    if image.ndim == 3:
        return np.asarray(np.divide(image, np.iinfo(image.dtype).max, dtype=np.float32))
    low, high = np.percentile(image, (0.5, 99.8))
    return np.asarray(np.clip((image.astype(np.float32) - low) / max(high - low, 1), 0, 1.5), np.float32)


def _numbered(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Labels 1..N of those that are there."""
    is_there = np.bincount(labels.ravel()) > 0
    is_there[0] = False
    numbers: NDArray[np.int32] = np.cumsum(is_there, dtype=np.int32) * is_there
    return numbers.take(labels)


def _resized(times: float, annotated: Annotated, _: np.random.Generator) -> Annotated:
    height, width = (max(1, round(length * times)) for length in annotated.truth.shape)
    how = cv2.INTER_CUBIC if times > 1 else cv2.INTER_AREA
    nearest = np.asarray(cv2.resize(annotated.truth, (width, height), interpolation=cv2.INTER_NEAREST), np.int32)
    resized = np.asarray(cv2.resize(annotated.image, (width, height), interpolation=how), np.float32)
    return Annotated(resized, _numbered(nearest))


def _blurred(diameters: float, annotated: Annotated, _: np.random.Generator) -> Annotated:
    sigma_px = max(0.5, diameters * annotated.diameter_px)
    return annotated._replace(image=np.asarray(cv2.GaussianBlur(annotated.image, (0, 0), sigma_px), np.float32))


def _noisy(deviation: float, annotated: Annotated, generator: np.random.Generator) -> Annotated:
    noise = generator.standard_normal(annotated.image.shape, np.float32)
    return annotated._replace(image=annotated.image + np.float32(deviation) * noise)


def _inverted(annotated: Annotated, _: np.random.Generator) -> Annotated:
    return annotated._replace(image=1 - annotated.image)


def _coded(annotated: Annotated, _: np.random.Generator) -> Annotated:
    pixels = (np.clip(annotated.image, 0, 1) * 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 8])[1]
    decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED), np.float32)
    return annotated._replace(image=decoded / np.float32(255))


def _texture(annotated: Annotated, diameters: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Blotches of a deviation of 1."""
    noise = generator.standard_normal(annotated.truth.shape, np.float32)
    blotches = cv2.GaussianBlur(noise, (0, 0), diameters * annotated.diameter_px)
    return np.asarray(blotches / blotches.std(), np.float32)


def _brightfield(annotated: Annotated, generator: np.random.Generator) -> Annotated:
    """Unstained: outlines dark and bright, little inside."""
    edges = annotated.image - cv2.GaussianBlur(annotated.image, (0, 0), 0.12 * annotated.diameter_px)
    texture = _texture(annotated, 0.25, generator)
    return annotated._replace(image=0.7 - 0.5 * edges - 0.1 * annotated.image + 0.03 * texture)


def _crowded(n_layers: int, annotated: Annotated, _: np.random.Generator) -> Annotated:
    """Nuclei above nuclei, as in thick tissue; each is a true one as long as something of it is on top."""
    image, truth = annotated.image.copy(), annotated.truth.copy()
    for axes in ((0,), (1,), (0, 1))[: n_layers - 1]:
        image = np.maximum(image, np.flip(annotated.image, axes))
        above = np.flip(annotated.truth, axes)
        truth = np.where(above > 0, above + truth.max(), truth)
    return Annotated(image, _numbered(truth))


def _hazy(annotated: Annotated, generator: np.random.Generator) -> Annotated:
    """Light from other planes, and bright blotches as wide as nuclei."""
    blotches = np.maximum(_texture(annotated, 0.4, generator), 0)
    scattered = cv2.GaussianBlur(annotated.image, (0, 0), annotated.diameter_px)
    return annotated._replace(image=0.5 * annotated.image + 0.25 * blotches + 0.5 * scattered)


def _unequal(annotated: Annotated, generator: np.random.Generator) -> Annotated:
    """Dim nuclei beside bright ones."""
    brightness = np.exp(generator.normal(0, 1.5, annotated.truth.max() + 1)).astype(np.float32)
    brightness[0] = 1
    return annotated._replace(image=annotated.image * cv2.GaussianBlur(brightness[annotated.truth], (0, 0), 1))


def _cytoplasm(annotated: Annotated, _: np.random.Generator) -> Annotated:
    """A stain of what is around the nuclei, which stay dark."""
    mask = (annotated.truth > 0).astype(np.float32)
    around = np.clip(1.5 * cv2.GaussianBlur(mask, (0, 0), 0.5 * annotated.diameter_px) - mask, 0, 1)
    return annotated._replace(image=around + np.float32(0.1) * annotated.image)


def _restained(annotated: Annotated, generator: np.random.Generator) -> Annotated:
    """Dyes four times as strong to a quarter, far beyond what training varies."""
    dyes = dyes_of(annotated.image) * np.exp(generator.uniform(-np.log(4), np.log(4), 3)).astype(np.float32)
    dyes += generator.uniform(-0.1, 0.2, 3).astype(np.float32)
    return annotated._replace(image=np.exp(-np.maximum(dyes @ DYES, 0)))


def _other_hue(annotated: Annotated, _: np.random.Generator) -> Annotated:
    return annotated._replace(image=np.ascontiguousarray(annotated.image[..., [1, 2, 0]]))


def _as_grey(annotated: Annotated, _: np.random.Generator) -> Annotated:
    return annotated._replace(image=annotated.image.mean(axis=2))


def _as_dark(annotated: Annotated, _: np.random.Generator) -> Annotated:
    return annotated._replace(image=1 - annotated.image.mean(axis=2))


_ANY: Mapping[str, Corruption] = {
    "enlarged 4 times": partial(_resized, 4),
    "enlarged 8 times": partial(_resized, 8),
    "shrunk to 0.4": partial(_resized, 0.4),
    "shrunk to 0.25": partial(_resized, 0.25),
    "blurred": partial(_blurred, 0.15),
    "blurred much": partial(_blurred, 0.35),
    "noisy": partial(_noisy, 0.2),
    "very noisy": partial(_noisy, 0.6),
    "inverted": _inverted,
    "coded": _coded,
}
_GREY: Mapping[str, Corruption] = {
    "brightfield": _brightfield,
    "two layers": partial(_crowded, 2),
    "four layers": partial(_crowded, 4),
    "hazy": _hazy,
    "unequal": _unequal,
    "cytoplasm": _cytoplasm,
}
_COLOUR: Mapping[str, Corruption] = {
    "restained": _restained,
    "other hue": _other_hue,
    "grey": _as_grey,
    "dark": _as_dark,
}
_ALL = {**_ANY, **_GREY, **_COLOUR}
# What an image is cropped to, where it is enlarged or shrunk afterwards.
_CROPS_PX = {
    "enlarged 4 times": _ENLARGED_PX // 4,
    "enlarged 8 times": _ENLARGED_PX // 8,
    "shrunk to 0.4": 2 * _SIDE_PX,
    "shrunk to 0.25": 3 * _SIDE_PX,
}
