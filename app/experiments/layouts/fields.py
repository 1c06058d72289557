"""Files to fields: which files show one place under the microscope, and in which well it is."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from app.errors import ChannelNeededError
from app.experiments.layouts.layout import Layout, LayoutWarning
from app.experiments.layouts.names import ImagePlace, is_preview, row_number
from app.experiments.layouts.places import find_places
from app.experiments.layouts.sidecars import is_sidecar
from app.reading.channels import nuclear_channels

__all__ = ["Field", "Fields", "find_fields", "is_sidecar"]

_PLANE = re.compile(r"(?:t([0-9]+))?(?:z([0-9]+))?")


@dataclass(frozen=True)
class Field:
    """One place under the microscope.

    Attributes
    ----------
    image
        The file that shows the nuclei, whose name is the field's in tables.
    channels
        Name and file of each further channel, in the order in which the microscope numbers them.
    plate
        Empty where nothing names it.
    well, site, plane
        As in `ImagePlace`; `plane` is None where no site has several.
    """

    image: str
    channels: tuple[tuple[str, str], ...]
    plate: str
    well: str | None
    site: str | None
    plane: str | None


@dataclass(frozen=True)
class Fields:
    """What became of a list of files; each is in `fields`, `duplicates` or `ignored`.

    Attributes
    ----------
    fields
        By plate, well, site and plane.
    unmatched
        Files of which nothing says the well, nor the layout anything; each is a field of its own.
    duplicates
        Pairs of files that would be at one place: the first is used, the second is not.
    ignored
        Files that are not used, and why.
    channels
        All that files in wells are of.
    nuclear_channel
        Which one shows the nuclei; None where files are of no named channels.
    is_assumed
        Whether it was taken for that as the only one there is. More files may tell otherwise.
    warnings
        What was assumed, or does not fit.
    """

    fields: tuple[Field, ...] = ()
    unmatched: tuple[str, ...] = ()
    duplicates: tuple[tuple[str, str], ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()
    channels: tuple[str, ...] = ()
    nuclear_channel: str | None = None
    is_assumed: bool = False
    warnings: tuple[LayoutWarning, ...] = ()


def find_fields(
    names: Iterable[str],
    layout: Layout | None = None,
    nuclear_channel: str | None = None,
    sidecars: Mapping[str, bytes] | None = None,
) -> Fields:
    """Which files belong together, and where.

    The layout says it first, then the file's name, then what the microscope wrote beside it. Of several channels the
    nuclei are in the one that `nuclear_channel` names, or else in the only one with the name of a nuclear stain.

    Parameters
    ----------
    names
        Of all files, with folders; in any order.
    layout
        What each well got, and perhaps where files belong and what plates are called.
    nuclear_channel
        As file names or sidecars call it.
    sidecars
        Files of which `is_sidecar` is true, by name.

    Raises
    ------
    ChannelNeededError
        There are several channels, and nothing says which one shows the nuclei.

    Examples
    --------
    >>> found = find_fields(["p_A01_s1_w1.tif", "p_A01_s1_w2.tif"], nuclear_channel="w2")
    >>> found.fields[0].image, found.fields[0].channels, found.fields[0].well
    ('p_A01_s1_w2.tif', (('w1', 'p_A01_s1_w1.tif'),), 'A01')
    """
    unique = sorted(set(names), key=_natural)
    ignored = {
        name: "It is no image of the plate, but a preview or a correction." for name in unique if is_preview(name)
    }
    ignored |= {name: "It is no image; what it says of the images was read." for name in unique if is_sidecar(name)}
    images = [name for name in unique if name not in ignored]
    found = find_places(images, layout, sidecars or {})
    places = _without_lone_planes(found.places)
    ignored |= _stitched_too(places)
    places = {name: place for name, place in places.items() if name not in ignored}
    in_wells = {name: place for name, place in places.items() if place.well is not None}
    channels = sorted({place.channel or "" for place in in_wells.values()}, key=_natural)
    nuclear, is_assumed = _choose(channels, found.called, nuclear_channel)
    fields, duplicates, lonely = _grouped(in_wells, nuclear, found.called)
    alone = [_alone(name, places.get(name)) for name in images if name not in ignored and name not in in_wells]
    return Fields(
        fields=tuple(sorted([*fields, *alone], key=_order)),
        unmatched=tuple(name for name in images if name not in found.places),
        duplicates=tuple(duplicates),
        ignored=tuple((ignored | lonely).items()),
        channels=tuple(channels),
        nuclear_channel=nuclear or None,
        is_assumed=is_assumed,
        warnings=(*found.warnings, *_told_planes(in_wells), *_told_missing(channels, nuclear)),
    )


def _choose(channels: Sequence[str], called: Mapping[str, str], asked: str | None) -> tuple[str | None, bool]:
    """The channel of the nuclei, and whether it is only assumed."""
    if asked is not None:
        fits = (name for name in channels if asked.lower() in (name.lower(), called.get(name, "").lower()))
        return next(fits, asked), False
    if len(channels) < 2:
        return next(iter(channels), None), any(channels) and not nuclear_channels(channels)
    nuclear = nuclear_channels(channels)
    if len(nuclear) != 1:
        listed = ", ".join(_told(name, called) for name in channels[:20])
        raise ChannelNeededError(
            f"The images are of {len(channels)} channels, and none of them is clearly that of the nuclei; say which "
            f"with nuclear_channel, one of: {listed}.",
            tuple(channels),
        )
    return channels[nuclear[0]], False


def _told(name: str, called: Mapping[str, str]) -> str:
    raw = called.get(name, name)
    return (f"{name} ({raw})" if raw != name and raw not in name else name) or "the one without a name"


def _grouped(
    places: Mapping[str, ImagePlace], nuclear: str | None, called: Mapping[str, str]
) -> tuple[list[Field], list[tuple[str, str]], dict[str, str]]:
    """Fields with all their channels, files that are at one place, and those whose field lacks the nuclei."""
    groups: dict[tuple[str | None, ...], dict[str, str]] = {}
    duplicates, lonely, fields = [], {}, []
    for name, place in places.items():
        group = groups.setdefault((place.plate, place.well, place.site, place.plane), {})
        first = group.setdefault(place.channel or "", name)
        if first != name:
            duplicates.append((first, name))
    for (plate, well, site, plane), group in groups.items():
        image = group.pop(nuclear or "", None)
        if image is None:
            why = f"Its field has no file of channel {nuclear or ''!r}, which shows the nuclei."
            lonely.update(dict.fromkeys(group.values(), why))
            continue
        others = sorted(group.items(), key=lambda item: _natural(called.get(item[0], item[0])))
        fields.append(Field(image, tuple(others), plate or "", well, site, plane))
    return fields, duplicates, lonely


def _alone(name: str, place: ImagePlace | None) -> Field:
    """A file of which nothing says the well; the layout may know it by its name."""
    return Field(name, (), (place.plate if place else None) or "", None, place.site if place else None, None)


def _stitched_too(places: Mapping[str, ImagePlace]) -> dict[str, str]:
    """Pictures of several fields that are there one by one too, so that nuclei would count twice."""
    single = {(place.plate, place.well, place.channel) for place in places.values() if not place.is_stitched}
    return {
        name: "It was stitched of fields that are there one by one, so that its nuclei would count twice."
        for name, place in places.items()
        if place.is_stitched and (place.plate, place.well, place.channel) in single
    }


def _without_lone_planes(places: Mapping[str, ImagePlace]) -> dict[str, ImagePlace]:
    """Times and depths are told where there are several."""
    split = {name: _PLANE.fullmatch(place.plane or "") for name, place in places.items()}
    numbers = {name: match.groups() if match else (None, None) for name, match in split.items()}
    several = [len({number[axis] for number in numbers.values()} - {None}) > 1 for axis in (0, 1)]
    planes = {
        name: "".join(f"{axis}{one}" for axis, one, many in zip("tz", number, several, strict=True) if many and one)
        for name, number in numbers.items()
    }
    return {name: replace(place, plane=planes[name] or None) for name, place in places.items()}


def _told_planes(places: Mapping[str, ImagePlace]) -> Iterable[LayoutWarning]:
    if any(place.plane for place in places.values()):
        said = (
            "There are several planes (times or depths) of a field; each is measured by itself, so that a nucleus that "
            "is in several counts in each. Give only the planes that you want to count."
        )
        yield LayoutWarning("several_planes", said)


def _told_missing(channels: Sequence[str], nuclear: str | None) -> Iterable[LayoutWarning]:
    if channels and nuclear not in channels:
        said = f"No image is of channel {nuclear!r}, which was asked for; there are {', '.join(channels[:20])}."
        yield LayoutWarning("nuclear_channel_missing", said)


def _order(field: Field) -> tuple[object, ...]:
    well = field.well or ""
    letters = well.rstrip("0123456789")
    place = (row_number(letters), int(well[len(letters) :])) if well else (0, 0)
    return _natural(field.plate), place, _natural(field.site or ""), _natural(field.plane or ""), _natural(field.image)


def _natural(text: str) -> tuple[object, ...]:
    """For sorting, so that 10 follows 9."""
    parts = re.split(r"([0-9]{1,18})", text)
    return tuple(int(part) if number % 2 else part for number, part in enumerate(parts))
