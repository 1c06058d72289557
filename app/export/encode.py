"""Labels, image and table to pictures and tables; `outlines` has the files made of shapes."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import pyarrow
import tifffile
from numpy.typing import NDArray
from pyarrow import parquet
from skimage.segmentation import find_boundaries

# Yellow shows on black fluorescence, grey brightfield and purple histology; the dark line around it on white paper.
CONTOUR_RGB = (255, 220, 0)
AROUND_RGB = (0, 0, 0)
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_PLAIN, 0.7


def encode_mask(labels: NDArray[np.int32]) -> bytes:
    """8-bit grey PNG: 255 where there is nucleus, else 0."""
    return encode_png(np.where(labels > 0, 255, 0).astype(np.uint8))


def encode_labels(labels: NDArray[np.int32], provenance: Mapping[str, Any]) -> bytes:
    """Deflated TIFF of the labels `(H, W)` or `(N, H, W)`: uint16, or uint32 where there are more than 65,535 nuclei.

    The tag ImageDescription holds the provenance as JSON.
    """
    dtype = np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        labels.astype(dtype),
        compression="zlib",
        photometric="minisblack",
        metadata=None,
        description=json.dumps(provenance),
        software=f"karyometer {provenance['karyometer']}",
    )
    return buffer.getvalue()


def encode_overlay(
    image: NDArray[np.float32], labels: NDArray[np.int32], table: Mapping[str, Any] | None = None
) -> bytes:
    """RGB PNG of the image with each nucleus's outermost pixels in yellow, and those around it in black.

    Parameters
    ----------
    image
        `(H, W, 3)` in [0, 1], as normalised: dim 16-bit images become visible.
    labels
        `(H, W)`.
    table
        If given, each nucleus's number is written on its centroid.
    """
    drawn = np.round(image * 255).astype(np.uint8)
    drawn[find_boundaries(labels, mode="outer") & (labels == 0)] = AROUND_RGB
    drawn[find_boundaries(labels, mode="inner")] = CONTOUR_RGB
    if table is not None:
        for number, row, column in zip(*(table[name] for name in ("label", "centroid_row_px", "centroid_col_px"))):
            (width, height), _ = cv2.getTextSize(str(number), _FONT, _FONT_SCALE, 1)
            place = (round(column - width / 2), round(row + height / 2))
            for colour, thickness in ((AROUND_RGB, 3), ((255, 255, 255), 1)):
                cv2.putText(drawn, str(number), place, _FONT, _FONT_SCALE, colour, thickness, cv2.LINE_AA)
    return encode_png(drawn)


def encode_csv(table: dict[str, NDArray[Any]]) -> bytes:
    """UTF-8 CSV with a header line; what is not known is an empty field, true and false are 1 and 0."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table)
    columns = (values.astype(int) if values.dtype == bool else values for values in table.values())
    for row in zip(*(values.tolist() for values in columns), strict=True):
        writer.writerow(["" if value != value else value for value in row])
    return buffer.getvalue().encode()


def encode_parquet(table: Mapping[str, NDArray[Any]], provenance: Mapping[str, Any]) -> bytes:
    """Parquet with the table's own types, NaN as null; the schema's metadata holds the provenance as JSON."""
    columns = pyarrow.table({name: pyarrow.array(values, from_pandas=True) for name, values in table.items()})
    buffer = io.BytesIO()
    parquet.write_table(columns.replace_schema_metadata({"karyometer": json.dumps(provenance)}), buffer)
    return buffer.getvalue()


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """8-bit PNG, grey `(H, W)` or `(H, W, 1)`, or RGB `(H, W, 3)`."""
    flipped = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 and pixels.shape[2] == 3 else pixels
    return bytes(cv2.imencode(".png", flipped)[1].tobytes())
