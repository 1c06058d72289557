"""Normalised image to foreground probability on a CPU, in 8-bit whole numbers."""

import threading
from multiprocessing import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from app.errors import ModelError
from app.segmentation.maps import Maps, Predictor
from app.segmentation.model_card import Contract
from app.segmentation.tiling import BUCKET_PX, predict_tiled


class QuantisedPredictor(Predictor):
    """A LiteRT model on all cores, one image at a time.

    It holds the memory for images of one size, some 300 bytes a pixel, until it rests; another size costs about half an
    image's time more.

    Parameters
    ----------
    path
        What `training.quantise` wrote; `app.segmentation.model_card.read_model_card` has checked its bytes.
    contract
        The signature that the card promises.

    Raises
    ------
    ModelError
        LiteRT cannot load the file, or its signature is not the promised one.
    """

    dtype = "int8"

    def __init__(self, path: Path, contract: Contract) -> None:
        self._contract = contract
        self._lock = threading.Lock()
        try:
            # Of a path it would map the file, and die where that is replaced.
            self._model = path.read_bytes()
            self.rest()
            self.predict(np.zeros((BUCKET_PX, BUCKET_PX, 3), np.float32))
        except (OSError, ValueError, RuntimeError, KeyError) as exc:
            raise ModelError(f"LiteRT cannot use {path} as its model's card promises; export the model again.") from exc

    def predict(self, image: NDArray[np.float32]) -> Maps:
        """The maps of a normalised image `(H, W, 3)`, large ones tile by tile."""
        return predict_tiled(self._predict_tile, image, self._contract.reach_px or 0)

    def rest(self) -> None:
        """Start anew: sizes that become smaller free only a part of it."""
        interpreter = Interpreter(model_content=self._model, num_threads=cpu_count())
        call = interpreter.get_signature_runner(self._contract.signature)
        with self._lock:
            # The signature does not keep it alive.
            self._interpreter, self._call = interpreter, call

    def _predict_tile(self, image: NDArray[np.float32]) -> Maps:
        contract = self._contract
        with self._lock:
            answers: dict[str, NDArray[Any]] = self._call(**{contract.input_name: image[np.newaxis]})
        return Maps(
            probability=answers[contract.output_name][0, ..., 0],
            distance=answers[contract.distance_name][0, ..., 0] if contract.distance_name else None,
            unlikeness=float(answers[contract.unlikeness_name][0]) if contract.unlikeness_name else None,
        )
