"""Normalised image to foreground probability. The only module of the service that imports TensorFlow."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from app.errors import DeviceError, ModelError
from app.inference.model_card import Contract
from app.inference.predictions import Predictions, Predictor
from app.inference.tiling import predict_tiled

WARM_UP_SHAPE_PX = (64, 64)


class SavedModelPredictor(Predictor):
    """A SavedModel on one device, called through its concrete serving signature, one image at a time.

    Parameters
    ----------
    folder
        Where `saved_model.pb` lies; `app.inference.model_card.read_model_card` has checked its bytes.
    contract
        The signature that the card promises.
    device
        `auto` (the first GPU, else the CPU), `cpu`, or `gpu:N`.

    Raises
    ------
    DeviceError
        The device is not on this machine.
    ModelError
        TensorFlow cannot load the files, or their signature is not the promised one.
    """

    dtype = "float32"

    def __init__(self, folder: Path, contract: Contract, device: str) -> None:
        self.device = choose_device(device)
        self._contract = contract
        self._lock = threading.Lock()
        try:
            with tf.device(self.device):
                model = tf.saved_model.load(str(folder))
        except (OSError, ValueError, KeyError, AttributeError, RuntimeError, tf.errors.OpError) as exc:
            raise ModelError(f"TensorFlow cannot load the model in {folder}; export it again.") from exc
        signature = _checked_signature(model.signatures, contract, folder)
        # As constants the weights are folded: a twentieth to a tenth of the time less.
        with tf.device(self.device):
            self._frozen = convert_variables_to_constants_v2(signature)
        self._output_names = sorted(signature.structured_outputs)
        self.predict(np.zeros((*WARM_UP_SHAPE_PX, 3), np.float32))

    def predict(self, image: NDArray[np.float32]) -> Predictions:
        """The predictions of a normalised image `(H, W, 3)`, large ones tile by tile."""
        reach_px = self._contract.reach_px
        return self._predict_tile(image) if reach_px is None else predict_tiled(self._predict_tile, image, reach_px)

    def _predict_tile(self, image: NDArray[np.float32]) -> Predictions:
        with self._lock, tf.device(self.device):
            outputs = dict(zip(self._output_names, self._frozen(tf.constant(image[np.newaxis])), strict=True))
        contract = self._contract
        return Predictions(
            probability=outputs[contract.output_name].numpy()[0, ..., 0],
            distance=outputs[contract.distance_name].numpy()[0, ..., 0] if contract.distance_name else None,
            ood_score=float(outputs[contract.unlikeness_name][0]) if contract.unlikeness_name else None,
        )


def choose_device(device: str) -> str:
    """TensorFlow's name of the device `auto`, `cpu` or `gpu:N`; GPU memory grows with need.

    Raises
    ------
    DeviceError
        The device is not on this machine.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu" or (device == "auto" and not gpus):
        return "/CPU:0"
    index = 0 if device == "auto" else int(device.removeprefix("gpu:"))
    if index >= len(gpus):
        raise DeviceError(
            f"The device {device} was asked for, but TensorFlow sees {len(gpus)} GPUs; ask for auto or cpu, or install "
            "the gpu extra.",
            "device",
        )
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return f"/GPU:{index}"


def _checked_signature(signatures: Any, contract: Contract, folder: Path) -> Any:
    signature = signatures.get(contract.signature)
    outputs: dict[str, tf.TensorSpec] = {contract.output_name: tf.TensorSpec(contract.output_shape, contract.dtype)}
    if contract.distance_name:
        outputs[contract.distance_name] = tf.TensorSpec(contract.output_shape, contract.dtype)
    if contract.unlikeness_name:
        outputs[contract.unlikeness_name] = tf.TensorSpec((None,), contract.dtype)
    promised = ({contract.input_name: tf.TensorSpec(contract.input_shape, contract.dtype)}, outputs)
    if signature is not None:
        inputs = signature.structured_input_signature[1]
        found = (
            {name: tf.TensorSpec(spec.shape, spec.dtype) for name, spec in inputs.items()},
            {name: tf.TensorSpec(spec.shape, spec.dtype) for name, spec in signature.structured_outputs.items()},
        )
        if found == promised:
            return signature
    raise ModelError(
        f"The model in {folder} does not keep its card's contract ({contract.input_name} {contract.input_shape} in, "
        f"{' and '.join(promised[1])} out); export it again."
    )
