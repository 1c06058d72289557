"""Locked training configurations and the presets."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.segmentation.model_card import Normalisation


class TrainingConfig(BaseModel):
    """Everything that decides a training run, together with the data.

    Attributes
    ----------
    architecture
        A key of `training.architectures.ARCHITECTURES`.
    filters
        Filters a level, the deepest last.
    dropout
        Part of the activations that is dropped between two convolutions.
    image_size_px
        Height and width that images are resized to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    architecture: Literal["unet"] = "unet"
    filters: tuple[int, ...]
    dropout: float = Field(ge=0, lt=1)
    image_size_px: tuple[int, int]
    normalisation: Normalisation = Normalisation(low_percentile=1.0, high_percentile=99.8)
    batch_size: int = Field(gt=0)
    epochs: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    seed: int = Field(ge=0)
    mixed_precision: bool = False


PRESETS = {
    config.preset: config
    for config in (
        TrainingConfig(
            preset="original",
            filters=(16, 32, 64, 128, 256),
            dropout=0.1,
            image_size_px=(128, 128),
            batch_size=16,
            epochs=30,
            learning_rate=1e-3,
            seed=0,
        ),
        TrainingConfig(
            preset="tiny",
            filters=(4, 8),
            dropout=0.1,
            image_size_px=(32, 32),
            batch_size=4,
            epochs=2,
            learning_rate=1e-2,
            seed=0,
        ),
    )
}
