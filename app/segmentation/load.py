"""Which runtime loads a model: TensorFlow, or LiteRT for the 8-bit network on a CPU."""

from pathlib import Path

from app.segmentation.maps import Predictor
from app.segmentation.model_card import Contract


def load_predictor(folder: Path, contract: Contract, device: str) -> Predictor:
    """The model in `folder` on a device: `auto` (the first GPU, else the CPU), `cpu`, or `gpu:N`.

    TensorFlow, which takes seconds to import, runs it on a GPU, and on the CPU where there is no 8-bit network.

    Raises
    ------
    ModelError, DeviceError
        See `app.segmentation.predict` and `app.segmentation.predict_quantised`.
    """
    if contract.quantised_name and _is_cpu(device):
        from app.segmentation.predict_quantised import QuantisedPredictor

        return QuantisedPredictor(folder / contract.quantised_name, contract)
    from app.segmentation.predict import SavedModelPredictor

    return SavedModelPredictor(folder, contract, device)


def _is_cpu(device: str) -> bool:
    if device == "auto" and _has_driver():
        from app.segmentation.predict import choose_device

        # It may have been installed without what a GPU takes.
        return choose_device(device) == "/CPU:0"
    return not device.startswith("gpu")


def _has_driver() -> bool:
    """Whether there is a driver of NVIDIA's, on Linux or below Windows; without it TensorFlow need not be asked."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()
