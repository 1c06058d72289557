"""Images to their ground-truth masks, by their names."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from app.errors import OptionError
from app.reading.sources import IMAGE_ENDINGS, Failure, Source

_ENDING = re.compile("|".join(re.escape(ending) + "$" for ending in (*IMAGE_ENDINGS, ".ome")), re.IGNORECASE)
# Cellpose's data sets call images so, others put the word first.
_OF_IMAGES = re.compile(r"^(img|images?)[ _-]+|[ _.-](img|image)$", re.IGNORECASE)
# Of Cellpose (`_cp_masks`), Fiji (`Mask of`, `-lbl`), QuPath (`-labelled`), Karyometer (`.labels`) and people.
_OF_LABELS = re.compile(
    r"^(count masks? of|labels?)[ _-]+|[ _.-]((cp[_-])?masks?[ _.-])?(labels?|labell?ed|lbl|instances?)$",
    re.IGNORECASE,
)
_OF_MASKS = re.compile(
    r"^masks?( of)?[ _-]+|[ _.-]((cp|gt)[_-]?)?(masks?|seg|segmentation|annotations?|gt|ground[ _-]?truth)$",
    re.IGNORECASE,
)
_RANK_OF_NO_WORD = 2
HOW_PAIRED = (
    "A mask has the name of its image, where endings such as .tif do not count, and may add _mask, _masks, _cp_masks, "
    "_labels, -labels, .labels, _gt or the like; if images lie in subfolders, masks lie in subfolders of the same names"
)


@dataclass(frozen=True)
class Pairs:
    """Which mask is which image's.

    Attributes
    ----------
    pairs
        An image and its mask each.
    failures
        Images without a mask, or with several that could be meant.
    unused
        Masks of no image.
    """

    pairs: tuple[tuple[Source, Source], ...]
    failures: tuple[Failure, ...]
    unused: tuple[Source, ...]


def pair_masks(images: Sequence[Source], masks: Sequence[Source], are_files: bool = False) -> Pairs:
    """Each image with the mask that shares its name.

    Of several masks one that is called labels comes first, then one that is called a mask, then one that adds nothing
    to the image's name; of these the one that shares most of it. Images and masks may lie in one folder, where only
    what is called labels or mask is one.

    Parameters
    ----------
    images, masks
        As they were found.
    are_files
        Whether both were named as files: then one of each belong together, whatever they are called.

    Raises
    ------
    OptionError
        No image has a mask.
    """
    if are_files and len(images) == len(masks) == 1:
        return Pairs(((images[0], masks[0]),), (), ())
    candidates = _by_key(masks)
    chosen: dict[Source, list[Source]] = {image: _best(image, candidates) for image in images}
    mask_paths = {mask.place for mask in masks}
    n_uses = Counter(found[0] for found in chosen.values() if len(found) == 1)
    pairs, failures = [], []
    for image, found in chosen.items():
        if len(found) == 1 and n_uses[found[0]] == 1:
            pairs.append((image, found[0]))
        elif found:
            names = " and ".join(mask.name for mask in found)
            several = f"{names} could be its mask" if len(found) > 1 else f"{names} is the mask of other images too"
            failures.append(Failure(image.name, f"{several}; give each image one."))
        elif image.place not in mask_paths:
            failures.append(Failure(image.name, "It has no mask of its name."))
    if not pairs:
        told = "".join(f" {name}: {reason}" for name, reason in failures[:1])
        raise OptionError(f"No image has a mask of its own. {HOW_PAIRED}.{told}")
    used = {mask for _, mask in pairs} | {mask for found in chosen.values() for mask in found}
    paired = {image.place for image, _ in pairs}
    unused = tuple(mask for mask in masks if mask not in used and mask.place not in paired)
    return Pairs(tuple(pairs), tuple(failures), unused)


def _by_key(masks: Sequence[Source]) -> dict[str, list[tuple[int, Source]]]:
    """Masks with their rank, by all that their image may be called."""
    by_key: dict[str, list[tuple[int, Source]]] = {}
    for mask in masks:
        rank = _RANK_OF_NO_WORD
        key: str | None = _normal(mask.name)
        while key:
            by_key.setdefault(key, []).append((rank, mask))
            for rank_of_word, words in enumerate((_OF_LABELS, _OF_MASKS)):
                shorter = _without(words, key)
                if shorter:
                    key, rank = shorter, min(rank, rank_of_word)
                    break
            else:
                key = _without(_ENDING, key)
    return by_key


def _best(image: Source, candidates: dict[str, list[tuple[int, Source]]]) -> list[Source]:
    """The masks that fit best, which should be one."""
    found: dict[Source, tuple[int, int]] = {}
    key: str | None = _normal(image.name)
    while key:
        for rank, mask in candidates.get(key, ()):
            # Beside an image what adds nothing to its name is another image, or the image itself.
            if rank < _RANK_OF_NO_WORD or mask.place.parent != image.place.parent:
                found.setdefault(mask, (rank, -len(key)))
        key = _without(_ENDING, key) or _without(_OF_IMAGES, key)
    best = min(found.values(), default=None)
    return [mask for mask, fit in found.items() if fit == best]


def _without(words: re.Pattern[str], name: str) -> str | None:
    """A name without its ending or a word; None if there is no such thing, or nothing else."""
    path = PurePosixPath(name)
    shorter = words.sub("", path.name, count=1)
    return path.with_name(shorter).as_posix() if shorter not in ("", ".", path.name) else None


def _normal(name: str) -> str:
    """Of the two ways to write an accent, which file systems do not tell apart, one."""
    return unicodedata.normalize("NFC", name)
