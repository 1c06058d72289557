"""What microscopes write beside their images: names of channels, and wells of files whose names do not say them.

`Index.xml` is of Harmony (Phenix, Operetta), `.HTD` of MetaXpress, `.mlf` of CellVoyager.
"""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from app.experiments.layouts.names import ImagePlace, plane_name, well_at

_MAX_BYTES = 256 * 2**20
_MAX_RECORDS = 2_000_000
_MAX_DEPTH = 50
_MAX_TEXT = 1000
_INDEXES = ("index.xml", "index.idx.xml")
_IMAGE_KEYS = frozenset(
    ("URL", "Row", "Col", "FieldID", "PlaneID", "TimepointID", "SequenceID", "ChannelID", "ChannelName", "PlateID")
)
_RECORD_KEYS = frozenset(("", "Row", "Column", "FieldIndex", "TimePoint", "ZIndex", "Ch", "Type"))
_WAVE = re.compile(r"WaveName([0-9]{1,2})", re.IGNORECASE)
_CHANNEL = re.compile(r"([a-z]*)0*([0-9]{1,4})", re.IGNORECASE)


@dataclass(frozen=True)
class Sidecar:
    """What such a file says.

    Attributes
    ----------
    plate
        Its name.
    channels
        Names of channels by what `channel_key` makes of what file names call them.
    places
        Of images, by the names of their files.
    is_whole
        Whether all of it could be read.
    """

    plate: str | None = None
    channels: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, ImagePlace] = field(default_factory=dict)
    is_whole: bool = True


def is_sidecar(name: str) -> bool:
    """Whether a file is one of those that `read_sidecar` reads.

    Examples
    --------
    >>> is_sidecar("p1/Images/Index.idx.xml"), is_sidecar("p1.HTD"), is_sidecar("1049_Metadata.csv")
    (True, True, False)
    """
    base = name.rpartition("/")[2].lower()
    return base in _INDEXES or base.endswith((".htd", ".mlf"))


def read_sidecar(name: str, data: bytes) -> Sidecar:
    """What a file beside the images says, as far as it can be read."""
    if len(data) > _MAX_BYTES:
        return Sidecar(is_whole=False)
    base = name.rpartition("/")[2].lower()
    if base.endswith(".htd"):
        return _read_htd(data)
    return _read_mlf(data) if base.endswith(".mlf") else _read_index(data)


def channel_key(channel: str) -> str:
    """What a file's name calls a channel, as it is compared with what a sidecar does.

    Examples
    --------
    >>> channel_key("C01"), channel_key("ch1"), channel_key("Bright Field")
    ('c1', 'ch1', 'bright field')
    """
    numbered = _CHANNEL.fullmatch(channel)
    return f"{numbered[1]}{numbered[2]}".lower() if numbered else channel.lower()


def _read_htd(data: bytes) -> Sidecar:
    """Lines of a name in quotation marks and values; `"WaveName1", "DAPI"`."""
    channels = {}
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            cells = [cell.strip() for cell in next(csv.reader([line[:_MAX_TEXT]], skipinitialspace=True), [])]
        except csv.Error:
            continue
        wave = _WAVE.fullmatch(cells[0]) if len(cells) > 1 else None
        if wave and cells[1]:
            channels[f"w{int(wave[1])}"] = cells[1]
    return Sidecar(channels=_distinct(channels), is_whole=bool(channels))


def _read_mlf(data: bytes) -> Sidecar:
    records, is_whole = _records(data, ("MeasurementRecord",), _RECORD_KEYS)
    places = {}
    for _, said in records:
        well = well_at(_number(said, "Row"), _number(said, "Column"))
        channel = f"C{_number(said, 'Ch'):02d}" if "Ch" in said else None
        if said.get("") and well and said.get("Type", "IMG") == "IMG":
            places[_base(said[""])] = ImagePlace(
                None,
                well,
                _text(said, "FieldIndex"),
                channel,
                plane_name(_text(said, "TimePoint"), _text(said, "ZIndex")),
            )
    return Sidecar(places=places, is_whole=is_whole)


def _read_index(data: bytes) -> Sidecar:
    records, is_whole = _records(data, ("Image", "Entry", "Plate"), _IMAGE_KEYS)
    names: dict[str, str] = {}
    plates: set[str] = set()
    for kind, said in records:
        if "ChannelID" in said and said.get("ChannelName"):
            names.setdefault(channel_key(f"ch{said['ChannelID']}"), said["ChannelName"])
        if kind == "Plate" and said.get("PlateID"):
            plates.add(said["PlateID"])
    plate = plates.pop() if len(plates) == 1 else None
    places = {}
    for kind, said in records:
        well = well_at(_number(said, "Row"), _number(said, "Col"))
        if kind == "Image" and said.get("URL") and well:
            channel = f"ch{said['ChannelID']}" if "ChannelID" in said else None
            t = _text(said, "SequenceID") or _text(said, "TimepointID")
            places[_base(said["URL"])] = ImagePlace(
                plate, well, _text(said, "FieldID"), channel, plane_name(t, _text(said, "PlaneID"))
            )
    return Sidecar(plate, _distinct(names), places, is_whole)


def _distinct(names: Mapping[str, str]) -> dict[str, str]:
    """Names of which each is that of one channel."""
    n_uses = Counter(name.lower() for name in names.values())
    return {key: name if n_uses[name.lower()] == 1 else f"{name} ({key})" for key, name in names.items()}


def _records(
    data: bytes, kinds: Collection[str], keys: Collection[str]
) -> tuple[list[tuple[str, dict[str, str]]], bool]:
    """Elements of some kinds with their attributes, their children's texts and, called "", their own; and if all came.

    Reading ends where the XML is damaged. A document type, whose entities may expand without end, is not read.
    """
    reader = _Reader(kinds, keys)
    parser = expat.ParserCreate(namespace_separator=None)
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, _NotReadError, ValueError, LookupError):
        return reader.records, False
    return reader.records, True


class _Reader:
    """Collects elements while a parser goes through them, so that memory holds no tree."""

    def __init__(self, kinds: Collection[str], keys: Collection[str]) -> None:
        self.records: list[tuple[str, dict[str, str]]] = []
        self._kinds, self._keys = kinds, keys
        self._opened: list[str] = []
        self._depth = 0
        self._said: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._opened) >= _MAX_DEPTH or len(self.records) >= _MAX_RECORDS:
            raise _NotReadError
        local = name.rpartition(":")[2]
        self._opened.append(local)
        if not self._depth and local in self._kinds:
            self._depth = len(self._opened)
            self._said = {key: value[:_MAX_TEXT] for key, value in _locals(attributes) if key in self._keys}

    def text(self, text: str) -> None:
        inside = len(self._opened) - self._depth
        key = "" if inside == 0 else self._opened[-1]
        if self._depth and inside <= 1 and key in self._keys:
            self._said[key] = (self._said.get(key, "") + text)[:_MAX_TEXT]

    def end(self, _: str) -> None:
        if self._depth == len(self._opened):
            said = {key: value.strip() for key, value in self._said.items()}
            self.records.append((self._opened[-1], {key: value for key, value in said.items() if value}))
            self._depth = 0
        self._opened.pop()

    def refuse(self, *_: object) -> None:
        raise _NotReadError


class _NotReadError(Exception):
    pass


def _locals(attributes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in attributes.items():
        yield key.rpartition(":")[2], value


def _base(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _number(said: Mapping[str, str], key: str) -> int:
    """A whole number of few digits, or 0."""
    return int(said[key]) if re.fullmatch(r"[0-9]{1,6}", said.get(key, "")) else 0


def _text(said: Mapping[str, str], key: str) -> str | None:
    return str(_number(said, key)) if key in said else None
