"""Labels to the outlines and run lengths that other tools open: QuPath, ImageJ, COCO's readers."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import roifile
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy import ndimage
from skimage.measure import find_contours

from app.errors import FormatError

Ring = NDArray[np.float64]
# ImageJ stores the corners of a region's box as signed 16-bit numbers.
ROI_MAX_SIDE_PX = 32_767
# Files in a zip have a time; a fixed one keeps the bytes the same.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def outline(labels: NDArray[np.int32]) -> list[list[Ring]]:
    """The outline of each nucleus along its pixels' edges, corners cut at 45 degrees.

    Parameters
    ----------
    labels
        `(H, W)`, 0 is background, nuclei are 1..N and connected.

    Returns
    -------
    list of list of ndarray of float64, shape (n, 2)
        For each nucleus its closed rings in (x, y): the outer one first, anticlockwise in these coordinates, then those
        of its holes, clockwise. The origin is the upper left corner of the image, so that the middle of its first pixel
        lies at (0.5, 0.5), as QuPath and ImageJ have it.

    Examples
    --------
    >>> outline(np.array([[1]], np.int32))[0][0].tolist()
    [[0.5, 1.0], [0.0, 0.5], [0.5, 0.0], [1.0, 0.5], [0.5, 1.0]]
    """
    outlines = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        padded = np.pad(labels[box] == number, 1).astype(np.float64)
        rings = find_contours(padded, 0.5, fully_connected="high")
        corner = np.array([side.start for side in box]) - 0.5
        # (row, column) to (x, y).
        turned = [(ring + corner)[:, ::-1] for ring in rings]
        turned.sort(key=lambda ring: abs(_area(ring)), reverse=True)
        outlines.append(
            [ring if (_area(ring) > 0) == (index == 0) else ring[::-1] for index, ring in enumerate(turned)]
        )
    return outlines


def _area(ring: Ring) -> float:
    """Area inside a closed ring (x, y), by the shoelace formula; negative where it runs clockwise."""
    x, y = ring.T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def encode_geojson(
    labels: NDArray[np.int32], table: Mapping[str, NDArray[Any]], provenance: Mapping[str, Any]
) -> bytes:
    """GeoJSON FeatureCollection as QuPath reads it: one detection a nucleus, the table's numbers as measurements."""
    columns = {name: values.tolist() for name, values in table.items()}
    rows = zip(*columns.values(), strict=True)
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring.tolist() for ring in rings]},
            "properties": {
                "objectType": "detection",
                "name": str(row[0]),
                "classification": {"name": "Nucleus", "color": [255, 220, 0]},
                "measurements": {
                    name: value for name, value in zip(columns, map(float, row), strict=True) if value == value
                },
            },
        }
        for rings, row in zip(outline(labels), rows, strict=True)
    ]
    return _json({"type": "FeatureCollection", "properties": {"provenance": provenance}, "features": features})


def encode_rois(labels: NDArray[np.int32], provenance: Mapping[str, Any]) -> bytes:
    """Zip of ImageJ regions, one a nucleus, named by its label; the zip's comment holds the provenance.

    Holes are cut out by going to them and back along one line.

    Raises
    ------
    FormatError
        The image has longer sides than the format can hold.
    """
    if max(labels.shape) > ROI_MAX_SIDE_PX:
        raise FormatError(
            f"ImageJ regions cannot lie beyond {ROI_MAX_SIDE_PX} pixels, and the image is {labels.shape[0]} x "
            f"{labels.shape[1]}; ask for geojson, or crop the image."
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (outer, *holes) in enumerate(outline(labels), start=1):
            path = np.concatenate([outer, *(ring for hole in holes for ring in (hole, outer[:1]))])
            name = f"{number:05d}"
            region = roifile.ImagejRoi.frompoints(path[:-1], name=name)
            archive.writestr(zipfile.ZipInfo(f"{name}.roi", _ZIP_TIME), region.tobytes())
        archive.comment = _json(provenance)
    return buffer.getvalue()


def encode_coco(
    labels: NDArray[np.int32],
    table: Mapping[str, NDArray[Any]],
    filename: str,
    provenance: Mapping[str, Any],
) -> bytes:
    """COCO's JSON of one image: a compressed run-length mask, an area, a box and a score a nucleus; none if given."""
    height, width = labels.shape
    left, top = table["bbox_col_min_px"], table["bbox_row_min_px"]
    boxes = np.column_stack([left, top, table["bbox_col_max_px"] - left, table["bbox_row_max_px"] - top])
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "segmentation": {"size": [height, width], "counts": counts},
            "area": area,
            "bbox": box,
            "iscrowd": 0,
            # Nuclei that were given have none.
            **({"score": score} if score == score else {}),
        }
        for number, counts, area, box, score in zip(
            table["label"].tolist(),
            run_lengths(labels),
            table["area_px"].tolist(),
            boxes.tolist(),
            table["confidence"].tolist(),
            strict=True,
        )
    ]
    return _json(
        {
            "info": {"description": "Nuclei", "provenance": provenance},
            "images": [{"id": 1, "file_name": filename, "height": height, "width": width}],
            "categories": [{"id": 1, "name": "nucleus", "supercategory": "cell"}],
            "annotations": annotations,
        }
    )


def run_lengths(labels: NDArray[np.int32]) -> list[str]:
    """COCO's compressed run lengths of each nucleus's mask; one pass over the labels `(H, W)` for all.

    Examples
    --------
    >>> run_lengths(np.array([[0, 1], [2, 1]], np.int32))
    ['22', '112']
    """
    flat = labels.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])
    runs = np.column_stack([flat[starts[:-1]], starts[:-1], starts[1:]])[flat[starts[:-1]] > 0]
    runs = runs[np.argsort(runs[:, 0], kind="stable")]
    of_nucleus = np.split(runs[:, 1:], np.flatnonzero(np.diff(runs[:, 0])) + 1) if len(runs) else []
    counts = [np.diff(ends.ravel(), prepend=0, append=flat.size) for ends in of_nucleus]
    uncompressed = [
        # The last run is left out where it is empty.
        {"size": list(labels.shape), "counts": (runs if runs[-1] else runs[:-1]).tolist()}
        for runs in counts
    ]
    compressed = coco_mask.frPyObjects(uncompressed, *labels.shape) if uncompressed else []
    return [one["counts"].decode() for one in compressed]


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
