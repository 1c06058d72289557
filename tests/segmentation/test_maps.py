import numpy as np
import pytest

from app.segmentation.maps import Maps, Predictor, predict_best


class Lopsided(Predictor):
    """A predictor that answers the image's first channel, and a distance only where asked to; counts its calls."""

    dtype = "float32"

    def __init__(self, *, with_distance: bool) -> None:
        self.with_distance = with_distance
        self.seen: list[np.ndarray] = []

    def predict(self, image: np.ndarray) -> Maps:
        """Leans to the right and down, whatever the image: the mean over orientations must not."""
        self.seen.append(image)
        lean = np.add.outer(np.linspace(0, 0.1, image.shape[0]), np.linspace(0, 0.2, image.shape[1]))
        probability = (image[..., 0] / 2 + lean).astype(np.float32)
        return Maps(probability, image[..., 1].copy() if self.with_distance else None)


@pytest.mark.parametrize("with_distance", [False, True])
def test_the_best_quality_is_the_mean_over_all_orientations(with_distance: bool) -> None:
    image = np.random.default_rng(0).random((5, 8, 3)).astype(np.float32)
    predictor = Lopsided(with_distance=with_distance)
    maps = predict_best(predictor, image)
    np.testing.assert_allclose(maps.probability, image[..., 0] / 2 + 0.15, atol=1e-6)
    assert (maps.distance is not None) == with_distance
    if maps.distance is not None:
        np.testing.assert_allclose(maps.distance, image[..., 1], atol=1e-6)
    assert len({seen.tobytes() for seen in predictor.seen}) == 8
