"""What microscopes, cameras and stitching programs do to the light of a field."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint16]
FULL = np.iinfo(np.uint16).max


class Field(NamedTuple):
    """An annotated image: `image` uint16 `(H, W)`, `truth` int32 `(H, W)`; `seed` of all that is random."""

    image: Image
    truth: NDArray[np.int32]
    seed: int


class Disturbed(NamedTuple):
    """An image `(h, w)`, where of it the field lies, and what of the field is covered, bool `(H, W)`."""

    image: Image
    place: tuple[slice, slice]
    covered: NDArray[np.bool_]


Disturbance = Callable[[Field], Disturbed]


def _in_place(image: NDArray[Any], covered: NDArray[np.bool_] | None = None) -> Disturbed:
    whole = slice(0, image.shape[0]), slice(0, image.shape[1])
    changed = np.clip(np.rint(image), 0, FULL).astype(np.uint16)
    return Disturbed(changed, whole, np.zeros(image.shape, bool) if covered is None else covered)


def frame(value: int, width_px: int, field: Field) -> Disturbed:
    """A border on all sides, as a stitcher adds it."""
    place = tuple(slice(width_px, width_px + length) for length in field.image.shape)
    image = np.pad(field.image, width_px, constant_values=value)
    return Disturbed(image, (place[0], place[1]), np.zeros(field.image.shape, bool))


def half(value: int, field: Field) -> Disturbed:
    """A canvas of twice the width, of which one half was never imaged."""
    height, width = field.image.shape
    image = np.pad(field.image, ((0, 0), (0, width)), constant_values=value)
    return Disturbed(image, (slice(0, height), slice(0, width)), np.zeros(field.image.shape, bool))


def corner(value: int, field: Field) -> Disturbed:
    """One tile of a mosaic of 2 x 2 is missing."""
    covered = np.zeros(field.image.shape, bool)
    covered[field.image.shape[0] // 2 :, field.image.shape[1] // 2 :] = True
    return _in_place(np.where(covered, value, field.image), covered)


def turned(value: int, field: Field) -> Disturbed:
    """The corners that a registration by 10 degrees leaves empty."""
    height, width = field.image.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 10, 1)
    covered = cv2.warpAffine(np.ones((height, width), np.uint8), turn, (width, height), flags=cv2.INTER_NEAREST) == 0
    return _in_place(np.where(covered, value, field.image), covered)


def clump(part: float, times: float, field: Field) -> Disturbed:
    """A clump of dye that covers a part of the area, so many times as bright as the brightest nuclei."""
    generator = np.random.default_rng(field.seed)
    height, width = field.image.shape
    rows, columns = np.indices((height, width))
    radius = np.sqrt(part * height * width / np.pi)
    row, column = generator.uniform(0.2, 0.8) * height, generator.uniform(0.2, 0.8) * width
    distance = np.hypot(rows - row, columns - column)
    texture = cv2.GaussianBlur(generator.normal(0, 1, (height, width)), (0, 0), 2)
    bright = (1 + 0.2 * texture / texture.std()) / (1 + np.exp(distance - radius))
    low, high = np.percentile(field.image, (1, 99.8))
    return _in_place(field.image + bright * times * (high - low), distance < radius + 4)


def hot_pixels(part: float, field: Field) -> Disturbed:
    """Pixels of the camera that are always full."""
    generator = np.random.default_rng(field.seed)
    return _in_place(np.where(generator.random(field.image.shape) < part, FULL, field.image))


def bright_nucleus(times: float, field: Field) -> Disturbed:
    """One nucleus, of average size, that is so many times as bright above the background."""
    areas = np.bincount(field.truth.ravel())
    areas[0] = 0
    numbers = np.flatnonzero(areas)
    chosen = numbers[np.argsort(areas[numbers])[numbers.size // 2]]
    inside = cv2.GaussianBlur((field.truth == chosen).astype(np.float64), (0, 0), 1)
    background = np.median(field.image[field.truth == 0])
    excess = np.maximum(field.image - background, 0)
    return _in_place(field.image + (times - 1) * inside * excess)


def uneven(darkest: float, field: Field) -> Disturbed:
    """Light that falls from 1 on the left to a part on the right; the camera's own offset does not."""
    light = np.linspace(1, darkest, field.image.shape[1])
    offset = np.percentile(field.image, 0.1)
    return _in_place(offset + (field.image - offset) * light)


def offset(value: int, field: Field) -> Disturbed:
    """The camera's offset."""
    return _in_place(field.image + float(value))


DISTURBANCES: Mapping[str, Disturbance] = {
    "none": partial(offset, 0),
    "border of 0": partial(frame, 0, 50),
    "white border": partial(frame, FULL, 50),
    "half of 0": partial(half, 0),
    "white half": partial(half, FULL),
    "missing tile of 0": partial(corner, 0),
    "white missing tile": partial(corner, FULL),
    "turned, corners of 0": partial(turned, 0),
    "turned, white corners": partial(turned, FULL),
    **{
        f"clump of {part:.1%}, {times} times as bright": partial(clump, part, times)
        for part in (0.002, 0.005, 0.01, 0.02, 0.03)
        for times in (3, 20)
    },
    **{f"{part:.1%} hot pixels": partial(hot_pixels, part) for part in (0.002, 0.005, 0.01, 0.03)},
    **{f"one nucleus {times} times as bright": partial(bright_nucleus, times) for times in (3, 5, 10, 20)},
    "uneven light, 1 : 4": partial(uneven, 0.25),
    **{f"offset of {value}": partial(offset, value) for value in (400, 5000)},
}
