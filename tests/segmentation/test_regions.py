import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import regionprops_table
from skimage.morphology import convex_hull_image

from app.segmentation.decode import decode_image, decode_mask
from app.segmentation.maps import Maps
from app.segmentation.measure import Table, measure
from app.segmentation.model_card import Confidence
from app.segmentation.pipeline import true_instances
from app.segmentation.regions import Regions
from app.segmentation.split import label
from tests.conftest import DATA

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
}
INTENSITIES = ("intensity_mean", "intensity_median", "intensity_min", "intensity_max", "intensity_std")
THEIRS = sorted({name.partition("-")[0] for name in SHAPES.values()} | set(INTENSITIES) | {"solidity", "orientation"})


def both_tables(labels: np.ndarray, image: np.ndarray) -> tuple[Table, Table]:
    maps = Maps(np.ones(labels.shape, np.float32))
    ours = measure(labels, image, image[..., np.newaxis], maps, Confidence(), None)
    return ours, regionprops_table(labels, image, properties=THEIRS)


def check_same(ours: Table, theirs: Table) -> None:
    for our_name, their_name in SHAPES.items() | {(name, name) for name in INTENSITIES}:
        # The root of a variance of 0 that is off by a rounding.
        np.testing.assert_allclose(ours[our_name], theirs[their_name], rtol=1e-6, atol=2e-6, err_msg=our_name)
    is_long = ours["axis_major_px"] > 1.01 * ours["axis_minor_px"]
    turned = (ours["orientation_rad"] - theirs["orientation"])[is_long]
    # Both ends of the half circle are the same axis.
    np.testing.assert_allclose(np.sin(turned), 0, atol=1e-5)


@given(st.data())
def test_all_at_once_is_what_scikit_image_measures_one_by_one(data: st.DataObject) -> None:
    mask = data.draw(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)))
    values = data.draw(arrays(np.uint16, mask.shape))
    labels = label(mask)
    assume(mask.any())
    check_same(*both_tables(labels, values))


@pytest.mark.parametrize("name", ["fluorescence", "histology", "brightfield", "bbbc039"])
def test_real_nuclei_that_touch(name: str) -> None:
    _, labels = true_instances(decode_mask((DATA / f"{name}_labels.png").read_bytes(), 10**7))
    image = decode_image(next(DATA.glob(f"{name}.*")).read_bytes(), 10**7).channels[..., 0]
    ours, theirs = both_tables(labels, image)
    check_same(ours, theirs)
    hulls = [convex_hull_image(labels == number, offset_coordinates=False).sum() for number in ours["label"]]
    np.testing.assert_array_equal(Regions(labels).convex_area(), hulls)
    # Its own solidity takes the hull around the pixels' edges, and so a few pixels more.
    assert (ours["solidity"] >= theirs["solidity"] - 1e-9).all()
    assert (ours["solidity"] <= 1).all()
    np.testing.assert_allclose(ours["solidity"], theirs["solidity"], atol=0.1)


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
