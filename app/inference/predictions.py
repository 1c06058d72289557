"""What a network says of an image, and what the pipeline needs of a network."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

# In which `predict_augmented` looks at an image.
N_ORIENTATIONS = 8


class Predictions(NamedTuple):
    """What a network says of each pixel, float32 `(H, W)` in [0, 1].

    Attributes
    ----------
    probability
        That the pixel belongs to a nucleus.
    distance
        Inner distance: 0 on a nucleus's outline, 1 in its middle; None of a network that does not separate neighbours.
    ood_score
        One number: how far the image lies from those that the network was trained on; None where it does not say.
    """

    probability: NDArray[np.float32]
    distance: NDArray[np.float32] | None = None
    ood_score: float | None = None


class Predictor(Protocol):
    """What the pipeline needs of a network.

    Attributes
    ----------
    dtype
        In what numbers it computes, as NumPy names them.
    """

    dtype: str

    def predict(self, image: NDArray[np.float32]) -> Predictions:
        """The predictions of a normalised image `(H, W, 3)`."""
        ...

    def beside(self) -> "Predictor":
        """One of the same network that can work at the same time; itself where there is one device for all."""
        return self

    def release_memory(self) -> None:
        """Let go of what the last image needed; asked where no other has come for a while."""
        return


def place_content(predictions: Predictions, size_px: tuple[int, ...], content: tuple[slice, slice]) -> Predictions:
    """The predictions of an image `(H, W)` by those of its content; there is nothing outside."""

    def placed(values: NDArray[np.float32]) -> NDArray[np.float32]:
        if values.shape == size_px[:2]:
            return values
        canvas = np.zeros(size_px[:2], np.float32)
        canvas[content] = values
        return canvas

    distance = None if predictions.distance is None else placed(predictions.distance)
    return predictions._replace(probability=placed(predictions.probability), distance=distance)


def predict_augmented(predictor: Predictor, image: NDArray[np.float32]) -> Predictions:
    """The mean of what is said of an image `(H, W, 3)` in its eight orientations: as it is, turned, mirrored, both."""
    turns = [(n_turns, mirrored) for n_turns in range(4) for mirrored in (False, True)]
    mean = _predict_turned(predictor, image, *turns[0])
    # Added one by one: all of them together would be eight times as large.
    for n_seen, turn in enumerate(turns[1:], start=2):
        answer = _predict_turned(predictor, image, *turn)
        mean = Predictions(
            _updated(mean.probability, answer.probability, n_seen),
            None if mean.distance is None else _updated(mean.distance, answer.distance, n_seen),
            None if mean.ood_score is None else _updated(mean.ood_score, answer.ood_score, n_seen),
        )
    return mean


def _updated(mean: Any, value: Any, n_seen: int) -> Any:
    """The mean of `n_seen` values, of which that of all others is known."""
    return mean + (value - mean) / n_seen


def _predict_turned(predictor: Predictor, image: NDArray[np.float32], n_turns: int, mirrored: bool) -> Predictions:
    """Turn and mirror the image, predict, and turn and mirror the predictions back."""
    turned = np.rot90(image[:, ::-1] if mirrored else image, n_turns)
    predictions = predictor.predict(np.ascontiguousarray(turned))

    def back(map_: NDArray[np.float32]) -> NDArray[np.float32]:
        upright = np.rot90(map_, -n_turns)
        return upright[:, ::-1] if mirrored else upright

    return Predictions(
        back(predictions.probability),
        None if predictions.distance is None else back(predictions.distance),
        predictions.ood_score,
    )
