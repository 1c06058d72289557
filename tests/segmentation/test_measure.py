import numpy as np
import pytest

from app.segmentation.maps import Maps
from app.segmentation.measure import measure, summarise
from app.segmentation.model_card import Confidence
from tests.synthetic import discs


def test_a_rectangle_is_measured_by_hand() -> None:
    labels = np.zeros((10, 12), np.int32)
    labels[2:6, 3:5] = 1
    image = np.arange(120, dtype=np.uint16).reshape(10, 12)
    table = measure(labels, image, Maps(np.full(labels.shape, 0.75, np.float32)), Confidence(), pixel_size_um=0.5)
    row = {name: values[0] for name, values in table.items()}
    assert row["area_px"] == 8
    assert row["area_um2"] == 2
    assert (row["centroid_row_px"], row["centroid_col_px"]) == (3.5, 3.5)
    box = [row[f"bbox_{edge}_px"] for edge in ("row_min", "col_min", "row_max", "col_max")]
    assert box == [2, 3, 6, 5]
    assert row["equivalent_diameter_px"] == pytest.approx(np.sqrt(4 * 8 / np.pi))
    assert row["solidity"] == 1
    assert row["intensity_mean"] == image[2:6, 3:5].mean()
    assert row["confidence"] == pytest.approx(0.75)
    assert not row["touches_border"]


def test_colour_intensity_is_the_mean_over_channels() -> None:
    labels = np.ones((2, 2), np.int32)
    image = np.full((2, 2, 3), (10, 20, 60), np.uint8)
    assert measure(labels, image, Maps(np.ones((2, 2), np.float32)), Confidence(), None)["intensity_mean"].tolist() == [
        30
    ]


@pytest.mark.parametrize("centre", [(0, 20), (39, 20), (20, 0), (20, 39)])
def test_each_edge_counts_as_border(centre: tuple[int, int]) -> None:
    labels = discs((40, 40), (*centre, 3), (20, 20, 5))
    table = measure(labels, labels.astype(np.uint8), Maps(np.ones(labels.shape, np.float32)), Confidence(), None)
    assert table["touches_border"].tolist() == [True, False]


@pytest.mark.parametrize("labels", [np.ones((1, 1), np.int32), np.eye(5, dtype=np.int32)])
def test_degenerate_nuclei_have_finite_measurements(labels: np.ndarray) -> None:
    table = measure(labels, labels.astype(np.uint8), Maps(np.ones(labels.shape, np.float32)), Confidence(), 0.5)
    assert all(np.isfinite(values).all() for values in table.values())


def test_no_nuclei_is_an_empty_table_with_all_columns() -> None:
    empty = np.zeros((6, 6), np.int32)
    table = measure(empty, empty.astype(np.uint8), Maps(np.zeros((6, 6), np.float32)), Confidence(), None)
    one = measure(empty + 1, empty.astype(np.uint8), Maps(np.zeros((6, 6), np.float32)), Confidence(), None)
    assert list(table) == list(one)
    assert {len(values) for values in table.values()} == {0}
    assert summarise(table, empty) == {
        "area_px": dict.fromkeys(("mean", "median", "std", "min", "max")),
        "foreground_fraction": 0,
    }


def test_summary() -> None:
    labels = np.array([[1, 1, 1, 0], [2, 0, 0, 0]], np.int32)
    table = measure(labels, labels.astype(np.uint8), Maps(np.ones((2, 4), np.float32)), Confidence(), None)
    assert summarise(table, labels) == {
        "area_px": {"mean": 2, "median": 2, "std": 1, "min": 1, "max": 3},
        "foreground_fraction": 0.5,
    }


def test_confidence_weighs_probability_and_distance() -> None:
    labels = np.array([[1, 1, 0, 2]], np.int32)
    probability, distance = (np.array([row], np.float32) for row in ([0.6, 0.8, 0, 0.7], [0.1, 0.9, 1, 0.2]))
    model = Confidence(intercept=-1, probability_slope=2, distance_slope=3)
    confidence = measure(labels, labels.astype(np.uint8), Maps(probability, distance), model, None)["confidence"]
    log_odds = 2 * np.log(0.7 / 0.3) - 1 + 3 * np.array([0.9, 0.2])
    np.testing.assert_allclose(confidence, 1 / (1 + np.exp(-log_odds)), rtol=1e-5)
