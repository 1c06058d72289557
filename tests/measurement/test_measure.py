import numpy as np
import pytest

from app.inference.model_card import Confidence
from app.inference.predictions import Predictions
from app.measurement.intensities import Background
from app.measurement.intensities import background as background_of
from app.measurement.measure import Table, measure
from app.measurement.summary import summarise
from app.reading.padding import Padding
from app.reading.stack import PixelSize
from tests.synthetic import discs

HALF_UM = PixelSize(0.5, 0.5)


def measured(
    labels: np.ndarray,
    image: np.ndarray,
    predictions: Predictions,
    confidence: Confidence,
    pixel_size: PixelSize | None,
) -> Table:
    """The table of an image whose channels are all that there are."""
    channels = image.reshape(*image.shape[:2], -1)
    return measure(labels, image, channels, predictions, confidence, pixel_size).nuclei


def test_a_rectangle_is_measured_by_hand() -> None:
    labels = np.zeros((10, 12), np.int32)
    labels[2:6, 3:5] = 1
    image = np.arange(120, dtype=np.uint16).reshape(10, 12)
    table = measured(labels, image, Predictions(np.full(labels.shape, 0.75, np.float32)), Confidence(), HALF_UM)
    row = {name: values[0] for name, values in table.items()}
    assert row["area_px"] == 8
    assert row["area_um2"] == 2
    assert (row["centroid_row_px"], row["centroid_col_px"]) == (3.5, 3.5)
    box = [row[f"bbox_{edge}_px"] for edge in ("row_min", "col_min", "row_max", "col_max")]
    assert box == [2, 3, 6, 5]
    assert row["equivalent_diameter_px"] == pytest.approx(np.sqrt(4 * 8 / np.pi))
    assert row["solidity"] == 1
    inside = image[2:6, 3:5]
    for name in ("mean", "median", "min", "max", "std"):
        assert row[f"intensity_{name}"] == pytest.approx(getattr(np, name)(inside))
    # All that is farther than two pixels and no farther than seven, in steps to the side and, each second time, across;
    # here that leaves out what is nearer only.
    rows, columns = np.indices(image.shape)
    down_px, across_px = np.maximum(0, np.abs(rows - 3.5) - 1.5), np.maximum(0, np.abs(columns - 3.5) - 0.5)
    gap_px = np.max([down_px, across_px, np.ceil((down_px + across_px) * 2 / 3)], axis=0)
    assert row["intensity_background"] == np.median(image[(gap_px > 2) & (gap_px <= 7)])
    assert row["intensity_sum"] == inside.sum()
    assert row["intensity_integrated"] == pytest.approx(inside.sum() - 8 * row["intensity_background"])
    assert row["perimeter_um"] == row["perimeter_px"] / 2
    assert row["axis_major_px"] / row["axis_minor_px"] == pytest.approx(np.sqrt(5), rel=0.01)
    assert row["orientation_rad"] == pytest.approx(0)
    # Of so few pixels the outline is counted too short.
    assert row["circularity"] == 1
    assert np.isnan(row["nearest_neighbour_px"])
    assert row["confidence"] == pytest.approx(0.75)
    assert not row["touches_border"]


def test_colour_is_measured_as_the_mean_and_channel_by_channel() -> None:
    labels = np.ones((2, 2), np.int32)
    image = np.full((2, 2, 3), (10, 20, 60), np.uint8)
    table = measured(labels, image, Predictions(np.ones((2, 2), np.float32)), Confidence(), None)
    assert table["intensity_mean"].tolist() == [30]
    assert [table[f"intensity_mean_c{number}"].tolist() for number in range(3)] == [[10], [20], [60]]
    other = np.full((2, 2), 7, np.uint8)
    predictions = Predictions(np.ones((2, 2), np.float32))
    chosen = measure(labels, other, np.dstack([image, other]), predictions, Confidence(), None).nuclei
    assert (chosen["intensity_mean"].tolist(), chosen["intensity_max_c2"].tolist()) == ([7], [60])
    # Nothing lies around it.
    assert np.isnan(table["intensity_integrated_c0"]).all()


def test_neighbours_are_as_far_as_their_centroids_and_crowds_have_the_common_background() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[10:14, 10:14], labels[10:14, 14:18], labels[40:44, 10:14] = 1, 2, 3
    labels[6:18, 18:30] = 4
    image = np.where(labels > 0, 9, 2).astype(np.uint8)
    table = measured(labels, image, Predictions(np.ones(labels.shape, np.float32)), Confidence(), HALF_UM)
    assert table["nearest_neighbour_px"].tolist()[:3] == [4, 4, 30]
    assert table["nearest_neighbour_um"].tolist()[:2] == [2, 2]
    assert table["circularity"][3] == pytest.approx(4 * np.pi * 144 / 44**2)
    assert table["intensity_background"].tolist() == [2, 2, 2, 2]
    assert table["intensity_integrated"].tolist() == [7 * 16, 7 * 16, 7 * 16, 7 * 144]


@pytest.mark.parametrize("centre", [(0, 20), (39, 20), (20, 0), (20, 39)])
def test_each_edge_counts_as_border(centre: tuple[int, int]) -> None:
    labels = discs((40, 40), (*centre, 3), (20, 20, 5))
    table = measured(
        labels, labels.astype(np.uint8), Predictions(np.ones(labels.shape, np.float32)), Confidence(), None
    )
    assert table["touches_border"].tolist() == [True, False]


@pytest.mark.parametrize("labels", [np.ones((1, 1), np.int32), np.eye(5, dtype=np.int32)])
def test_degenerate_nuclei_have_finite_measurements(labels: np.ndarray) -> None:
    table = measured(
        labels, labels.astype(np.uint8), Predictions(np.ones(labels.shape, np.float32)), Confidence(), HALF_UM
    )
    unknown = {"nearest_neighbour_px", "nearest_neighbour_um"}
    if labels.all():
        unknown |= {"intensity_background", "intensity_integrated"}
    assert {name for name, values in table.items() if not np.isfinite(values).all()} == unknown


def test_no_nuclei_is_an_empty_table_with_all_columns() -> None:
    empty = np.zeros((6, 6), np.int32)
    table = measured(empty, empty.astype(np.uint8), Predictions(np.zeros((6, 6), np.float32)), Confidence(), None)
    one = measured(empty + 1, empty.astype(np.uint8), Predictions(np.zeros((6, 6), np.float32)), Confidence(), None)
    assert [(name, values.dtype) for name, values in table.items()] == [
        (name, values.dtype) for name, values in one.items()
    ]
    assert {len(values) for values in table.values()} == {0}
    none = {"mean": None, "median": None}
    assert summarise(table, Background({"": np.nan}, empty.size), HALF_UM) == {
        "count": 0,
        "area_px": dict.fromkeys(("mean", "median", "std", "min", "max", "q25", "q75", "mad")),
        "foreground_fraction": 0,
        "density_per_mm2": 0,
        "intensity_mean": none,
        "intensity_integrated": none,
        "intensity_background": None,
    }


def test_summary() -> None:
    labels = np.array([[1, 1, 1, 0], [2, 0, 0, 0]], np.int32)
    image = np.array([[5, 5, 8, 1], [9, 2, 2, 3]], np.uint8)
    predictions = Predictions(np.ones((2, 4), np.float32))
    channels = np.dstack([image, 10 * image])
    table, background = measure(labels, image, channels, predictions, Confidence(), None)
    assert background == ({"": 2, "_c0": 2, "_c1": 20}, 4)
    assert summarise(table, background, None) == {
        "count": 2,
        "area_px": {"mean": 2, "median": 2, "std": 1, "min": 1, "max": 3, "q25": 1.5, "q75": 2.5, "mad": 1},
        "foreground_fraction": 0.5,
        "density_per_mm2": None,
        "intensity_mean": {"mean": 7.5, "median": 7.5},
        "intensity_integrated": {"mean": 9.5, "median": 9.5},
        "intensity_background": 2,
        "intensity_mean_c0": {"mean": 7.5, "median": 7.5},
        "intensity_integrated_c0": {"mean": 9.5, "median": 9.5},
        "intensity_background_c0": 2,
        "intensity_mean_c1": {"mean": 75, "median": 75},
        "intensity_integrated_c1": {"mean": 95, "median": 95},
        "intensity_background_c1": 20,
    }
    for size in (HALF_UM, PixelSize(0.25, 1)):
        assert summarise(table, background, size)["density_per_mm2"] == 2 / (8 * 0.25e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_the_images_background_is_the_median_of_what_is_no_nucleus(dtype: type) -> None:
    pixels: np.ndarray = np.random.default_rng(0).integers(0, 100, (20, 30, 3)).astype(dtype)
    labels = discs((20, 30), (8, 8, 4))
    expected = {
        "": np.median(pixels[labels == 0].mean(axis=1, dtype=np.float64)),
        **{f"_c{number}": np.median(pixels[labels == 0, number]) for number in range(3)},
    }
    n_px = np.count_nonzero(labels == 0)
    medians, found_px = background_of(labels, pixels, pixels)
    assert (medians, found_px) == (pytest.approx(expected), n_px)
    assert background_of(labels, pixels[..., 1], pixels[..., 1:2]) == ({"": expected["_c1"]}, n_px)


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("is_colour", [False, True])
def test_padding_changes_no_measurement_but_places(value: int, is_colour: bool) -> None:
    labels = discs((70, 60), (3, 20, 6), (30, 1, 5), (40, 40, 9), (40, 59, 3), (60, 12, 8))
    pixels: np.ndarray = np.random.default_rng(0).integers(40, 200, (70, 60, 3)).astype(np.uint8)
    sides = ((0, 9), (30, 4))
    # A nucleus may have the padding's value.
    pixels[labels == 3] = value
    padded_labels, padded = np.pad(labels, sides), np.pad(pixels, (*sides, (0, 0)), constant_values=value)
    padding = Padding(value, 0.5, (slice(0, 70), slice(30, 90)))
    tables, summaries = [], []
    for numbers, channels, never_imaged in ((labels, pixels, None), (padded_labels, padded, padding)):
        image = channels if is_colour else np.ascontiguousarray(channels[..., 1])
        predictions = Predictions(np.ones(numbers.shape, np.float32))
        found = measure(numbers, image, channels, predictions, Confidence(), HALF_UM, never_imaged)
        tables.append(found.nuclei)
        summaries.append(summarise(*found, HALF_UM))
    assert summaries[0] == summaries[1]
    assert summaries[0]["foreground_fraction"] == np.count_nonzero(labels) / labels.size
    for name in tables[0]:
        if "intensity" in name:
            np.testing.assert_array_equal(tables[0][name], tables[1][name], name)


def test_colours_of_every_type_are_measured_as_their_mean() -> None:
    labels = discs((30, 30), (12, 15, 6))
    brightest = np.random.default_rng(0).integers(250, 256, (30, 30, 3))
    predictions = Predictions(np.ones(labels.shape, np.float32))
    for dtype, factor in ((np.uint8, 1), (np.uint16, 257), (np.int32, 1), (np.float32, 1)):
        pixels: np.ndarray = (brightest * factor).astype(dtype)
        table = measured(labels, pixels, predictions, Confidence(), None)
        inside = pixels[labels == 1].mean(axis=1, dtype=np.float64)
        for name in ("mean", "median", "min", "max", "std", "sum"):
            assert table[f"intensity_{name}"] == pytest.approx(getattr(np, name)(inside))


def test_confidence_weighs_probability_and_distance() -> None:
    labels = np.array([[1, 1, 0, 2]], np.int32)
    probability, distance = (np.array([row], np.float32) for row in ([0.6, 0.8, 0, 0.7], [0.1, 0.9, 1, 0.2]))
    model = Confidence(intercept=-1, probability_slope=2, distance_slope=3)
    confidence = measured(labels, labels.astype(np.uint8), Predictions(probability, distance), model, None)[
        "confidence"
    ]
    log_odds = 2 * np.log(0.7 / 0.3) - 1 + 3 * np.array([0.9, 0.2])
    np.testing.assert_allclose(confidence, 1 / (1 + np.exp(-log_odds)), rtol=1e-5)
