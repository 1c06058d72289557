"""Channels that have files of their own, as plate microscopes write them, beside the one that is segmented."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from app.errors import SizeMismatchError, UnsupportedImageError
from app.reading.stack import DecodedImage, check_channels


def add_channels(plane: DecodedImage, others: Sequence[tuple[str, DecodedImage]]) -> DecodedImage:
    """A plane with the channels of other files, to be measured, after its own.

    Parameters
    ----------
    plane
        What is segmented.
    others
        The name and the one channel of each other file.

    Raises
    ------
    SizeMismatchError
        One has another size.
    UnsupportedImageError
        One has several channels, or there are more than can be measured.
    """
    for name, other in others:
        if other.channels.shape[2] != 1:
            raise UnsupportedImageError(
                f"The file of the channel {name!r} has {other.channels.shape[2]} channels; give a file with one."
            )
        if (other.height, other.width) != (plane.height, plane.width):
            raise SizeMismatchError(
                f"The channel {name!r} has {other.height} x {other.width} pixels, the nuclei's {plane.height} x "
                f"{plane.width} (height x width); both must show the same field."
            )
    channels = np.concatenate([plane.channels, *(other.channels for _, other in others)], axis=2)
    check_channels(channels.shape[2], "field")
    n_own = plane.channels.shape[2]
    unnamed = ("nuclei",) if n_own == 1 else tuple(map(str, range(n_own)))
    own_names = plane.channel_names if len(plane.channel_names) == n_own else unnamed
    return replace(
        plane,
        channels=channels,
        # Grey that was saved as colour has one channel, which is that of the nuclei.
        channel=0 if n_own == 1 else plane.channel,
        n_channels=plane.n_channels + len(others),
        channel_names=(*own_names, *(name for name, _ in others)),
        warnings=(*plane.warnings, *(warning for _, other in others for warning in other.warnings)),
    )
