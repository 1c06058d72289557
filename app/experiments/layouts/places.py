"""Where files belong, by what the layout, their names and what lies beside them say together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.experiments.layouts.layout import Layout, LayoutWarning
from app.experiments.layouts.names import ImagePlace, parse_name, plate_folders
from app.experiments.layouts.sidecars import Sidecar, channel_key, read_sidecar

_MOST_TOLD = 5


@dataclass(frozen=True)
class Places:
    """What is known of files.

    Attributes
    ----------
    places
        By name, for files of which anything is known. Channels have the names that sidecars give them.
    called
        What file names call these channels.
    warnings
        What does not fit.
    """

    places: Mapping[str, ImagePlace]
    called: Mapping[str, str]
    warnings: tuple[LayoutWarning, ...]


def find_places(names: Sequence[str], layout: Layout | None, sidecars: Mapping[str, bytes]) -> Places:
    """The place of each file."""
    beside = _by_folder(sidecars)
    places: dict[str, ImagePlace] = {}
    paths: dict[str, list[str]] = {}
    contradicted = []
    for name in names:
        of_sidecar = _of_sidecars(name, beside)
        said = _joined(parse_name(name), of_sidecar)
        path = layout.path_of(name) if layout else None
        if layout and path is not None:
            paths.setdefault(path, []).append(name)
            told = layout.place_of(path)
            contradicted += [name] if said and told.well and said.well not in (None, told.well) else []
            said = _of_layout(told, said, layout.says_sites)
        if said is not None:
            places[name] = said
    places = {name: replace(place, plate=_plate(name, place, layout)) for name, place in places.items()}
    # MetaXpress numbers wavelengths from 1 beside its images, and some of its programs from 0 in their names.
    counts_from_0 = any(channel_key(place.channel or "") == "w0" for place in places.values())
    renamed = places if counts_from_0 else {name: _renamed(name, place, beside) for name, place in places.items()}
    called = {place.channel: places[name].channel or "" for name, place in renamed.items() if place.channel is not None}
    return Places(renamed, called, tuple(_warnings(layout, renamed, paths, contradicted, sidecars, beside)))


def _by_folder(sidecars: Mapping[str, bytes]) -> dict[str, list[Sidecar]]:
    by_folder: dict[str, list[Sidecar]] = {}
    for name in sorted(sidecars):
        by_folder.setdefault(name.rpartition("/")[0], []).append(read_sidecar(name, sidecars[name]))
    return by_folder


def _scope(name: str, beside: Mapping[str, list[Sidecar]]) -> list[Sidecar]:
    """The sidecars of the nearest folder that has some."""
    folder = name.rpartition("/")[0]
    while folder and folder not in beside:
        folder = folder.rpartition("/")[0]
    return beside.get(folder, [])


def _of_sidecars(name: str, beside: Mapping[str, list[Sidecar]]) -> ImagePlace | None:
    base = name.rpartition("/")[2]
    found = None
    for sidecar in _scope(name, beside):
        found = _joined(found, sidecar.places.get(base))
    return found


def _joined(place: ImagePlace | None, other: ImagePlace | None) -> ImagePlace | None:
    """What one says, and where it says nothing the other."""
    if place is None or other is None:
        return place or other
    others = tuple(dict.fromkeys(filter(None, (*place.other_plates, other.plate, *other.other_plates))))
    return replace(
        place,
        plate=place.plate or other.plate,
        well=place.well or other.well,
        site=place.site or (None if place.is_stitched else other.site),
        channel=place.channel or other.channel,
        plane=place.plane or other.plane,
        other_plates=others,
    )


def _of_layout(told: ImagePlace, said: ImagePlace | None, says_sites: bool) -> ImagePlace:
    """What the layout says, completed by the file's name; sites that are only counted yield to the name's."""
    joined = _joined(told, said) or told
    return (
        replace(joined, site=said.site, is_stitched=said.is_stitched)
        if said and not says_sites and said.site
        else joined
    )


def _plate(name: str, place: ImagePlace, layout: Layout | None) -> str | None:
    """The first of all that it may be called that the layout knows, or else the first."""
    folders = plate_folders(name.split("/")[:-1])
    candidates = list(dict.fromkeys(filter(None, [place.plate, *place.other_plates, *folders])))
    known = set(layout.plates) if layout else set()
    if not candidates:
        # Where the layout has one plate, images without one are of that.
        return next(iter(known)) if len(known) == 1 else None
    return next((plate for plate in candidates if plate in known), candidates[0])


def _renamed(name: str, place: ImagePlace, beside: Mapping[str, list[Sidecar]]) -> ImagePlace:
    if place.channel is None:
        return place
    called = (sidecar.channels.get(channel_key(place.channel)) for sidecar in _scope(name, beside))
    return replace(place, channel=next(filter(None, called), place.channel))


def _warnings(
    layout: Layout | None,
    places: Mapping[str, ImagePlace],
    paths: Mapping[str, list[str]],
    contradicted: Sequence[str],
    sidecars: Mapping[str, bytes],
    beside: Mapping[str, list[Sidecar]],
) -> Iterator[LayoutWarning]:
    plates = {place.plate for place in places.values() if place.well is not None}
    if layout and layout.plates and (strange := sorted(filter(None, plates - set(layout.plates)))):
        said = (
            f"The layout has no plate {_listed(strange)}; it has {_listed(layout.plates)}. Call plates there as the "
            "images or their folders do."
        )
        yield LayoutWarning("plates_not_in_layout", said)
    if layout and not layout.plates and len(plates) > 1 and layout.wells:
        said = f"The layout names no plates, so that it was taken for each of {len(plates)}; see that it is meant so."
        yield LayoutWarning("layout_for_all_plates", said)
    if contradicted:
        said = (
            f"The layout puts {_listed(contradicted)} into other wells than the names of the files; the layout was "
            "followed."
        )
        yield LayoutWarning("layout_contradicts_names", said)
    ambiguous = {path: names for path, names in paths.items() if len(names) > 1}
    if ambiguous:
        path, names = next(iter(ambiguous.items()))
        said = f"The layout's image {path!r} fits {_listed(names)}; write its folder in the layout."
        yield LayoutWarning("images_ambiguous", said)
    if any(not sidecar.is_whole for some in beside.values() for sidecar in some):
        said = f"What the microscope wrote could not be read in full: {_listed(sorted(sidecars))}."
        yield LayoutWarning("sidecar_unreadable", said)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    told = ", ".join(name[-80:] for name in names[:_MOST_TOLD])
    return f"{told} and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else told
