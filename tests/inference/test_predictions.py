import numpy as np
import pytest

from app.inference.predictions import Predictions, Predictor, place_content, predict_augmented


class Lopsided(Predictor):
    """A predictor that answers the image's first channel, and a distance only where asked to; counts its calls."""

    dtype = "float32"

    def __init__(self, *, with_distance: bool) -> None:
        self.with_distance = with_distance
        self.seen: list[np.ndarray] = []

    def predict(self, image: np.ndarray) -> Predictions:
        """Leans to the right and down, whatever the image: the mean over orientations must not."""
        self.seen.append(image)
        lean = np.add.outer(np.linspace(0, 0.1, image.shape[0]), np.linspace(0, 0.2, image.shape[1]))
        probability = (image[..., 0] / 2 + lean).astype(np.float32)
        return Predictions(probability, image[..., 1].copy() if self.with_distance else None)


@pytest.mark.parametrize("with_distance", [False, True])
def test_the_best_quality_is_the_mean_over_all_orientations(with_distance: bool) -> None:
    image = np.random.default_rng(0).random((5, 8, 3)).astype(np.float32)
    predictor = Lopsided(with_distance=with_distance)
    predictions = predict_augmented(predictor, image)
    np.testing.assert_allclose(predictions.probability, image[..., 0] / 2 + 0.15, atol=1e-6)
    assert (predictions.distance is not None) == with_distance
    if predictions.distance is not None:
        np.testing.assert_allclose(predictions.distance, image[..., 1], atol=1e-6)
    assert len({seen.tobytes() for seen in predictor.seen}) == 8


@pytest.mark.parametrize("with_distance", [False, True])
def test_there_is_nothing_outside_of_the_content(with_distance: bool) -> None:
    image = np.random.default_rng(0).random((9, 8, 3)).astype(np.float32)
    content = slice(2, 7), slice(0, 6)
    predictor = Lopsided(with_distance=with_distance)
    predictions = place_content(predictor.predict(image[content]), image.shape, content)
    np.testing.assert_array_equal(predictor.seen, [image[content]])
    alone = predictor.predict(image[content])
    for found, expected in zip(predictions[:2], alone[:2]):
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            np.testing.assert_array_equal(found[content], expected)
            assert found.sum() == pytest.approx(expected.sum())
            assert found.shape == (9, 8)
