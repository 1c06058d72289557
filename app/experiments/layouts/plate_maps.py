"""Plate maps with the table that says which plates have them, together in one zip."""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO

from app.errors import LayoutError
from app.experiments.layouts.records import Record, Records
from app.experiments.layouts.sheet import MAX_BYTES, MAX_ROWS

_ZIP = b"PK\x03\x04"
_MAX_FILES = 200
_ENDINGS = (".csv", ".tsv", ".txt")
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, struct.error),
    # Passwords, methods of compression that are not read, and nonsense in the directory.
    *(RuntimeError, NotImplementedError, ValueError, OverflowError),
)


def is_packed(data: bytes) -> bool:
    """Whether it is a zip."""
    return data.startswith(_ZIP)


def unpack(data: bytes) -> Mapping[str, bytes]:
    """The tables in a zip, by their names.

    Raises
    ------
    LayoutError
        It is damaged, an Excel workbook, too large, or has no tables.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
            if "[Content_Types].xml" in names or "mimetype" in names:
                raise LayoutError("It is a workbook, and no table as text; save the layout as CSV.")
            members = [member for member in archive.infolist() if _is_table(member)]
            if len(members) > _MAX_FILES or sum(member.file_size for member in members) > MAX_BYTES:
                raise LayoutError(
                    f"The zip has more than {_MAX_FILES} tables or {MAX_BYTES} bytes in them; leave out what is no "
                    "plate map."
                )
            # A member ends where its entry says, however much more there is.
            return _some({member.filename: archive.read(member) for member in members})
    except _DAMAGE as exc:
        raise LayoutError("The zip is damaged or has a password; zip the tables again, or send one as it is.") from exc


def joined_maps(found: Sequence[tuple[str, Records]]) -> Records:
    """What several files say together; one file that is no plate map is as it was.

    Raises
    ------
    LayoutError
        They are no plate maps, or one that a plate has is missing.
    """
    plate_maps: dict[str, str] = {}
    for name, one in found:
        for barcode, map_name in one.plate_maps.items():
            if plate_maps.setdefault(barcode, map_name) != map_name:
                raise LayoutError(f"{name[:100]} gives plate {barcode[:40]!r} a second plate map; a plate has one.")
    layouts = [(name, one) for name, one in found if one.records]
    if not layouts:
        raise LayoutError(
            "This table says only which plates have which map; send it in one zip with the plate maps, which say what "
            "each well got."
        )
    if all(one.is_plate_map for _, one in layouts):
        return _on_plates([one for _, one in layouts], plate_maps)
    if len(layouts) > 1 or plate_maps:
        names = ", ".join(name[:60] for name, _ in found[:8])
        raise LayoutError(f"The zip has several tables ({names}) that are no plate maps; send one layout.")
    return layouts[0][1]


def _on_plates(maps: Sequence[Records], plate_maps: Mapping[str, str]) -> Records:
    """Each line once for each plate that has its map."""
    of_map: dict[str, list[Record]] = {}
    for one in maps:
        for record in one.records:
            of_map.setdefault(str(record.plate), []).append(record)
    further = tuple(dict.fromkeys(name for one in maps for name in one.further))
    if plate_maps:
        missing = sorted(set(plate_maps.values()) - of_map.keys())
        if missing:
            raise LayoutError(f"The plate map {missing[0][:60]!r} is not there, and plates have it; add it to the zip.")
        if sum(len(of_map[name]) for name in plate_maps.values()) > MAX_ROWS:
            raise LayoutError(f"The plates have more than {MAX_ROWS} wells together; divide the experiment.")
        records = [replace(record, plate=barcode) for barcode, name in plate_maps.items() for record in of_map[name]]
        return Records(records, further, is_plate_map=True)
    records = [record for records in of_map.values() for record in records]
    if len(of_map) == 1:
        return Records([replace(record, plate=None) for record in records], further, is_plate_map=True)
    said = (
        "No table says which plates have which map, so that plates must be called like their maps; send "
        "barcode_platemap.csv in one zip with the maps."
    )
    return Records(records, further, (("barcodes_missing", said),), is_plate_map=True)


def _is_table(member: zipfile.ZipInfo) -> bool:
    base = member.filename.rpartition("/")[2]
    is_of_system = base.startswith(".") or "__MACOSX" in member.filename
    return base.lower().endswith(_ENDINGS) and not is_of_system


def _some(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    if not files:
        raise LayoutError(f"The zip has no tables; put files that end with {', '.join(_ENDINGS)} in it.")
    return files
