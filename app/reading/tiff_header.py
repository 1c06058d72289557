"""The chain of a TIFF's pages: where each begins, its size, and what tells it from other kinds of pages.

It is read without tifffile, which follows the links without looking back and reads every value of a header, of which
there may be millions.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

import tifffile

from app.reading.stack import MAX_PAGES

_LAYOUTS = {
    b"II*\0": tifffile.TIFF.CLASSIC_LE,
    b"MM\0*": tifffile.TIFF.CLASSIC_BE,
    b"II+\0": tifffile.TIFF.BIG_LE,
    b"MM\0+": tifffile.TIFF.BIG_BE,
}
# No program writes a quarter of them into a page.
_MAX_TAGS = 512
_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _WIDTH, _HEIGHT = 254, 255, 256, 257
_BITS, _PHOTOMETRIC, _SAMPLES, _TILE_WIDTH, _SAMPLE_FORMAT = 258, 262, 277, 322, 339
_KIND = (_BITS, _PHOTOMETRIC, _SAMPLES, _SAMPLE_FORMAT)
_READ = frozenset((_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _WIDTH, _HEIGHT, _TILE_WIDTH, *_KIND))
# Of each type of number its format; baseline readers take bytes for sides too.
_UNSIGNED = {1: "B", 3: "H", 4: "I", 16: "Q"}
_REDUCED, _TRANSPARENCY = 1, 4
_OLD_REDUCED = 2


class PageHeader(NamedTuple):
    """A page, as far as it tells which image it belongs to.

    Attributes
    ----------
    offset
        Where its header begins.
    height, width
        In pixels; 0 where it does not say.
    kind
        Pages of one image have the same: bits, colour model, samples and their format.
    is_preview
        Whether it says that it is a smaller copy of another page, or a mask of one.
    is_tiled
        Whether its pixels lie in tiles.
    """

    offset: int
    height: int
    width: int
    kind: tuple[int, ...]
    is_preview: bool
    is_tiled: bool

    @property
    def samples(self) -> int:
        """Of a pixel."""
        return self.kind[_KIND.index(_SAMPLES)]

    @property
    def bits(self) -> int:
        """Of a sample."""
        return self.kind[_KIND.index(_BITS)]


def read_headers(data: bytes | Path) -> list[PageHeader]:
    """All pages of a TIFF in memory or at a path, in the order of the file.

    Raises
    ------
    ValueError
        Its pages form a cycle, or are too many, or there are none.
    struct.error
        It is cut off.
    """
    with _mapped(data) as file:
        tiff = _LAYOUTS[file[:4]]
        (offset,) = struct.unpack_from(tiff.offsetformat, file, tiff.offsetsize)
        pages: dict[int, PageHeader] = {}
        while offset:
            if offset in pages or len(pages) >= MAX_PAGES:
                raise ValueError("the pages form a cycle, or are too many")
            (n_tags,) = struct.unpack_from(tiff.tagnoformat, file, offset)
            start = offset + tiff.tagnosize
            (following,) = struct.unpack_from(tiff.offsetformat, file, start + n_tags * tiff.tagsize)
            pages[offset] = _read_header(tiff, file, offset, start, n_tags)
            offset = following
    if not pages:
        raise ValueError("there are no pages")
    return list(pages.values())


def tiff_size(data: bytes | Path) -> tuple[int, int, int]:
    """Height and width of the largest page, and how many pages there are, channels and all.

    Raises
    ------
    ValueError, struct.error
        As `read_headers`; or no page has a size.
    """
    pages = read_headers(data)
    largest = max(pages, key=lambda page: page.height * page.width)
    if not largest.height * largest.width:
        raise ValueError("there is no size")
    return largest.height, largest.width, len(pages)


def _read_header(tiff: Any, file: bytes | mmap, offset: int, start: int, n_tags: int) -> PageHeader:
    if n_tags > _MAX_TAGS:
        raise ValueError("a page has too many tags")
    values: dict[int, int] = {}
    for place in range(start, start + n_tags * tiff.tagsize, tiff.tagsize):
        code, kind = struct.unpack_from(f"{tiff.byteorder}HH", file, place)
        if code not in _READ or kind not in _UNSIGNED:
            continue
        (count,) = struct.unpack_from(tiff.offsetformat, file, place + 4)
        place += tiff.tagsize - tiff.offsetsize
        # Values that do not fit into the tag lie elsewhere.
        if count * struct.calcsize(_UNSIGNED[kind]) > tiff.offsetsize:
            (place,) = struct.unpack_from(tiff.offsetformat, file, place)
        if place + 8 <= len(file):
            (value,) = struct.unpack_from(tiff.byteorder + _UNSIGNED[kind], file, place)
            values.setdefault(code, value)
    subfile, old_subfile = values.get(_NEW_SUBFILE_TYPE, 0), values.get(_SUBFILE_TYPE, 0)
    return PageHeader(
        offset=offset,
        height=values.get(_HEIGHT, 0),
        width=values.get(_WIDTH, 0),
        kind=tuple(values.get(code, 1) for code in _KIND),
        is_preview=bool(subfile & (_REDUCED | _TRANSPARENCY)) or old_subfile == _OLD_REDUCED,
        is_tiled=_TILE_WIDTH in values,
    )


@contextmanager
def _mapped(data: bytes | Path) -> Iterator[bytes | mmap]:
    """A file's bytes; those at a path are read where they are looked at."""
    if isinstance(data, bytes):
        yield data
    else:
        with data.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
            yield mapped
