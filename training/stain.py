"""Variation of stained tissue: other laboratories' dyes, thickness and scanners."""

import numpy as np
from numpy.typing import NDArray

# Optical densities in red, green and blue of haematoxylin and eosin (Ruifrok & Johnston 2001), and of what is neither.
_HAEMATOXYLIN, _EOSIN = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11)
_DYES = np.array([_HAEMATOXYLIN, _EOSIN, np.cross(_HAEMATOXYLIN, _EOSIN)])
_DYES = (_DYES / np.linalg.norm(_DYES, axis=1, keepdims=True)).astype(np.float32)
_DARKEST = np.float32(1 / 255)
_STRENGTHS, _SHIFTS = (0.6, 1.6), (-0.05, 0.1)
_GAMMA_DEVIATION = 0.15
_CROSSTALK = 0.05
_CASTS = (0.85, 1.1)


def restain(image: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Scale and shift the densities of haematoxylin, eosin and the rest of an image `(H, W, 3)` in [0, 1], then gamma.

    Density is the negative logarithm of light, in which dyes add up (Ruifrok & Johnston 2001).
    """
    dyes = -np.log(np.maximum(image, _DARKEST)) @ np.linalg.inv(_DYES)
    dyes = dyes * generator.uniform(*_STRENGTHS, 3).astype(np.float32)
    dyes += generator.uniform(*_SHIFTS, 3).astype(np.float32)
    gamma = np.exp(generator.normal(0, _GAMMA_DEVIATION, 3)).astype(np.float32)
    restained: NDArray[np.float32] = np.exp(-np.maximum(dyes @ _DYES, 0) * gamma)
    return restained


def rescan(image: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """The colours of another scanner: its sensor's channels see a little of each other's light, white has a cast."""
    seen = np.eye(3) + generator.normal(0, _CROSSTALK, (3, 3)) * (1 - np.eye(3))
    seen = seen / seen.sum(axis=0) * generator.uniform(*_CASTS, 3)
    rescanned: NDArray[np.float32] = np.clip(image @ seen.astype(np.float32), 0, 1)
    return rescanned
