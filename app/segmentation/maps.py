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


def predict_best(predictor: Predictor, image: NDArray[np.float32]) -> Maps:
    """The mean of the maps of an image `(H, W, 3)` in its eight orientations: as it is, turned, mirrored, and both."""
    sums: list[NDArray[np.float32]] = []
    for n_turns in range(4):
        for mirrored in (False, True):
            turned = np.rot90(image[:, ::-1] if mirrored else image, n_turns)
            for index, map_ in enumerate(predictor.predict(np.ascontiguousarray(turned))):
                if map_ is None:
                    continue
                back = np.rot90(map_, -n_turns)
                back = back[:, ::-1] if mirrored else back
                if index == len(sums):
                    sums.append(np.zeros(image.shape[:2], np.float32))
                sums[index] += back / 8
    return Maps(*sums)
