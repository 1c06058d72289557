"""Which channel holds the nuclei."""

import re
from collections.abc import Sequence

from app.errors import ChannelNeededError, OptionError
from app.options import Channel

_NUCLEAR = re.compile(
    r"dapi|hoechst|nucle(?!ol|opor)|draq|sytox|h2b|propidium|to-?pro|(?<!\d)405(?!\d)|(?<![a-z])dna(?![a-z])",
    re.IGNORECASE,
)


def nuclear_channels(names: Sequence[str]) -> list[int]:
    """The numbers of those that have the name of a nuclear stain.

    Examples
    --------
    >>> nuclear_channels(["GFP", "Hoechst 33342", "mtDNA", "DNA", "Nucleolin", "1405_GFP"])
    [1, 3]
    """
    return [number for number, name in enumerate(names) if _NUCLEAR.search(name)]


def choose_channel(channel: Channel | None, names: tuple[str, ...], n_channels: int, is_colour: bool) -> int | None:
    """The number of the channel that is segmented, None where colour is segmented as colour.

    Without `channel` it is the only one, or the only one with the name of a nuclear stain.

    Raises
    ------
    OptionError
        There is no such channel.
    ChannelNeededError
        There are several, and nothing says which one.

    Examples
    --------
    >>> choose_channel(None, ("GFP", "DAPI"), 2, is_colour=False)
    1
    """
    listed = ", ".join(names) if names else f"0 to {n_channels - 1}"
    if isinstance(channel, str):
        fitting = [number for number, name in enumerate(names) if name.lower() == channel.lower()]
        if len(fitting) != 1:
            raise OptionError(f"There is no channel {channel!r}; the image has {listed}.")
        return fitting[0]
    if channel is not None:
        if channel >= n_channels:
            raise OptionError(f"There is no channel {channel}; the image has {n_channels}, counted from 0.")
        return channel
    if is_colour:
        return None
    nuclear = nuclear_channels(names)
    if n_channels > 1 and len(nuclear) != 1:
        raise ChannelNeededError(
            f"The image has {n_channels} channels, and none of them is clearly that of the nuclei; add channel, one "
            f"of: {listed}."
        )
    return nuclear[0] if n_channels > 1 else 0
