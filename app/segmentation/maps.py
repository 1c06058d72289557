"""What a network says of an image, and what the pipeline needs of a network."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Maps(NamedTuple):
    """What a network says of each pixel, float32 `(H, W)` in [0, 1].

    Attributes
    ----------
    probability
        That the pixel belongs to a nucleus.
    distance
        Inner distance: 0 on a nucleus's outline, 1 in its middle; None of a network that does not part neighbours.
    """

    probability: NDArray[np.float32]
    distance: NDArray[np.float32] | None = None


class Predictor(Protocol):
    """What the pipeline needs of a network."""

    def predict(self, image: NDArray[np.float32]) -> Maps:
        """The maps of a normalised image `(H, W, 3)`."""
        ...
