"""Stands in for the network where its quality does not matter."""

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.engine.engine import Engine, Limits
from app.engine.result import PlaneResult
from app.inference.load import Model
from app.inference.model_card import Architecture, Calibration, Data, ModelCard, Normalisation, Training
from app.inference.predictions import Predictions, Predictor
from app.options import SegmentationOptions

DIGEST = "0" * 64


class BrightIsNucleus(Predictor):
    """A predictor whose probability is the normalised brightness."""

    dtype = "float32"

    def predict(self, image: NDArray[np.float32]) -> Predictions:
        """The first channel."""
        return Predictions(np.ascontiguousarray(image[..., 0]))


def card(**changes: Any) -> ModelCard:
    """A card for it."""
    fields: dict[str, Any] = {
        "name": "fake",
        "version": "1",
        "created": date(2026, 1, 1),
        "architecture": Architecture(
            name="threshold", n_parameters=0, multiply_adds_per_megapixel=0, description="Brightness as probability."
        ),
        "normalisation": Normalisation(low_percentile=0, high_percentile=100),
        "calibration": Calibration(threshold=0.5, marker_depth=0.1, min_area_px=0),
        "data": Data(name="none", licence="CC0-1.0", sha256=DIGEST, splits_sha256=DIGEST, n_images={}),
        "training": Training(command="none", config={}, n_epochs=1, best_epoch=1),
        "sha256": DIGEST,
    }
    return ModelCard(**fields | changes)


def engine(predictor: Predictor | None = None, max_pixels: int = 1_000_000, **changes: Any) -> Engine:
    """A ready engine that needs no TensorFlow; `changes` are its card's."""
    return Engine(Model(predictor or BrightIsNucleus(), card(**changes)), Limits(max_pixels))


def segment(data: bytes, options: SegmentationOptions | None = None, **choices: Any) -> PlaneResult:
    """The one plane that such an engine makes of an image."""
    return engine(**choices).segment(data, options or SegmentationOptions()).planes[0]
