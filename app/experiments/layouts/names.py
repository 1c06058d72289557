"""Where an image belongs, as far as its file's name says: plate, well, site, channel and plane.

Each kind of name is one pattern. A pattern has one part of any length, and the others are bounded, so that the time is
linear in the length of a name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from app.reading.sources import IMAGE_ENDINGS

# Of plates with 1,536 wells, the largest that there are.
N_ROWS, N_COLUMNS = 32, 48
_LONGEST = 1000
_ROW, _COLUMN = "(?P<row>A[A-F]|[A-Z])", "(?P<column>[0-9]{1,2})"
_WELL_COLUMN = "(?P<column>[0-9]{2})"
_WELL = re.compile(r"(A[A-F]|[A-Z])(?: ?[-:_/] ?)?0{0,2}([1-9][0-9]?)", re.IGNORECASE)
_WELL_BY_NUMBERS = re.compile(r"R([0-9]{1,3}) ?[-_]?C([0-9]{1,3})", re.IGNORECASE)
_ENDING = re.compile("(?:" + "|".join(re.escape(ending) for ending in (*IMAGE_ENDINGS, ".ome")) + ")$", re.IGNORECASE)
_GUID = re.compile(r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}$", re.IGNORECASE)
_PREVIEW = re.compile(r"[_-]thumb(?:nail)?s?(?:[_-]?[0-9]{1,4})?$", re.IGNORECASE)
# Dark and shading images, which Yokogawa's microscopes write beside those of the wells.
_CORRECTION = re.compile(r"(?:DC|SC|SHD)_.*_(?:CAM|CH)[0-9]{1,2}$", re.IGNORECASE)
_PREVIEW_FOLDERS = frozenset(("thumb", "thumbs", "thumbnail", "thumbnails", "preview", "previews"))
# What programs call folders inside that of a plate.
_NO_PLATE = re.compile(
    r"(?:images?|imgs?|raw|data|tiffs?|pngs?|assaydata|measurements?|timepoint_?[0-9]*|zstep_?[0-9]*|\.+)$",
    re.IGNORECASE,
)
_FOLDER_PLANE = re.compile(r"(?P<axis>timepoint|zstep)_?(?P<number>[0-9]{1,6})$", re.IGNORECASE)
# Harmony: `BR00117010__2020-11-08T18_18_00-Measurement1`.
_MEASURED = re.compile(r"__[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9_]{4,10}-Measurement ?[0-9]{1,4}$", re.IGNORECASE)

_KINDS = (
    # Phenix, Operetta: r01c01f01p01-ch1sk1fk1fl1, r01c01f01p01-ch01t01
    re.compile(
        r"r(?P<row_number>[0-9]{2,3})c(?P<column>[0-9]{2,3})f(?P<site>[0-9]{1,4})p(?P<z>[0-9]{1,4})(?:rc[0-9]{1,3})?"
        r"-(?P<channel>ch[0-9]{1,3})(?:sk(?P<t>[0-9]{1,6})|t(?P<t2>[0-9]{1,6}))?(?:fk[0-9]{1,4})?(?:fl[0-9]{1,4})?",
        re.IGNORECASE,
    ),
    # CellVoyager: plate_A01_T0001F001L01A01Z01C01
    re.compile(
        rf"(?:(?P<plate>.*)_)?{_ROW}{_WELL_COLUMN}_T(?P<t>[0-9]{{4}})F(?P<site>[0-9]{{3,4}})L[0-9]{{2}}A[0-9]{{2}}"
        r"Z(?P<z>[0-9]{2,3})(?P<channel>C[0-9]{2})"
    ),
    # ImageXpress HCS.ai: plate_t0_C05_s0_w0_z0
    re.compile(
        rf"(?:(?P<plate>.*)_|_?)t(?P<t>[0-9]{{1,6}})_{_ROW}{_WELL_COLUMN}_s(?P<site>[0-9]{{1,5}})"
        r"_(?P<channel>w[0-9]{1,2})_z(?P<z>[0-9]{1,5})",
        re.IGNORECASE,
    ),
    # InCell: A - 01(fld 1 wv 390 - Blue z 3 time 2 - 30 ms)
    re.compile(
        rf"(?:(?P<plate>.*)_)?{_ROW} ?- ?{_COLUMN} ?\(fld (?P<site>[0-9]{{1,4}})(?: wv (?P<channel>.{{1,80}}?))?"
        r"(?:[ -]{1,3}wix [0-9]{1,3})?(?:[ -]{1,3}z (?P<z>[0-9]{1,4}))?"
        r"(?:[ -]{1,3}time (?P<t>[0-9]{1,6})[^)]{0,30})?\)",
        re.IGNORECASE,
    ),
    # Cytation: A1_02_1_1_Bright Field_001; with -1 fields that were stitched: B10_-1_1_1_Stitched[DAPI 377,447]_001
    re.compile(
        rf"{_ROW}{_COLUMN}_(?P<step>-?[0-9]{{1,3}})_[0-9]{{1,3}}_(?P<site>[0-9]{{1,4}})(?:_?Z(?P<z>[0-9]{{1,4}}))?"
        r"_(?P<channel>.+)_(?P<t>[0-9]{3,6})"
    ),
    # Columbus: A1_HOECHST_33342_z01_t01
    re.compile(
        rf"{_ROW}{_COLUMN}_(?P<channel>.+?)(?:_f(?P<site>[0-9]{{1,4}}))?_z(?P<z>[0-9]{{1,4}})_t(?P<t>[0-9]{{1,6}})",
        re.IGNORECASE,
    ),
    # BBBC013: Channel1-01-A-01
    re.compile(rf"(?P<channel>Channel[0-9]{{1,2}})-[0-9]{{1,4}}-{_ROW}-{_COLUMN}", re.IGNORECASE),
    # MetaXpress: plate_A01_s1_w1 (and a GUID, which is gone by now); s10 and t10 alone are no wells.
    re.compile(
        rf"(?:(?P<plate>.*)_)?{_ROW}{_WELL_COLUMN}_s(?P<site>[0-9]{{1,5}})_(?P<channel>w[0-9]{{1,2}})", re.IGNORECASE
    ),
    re.compile(rf"(?:(?P<plate>.*)_)?{_ROW}{_WELL_COLUMN}_(?P<channel>[wW][0-9]{{1,2}})"),
    re.compile(rf"(?:(?P<plate>.*)_)?{_ROW}{_WELL_COLUMN}_[sS](?P<site>[0-9]{{1,5}})"),
    # Nothing but a well says little, so that it must look like one of a plate with at most 384.
    re.compile(r"(?:(?P<plate>.*)_)?(?P<row>[A-P])(?P<column>0[1-9]|1[0-9]|2[0-4])"),
)
_STITCHED = re.compile(r"Stitched\[(.+)\]$", re.IGNORECASE)
_ZARR_IMAGE = re.compile(rf"{_ROW}/{_COLUMN}/(?P<site>[0-9A-Za-z_-]{{1,40}})")


@dataclass(frozen=True)
class ImagePlace:
    """Where an image belongs; None is what nothing says.

    Attributes
    ----------
    plate
        From the file's name, or else the nearest folder that can be one.
    well
        The row's letter and the column with two digits, such as A01; AF48 is the last.
    site
        The field within the well, as it is numbered in the name, from 0 or from 1.
    channel
        As it is called in the name, such as `w1`, `ch1` or `DAPI 377,447`.
    plane
        Time point and depth, such as `t1z3`.
    other_plates
        What else the plate may be called: the folders, from the nearest on.
    is_stitched
        Whether it shows several fields, which may be there one by one too.
    """

    plate: str | None
    well: str | None
    site: str | None
    channel: str | None
    plane: str | None
    other_plates: tuple[str, ...] = ()
    is_stitched: bool = False


def parse_name(name: str) -> ImagePlace | None:
    """Where an image belongs by the name that its microscope gave it; None where it is of no kind that is known.

    Parameters
    ----------
    name
        Of the file, perhaps with folders, which `/` divides. Those may be called as the plate.

    Examples
    --------
    >>> place = parse_name("day 1/plate7_B03_s2_w1.tif")
    >>> place.plate, place.well, place.site, place.channel
    ('plate7', 'B03', '2', 'w1')
    >>> parse_name("holiday.jpg") is None
    True
    """
    if len(name) > _LONGEST:
        return None
    of_zarr = _zarr_place(name)
    if of_zarr is not None:
        return of_zarr
    *folders, _ = name.split("/")
    stem = _GUID.sub("", _stem(name))
    for kind in _KINDS:
        match = kind.fullmatch(stem)
        if match is not None:
            place = _place(match.groupdict(), folders)
            if place is not None:
                return place
    return None


def is_preview(name: str) -> bool:
    """Whether a file is no image of the plate: a thumbnail, or what a microscope writes to correct the others.

    Examples
    --------
    >>> is_preview("plate_A01_s1_w1_thumb1CDA3A3A-0A1E-4F2C-9C5C-0123456789AB.tif"), is_preview("plate_A01_s1_w1.tif")
    (True, False)
    """
    if any(folder.lower() in _PREVIEW_FOLDERS for folder in name.split("/")[:-1]):
        return True
    stem = _GUID.sub("", _stem(name[-_LONGEST:]))
    return bool(_PREVIEW.search(stem) or _CORRECTION.fullmatch(stem))


def normal_well(text: str) -> str | None:
    """A well as it is written here, with two digits; None where it is none of a plate of up to 1,536.

    Examples
    --------
    >>> [normal_well(text) for text in ("a1", "H-012", "AF48", "r02c03", "A0", "Q49")]
    ['A01', 'H12', 'AF48', 'B03', None, None]
    """
    named = _WELL.fullmatch(text.strip())
    if named is not None:
        return well_at(row_number(named[1]), int(named[2]))
    numbered = _WELL_BY_NUMBERS.fullmatch(text.strip())
    return well_at(int(numbered[1]), int(numbered[2])) if numbered else None


def well_at(row: int, column: int) -> str | None:
    """The well in a row and a column, both counted from 1; None where no plate has it.

    Examples
    --------
    >>> well_at(1, 1), well_at(32, 48), well_at(33, 1)
    ('A01', 'AF48', None)
    """
    if not (1 <= row <= N_ROWS and 1 <= column <= N_COLUMNS):
        return None
    letters = chr(ord("A") + row - 1) if row <= 26 else f"A{chr(ord('A') + row - 27)}"
    return f"{letters}{column:02d}"


def row_number(letters: str) -> int:
    """Of a row's letter or letters, from 1."""
    return ord(letters[-1].upper()) - ord("A") + 1 + (26 if len(letters) == 2 else 0)


def plate_folders(folders: list[str]) -> Iterator[str]:
    """What a plate may be called by the folders that its images lie in, from the nearest on."""
    for folder in reversed(folders):
        if folder and not _NO_PLATE.match(folder):
            measured = _MEASURED.sub("", folder)
            yield measured or folder
            if measured not in ("", folder):
                yield folder


def plane_name(t: str | None, z: str | None) -> str | None:
    """Time point and depth as one text."""
    named = "".join(f"{axis}{int(number)}" for axis, number in (("t", t), ("z", z)) if number is not None)
    return named or None


def _stem(name: str) -> str:
    """The file's name without folders and endings, of which there may be two (`.ome.tif`)."""
    stem = name.rpartition("/")[2]
    for _ in range(2):
        stem = _ENDING.sub("", stem)
    return stem


def _place(said: dict[str, str | None], folders: list[str]) -> ImagePlace | None:
    row = row_number(said["row"] or "") if "row" in said else int(said["row_number"] or 0)
    well = well_at(row, int(said["column"] or 0))
    if well is None:
        return None
    channel = said.get("channel")
    stitched = _STITCHED.fullmatch(channel or "")
    is_stitched = stitched is not None or (said.get("step") or "").startswith("-")
    site = None if is_stitched else said.get("site")
    of_folders = dict(_planes_of_folders(folders))
    t = said.get("t") or said.get("t2") or of_folders.get("timepoint")
    candidates = tuple(dict.fromkeys([*filter(None, [said.get("plate")]), *plate_folders(folders)]))
    return ImagePlace(
        plate=candidates[0] if candidates else None,
        well=well,
        site=None if site is None else str(int(site)),
        channel=stitched[1] if stitched else channel,
        plane=plane_name(t, said.get("z") or of_folders.get("zstep")),
        other_plates=candidates[1:],
        is_stitched=is_stitched,
    )


def _planes_of_folders(folders: list[str]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        named = _FOLDER_PLANE.fullmatch(folder)
        if named is not None:
            yield named["axis"].lower(), named["number"]


def _zarr_place(name: str) -> ImagePlace | None:
    """Of an image in an OME-Zarr plate, whose path is `plate.zarr/A/1/0`."""
    store, ending, inside = name.rpartition(".zarr/")
    match = _ZARR_IMAGE.fullmatch(inside.rstrip("/")) if ending else None
    well = well_at(row_number(match["row"]), int(match["column"])) if match else None
    if match is None or well is None:
        return None
    path = PurePosixPath(store)
    folders = tuple(plate_folders(list(path.parts[:-1])))
    stem = path.name.removesuffix(".ome")
    return ImagePlace(stem or None, well, match["site"], None, None, folders)
