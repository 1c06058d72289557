"""Variation of fluorescence's light: unequal nuclei, uneven lamps, debris, stitched borders, cameras."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.targets import FOREGROUND, WEIGHT

_PART_UNEQUAL, _PART_UNEVEN, _PART_DEBRIS, _PART_OFFSET, _PART_BORDER, _PART_UNFIT = 0.5, 0.3, 0.25, 0.15, 0.1, 0.2
# Of the logarithm of nuclei's brightness, at most.
_LARGEST_DEVIATION = 0.9
_BRIGHTEST = (2.0, 20.0)
_DARKEST_CORNER = 0.25
_DEBRIS_AREAS = (0.001, 0.04)
# So much that debris does not pass for a nucleus: of the logarithm of a flake's radii.
_JAGGEDNESS = 0.45
_WIDEST_BORDER_PX = 60
_LARGEST_OFFSET = 0.3
_WHITE_PERCENTILE = 99.8
_WRONG_WHITES = (0.5, 6.0)


def relight(
    image: NDArray[np.float32], target: NDArray[np.float32], generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bright nuclei on dark as another microscope would have shown them.

    What makes something brighter than all else also makes the normalisation leave less for the rest: the new white is
    anything from the old one to the brightest that there is, so that dim nuclei beside bright ones are learned.

    Parameters
    ----------
    image
        `(H, W, 3)` in [0, 1], three equal channels.
    target
        `(H, W, 5)` in [0, 1]; see `training.targets.instance_targets`.

    Returns
    -------
    tuple of ndarray
        The image `(H, W, 3)` in [0, 1], and the target, in which nothing is learned of nuclei that debris covers, and
        borders are background.
    """

    def happens(probability: float) -> bool:
        return bool(generator.random() < probability)

    light = image[..., 0]
    if happens(_PART_UNEQUAL):
        light = light * _brightness(target[..., FOREGROUND], generator)
    if happens(_PART_UNEVEN):
        light = light * lamp(light.shape, generator)
    if happens(_PART_DEBRIS):
        light, target = _add_debris(light, target, generator)
    if happens(_PART_OFFSET):
        light = light + np.float32(generator.uniform(0, _LARGEST_OFFSET))
    if happens(_PART_BORDER):
        light, target = _add_border(light, target, generator)
    brightest = max(1, float(np.percentile(light, _WHITE_PERCENTILE)))
    white = brightest ** generator.uniform(0, 1)
    if happens(_PART_UNFIT):
        # The rest of the image decides, not this crop.
        white = np.exp(generator.uniform(*np.log(_WRONG_WHITES)))
    light = np.clip(light / np.float32(white), 0, 1)
    return np.repeat(light[..., np.newaxis], 3, axis=2), target


def _brightness(foreground: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """A factor a pixel: each nucleus or clump of them has its own, one of them sometimes far more than the others."""
    n_parts, parts = cv2.connectedComponents((foreground > 0.5).astype(np.uint8))
    factors = np.exp(generator.normal(0, generator.uniform(0, _LARGEST_DEVIATION), n_parts))
    if n_parts > 1 and generator.random() < 0.4:
        factors[generator.integers(1, n_parts)] *= np.exp(generator.uniform(*np.log(_BRIGHTEST)))
    factors[0] = 1
    # The optics spread the light over outlines.
    return np.asarray(cv2.GaussianBlur(factors.astype(np.float32)[parts], (0, 0), 1), np.float32)


def lamp(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float32]:
    """Uneven illumination, `shape`, at most 1 and at least a quarter."""
    darkest = generator.uniform(_DARKEST_CORNER, 1)
    coarse = generator.uniform(darkest, 1, (3, 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _add_debris(
    light: NDArray[np.float32], target: NDArray[np.float32], generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A fibre, a jagged flake, or something bright far out of focus."""
    height, width = light.shape
    mark = np.zeros((height, width), np.uint8)
    centre = generator.uniform(0, (width, height))
    radius = np.sqrt(height * width * np.exp(generator.uniform(*np.log(_DEBRIS_AREAS))) / np.pi)
    kind = generator.integers(3)
    if kind == 0:
        steps = np.cumsum(generator.normal(0, 2, (12, 2)), axis=0) * radius / 4
        points = (centre + steps).astype(np.int32)
        cv2.polylines(mark, [points], False, 1, int(generator.integers(1, 5)), cv2.LINE_8)
    else:
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radii = radius * np.exp(generator.normal(0, _JAGGEDNESS, 24))
        points = (centre + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, np.newaxis]).astype(np.int32)
        cv2.fillPoly(mark, [points], 1)
    blur_px = radius / 2 if kind == 2 else generator.uniform(0.5, 2)
    shape = cv2.GaussianBlur(mark.astype(np.float32), (0, 0), blur_px)
    gleam = np.float32(np.exp(generator.uniform(*np.log(_BRIGHTEST))))
    target = target.copy()
    target[..., WEIGHT][(gleam * shape > 0.3) & (target[..., FOREGROUND] > 0)] = 0
    return light + gleam * shape, target


def _add_border(
    light: NDArray[np.float32], target: NDArray[np.float32], generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The black or white edge of a stitched picture."""
    width_px = int(generator.integers(2, min(_WIDEST_BORDER_PX, min(light.shape) // 3)))
    turns = int(generator.integers(4))
    light, target = light.copy(), target.copy()
    value = np.float32(generator.integers(2) * generator.uniform(1, 3))
    np.rot90(light, turns)[:width_px] = value
    np.rot90(target, turns)[:width_px, :, :WEIGHT] = (0, 0, 0.5, 0.5)
    return light, target
