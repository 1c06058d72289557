"""Which runtime loads a model: LiteRT for the 8-bit network on a CPU, else TensorFlow, which is an optional extra."""

import logging
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import ModelError
from app.inference.model_card import Contract, ModelCard, read_model_card
from app.inference.normalise import Limits, limits_of, stretch
from app.inference.predictions import Predictions, Predictor, predict_augmented

logger = logging.getLogger(__name__)

# Larger images have a network of their own, so that smaller ones do not wait for it.
LARGE_PX = 8_000_000


@dataclass(frozen=True, eq=False)
class Model:
    """A network that is ready, and its card."""

    predictor: Predictor
    card: ModelCard

    @cached_property
    def large_predictor(self) -> Predictor:
        """The network for images of more than `LARGE_PX`."""
        return self.predictor.beside()

    def normalise(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """An image `(H, W)` or `(H, W, 3)` as the network wants it: float32 `(H, W, 3)` in [0, 1]."""
        return stretch(image, self.limits(image))

    def limits(self, image: NDArray[Any]) -> Limits:
        """Within which the network wants an image `(H, W)` or `(H, W, 3)`."""
        percentiles = self.card.normalisation
        return limits_of(image, percentiles.low_percentile, percentiles.high_percentile)

    def predict(self, image: NDArray[np.float32], quality: str = "fast") -> Predictions:
        """The network's predictions of a normalised image; with `best`, of its eight orientations."""
        is_large = image.shape[0] * image.shape[1] > LARGE_PX
        predictor = self.large_predictor if is_large else self.predictor
        return predict_augmented(predictor, image) if quality == "best" else predictor.predict(image)

    def release_memory(self) -> None:
        """Let go of what the last images needed."""
        self.predictor.release_memory()
        if self.large_predictor is not self.predictor:
            self.large_predictor.release_memory()


def load_model(folder: Path, device: str, n_threads: int | None = None) -> Model:
    """Check the model in `folder` against its card, load it onto the device and warm it up; see `load_predictor`."""
    card = read_model_card(folder)
    return Model(load_predictor(folder, card.contract, device, n_threads), card)


def load_predictor(folder: Path, contract: Contract, device: str, n_threads: int | None = None) -> Predictor:
    """The model in `folder` on a device: `auto` (the first GPU, else the CPU), `cpu`, or `gpu:N`.

    The 8-bit network computes on `n_threads` cores, on all if that is not given. TensorFlow, which takes seconds to
    import, runs it on a GPU, and on the CPU where there is no 8-bit network.

    Raises
    ------
    ModelError, DeviceError
        See `require_tensorflow`, `app.inference.savedmodel` and `app.inference.litert`.
    """
    if contract.quantised_name and _is_cpu(device):
        from app.inference.litert import QuantisedPredictor

        return QuantisedPredictor(folder / contract.quantised_name, contract, n_threads)
    if device.startswith("gpu"):
        require_tensorflow("A GPU", extra="gpu")
    require_tensorflow(f"The model in {folder}, which has no 8-bit network,", extra="savedmodel")
    from app.inference.savedmodel import SavedModelPredictor

    return SavedModelPredictor(folder, contract, device)


def require_tensorflow(what: str, extra: str) -> None:
    """Check that TensorFlow, which only extras bring, is installed; `what` needs it.

    Raises
    ------
    ModelError
        It is not; the message names the extra that brings it.
    """
    if not _has_tensorflow():
        raise ModelError(
            f"{what} needs TensorFlow, which is not installed: `pip install 'karyometer[{extra}]'`, "
            f"or `scripts/install {extra}` in a checkout."
        )


def _is_cpu(device: str) -> bool:
    if device == "auto" and _has_driver():
        if not _has_tensorflow():
            logger.warning("This machine has an NVIDIA driver, but the extra gpu is not installed: the CPU is used.")
            return True
        from app.inference.savedmodel import choose_device

        # It may have been installed without what a GPU takes.
        return choose_device(device) == "/CPU:0"
    return not device.startswith("gpu")


def _has_driver() -> bool:
    """Whether there is a driver of NVIDIA's, on Linux or below Windows; without it TensorFlow need not be asked."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def _has_tensorflow() -> bool:
    return find_spec("tensorflow") is not None
