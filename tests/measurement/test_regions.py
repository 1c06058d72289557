import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import regionprops_table

from app.evaluation.truth import read_truth
from app.inference.model_card import Confidence
from app.inference.predictions import Predictions
from app.measurement.measure import Table, measure
from app.measurement.regions import Regions
from app.reading.decode import decode_image
from app.reading.stack import PixelSize
from app.segmentation.split import label
from tests.conftest import DATA
from tests.synthetic import brightfield, dense, discs

# Our columns and scikit-image's.
SHAPES = {
    "label": "label",
    "area_px": "area",
    "centroid_row_px": "centroid-0",
    "centroid_col_px": "centroid-1",
    "bbox_row_min_px": "bbox-0",
    "bbox_col_min_px": "bbox-1",
    "bbox_row_max_px": "bbox-2",
    "bbox_col_max_px": "bbox-3",
    "perimeter_px": "perimeter",
    "equivalent_diameter_px": "equivalent_diameter_area",
    "axis_major_px": "axis_major_length",
    "axis_minor_px": "axis_minor_length",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
}
INTENSITIES = ("intensity_mean", "intensity_median", "intensity_min", "intensity_max", "intensity_std")
THEIRS = sorted({name.partition("-")[0] for name in SHAPES.values()} | set(INTENSITIES) | {"orientation"})


SPACED = {
    "area_um2": "area",
    "equivalent_diameter_um": "equivalent_diameter_area",
    "axis_major_um": "axis_major_length",
    "axis_minor_um": "axis_minor_length",
    "eccentricity": "eccentricity",
    "solidity": "solidity",
}


def measured(labels: np.ndarray, image: np.ndarray, pixel_size: PixelSize | None) -> Table:
    predictions = Predictions(np.ones(labels.shape, np.float32))
    return measure(labels, image, image[..., np.newaxis], predictions, Confidence(), pixel_size).nuclei


def both_tables(labels: np.ndarray, image: np.ndarray) -> tuple[Table, Table]:
    return measured(labels, image, None), regionprops_table(labels, image, properties=THEIRS)


def check_same(ours: Table, theirs: Table) -> None:
    for our_name, their_name in SHAPES.items() | {(name, name) for name in INTENSITIES}:
        # The root of a variance of 0 that is off by a rounding.
        np.testing.assert_allclose(ours[our_name], theirs[their_name], rtol=1e-6, atol=2e-6, err_msg=our_name)
    check_orientation(ours, theirs, "px")


def check_orientation(ours: Table, theirs: Table, unit: str) -> None:
    is_long = ours[f"axis_major_{unit}"] > 1.01 * ours[f"axis_minor_{unit}"]
    turned = (ours["orientation_rad"] - theirs["orientation"])[is_long]
    # Both ends of the half circle are the same axis.
    np.testing.assert_allclose(np.sin(turned), 0, atol=1e-5)


@given(st.data())
def test_all_at_once_is_what_scikit_image_measures_one_by_one(data: st.DataObject) -> None:
    mask = data.draw(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
    values = data.draw(arrays(np.uint16, mask.shape))
    labels = label(mask)
    assume(mask.any())
    ours, theirs = both_tables(labels, values)
    assert ours["area_px"].sum() == np.count_nonzero(mask)
    check_same(ours, theirs)


@given(st.data())
def test_pixels_that_are_not_square_are_measured_as_scikit_image_measures_them(data: st.DataObject) -> None:
    labels = label(data.draw(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))))
    assume(labels.any())
    size = PixelSize(*data.draw(st.tuples(*[st.floats(0.1, 2)] * 2)))
    ours = measured(labels, labels.astype(np.uint8), size)
    theirs = regionprops_table(labels, properties=[*SPACED.values(), "orientation"], spacing=size)
    for our_name, their_name in SPACED.items():
        np.testing.assert_allclose(ours[our_name], theirs[their_name], rtol=1e-6, atol=2e-6, err_msg=our_name)
    check_orientation(ours, theirs, "um")
    for name in ("area_px", "perimeter_px", "axis_major_px", "nearest_neighbour_px"):
        np.testing.assert_array_equal(ours[name], measured(labels, labels.astype(np.uint8), None)[name])


def test_a_disc_is_round_whatever_its_pixels() -> None:
    # Of a radius of 20 um, sampled at 0.5 x 0.5 um and at 1 x 0.5 um.
    row, column = np.indices((50, 100))
    square = discs((100, 100), (50, 50, 40))
    oblong = ((row - 25) ** 2 + (column / 2 - 25) ** 2 <= 20**2).astype(np.int32)
    of_square = measured(square, square.astype(np.uint8), PixelSize(0.5, 0.5))
    of_oblong = measured(oblong, oblong.astype(np.uint8), PixelSize(1, 0.5))
    for name in ("area_um2", "equivalent_diameter_um", "axis_major_um", "axis_minor_um"):
        assert of_oblong[name] == pytest.approx(of_square[name], rel=0.02), name
    # Steps are the longer a way around, the less they are alike.
    assert of_oblong["perimeter_um"] == pytest.approx(of_square["perimeter_um"], rel=0.04)
    assert of_oblong["circularity"] == pytest.approx(of_square["circularity"], rel=0.08)
    assert of_oblong["eccentricity"] < 0.2
    # In pixels it is twice as wide as high.
    assert of_oblong["axis_major_px"] == pytest.approx(2 * of_oblong["axis_minor_px"], rel=0.02)


def test_a_perimeter_is_as_long_as_its_steps() -> None:
    labels = np.zeros((12, 20), np.int32)
    labels[1:5, 2:9] = 1
    labels[[6, 7, 8, 9, 10], [5, 6, 7, 8, 9]] = 2
    labels[[7, 8, 9], [5, 6, 7]] = 0
    regions = Regions(labels)
    # Along the pixels' middles, as scikit-image does: seven columns by four rows.
    assert regions.perimeter(10, 1)[0] == 2 * (6 * 1 + 3 * 10)
    assert regions.perimeter(1, 10)[0] == 2 * (6 * 10 + 3 * 1)
    diagonal = Regions(np.eye(6, dtype=np.int32))
    # The ends of a line are no steps.
    assert diagonal.perimeter(3, 4) == 4 * 5


def test_distances_between_neighbours_are_those_on_the_slide() -> None:
    labels = discs((60, 60), (10, 10, 3), (10, 22, 3), (30, 10, 3))
    near = measured(labels, labels.astype(np.uint8), PixelSize(0.25, 1))
    # The nearest in pixels is not the nearest on the slide.
    assert near["nearest_neighbour_px"].tolist() == [12, 12, 20]
    assert near["nearest_neighbour_um"].tolist() == [5, 12, 5]


@pytest.mark.parametrize("scene", ["real", "drawn"])
def test_nuclei_that_touch(scene: str) -> None:
    if scene == "real":
        labels = read_truth((DATA / "fluorescence_labels.png").read_bytes(), 10**7).labels
        image = decode_image((DATA / "fluorescence.tif").read_bytes(), 10**7).channels[..., 0]
    else:
        labels = dense((180, 240))
        image = brightfield(labels)[..., 0]
    ours, theirs = both_tables(labels, image)
    assert len(ours["label"]) == labels.max() > 20
    check_same(ours, theirs)


def test_far_from_the_corner_shapes_are_the_same() -> None:
    labels = np.zeros((40, 30_000), np.int32)
    labels[20:30, 10:16] = 1
    labels[20:30, -16:-10] = 2
    labels[25, [16, -10]] = (1, 2)
    ours, _ = both_tables(labels, labels.astype(np.uint16))
    for name in ("axis_major_px", "axis_minor_px", "orientation_rad", "eccentricity"):
        assert ours[name][0] == pytest.approx(ours[name][1], rel=1e-6)


def test_a_hull_fills_hollows() -> None:
    labels = np.zeros((12, 12), np.int32)
    labels[1:11, 1:11] = 1
    labels[1:8, 4:8] = 0
    assert Regions(labels).convex_area().tolist() == [100]


def test_a_hull_goes_around_the_pixels_edges() -> None:
    labels = discs((9, 40), (4, 4, 3), (4, 14, 0), (4, 24, 0.5))
    labels[4, 30:35] = 4
    # The disc's diagonal gaps of a pixel each lie on its hull; points and lines are their own.
    assert (Regions(labels).area_px.tolist(), Regions(labels).convex_area().tolist()) == ([29, 1, 1, 5], [37, 1, 1, 5])


def test_no_nuclei_measure_nothing() -> None:
    regions = Regions(np.zeros((3, 4), np.int32))
    values = regions.values_of(np.ones((3, 4)))
    everything = [regions.sum(values), regions.mean(values), regions.min(values), regions.max(values)]
    everything += [regions.median(values), regions.std(values), regions.perimeter(), regions.convex_area()]
    everything += [*regions.bounding_box(), *regions.centroid(), *regions.inertia()]
    assert {measured.size for measured in everything} == {0}


@pytest.mark.parametrize("n", [300, 70_000])
def test_more_nuclei_than_small_numbers_hold_are_kept_apart(n: int) -> None:
    labels = np.zeros((n // 100, 400), np.int32)
    labels[:, ::4] = labels[:, 1::4] = np.arange(1, n + 1).reshape(-1, 100)
    regions = Regions(labels)
    assert (regions.area_px == 2).all()
    # Each is a pair of pixels, all border.
    np.testing.assert_array_equal(regions.perimeter(), np.full(n, Regions(np.array([[1, 1]], np.int32)).perimeter()))
