"""What is compared: a way from an image to its nuclei, and what it costs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from app.engine.find import find_labels
from app.inference.load import load_model
from app.inference.normalise import normalise
from app.options import SegmentationOptions
from app.segmentation.split import select, split
from training.config import PERCENTILES

OTSU_MARKER_DEPTH = 0.1
OTSU_MIN_AREA_PX = 16


@dataclass(frozen=True)
class Method:
    """A way from an image `(H, W)` or `(H, W, 3)`, as decoded, to its labels `(H, W)`.

    Attributes
    ----------
    training_minutes, n_parameters, multiply_adds_per_megapixel, artefact_bytes
        Of its network; None without one, or where they are not known.
    """

    name: str
    find: Callable[[NDArray[Any]], NDArray[np.int32]]
    training_minutes: float | None = None
    n_parameters: int | None = None
    multiply_adds_per_megapixel: int | None = None
    artefact_bytes: int | None = None


def otsu() -> Method:
    """Otsu's threshold and a watershed on the distance to the background; the rarer of both sides is nucleus."""

    def find(image: NDArray[Any]) -> NDArray[np.int32]:
        grey = normalise(image, *PERCENTILES).mean(axis=2)
        mask = grey > threshold_otsu(grey) if np.ptp(grey) else np.zeros(grey.shape, bool)
        if mask.mean() > 0.5:
            mask = ~mask
        return select(split(mask, OTSU_MARKER_DEPTH), OTSU_MIN_AREA_PX)

    return Method("Otsu + watershed", find)


def exported(folder: Path, quality: str) -> Method:
    """A model that `python -m training export` wrote, through the service's own steps."""
    model = load_model(folder, "cpu")
    options = SegmentationOptions.model_validate({"quality": quality})
    card = model.card

    def find(image: NDArray[Any]) -> NDArray[np.int32]:
        return find_labels(model, image, options)[0]

    return Method(
        f"{card.name}/{card.version}" + (" best" if quality == "best" else ""),
        find,
        card.training.minutes,
        card.architecture.n_parameters,
        card.architecture.multiply_adds_per_megapixel,
        sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )


def stardist(folder: Path) -> Method:
    """StarDist 2D (Schmidt et al. 2018, arXiv:1806.03535), trained by `benchmarks.stardist`; the extra `peers`."""
    from benchmarks.stardist import MINUTES_NAME, load

    model = load(folder)

    def find(image: NDArray[Any]) -> NDArray[np.int32]:
        labels: NDArray[np.int32] = model.predict_instances(normalise(image, *PERCENTILES))[0].astype(np.int32)
        return labels

    n_bytes = sum(path.stat().st_size for path in folder.glob("weights_best.*"))
    minutes = float((folder / MINUTES_NAME).read_text())
    return Method("StarDist 2D", find, minutes, model.keras_model.count_params(), None, n_bytes)
