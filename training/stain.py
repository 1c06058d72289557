"""Variation of stained tissue: other laboratories' dyes, thickness and scanners."""

import numpy as np
from numpy.typing import NDArray

# Optical densities in red, green and blue of haematoxylin and eosin (Ruifrok & Johnston 2001), and of what is neither.
_HAEMATOXYLIN, _EOSIN = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11)
_DENSITIES = np.array([_HAEMATOXYLIN, _EOSIN, np.cross(_HAEMATOXYLIN, _EOSIN)])
# One row a dye, of length 1.
DYES = (_DENSITIES / np.linalg.norm(_DENSITIES, axis=1, keepdims=True)).astype(np.float32)
_DARKEST = np.float32(1 / 255)
_STRENGTHS, _SHIFTS = (0.6, 1.6), (-0.05, 0.1)
_GAMMA_DEVIATION = 0.15
_CROSSTALK = 0.05
_CASTS = (0.85, 1.1)


def dyes_of(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of each of `DYES` there is in an image `(H, W, 3)` in [0, 1], of the same shape."""
    amounts: NDArray[np.float32] = -np.log(np.maximum(image, _DARKEST)) @ np.linalg.inv(DYES)
    return amounts


def restain(image: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Scale and shift the densities of haematoxylin, eosin and the rest of an image `(H, W, 3)` in [0, 1], then gamma.

    Density is the negative logarithm of light, in which dyes add up (Ruifrok & Johnston 2001).
    """
    dyes = dyes_of(image) * generator.uniform(*_STRENGTHS, 3).astype(np.float32)
    dyes += generator.uniform(*_SHIFTS, 3).astype(np.float32)
    gamma = np.exp(generator.normal(0, _GAMMA_DEVIATION, 3)).astype(np.float32)
    restained: NDArray[np.float32] = np.exp(-np.maximum(dyes @ DYES, 0) * gamma)
    return restained


def rescan(image: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """The colours of another scanner: its sensor's channels see a little of each other's light, white has a cast."""
    seen = np.eye(3) + generator.normal(0, _CROSSTALK, (3, 3)) * (1 - np.eye(3))
    seen = seen / seen.sum(axis=0) * generator.uniform(*_CASTS, 3)
    rescanned: NDArray[np.float32] = np.clip(image @ seen.astype(np.float32), 0, 1)
    return rescanned
