"""What a network says of an image, and what the pipeline needs of a network."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

# In which `predict_best` looks at an image.
N_ORIENTATIONS = 8


class Maps(NamedTuple):
    """What a network says of each pixel, float32 `(H, W)` in [0, 1].

    Attributes
    ----------
    probability
        That the pixel belongs to a nucleus.
    distance
        Inner distance: 0 on a nucleus's outline, 1 in its middle; None of a network that does not part neighbours.
    unlikeness
        One number: how far the image lies from those that the network was trained on; None where it does not say.
    """

    probability: NDArray[np.float32]
    distance: NDArray[np.float32] | None = None
    unlikeness: float | None = None


class Predictor(Protocol):
    """What the pipeline needs of a network.

    Attributes
    ----------
    dtype
        In what numbers it computes, as NumPy names them.
    """

    dtype: str

    def predict(self, image: NDArray[np.float32]) -> Maps:
        """The maps of a normalised image `(H, W, 3)`."""
        ...

    def rest(self) -> None:
        """Let go of what the last image needed; asked where no other has come for a while."""
        return


def predict_best(predictor: Predictor, image: NDArray[np.float32]) -> Maps:
    """The mean of what is said of an image `(H, W, 3)` in its eight orientations: as it is, turned, mirrored, both."""
    answers = [_predict_turned(predictor, image, n, mirrored) for n in range(4) for mirrored in (False, True)]
    distances = [maps.distance for maps in answers if maps.distance is not None]
    unlikenesses = [maps.unlikeness for maps in answers if maps.unlikeness is not None]
    return Maps(
        np.mean([maps.probability for maps in answers], axis=0),
        np.mean(distances, axis=0) if distances else None,
        float(np.mean(unlikenesses)) if unlikenesses else None,
    )


def _predict_turned(predictor: Predictor, image: NDArray[np.float32], n_turns: int, mirrored: bool) -> Maps:
    """Turn and mirror the image, predict, and turn and mirror the maps back."""
    turned = np.rot90(image[:, ::-1] if mirrored else image, n_turns)
    maps = predictor.predict(np.ascontiguousarray(turned))

    def back(map_: NDArray[np.float32]) -> NDArray[np.float32]:
        upright = np.rot90(map_, -n_turns)
        return upright[:, ::-1] if mirrored else upright

    return Maps(back(maps.probability), None if maps.distance is None else back(maps.distance), maps.unlikeness)
