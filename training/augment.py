"""Variation of an annotated image: what other microscopes, stains, magnifications and cameras would have shown."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.light import lamp, relight
from training.stain import rescan, restain
from training.targets import FOREGROUND, OFFSET

SCALES = (0.35, 6.0)
DIAMETERS_PX = (7.0, 120.0)
# Of the crops, those that hold the image's own pixels, since interpolation blurs, and those in which a nucleus is of
# any width in `DIAMETERS_PX`; the others come near their own size, by so much in the scale's logarithm.
_EXACT_PART, _ANY_SIZE_PART = 0.4, 0.25
_SCALE_DEVIATION = 0.3
_ELASTIC_SPACING_PX = 32
_ELASTIC_LARGEST_PX = 2.0
# Darker grey images show bright nuclei on dark.
_DARK_MEAN = 0.45


def warp(
    image: NDArray[np.uint16],
    target: NDArray[np.uint8],
    diameter_px: float,
    size_px: tuple[int, int],
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut a crop at a random place, mirrored and turned; some of them by quarters, the others scaled and bent too.

    Beyond the image's edge the image is mirrored, and nothing is learned: the target, its weight included, is 0.

    Parameters
    ----------
    image
        `(H, W, 3)`, 0 to 65,535.
    target
        `(H, W, 5)`, 0 to 255; see `training.targets.instance_targets`.
    diameter_px
        Typical nucleus; the scale is held where it stays within `DIAMETERS_PX`.
    size_px
        Height and width of the crop.

    Returns
    -------
    tuple of ndarray
        The crop of the image `(*size_px, 3)` and of the target `(*size_px, 5)`, both in [0, 1].
    """
    is_exact = generator.random() < _EXACT_PART
    if is_exact:
        scale, stretch, angle = 1.0, 1.0, float(generator.integers(4)) * np.pi / 2
    else:
        scale = _scale(diameter_px, generator)
        stretch = float(np.exp(generator.uniform(-0.15, 0.15)))
        angle = generator.uniform(0, 2 * np.pi)
    mirror = generator.choice((-1, 1))
    to_source = (
        np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        @ np.diag((mirror * stretch, 1 / stretch))
        / scale
    )
    # Where the crop's middle comes from: anywhere that keeps an unturned crop inside the image.
    centre = [
        generator.uniform(min(half, length / 2), max(length - half, length / 2)) - 0.5
        for length, half in zip(image.shape, np.divide(size_px, 2 * scale))
    ]
    rows, columns = np.indices(size_px, np.float32) - (np.array(size_px, np.float32) - 1).reshape(2, 1, 1) / 2
    if is_exact:
        centre = [np.floor(place) + (length - 1) % 2 / 2 for place, length in zip(centre, size_px)]
    else:
        rows, columns = (place + _bend(size_px, generator) for place in (rows, columns))
    source = [np.float32(centre[i] + to_source[i, 0] * rows + to_source[i, 1] * columns) for i in range(2)]
    blur_px = 0.4 / scale if scale < 1 else 0

    def cut(array: NDArray[Any], how: int, beyond: int) -> NDArray[np.float32]:
        found = cv2.remap(array, np.asarray(source[1]), np.asarray(source[0]), how, borderMode=beyond)
        return np.divide(found, np.iinfo(array.dtype).max, dtype=np.float32)

    cropped_target = cut(target, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    if scale > 1:
        # An outline stays one pixel wide.
        cropped_target[..., FOREGROUND] = np.clip((cropped_target[..., FOREGROUND] - 0.5) * scale + 0.5, 0, 1)
    # Offsets are directions, which turn and stretch with the image, but do not grow with it.
    from_source = np.linalg.inv(to_source) / scale
    directions = (2 * cropped_target[..., OFFSET] - 1) @ from_source.T
    cropped_target[..., OFFSET] = np.clip((directions + 1) / 2, 0, 1)
    sharp = cv2.GaussianBlur(image, (0, 0), blur_px) if blur_px else image
    return cut(sharp, cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC, cv2.BORDER_REFLECT), cropped_target


def _scale(diameter_px: float, generator: np.random.Generator) -> float:
    smallest, largest = SCALES
    if np.isfinite(diameter_px):
        smallest = max(smallest, min(1, DIAMETERS_PX[0] / diameter_px))
        largest = min(largest, max(1, DIAMETERS_PX[1] / diameter_px))
    if generator.random() < _ANY_SIZE_PART / (1 - _EXACT_PART):
        return float(np.exp(generator.uniform(*np.log((smallest, largest)))))
    return float(np.clip(np.exp(generator.normal(0, _SCALE_DEVIATION)), smallest, largest))


def _bend(size_px: tuple[int, int], generator: np.random.Generator) -> NDArray[np.float32]:
    coarse = generator.standard_normal([length // _ELASTIC_SPACING_PX + 2 for length in size_px]).astype(np.float32)
    bend = cv2.resize(coarse, size_px[::-1], interpolation=cv2.INTER_CUBIC)
    return bend * np.float32(generator.uniform(0, _ELASTIC_LARGEST_PX))


def vary(
    image: NDArray[np.float32], target: NDArray[np.float32], generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Change light or stain of an image `(H, W, 3)` in [0, 1], then brightness, contrast, focus, noise and coding.

    The target changes where light hides nuclei, see `training.light.relight`.
    """

    def happens(probability: float) -> bool:
        return bool(generator.random() < probability)

    is_grey = np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2])
    if is_grey and image[..., 0].mean() < _DARK_MEAN:
        if happens(0.6):
            image, target = relight(image, target, generator)
    elif happens(0.1):
        image = image * lamp(image.shape[:2], generator)[..., np.newaxis]
    if not is_grey:
        if happens(0.8):
            image = restain(image, generator)
        if happens(0.4):
            image = rescan(image, generator)
        if happens(0.08):
            image, is_grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2), True
    if happens(0.05):
        image = 1 - image
    if happens(0.3):
        image = image ** np.float32(2 ** generator.uniform(-1, 1))
    if happens(0.2):
        gain, offset = generator.uniform(0.6, 1.3), generator.uniform(-0.1, 0.1)
        image = np.clip((image - 0.5) * np.float32(gain) + np.float32(0.5 * gain + offset), 0, 1)
    if happens(0.12):
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), generator.uniform(0.5, 2.5)), np.float32)
    if happens(0.15):
        image = image + _noise(image[..., :1] if is_grey else image, generator)
    image = np.clip(image, 0, 1)
    if happens(0.08):
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(30, 95))]
        coded = cv2.imencode(".jpg", (image * 255).round().astype(np.uint8), quality)[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.float32) / np.float32(255)
    return image.astype(np.float32), target


def _noise(image: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Of the camera and of the light itself, as parts of the brightest light."""
    white = np.float32(image.max())
    read, shot = generator.uniform(0, 0.06, 2).astype(np.float32) * white
    deviation = np.sqrt(read**2 + shot**2 * np.maximum(image, 0) / max(white, np.float32(1e-6)))
    return np.asarray(generator.standard_normal(image.shape, np.float32) * deviation, np.float32)
