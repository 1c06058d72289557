"""Files that are made to break what reads them; the same ones in every run."""

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests import bio_files
from tests.synthetic import jpeg, png, tiff

SAMPLES = Path(__file__).parent.parent / "tests" / "data"
SEED = 5
N_FLIPS = 30
_GIGABYTE = 2**30
_SIDE_PX = 64
_LARGEST = 2**31 - 1


class HostileFile(NamedTuple):
    """What is wrong with it, and its bytes."""

    kind: str
    data: bytes


def hostile_files() -> Iterator[HostileFile]:
    """All of them."""
    sound = sound_files()
    for data in (
        *((SAMPLES / name).read_bytes() for name in ("immunohistochemistry.png", "fluorescence.tif")),
        *sound.values(),
    ):
        yield from (HostileFile("file cut off", data[:end]) for end in range(0, len(data), 1024))
    flips = random.Random(SEED)  # noqa: S311
    for data in sound.values():
        yield from (HostileFile("file with bits flipped", flipped(data, flips)) for _ in range(N_FLIPS))
    for name, data in sound.items():
        for other, signature in ((other, sound[other][:8]) for other in sound if other != name):
            yield HostileFile("file with wrong first bytes", signature + data[len(signature) :])
            yield HostileFile("file with wrong first bytes", signature + flips.randbytes(2000) + other.encode())
    for kind, bombs in (
        ("small TIFF that claims to be huge", tiff_bombs()),
        ("small PNG that claims to be huge", png_bombs()),
        ("other small file that claims to be huge", other_bombs()),
    ):
        yield from (HostileFile(kind, bomb) for bomb in bombs)


def sound_files() -> dict[str, bytes]:
    """A small image in every format."""
    generator = np.random.default_rng(SEED)
    grey = generator.integers(0, 4000, (_SIDE_PX, _SIDE_PX), np.uint16)
    colour = generator.integers(0, 255, (_SIDE_PX, _SIDE_PX, 3), np.uint8)
    stack = generator.integers(0, 4000, (2, 2, 2, _SIDE_PX, _SIDE_PX), np.uint16)
    with io.BytesIO() as bmp, io.BytesIO() as webp:
        Image.fromarray(colour).save(bmp, "BMP")
        Image.fromarray(colour).save(webp, "WebP")
        pictures = {"BMP": bmp.getvalue(), "WebP": webp.getvalue()}
    tiffs = {
        "TIFF": tiff(grey),
        "TIFF with LZW": tiff(grey, compression="lzw", predictor=True),
        "TIFF in tiles": tiff(grey, compression="zlib", tile=(16, 16)),
        "OME-TIFF": tiff(stack[0, :, :, :, :], ome=True, metadata={"axes": "ZCYX"}),
        "TIFF of ImageJ": tiff(stack[0, :, :, :, :], imagej=True),
        "BigTIFF": tiff(colour, bigtiff=True, compression="zstd"),
    }
    microscopes = {"LIF": bio_files.lif(stack), "ND2": bio_files.nd2(stack), "CZI": bio_files.czi(stack)}
    return {"PNG": png(colour), "JPEG": jpeg(colour)} | pictures | tiffs | microscopes


def flipped(data: bytes, generator: random.Random) -> bytes:
    """With up to eight bits flipped, most of them in the header."""
    changed = bytearray(data)
    for _ in range(generator.randint(1, 8)):
        place = generator.randrange(min(len(data), generator.choice((64, 512, len(data)))))
        changed[place] ^= 1 << generator.randrange(8)
    return bytes(changed)


def _ifd(tags: Sequence[tuple[int, int, int, int]], following: int = 0) -> bytes:
    return (
        struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + struct.pack("<I", following)
    )


def _tiff(
    width: int = _SIDE_PX,
    height: int = _SIDE_PX,
    *,
    compression: int = 1,
    strips: bytes = b"",
    n_strips: int = 1,
    rows_per_strip: int | None = None,
    following: int = 0,
    more: Sequence[tuple[int, int, int, int]] = (),
    appended: bytes = b"",
) -> bytes:
    """A grey TIFF whose strips all have the same bytes, whatever its header says of them."""
    n_tags = 9 + len(more)
    at = 8 + 2 + 12 * n_tags + 4
    offsets, counts = at + len(strips), at + len(strips) + 4 * n_strips
    single = n_strips == 1
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, 1),
        (273, 4, n_strips, at if single else offsets),
        (277, 3, 1, 1),
        (278, 4, 1, height if rows_per_strip is None else rows_per_strip),
        (279, 4, n_strips, len(strips) if single else counts),
        *more,
    ]
    tables = struct.pack("<I", at) * n_strips + struct.pack("<I", len(strips)) * n_strips
    return b"II*\0" + struct.pack("<I", 8) + _ifd(sorted(tags), following) + strips + tables + appended


@cache
def _zeros(n_bytes: int) -> bytes:
    """Many zeros, deflated: each megabyte alike, so that it need be done only once."""
    megabyte, checksum = bytes(2**20), 1
    packer = zlib.compressobj(9)
    head = packer.compress(megabyte) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(megabyte) + packer.flush(zlib.Z_FULL_FLUSH)
    n_blocks = n_bytes // 2**20
    for _ in range(n_blocks):
        checksum = zlib.adler32(megabyte, checksum)
    return head + block * (n_blocks - 1) + b"\x03\0" + struct.pack(">I", checksum)


def tiff_bombs() -> Iterator[bytes]:
    """Pages in a cycle, strips that swell, headers that promise the world."""
    for n_pages in (1, 2, 150, 20_000):
        at = [8 + 18 * number for number in range(n_pages)]
        pages = [_ifd([(256, 4, 1, 64)], at[(number + 1) % n_pages]) for number in range(n_pages)]
        yield b"II*\0" + struct.pack("<I", 8) + b"".join(pages)
    plain = bytes(_SIDE_PX**2)
    yield _tiff(strips=plain, following=8)
    yield _tiff(strips=plain, following=2**32 - 1)
    # Pages within pages, in a cycle.
    yield _tiff(strips=plain, more=[(330, 4, 1, 8)])
    yield _tiff(strips=plain, more=[(34665, 4, 1, 8)])
    swollen = _zeros(_GIGABYTE)
    for compression in (8, 32946):
        yield _tiff(compression=compression, strips=swollen)
        yield _tiff(compression=compression, strips=swollen, n_strips=_SIDE_PX, rows_per_strip=1)
    for compression in (5, 32773, 50000, 34925, 34712, 7, 33003):
        yield _tiff(compression=compression, strips=b"\x81\0" * 200_000)
    # Far more strips than rows, in a header that is small, and in one that is not.
    for n_strips in (100_000, 1_000_000, 3_000_000):
        yield _tiff(strips=plain, n_strips=n_strips, rows_per_strip=1)
        yield _tiff(1, n_strips, strips=b"\0", n_strips=n_strips, rows_per_strip=1)
    for side in (_LARGEST, 2**32 - 1, 100_000, 0):
        yield _tiff(side, side, strips=plain)
        yield _tiff(_SIDE_PX, side, strips=plain, rows_per_strip=1)
    # Tiles larger than the image, or none at all.
    for side in (_LARGEST, 65_536, 0):
        tile = [(322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 8), (325, 4, 1, 8)]
        yield _tiff(strips=plain, more=tile)
    for code in (258, 273, 277, 339):
        yield _tiff(strips=plain, more=[(code, 3, 2**32 - 1, 8)])
    for n_bits, n_samples in ((65_535, 1), (8, 65_535), (64, 60_000)):
        yield _tiff(strips=plain, more=[(258, 3, 1, n_bits), (277, 3, 1, n_samples)])
    for said in _descriptions():
        text = said.encode() + b"\0"
        text_at = 8 + 2 + 12 * 10 + 4 + len(plain) + 8
        yield _tiff(strips=plain, more=[(270, 2, len(text), text_at)], appended=text)


def _descriptions() -> Iterator[str]:
    """What TIFFs say of themselves, to make readers lay out what is not there."""
    namespace = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    ome = f'<OME xmlns="{namespace}"><Image><Pixels {{}} Type="uint8">{{}}</Pixels></Image></OME>'
    size = 'DimensionOrder="XYZCT" SizeX="{0}" SizeY="{0}" SizeZ="{1}" SizeC="{1}" SizeT="{1}"'
    for side, n_planes in ((_SIDE_PX, 10_000), (_SIDE_PX, _LARGEST), (_LARGEST, 1), (-1, -1)):
        yield ome.format(size.format(side, n_planes), "<TiffData/>")
    yield ome.format(size.format(_SIDE_PX, 1), '<TiffData><UUID FileName="/etc/passwd">urn:uuid:1</UUID></TiffData>')
    yield ome.format(size.format(_SIDE_PX, 1), "<Channel>" * 100_000)
    yield ome.format(size.format(_SIDE_PX, 1), "<TiffData/>" * 200_000)
    yield f"{_laughs('OME')}<OME xmlns='http://www.openmicroscopy.org'>&l9;</OME>"
    for n_images in (1_000_000, 100_000_000, _LARGEST):
        yield f"ImageJ=1.54f\nimages={n_images}\nchannels=2\nslices={n_images // 2}\nhyperstack=true\n"
    yield json.dumps({"shape": [1_000_000, 1_000, 64, 64]})
    yield json.dumps({"shape": [64, 64], "axes": "Y" * 100_000})
    yield '{"shape": ' + "[" * 100_000


def _png(width: int, height: int, pixels: bytes, chunks: bytes = b"", *, interlaced: bool = False) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + chunks + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bombs() -> Iterator[bytes]:
    """Pixels, texts and profiles that swell, and sides without end."""
    swollen = _zeros(_GIGABYTE)
    rows = zlib.compress(bytes(_SIDE_PX * (_SIDE_PX + 1)))
    for interlaced in (False, True):
        yield _png(_SIDE_PX, _SIDE_PX, swollen, interlaced=interlaced)
    for height, width in (
        (_LARGEST, _LARGEST),
        (60_000, 60_000),
        (_LARGEST, 1),
        (1, 3_999_999),
        (3_999_999, 1),
        (0, 9),
    ):
        yield _png(width, height, rows)
        yield _png(width, height, swollen)
    # As large as is let in, and nothing but black.
    yield _png(2000, 2000, zlib.compress(bytes(2000 * 2001), 9))
    text = b"iTXt", b"Comment\0\1\0\0\0" + swollen
    for name, data in ((b"zTXt", b"Comment\0\0" + swollen), text, (b"iCCP", b"profile\0\0" + swollen)):
        yield _png(_SIDE_PX, _SIDE_PX, rows, _chunk(name, data))
        yield _png(_SIDE_PX, _SIDE_PX, rows, _chunk(name, data[:40] + _zeros(2**20)) * 200)
    yield _png(_SIDE_PX, _SIDE_PX, rows, _chunk(b"tEXt", b"a\0b") * 200_000)
    yield _png(_SIDE_PX, _SIDE_PX, rows, _chunk(b"acTL", struct.pack(">II", _LARGEST, 0)))
    yield _png(_SIDE_PX, _SIDE_PX, rows, struct.pack(">I", _LARGEST) + b"tEXt")


def other_bombs() -> Iterator[bytes]:
    """JPEG, BMP, WebP, LIF and zips."""
    with io.BytesIO() as buffer:
        Image.new("L", (2000, 2000)).save(buffer, "JPEG", progressive=True)
        progressive = buffer.getvalue()
    # Each scan goes over the whole image again.
    scan = progressive.rindex(b"\xff\xda")
    yield progressive[:-2] + progressive[scan:-2] * (2 * 2**20 // (len(progressive) - scan)) + progressive[-2:]
    frame = progressive.index(b"\xff\xc2") + 5
    yield progressive[:frame] + b"\xff\xff\xff\xff" + progressive[frame + 4 :]
    for width, height in ((_LARGEST, _LARGEST), (-5, 5), (2000, -(2**31)), (0, 0)):
        for compression in (0, 1, 3):
            header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, 0, 0, 0, 256, 0)
            yield b"BM" + struct.pack("<IHHI", 2000, 0, 0, 1078) + header + bytes(1024) + b"\xff\0" * 500_000
    with io.BytesIO() as buffer:
        frames = [Image.new("L", (2000, 2000), number % 256) for number in range(100)]
        frames[0].save(buffer, "WebP", save_all=True, append_images=frames[1:], lossless=True, method=0)
        yield buffer.getvalue()
    yield _lif(f"{_laughs('a')}<a>&l9;</a>")
    yield _lif("<Element>" * 100_000)
    yield _zip({"zarr.json": bytes(_GIGABYTE // 4)})
    yield _zip({f"{number}/zarr.json": b"{}" for number in range(50_000)})
    yield _zip({"../../zarr.json": b'{"attributes": {"ome": {"multiscales": []}}}'})
    yield _zip({"zarr.json": b"[" * 1_000_000})
    yield _zip({"zarr.json": b'{"attributes": {"ome": {"multiscales": [{"datasets": [{"path": "/etc"}]}]}}}'})


def _laughs(root: str) -> str:
    """Entities of which each is ten of the one before."""
    entities = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    return f"<?xml version='1.0'?><!DOCTYPE {root} [<!ENTITY l0 'ha'>{entities}]>"


def _lif(header: str) -> bytes:
    return struct.pack("<IIBI", 0x70, 2 * len(header) + 5, 0x2A, len(header)) + header.encode("utf-16-le")


def _zip(files: dict[str, bytes]) -> bytes:
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return buffer.getvalue()
