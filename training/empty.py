"""Images without nuclei, on which a network should find nothing."""

import string

import cv2
import numpy as np
from numpy.typing import NDArray

from app.inference.normalise import normalise
from training.config import PERCENTILES

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_SMALLEST_BLUR_PX, _LARGEST_BLUR_PX = 0.3, 6.0


def empty_image(size_px: tuple[int, int], generator: np.random.Generator) -> NDArray[np.float32]:
    """Noise or text, `(*size_px, 3)` in [0, 1], normalised as images are."""
    image = _noise(size_px, generator) if generator.random() < 0.5 else _text(size_px, generator)
    return normalise(image, *PERCENTILES)


def _noise(size_px: tuple[int, int], generator: np.random.Generator) -> NDArray[np.float32]:
    """From single pixels to blotches, grey or coloured."""
    noise = generator.standard_normal((*size_px, int(generator.choice((1, 3)))), np.float32)
    blur_px = generator.uniform(0, _LARGEST_BLUR_PX) * generator.integers(2)
    if blur_px > _SMALLEST_BLUR_PX:
        # OpenCV drops a single channel's axis.
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), blur_px), np.float32).reshape(noise.shape)
    return np.broadcast_to(noise, (*size_px, 3))


def _text(size_px: tuple[int, int], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Lines of letters, dark on bright or bright on dark."""
    page = np.full(size_px, 255, np.uint8)
    scale, font = generator.uniform(0.3, 1.2), int(generator.choice(_FONTS))
    pitch_px = round(scale * generator.uniform(28, 45))
    letters = list(string.ascii_letters + string.digits + 5 * " ")
    for baseline in range(int(generator.integers(pitch_px)), size_px[0] + pitch_px, pitch_px):
        line = "".join(generator.choice(letters, 80))
        cv2.putText(page, line, (-10, baseline), font, scale, 0, int(generator.integers(1, 3)), cv2.LINE_AA)
    return 255 - page if generator.random() < 0.3 else page
