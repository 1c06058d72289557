"""The card beside a SavedModel: the only contract between training and serving."""

import hashlib
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import ModelError

CARD_NAME = "model_card.json"
# They are folders and part of an HTTP header.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Architecture(_Frozen):
    """Which network it is, and what it costs: multiplications with an addition for an image of 1,000,000 pixels."""

    name: str
    n_parameters: int
    multiply_adds_per_megapixel: int
    description: str


class Contract(_Frozen):
    """The serving signature: what goes in and what comes out.

    The input is an RGB image of any size, normalised as `Normalisation` says; grey images are repeated three times. The
    output is the foreground probability at the same size and, where the network tells touching nuclei apart, the inner
    distance: 0 on a nucleus's outline, 1 in its middle. Whatever resizing or padding a network needs lies inside the
    graph. A network may also answer one number an image, `(N,)`: how far its features lie from those of the images that
    it was trained on.

    Attributes
    ----------
    reach_px
        How far beyond a cell of the network's coarsest grid a pixel can change the answers in it, so that large images
        can be cut into tiles; None of a network that resizes every image, and so sees it whole.
    quantised_name
        File with the same signature for one image whose sides are multiples of 64, in 8-bit whole numbers, which serves
        on CPUs; None where the SavedModel does.
    """

    signature: Literal["serving_default"] = "serving_default"
    input_name: Literal["image"] = "image"
    input_shape: tuple[None, None, None, Literal[3]] = (None, None, None, 3)
    output_name: Literal["probability"] = "probability"
    distance_name: Literal["distance"] | None = None
    unlikeness_name: Literal["unlikeness"] | None = None
    output_shape: tuple[None, None, None, Literal[1]] = (None, None, None, 1)
    dtype: Literal["float32"] = "float32"
    reach_px: int | None = Field(None, ge=0)
    quantised_name: Literal["quantised.tflite"] | None = None


class Normalisation(_Frozen):
    """Percentiles of the whole image, all channels together, that become 0 and 1."""

    low_percentile: float = Field(ge=0, le=100)
    high_percentile: float = Field(ge=0, le=100)


class Confidence(_Frozen):
    """Logistic model of a nucleus being true: matched at an IoU of 0.5 or more. It begins as the mean probability."""

    intercept: float = 0.0
    probability_slope: float = 1.0
    distance_slope: float = 0.0


class CountDoubt(_Frozen):
    """Logistic model of a count being far off; see `app.engine.count_doubt`, whose signals the slopes belong to.

    Attributes
    ----------
    largest
        Log-odds; counts that are doubted more are warned of.
    """

    intercept: float
    unsure: float
    spread: float
    unlikeness: float
    scales_disagree: float
    largest: float


class Calibration(_Frozen):
    """Post-processing values chosen on the validation split.

    Attributes
    ----------
    threshold
        Foreground probability at or above which a pixel is nucleus.
    marker_depth
        How far the saddle between two nuclei lies below the shallower of their centres in the inner distance; see
        `app.segmentation.split`.
    min_area_px
        Nuclei with fewer pixels are dropped.
    confidence
        How a nucleus's mean probability and highest inner distance become the probability that it is a true one; see
        `app.measurement.measure`.
    min_confidence
        Nuclei with a lower confidence are dropped (`python -m training calibrate`).
    largest_unlikeness
        Images further from the training data than this are warned of; None where the network does not say.
    count_doubt
        When a count is warned of; None where nobody measured it (`python -m training calibrate`).
    """

    threshold: float = Field(gt=0, lt=1)
    marker_depth: float = Field(gt=0, lt=1)
    min_area_px: int = Field(ge=0)
    confidence: Confidence = Confidence()
    min_confidence: float = Field(0, ge=0, le=1)
    largest_unlikeness: float | None = None
    count_doubt: CountDoubt | None = None


class Data(_Frozen):
    """What the network was trained on; digests are SHA-256 over the files' names and bytes.

    Attributes
    ----------
    attributions
        Whom to name, and where it was published, of data whose licence asks for that.
    """

    name: str
    licence: str
    attributions: tuple[str, ...] = ()
    sha256: str
    splits_sha256: str
    n_images: dict[str, int]


class Training(_Frozen):
    """How it was trained, word for word: for how many of the configured epochs, and how long, where that is known."""

    command: str
    config: dict[str, Any]
    n_epochs: int
    minutes: float | None = None
    best_epoch: int


class Evaluation(_Frozen):
    """Measured figures, the command that measured them, and in words what the pictures showed it to be bad at."""

    command: str
    split: str
    n_images: int
    limits: tuple[str, ...] = ()
    figures: dict[str, dict[str, float]]


class ModelCard(_Frozen):
    """Everything that the service and a reader need to know of a model."""

    format: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    version: str = Field(pattern=NAME_PATTERN)
    created: date
    architecture: Architecture
    contract: Contract = Contract()
    normalisation: Normalisation
    calibration: Calibration
    data: Data
    training: Training
    evaluations: dict[str, Evaluation] = {}
    sha256: str

    @property
    def results_sha256(self) -> str:
        """SHA-256 of all that decides results: the network, and how its input and answers are treated."""
        decisive = [self.sha256, self.normalisation.model_dump_json(), self.calibration.model_dump_json()]
        return hashlib.sha256("\n".join(decisive).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write the card into its model's folder."""
        (folder / CARD_NAME).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def artefact_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of the SavedModel's files in `folder`, the cards left out.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if not name.upper().startswith("MODEL_CARD."):
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def read_model_card(folder: Path) -> ModelCard:
    """Read the card in `folder` and check that the SavedModel beside it is the one that it describes.

    Raises
    ------
    ModelError
        Folder or card is missing, the card is not of this version's form, or the files' digest differs from the card's.
    """
    path = folder / CARD_NAME
    if not path.is_file():
        raise ModelError(
            f"There is no model at {folder} ({CARD_NAME} is missing); name a folder that "
            "`python -m training export` wrote.",
            "model",
        )
    try:
        card = ModelCard.model_validate_json(path.read_bytes())
        found = artefact_digest(folder)
    except OSError as exc:
        raise ModelError(
            f"The model in {folder} cannot be read ({exc.strerror}); check who may read its files."
        ) from exc
    except ValidationError as exc:
        wrong = ", ".join(sorted({".".join(map(str, error["loc"])) or "the JSON itself" for error in exc.errors()}))
        raise ModelError(f"{path} is not a model card this version reads (wrong: {wrong}); export it again.") from exc
    if found != card.sha256:
        raise ModelError(
            f"The model files in {folder} are not those its card describes (SHA-256 {found[:12]} instead of "
            f"{card.sha256[:12]}); restore the folder or export it again."
        )
    return card
