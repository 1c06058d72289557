import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.segmentation import find_boundaries

from app.errors import UnsupportedImageError
from app.evaluation.truth import Truth, instances, read_truth
from app.segmentation.split import label
from tests.synthetic import discs, png, tiff

LIMIT = 10**6
# Two that touch, one at the edge, one alone.
SCENE = discs((60, 80), (20, 20, 9), (20, 38, 9), (50, 0, 6), (45, 60, 11))
MASK = SCENE > 0
N_TOUCHING, N_NUCLEI = 3, 4


def saved(image: Image.Image, file_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format)
    return buffer.getvalue()


def codes(truth: Truth) -> list[str]:
    return [warning.code for warning in truth.warnings]


def palette_png(indices: np.ndarray, colours: list[int]) -> bytes:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette(colours)
    return saved(image)


def imagej_binary(mask: np.ndarray) -> bytes:
    """As ImageJ saves a mask whose objects it shows black on white: 255 and 0 with an inverted look-up table."""
    return tiff(mask.astype(np.uint8) * 255, photometric="miniswhite", description="ImageJ=1.54f\nmin=0.0\nmax=255.0\n")


COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [90, 90, 255], [255, 255, 0]], np.uint8)
BINARY = {
    "0 and 255": png(MASK * np.uint8(255)),
    "0 and 1": png(MASK.astype(np.uint8)),
    "16 bits": tiff(MASK * np.uint16(65_535)),
    "1 bit, PNG": saved(Image.fromarray(MASK)),
    "1 bit, TIFF": saved(Image.fromarray(MASK), "TIFF"),
    "bool": tiff(MASK, photometric="minisblack"),
    "float": tiff(MASK.astype(np.float32)),
    "RGB": png(np.dstack([MASK * np.uint8(255)] * 3)),
    "red": png(np.dstack([MASK * np.uint8(255), 0 * SCENE.astype(np.uint8), 0 * SCENE.astype(np.uint8)])),
    "transparent": png(np.dstack([0 * SCENE + 255] * 3 + [MASK * 255]).astype(np.uint8)),
    "black on transparent": png(np.dstack([0 * SCENE] * 3 + [MASK * 255]).astype(np.uint8)),
    "ImageJ, inverted look-up table": imagej_binary(MASK),
}
LABELS = {
    "uint8": png(SCENE.astype(np.uint8)),
    "uint16": tiff(SCENE.astype(np.uint16) * 1000),
    "int32, far numbers": tiff(SCENE * 70_000_000),
    "int32, lines of -1": tiff(np.where(SCENE > 0, SCENE, -1).astype(np.int32)),
    "uint32": tiff(SCENE.astype(np.uint32) * 2**29),
    "float32": tiff(SCENE.astype(np.float32)),
    "float, parts of 1": tiff((SCENE / 255).astype(np.float32)),
    "float, NaN around": tiff(np.where(SCENE > 0, SCENE, np.nan).astype(np.float32)),
    "colours": png(COLOURS[SCENE]),
    "colours, opaque": png(np.dstack([COLOURS[SCENE], 0 * SCENE.astype(np.uint8) + 255])),
    "palette": palette_png(SCENE, COLOURS.ravel().tolist()),
    "three channels, identical": tiff(
        np.stack([SCENE.astype(np.uint16)] * 3), photometric="minisblack", ome=True, metadata={"axes": "CYX"}
    ),
    "two channels, one empty": tiff(np.stack([SCENE, 0 * SCENE]).astype(np.uint16), ome=True, metadata={"axes": "CYX"}),
    "RGB of equal channels": tiff(np.dstack([SCENE.astype(np.uint8)] * 3), photometric="rgb"),
}


@pytest.mark.parametrize("data", BINARY.values(), ids=BINARY)
def test_one_value_is_a_binary_mask(data: bytes) -> None:
    truth = read_truth(data, LIMIT)
    assert (truth.kind, codes(truth)) == ("binary", [])
    np.testing.assert_array_equal(truth.labels, label(MASK))
    assert (truth.labels.dtype, truth.labels.max()) == (np.int32, N_TOUCHING)


@pytest.mark.parametrize("data", LABELS.values(), ids=LABELS)
def test_several_values_are_labels(data: bytes) -> None:
    truth = read_truth(data, LIMIT)
    assert (truth.kind, codes(truth), truth.labels.max()) == ("labels", [], N_NUCLEI)
    # The first to be met row by row has the first number.
    np.testing.assert_array_equal(
        np.array([0, *np.argsort(np.argsort([np.flatnonzero(n == SCENE)[0] for n in range(1, 5)])) + 1])[SCENE],
        truth.labels,
    )


def test_a_value_is_used_again_for_nuclei_that_do_not_touch() -> None:
    reused = np.array([0, 1, 2, 1, 1], np.uint8)[SCENE]
    truth = read_truth(png(reused), LIMIT)
    assert (truth.kind, truth.labels.max(), codes(truth)) == ("labels", N_NUCLEI, ["mask_values_reused"])
    assert "2 values make 4 pieces" in truth.warnings[0].message
    # Corners touch.
    assert instances(np.array([[1, 0, 2], [0, 1, 0]])).labels.tolist() == [[1, 0, 2], [0, 1, 0]]


LARGE = (discs((240, 320), (80, 80, 36), (80, 150, 36), (200, 0, 24), (180, 240, 44)) > 0) * np.uint8(255)
SMOOTH = {
    "drawn": cv2.resize(LARGE, (80, 60), interpolation=cv2.INTER_AREA),
    "enlarged": cv2.resize(MASK * np.uint8(255), None, fx=3, fy=3, interpolation=cv2.INTER_LINEAR),
    "blurred": cv2.GaussianBlur(MASK * np.uint8(255), (0, 0), 2),
    "blurred, 16 bits": cv2.GaussianBlur(MASK * np.uint16(40_000), (0, 0), 1.5),
    "probabilities": cv2.GaussianBlur(MASK.astype(np.float32), (0, 0), 1.5),
    "squares": cv2.resize(np.kron([[0, 1, 0, 1], [0, 0, 0, 0]], np.ones((9, 9))), None, fx=4, fy=4),
    "lossy": np.asarray(Image.open(io.BytesIO(saved(Image.fromarray(LARGE), "JPEG")))),
}


@pytest.mark.parametrize("pixels", SMOOTH.values(), ids=SMOOTH)
@pytest.mark.parametrize("is_orange", [False, True])
def test_smooth_edges_are_cut_at_half_of_the_highest_value(pixels: np.ndarray, is_orange: bool) -> None:
    values = np.dstack([pixels, pixels * 0.65, 0 * pixels]).astype(pixels.dtype) if is_orange else pixels
    truth = instances(values)
    assert (truth.kind, codes(truth)) == ("binary", ["mask_edges_smooth"])
    np.testing.assert_array_equal(truth.labels, label(pixels >= pixels.max() / 2))
    assert truth.labels.max() == (2 if pixels is SMOOTH["squares"] else N_TOUCHING)


def test_fractions_that_differ_by_rounding_are_one_value() -> None:
    rounded = np.where(MASK, np.where(np.arange(80) % 3, 1, 0.9999999), 0)
    assert (instances(rounded).kind, instances(rounded).labels.max()) == ("binary", N_TOUCHING)


@given(st.data())
def test_labels_with_sharp_edges_are_never_taken_as_smooth(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 30))
    place = st.tuples(st.integers(0, 119), st.integers(0, 119), st.integers(2, 15))
    scene = discs((120, 120), *data.draw(st.lists(place, min_size=n, max_size=n)))
    # A rest of a nucleus that is one pixel wide, beside a larger number, is what smoothing makes too.
    squares = np.lib.stride_tricks.sliding_window_view(scene, (2, 2))
    is_even = (squares == scene[:-1, :-1, np.newaxis, np.newaxis]).all(axis=(2, 3))
    is_wide = np.zeros(scene.shape, bool)
    for row, column in np.ndindex(2, 2):
        is_wide[row : row + 119, column : column + 119] |= is_even
    scene *= is_wide
    numbers = np.append(0, data.draw(st.lists(st.integers(1, 65_535), min_size=n, max_size=n, unique=True)))
    truth = instances(numbers.astype(np.uint16)[scene])
    assert "mask_edges_smooth" not in codes(truth)
    parts = sum(int(label(scene == number).max()) for number in range(1, n + 1))
    if not codes(truth) or codes(truth) == ["mask_values_reused"]:
        assert truth.labels.max() == parts


@pytest.mark.parametrize("inner", [1, 2])
def test_boundaries_go_to_the_nearest_nucleus(inner: int) -> None:
    apart = np.where(
        cv2.dilate(SCENE.astype(np.uint8), np.ones((3, 3))) == cv2.erode(SCENE.astype(np.uint8), np.ones((3, 3))),
        SCENE,
        0,
    )
    # A speck that is nothing but boundary.
    speck = np.zeros_like(MASK)
    speck[5:7, 60:62] = True
    encoded = np.where(apart > 0, inner, np.where(MASK | speck, 3 - inner, 0)).astype(np.uint8)
    truth = read_truth(png(encoded), LIMIT)
    assert (truth.kind, codes(truth), truth.labels.max()) == ("labels", ["mask_has_boundaries"], N_NUCLEI + 1)
    np.testing.assert_array_equal(truth.labels > 0, MASK | speck)
    assert (truth.labels[speck] == truth.labels[5, 60]).all()
    for number in range(1, N_NUCLEI + 1):
        found, n_pixels = np.unique(truth.labels[number == SCENE], return_counts=True)
        assert n_pixels.max() > 0.97 * n_pixels.sum(), found


def test_a_void_line_around_labels_is_a_boundary_too() -> None:
    sharp = cv2.dilate(SCENE.astype(np.uint8), np.ones((5, 5), np.uint8))
    edge = cv2.morphologyEx(sharp, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    void = np.where(edge, 255, sharp).astype(np.uint8)
    truth = instances(void)
    assert (codes(truth), truth.labels.max()) == (["mask_has_boundaries"], N_NUCLEI)


def test_a_nucleus_inside_another_cell_is_no_boundary() -> None:
    cells = discs((60, 80), (30, 40, 8), (30, 40, 20))
    truth = instances(cells)
    assert (truth.kind, truth.labels.max(), codes(truth)) == ("labels", 2, [])


INVERTED = {
    "binary": (~MASK) * np.uint8(255),
    "binary, smooth": 255 - SMOOTH["drawn"],
}


@pytest.mark.parametrize("pixels", INVERTED.values(), ids=INVERTED)
def test_black_nuclei_on_white_are_nuclei(pixels: np.ndarray) -> None:
    truth = instances(pixels)
    assert truth.kind == "binary"
    assert codes(truth)[0] == "mask_background_assumed"
    assert truth.labels.max() == N_TOUCHING
    assert (truth.labels > 0).mean() == pytest.approx(MASK.mean(), rel=0.05)


@pytest.mark.parametrize(
    "values",
    [
        SCENE + 1,
        np.where(SCENE > 0, SCENE, 65_535),
        np.where(MASK[..., np.newaxis], COLOURS[SCENE], 255),
        # As OpenCV's watershed answers: lines of -1, a background of 1.
        np.where(cv2.morphologyEx(SCENE.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0, -1, SCENE + 1),
    ],
    ids=["1", "the highest", "white", "watershed"],
)
def test_a_background_that_is_not_0_is_known_by_what_it_covers(values: np.ndarray) -> None:
    truth = instances(values)
    assert (truth.kind, codes(truth), truth.labels.max()) == ("labels", ["mask_background_assumed"], N_NUCLEI)


@pytest.mark.parametrize("fraction", [0.7, 0.8])
def test_what_covers_most_of_the_edge_is_background(fraction: float) -> None:
    values = np.ones((40, 40), np.uint8)
    n_edge = round(40 * (1 - fraction) * 4)
    values[0, :n_edge] = 0
    truth = instances(values)
    assert bool(codes(truth)) == (fraction > 0.75)


def test_a_mask_that_is_all_nucleus_has_one() -> None:
    for values in (np.full((4, 5), 7), np.ones((1, 1), bool)):
        assert (codes(instances(values)), instances(values).labels.max()) == ([], 1)
    assert instances(np.zeros((4, 5), np.uint8)).labels.max() == 0
    assert (instances(np.zeros((4, 5))).kind, read_truth(png(np.zeros((4, 5), np.uint8)), LIMIT).kind) == (
        "binary",
    ) * 2


def test_channels_that_differ_are_refused() -> None:
    data = tiff(np.stack([SCENE, SCENE // 2]).astype(np.uint16), ome=True, metadata={"axes": "CYX"})
    with pytest.raises(UnsupportedImageError, match="2 channels that differ"):
        read_truth(data, LIMIT)


def test_a_mask_of_one_nucleus_is_that_whatever_its_pieces() -> None:
    for data in (png(MASK * np.uint8(255)), png(COLOURS[SCENE]), png((~MASK) * np.uint8(255))):
        truth = read_truth(data, LIMIT, one_nucleus=True)
        assert truth.labels.max() == 1
    np.testing.assert_array_equal(truth.labels == 0, MASK)


@pytest.mark.parametrize("values", [SCENE.astype(np.uint8) * 50, COLOURS[SCENE]], ids=["numbers", "colours"])
def test_labels_that_were_smoothed_are_refused(values: np.ndarray) -> None:
    smooth = cv2.resize(values, None, fx=3, fy=3, interpolation=cv2.INTER_LINEAR)
    with pytest.raises(UnsupportedImageError, match="resize it by nearest neighbour"):
        instances(smooth)
    sharp = cv2.resize(values, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    assert instances(sharp).labels.max() == N_NUCLEI


def test_points_and_lines_are_labels() -> None:
    values = np.zeros((40, 40), np.uint16)
    values[::4, ::4] = np.arange(1, 101).reshape(10, 10)
    assert (instances(values).labels.max(), codes(instances(values))) == (100, [])
    # A few thin ones that touch.
    values[1, 1:9] = np.arange(200, 208)
    assert instances(values).labels.max() == 108


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
def test_every_mask_has_a_truth(values: np.ndarray) -> None:
    try:
        truth = instances(values)
    except UnsupportedImageError:
        return
    n_nuclei = int(truth.labels.max())
    assert np.unique(truth.labels[truth.labels > 0]).tolist() == list(range(1, n_nuclei + 1))
    assert truth.labels.shape == values.shape


@pytest.mark.parametrize("background", [-1, 255, 65_535])
def test_nuclei_that_are_numbered_from_0_beside_another_background(background: int) -> None:
    truth = instances(np.where(SCENE > 0, SCENE - 1, background))
    np.testing.assert_array_equal(truth.labels, instances(SCENE).labels)
    assert codes(truth) == ["mask_background_assumed"]


def test_a_palette_in_any_order_keeps_all_nuclei() -> None:
    order = np.array([3, 0, 1, 2, *range(4, N_NUCLEI + 1)])
    colours = np.zeros((N_NUCLEI + 1, 3), np.uint8)
    colours[order[1:]] = COLOURS[1 : N_NUCLEI + 1]
    truth = read_truth(palette_png(order[SCENE], colours.ravel().tolist()), LIMIT)
    assert (truth.labels.max(), codes(truth)) == (N_NUCLEI, ["mask_background_assumed"])


def test_numbers_of_64_bits_are_told_apart() -> None:
    values = np.zeros((8, 9), np.uint64)
    values[2:6, 1:4], values[2:6, 4:8] = 2**60 + 1, 2**60 + 2
    assert instances(values).labels.max() == 2


@pytest.mark.parametrize("is_inverted", [False, True])
def test_outlines_are_filled(is_inverted: bool) -> None:
    lines = find_boundaries(SCENE, mode="inner")
    truth = instances(np.where(lines != is_inverted, 255, 0))
    np.testing.assert_array_equal(truth.labels, instances(SCENE).labels)
    assert codes(truth)[-1] == "mask_of_outlines"


def test_lines_that_are_thick_or_open_or_run_across_are_no_outlines() -> None:
    rows, columns = np.indices((90, 90))
    distance = np.hypot(rows - 45, columns - 45)
    thick, open_ring = (distance < 40) & (distance > 26), (distance < 40) & (distance > 37) & (rows > 20)
    across = np.eye(90) > 0
    for mask in (thick, open_ring, across):
        truth = instances(mask)
        np.testing.assert_array_equal(truth.labels > 0, mask)
        assert codes(truth) == []
