"""Every format is read back by somebody else's reader."""

import io
import json
import zipfile

import numpy as np
import pytest
import roifile
from geojson_pydantic import Feature, FeatureCollection
from geojson_pydantic import Polygon as GeoJsonPolygon
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from scipy import ndimage
from shapely import Polygon

from app.errors import FormatError
from app.export.outlines import (
    ROI_MAX_SIDE_PX,
    encode_coco,
    encode_geojson,
    encode_rois,
    outline,
    run_lengths,
)
from app.inference.model_card import Confidence
from app.inference.predictions import Predictions
from app.measurement.measure import measure
from app.segmentation.split import label
from tests.synthetic import discs

LABELS = discs((90, 120), (30, 30, 20), (30, 62, 12), (70, 100, 25), (89, 0, 9))
LABELS[26:32, 24:30] = 0
PROVENANCE = {"karyometer": "1", "model": {"name": "fake"}}
N_NUCLEI = 4


def table(labels: np.ndarray) -> dict[str, np.ndarray]:
    image = np.zeros(labels.shape, np.uint8)
    predictions = Predictions((labels > 0).astype(np.float32))
    return measure(labels, image, image[..., np.newaxis], predictions, Confidence(), None).nuclei


def check_shape(polygon: Polygon, number: int, labels: np.ndarray = LABELS) -> None:
    """Area within 1 %, and the centroid no tenth of a pixel from the pixels' own: no shift by half a pixel."""
    assert polygon.is_valid
    rows, columns = np.nonzero(labels == number)
    assert polygon.area == pytest.approx(len(rows), rel=0.01)
    assert polygon.centroid.x == pytest.approx(columns.mean() + 0.5, abs=0.1)
    assert polygon.centroid.y == pytest.approx(rows.mean() + 0.5, abs=0.1)


def test_geojson_polygons_lie_where_the_labels_do() -> None:
    data = encode_geojson(LABELS, table(LABELS), PROVENANCE)
    FeatureCollection[Feature[GeoJsonPolygon, dict]].model_validate_json(data)
    features = json.loads(data)["features"]
    assert len(features) == N_NUCLEI
    for number, feature in enumerate(features, start=1):
        outer, *holes = feature["geometry"]["coordinates"]
        assert len(holes) == (number == 1)
        assert Polygon(outer).exterior.is_ccw
        assert not any(Polygon(hole).exterior.is_ccw for hole in holes)
        check_shape(Polygon(outer, holes), number)
        assert feature["properties"]["objectType"] == "detection"
        measurements = feature["properties"]["measurements"]
        assert measurements["area_px"] == np.count_nonzero(number == LABELS)
        assert "area_um2" not in measurements
    assert json.loads(data)["properties"]["provenance"] == PROVENANCE


def test_imagej_regions_lie_where_the_labels_do() -> None:
    data = encode_rois(LABELS, PROVENANCE)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert json.loads(archive.comment) == PROVENANCE
        names = archive.namelist()
        regions = [np.asarray(roifile.ImagejRoi.frombytes(archive.read(name)).coordinates()) for name in names]
    assert names == ["00001.roi", "00002.roi", "00003.roi", "00004.roi"]
    x, y = regions[0].T
    # The ring with its hole: twice the signed area between the path and the origin.
    assert abs((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2 == pytest.approx(
        np.count_nonzero(LABELS == 1), rel=0.01
    )
    for number, region in enumerate(regions[1:], start=2):
        check_shape(Polygon(region), number)
    assert encode_rois(LABELS, PROVENANCE) == data


def test_a_side_that_imagej_cannot_store_is_refused() -> None:
    with pytest.raises(FormatError, match="ask for geojson"):
        encode_rois(np.zeros((1, ROI_MAX_SIDE_PX + 1), np.int32), PROVENANCE)


def test_coco_masks_decode_to_the_labels() -> None:
    dataset = COCO()
    dataset.dataset = json.loads(encode_coco(LABELS, table(LABELS), "scene.png", PROVENANCE))
    dataset.createIndex()
    assert dataset.loadImgs(1)[0] == {"id": 1, "file_name": "scene.png", "height": 90, "width": 120}
    annotations = dataset.loadAnns(dataset.getAnnIds(imgIds=1))
    assert [annotation["id"] for annotation in annotations] == list(range(1, N_NUCLEI + 1))
    for annotation in annotations:
        mask = np.asarray(annotation["id"] == LABELS, np.uint8, order="F")
        np.testing.assert_array_equal(dataset.annToMask(annotation), mask)
        assert annotation["segmentation"]["counts"].encode() == coco_mask.encode(mask)["counts"]
        assert annotation["area"] == mask.sum()
        assert annotation["bbox"] == coco_mask.toBbox(coco_mask.encode(mask)).tolist()


@settings(deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_any_labels_keep_their_pixels_and_their_area(mask: np.ndarray) -> None:
    labels = label(mask)
    for number, (counts, rings) in enumerate(zip(run_lengths(labels), outline(labels), strict=True), start=1):
        decoded = coco_mask.decode({"size": list(labels.shape), "counts": counts.encode()})
        np.testing.assert_array_equal(decoded, labels == number)
        outer, *holes = (Polygon(ring) for ring in rings)
        # A corner that is cut takes an eighth of a pixel, one that is filled gives it back: half a pixel a ring.
        n_holes = ndimage.label(np.pad(labels != number, 1, constant_values=True))[1] - 1
        assert len(holes) == n_holes
        area = outer.area - sum(hole.area for hole in holes)
        assert area == pytest.approx(np.count_nonzero(labels == number) - 0.5 + 0.5 * len(holes), abs=1e-6)


def test_no_nuclei_make_empty_files() -> None:
    nothing = np.zeros((5, 6), np.int32)
    assert json.loads(encode_geojson(nothing, table(nothing), PROVENANCE))["features"] == []
    assert json.loads(encode_coco(nothing, table(nothing), "", PROVENANCE))["annotations"] == []
    with zipfile.ZipFile(io.BytesIO(encode_rois(nothing, PROVENANCE))) as archive:
        assert archive.namelist() == []
