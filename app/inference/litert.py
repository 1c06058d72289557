"""Normalised image to foreground probability on a CPU, in 8-bit whole numbers."""

import copy
import threading
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, SignatureRunner
from numpy.typing import NDArray

from app.errors import ModelError
from app.inference.model_card import Contract
from app.inference.predictions import Predictions, Predictor
from app.inference.tiling import BUCKET_PX, predict_tiled
from app.machine import available_cores

# Pixels of all sizes whose memory is held, as a multiple of the largest one's: an image and its halved copies.
_MOST_HELD = 1.5


class QuantisedPredictor(Predictor):
    """A LiteRT model, one image at a time.

    It holds the memory for images of the last sizes, some 300 bytes a pixel, until that is released: a size and, beside
    it, smaller ones of half as many pixels together, as of one image's copies. A new size costs about a quarter of an
    image's time more.

    Parameters
    ----------
    path
        What `training.quantise` wrote; `app.inference.model_card.read_model_card` has checked its bytes.
    contract
        The signature that the card promises.
    n_threads
        On how many cores; all, unless given.

    Raises
    ------
    ModelError
        LiteRT cannot load the file, or its signature is not the promised one.
    """

    dtype = "int8"

    def __init__(self, path: Path, contract: Contract, n_threads: int | None = None) -> None:
        self._contract = contract
        self._n_threads = n_threads or available_cores()
        self._lock = threading.Lock()
        self._ready: dict[tuple[int, ...], tuple[Interpreter, SignatureRunner]] = {}
        try:
            # Of a path it would map the file, and die where that is replaced.
            self._model = path.read_bytes()
            self.predict(np.zeros((BUCKET_PX, BUCKET_PX, 3), np.float32))
        except (OSError, ValueError, RuntimeError, KeyError) as exc:
            raise ModelError(f"LiteRT cannot use {path} as its model's card promises; export the model again.") from exc

    def predict(self, image: NDArray[np.float32]) -> Predictions:
        """The predictions of a normalised image `(H, W, 3)`, large ones tile by tile."""
        return predict_tiled(self._predict_tile, image, self._contract.reach_px or 0)

    def beside(self) -> "QuantisedPredictor":
        """One with the same weights that waits for none of this one's images."""
        other = copy.copy(self)
        other._lock, other._ready = threading.Lock(), {}
        return other

    def release_memory(self) -> None:
        """Start anew with the next image: sizes that become smaller free only a part of it."""
        with self._lock:
            self._ready = {}

    def _predict_tile(self, image: NDArray[np.float32]) -> Predictions:
        contract = self._contract
        with self._lock:
            _, call = self._interpreter(image.shape[:2])
            answers: dict[str, NDArray[Any]] = call(**{contract.input_name: image[np.newaxis]})
        return Predictions(
            probability=answers[contract.output_name][0, ..., 0],
            distance=answers[contract.distance_name][0, ..., 0] if contract.distance_name else None,
            ood_score=float(answers[contract.unlikeness_name][0]) if contract.unlikeness_name else None,
        )

    def _interpreter(self, size_px: tuple[int, ...]) -> tuple[Interpreter, SignatureRunner]:
        """The one for images of this size; those used longest ago give way."""
        # Made where it is used, so that its threads have the priority of those that use it.
        ready = self._ready.pop(size_px, None) or self._start()
        while len(held_px := [prod(size) for size in (size_px, *self._ready)]) > 1:
            if sum(held_px) <= _MOST_HELD * max(held_px):
                break
            del self._ready[next(iter(self._ready))]
        self._ready[size_px] = ready
        return ready

    def _start(self) -> tuple[Interpreter, SignatureRunner]:
        interpreter = Interpreter(model_content=self._model, num_threads=self._n_threads)
        # The signature does not keep the interpreter alive.
        return interpreter, interpreter.get_signature_runner(self._contract.signature)
