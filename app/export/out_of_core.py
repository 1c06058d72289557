"""Results of images that are not in memory to files, some rows at a time."""

import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from app.engine.result import PlaneResult
from app.export.encode import encode_csv

_TILE_PX = 256
_TABLE_ROWS = 10_000
# Above, a TIFF that cannot be compressed would not fit into 32-bit offsets.
_LARGEST_TIFF_BYTES = 2**32 - 2**25


def write_labels(found: PlaneResult, file: BinaryIO) -> None:
    """As `app.export.encode.encode_labels`, in tiles; a BigTIFF where it may need more than 4 GiB."""
    dtype = np.dtype(np.uint16 if found.count <= np.iinfo(np.uint16).max else np.uint32)
    height, width = found.image.height, found.image.width

    def tiles() -> Iterator[NDArray[Any]]:
        for rows in found.label_rows(_TILE_PX):
            lines = rows.astype(dtype)
            for first in range(0, width, _TILE_PX):
                yield lines[:, first : first + _TILE_PX]

    provenance = found.provenance
    tifffile.imwrite(
        file,
        tiles(),
        shape=(height, width),
        dtype=dtype,
        tile=(_TILE_PX, _TILE_PX),
        bigtiff=height * width * dtype.itemsize > _LARGEST_TIFF_BYTES,
        compression="zlib",
        photometric="minisblack",
        metadata=None,
        description=json.dumps(provenance),
        software=f"karyometer {provenance['karyometer']}",
    )


def write_mask(found: PlaneResult, file: BinaryIO) -> None:
    """8-bit grey PNG: 255 where there is nucleus, else 0. The encoders that we have want all pixels at once."""
    height, width = found.image.height, found.image.width
    compressor = zlib.compressobj(strategy=zlib.Z_RLE)

    def write_chunk(kind: bytes, data: bytes) -> None:
        file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))

    file.write(b"\x89PNG\r\n\x1a\n")
    write_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    for rows in found.label_rows(_TILE_PX):
        # Each line begins with its filter, which is none.
        lines = np.pad(np.where(rows > 0, 255, 0).astype(np.uint8), ((0, 0), (1, 0)))
        write_chunk(b"IDAT", compressor.compress(lines.tobytes()))
    write_chunk(b"IDAT", compressor.flush())
    write_chunk(b"IEND", b"")


def write_csv(found: PlaneResult, file: BinaryIO) -> None:
    """As `app.export.encode.encode_csv`."""
    for first in range(0, max(1, found.count), _TABLE_ROWS):
        some = {name: values[first : first + _TABLE_ROWS] for name, values in found.nuclei.items()}
        header, _, rows = encode_csv(some).partition(b"\n")
        file.write(rows if first else header + b"\n" + rows)
