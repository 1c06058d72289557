import csv
import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from app.segmentation.encode import CONTOUR_RGB, encode_csv, encode_labels, encode_mask, encode_overlay
from tests.synthetic import discs

LABELS = discs((30, 40), (10, 10, 6), (20, 30, 5))


def test_mask_is_0_and_255() -> None:
    mask = np.asarray(Image.open(io.BytesIO(encode_mask(LABELS))))
    np.testing.assert_array_equal(mask, (LABELS > 0) * np.uint8(255))


@pytest.mark.parametrize(("n_nuclei", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_labels_are_as_wide_as_they_must_be(n_nuclei: int, dtype: type) -> None:
    labels = np.arange(n_nuclei + 1, dtype=np.int32).reshape(1, -1)
    read = tifffile.imread(io.BytesIO(encode_labels(labels)))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, labels)


def test_overlay_draws_contours_and_leaves_the_rest() -> None:
    image = np.full((*LABELS.shape, 3), 0.2, np.float32)
    overlay = np.asarray(Image.open(io.BytesIO(encode_overlay(image, LABELS))))
    assert tuple(overlay[10, 4]) == CONTOUR_RGB
    assert tuple(overlay[10, 10]) == tuple(overlay[0, 39]) == (51, 51, 51)


def test_csv_has_a_header_a_row_a_nucleus_and_empty_fields() -> None:
    table = {"label": np.array([1, 2]), "area_um2": np.array([np.nan, 2.5]), "touches_border": np.array([True, False])}
    rows = list(csv.reader(io.StringIO(encode_csv(table).decode())))
    assert rows == [["label", "area_um2", "touches_border"], ["1", "", "1"], ["2", "2.5", "0"]]
    empty = {name: values[:0] for name, values in table.items()}
    assert list(csv.reader(io.StringIO(encode_csv(empty).decode()))) == rows[:1]
