import csv
import io
import json

import numpy as np
import pandas
import pytest
import tifffile
from PIL import Image
from pyarrow import parquet

from app.export.encode import (
    AROUND_RGB,
    CONTOUR_RGB,
    encode_csv,
    encode_labels,
    encode_mask,
    encode_overlay,
    encode_parquet,
)
from tests.synthetic import discs

PROVENANCE = {"karyometer": "1", "options": {"threshold": 0.5}}
LABELS = discs((30, 40), (10, 10, 6), (20, 30, 5))


def test_mask_is_0_and_255() -> None:
    mask = np.asarray(Image.open(io.BytesIO(encode_mask(LABELS))))
    np.testing.assert_array_equal(mask, (LABELS > 0) * np.uint8(255))


@pytest.mark.parametrize(("n_nuclei", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_labels_are_as_wide_as_they_must_be(n_nuclei: int, dtype: type) -> None:
    labels = np.arange(n_nuclei + 1, dtype=np.int32).reshape(1, -1)
    data = encode_labels(labels, PROVENANCE)
    read = tifffile.imread(io.BytesIO(data))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, labels)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), labels)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert json.loads(file.pages.first.description) == PROVENANCE


def test_overlay_draws_contours_and_leaves_the_rest() -> None:
    image = np.full((*LABELS.shape, 3), 0.2, np.float32)
    overlay = np.asarray(Image.open(io.BytesIO(encode_overlay(image, LABELS))))
    assert tuple(overlay[10, 4]) == CONTOUR_RGB
    assert tuple(overlay[10, 3]) == AROUND_RGB
    assert tuple(overlay[10, 10]) == tuple(overlay[0, 39]) == (51, 51, 51)
    table = {"label": [1, 2], "centroid_row_px": [10, 20], "centroid_col_px": [10, 30]}
    numbered = np.asarray(Image.open(io.BytesIO(encode_overlay(image, LABELS, table))))
    changed = (numbered != overlay).any(axis=2)
    assert changed[5:16, 5:16].any()
    assert changed[15:26, 25:36].any()
    # Numbers stay near their nuclei.
    assert not changed[:, :2].any()
    assert not changed[28:].any()


def test_csv_has_a_header_a_row_a_nucleus_and_empty_fields() -> None:
    table = {"label": np.array([1, 2]), "area_um2": np.array([np.nan, 2.5]), "touches_border": np.array([True, False])}
    rows = list(csv.reader(io.StringIO(encode_csv(table).decode())))
    assert rows == [["label", "area_um2", "touches_border"], ["1", "", "1"], ["2", "2.5", "0"]]
    empty = {name: values[:0] for name, values in table.items()}
    assert list(csv.reader(io.StringIO(encode_csv(empty).decode()))) == rows[:1]


def test_parquet_keeps_types_and_says_where_it_comes_from() -> None:
    table = {"label": np.array([1, 2]), "area_um2": np.array([np.nan, 2.5]), "touches_border": np.array([True, False])}
    data = encode_parquet(table, PROVENANCE)
    read = pandas.read_parquet(io.BytesIO(data))
    assert [str(dtype) for dtype in read.dtypes] == ["int64", "float64", "bool"]
    assert read["label"].tolist() == [1, 2]
    assert read["area_um2"].isna().tolist() == [True, False]
    assert json.loads(parquet.read_schema(io.BytesIO(data)).metadata[b"karyometer"]) == PROVENANCE
    empty = {name: values[:0] for name, values in table.items()}
    assert len(pandas.read_parquet(io.BytesIO(encode_parquet(empty, PROVENANCE)))) == 0
