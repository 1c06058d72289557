"""Locked training configurations and the presets."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from app.inference.model_card import Normalisation

# Of the whole image, that become 0 and 1.
PERCENTILES = (1.0, 99.8)
Head = Literal["probability", "distance", "offset_row", "offset_col"]
NUCLEI_HEADS: tuple[Head, ...] = ("probability", "distance", "offset_row", "offset_col")


class TrainingConfig(BaseModel):
    """Everything that decides a training run, together with the data.

    Attributes
    ----------
    architecture
        A key of `training.architectures.ARCHITECTURES`.
    filters, dropout
        Of U-Nets: filters a level, the deepest last, and the part of the activations that is dropped between two
        convolutions.
    residuals
        Of `fast_unet`: residual convolutions a level, after the level's first.
    heads
        What the network answers: one map each.
    sampling
        `resized`: every image once an epoch, resized to `image_size_px`, as the original recipe does. `crops`: as many
        varied crops of `image_size_px` an epoch as there are images, at the images' own resolution.
    empty_part, scene_part
        Of the crops, those that are text or noise and hold no nuclei, and those that are composed of two images.
    optimiser
        `adam` (Kingma & Ba 2015), or `muon`, see `training.muon`.
    learning_rate, cooldown
        The rate stays constant until the last `cooldown` part of the training, over which it falls linearly to 0.
    epochs, minutes
        How long it is trained; `minutes`, if given, by the clock instead, which is no exact repetition but gives every
        architecture the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str
    architecture: Literal["alexnet_fcn", "fast_unet", "fc_densenet56", "fc_densenet103", "unet"]
    filters: tuple[int, ...] = ()
    dropout: float = Field(0, ge=0, lt=1)
    residuals: tuple[int, ...] = ()
    heads: tuple[Head, ...] = ("probability",)
    sampling: Literal["resized", "crops"] = "resized"
    image_size_px: tuple[int, int]
    empty_part: float = Field(0, ge=0, le=1)
    scene_part: float = Field(0, ge=0, le=1)
    normalisation: Normalisation = Normalisation(low_percentile=PERCENTILES[0], high_percentile=PERCENTILES[1])
    batch_size: int = Field(gt=0)
    epochs: int = Field(gt=0)
    minutes: float | None = Field(None, gt=0)
    optimiser: Literal["adam", "muon"] = "adam"
    learning_rate: float = Field(gt=0)
    cooldown: float = Field(0, ge=0, le=1)
    seed: int = Field(ge=0)
    mixed_precision: bool = False

    def changed(self, **changes: Any) -> Self:
        """The same configuration with other values, checked."""
        return self.model_validate(self.model_dump() | changes)


_FAST = TrainingConfig(
    preset="fast",
    architecture="fast_unet",
    filters=(24, 64, 96, 128, 192),
    residuals=(3, 2, 2, 1, 1),
    heads=NUCLEI_HEADS,
    sampling="crops",
    image_size_px=(256, 256),
    empty_part=0.04,
    scene_part=0.1,
    batch_size=4,
    epochs=46,
    optimiser="muon",
    learning_rate=3e-3,
    cooldown=1,
    seed=0,
)
_ORIGINAL = TrainingConfig(
    preset="original",
    architecture="unet",
    filters=(16, 32, 64, 128, 256),
    dropout=0.1,
    image_size_px=(128, 128),
    batch_size=16,
    epochs=30,
    learning_rate=1e-3,
    seed=0,
)
PRESETS = {
    config.preset: config
    for config in (
        _FAST,
        _ORIGINAL,
        _ORIGINAL.changed(
            preset="tiny", filters=(4, 8), image_size_px=(32, 32), batch_size=4, epochs=3, learning_rate=1e-2
        ),
        _FAST.changed(
            preset="tiny-crops",
            filters=(4, 8),
            residuals=(2, 1),
            image_size_px=(32, 32),
            epochs=3,
            learning_rate=1e-2,
            cooldown=0.5,
        ),
        # For comparison: other networks with the same heads and data.
        # Without normalisation Muon diverges, and for AlexNet's 4096 x 9216 kernel it took 14 s a step.
        _FAST.changed(
            preset="unet",
            architecture="unet",
            filters=_ORIGINAL.filters,
            residuals=(),
            dropout=_ORIGINAL.dropout,
            optimiser="adam",
            learning_rate=1e-3,
        ),
        _FAST.changed(preset="fc-densenet56", architecture="fc_densenet56", filters=(), residuals=()),
        _FAST.changed(preset="fc-densenet103", architecture="fc_densenet103", filters=(), residuals=()),
        _FAST.changed(
            preset="alexnet-fcn",
            architecture="alexnet_fcn",
            filters=(),
            residuals=(),
            optimiser="adam",
            learning_rate=3e-4,
        ),
    )
}
