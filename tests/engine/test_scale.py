from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import perimeter

from app.engine import predict, view
from app.engine.engine import Engine, Limits, n_predicted
from app.engine.predict import predict_at_scale
from app.engine.result import PlaneResult
from app.engine.scale import Choice, asked_scale, choose_scale, claimed_scale, scale_of
from app.engine.view import Nuclei, View, view_windows
from app.errors import ImageTooLargeError, OptionError
from app.inference.load import Model
from app.inference.model_card import Contract
from app.inference.predictions import Predictions, Predictor
from app.inference.tiling import predict_tiled
from app.options import SMALLEST_SCALE, SegmentationOptions
from tests import fakes
from tests.synthetic import discs, picture, png, tiff


class SeesSomeWidths(Predictor):
    """A network as it is: what is narrower than 7 pixels vanishes, what is wider than 70 falls to unsure pieces."""

    dtype = "float32"

    def __init__(self) -> None:
        self.n_seen = 0

    def predict(self, image: NDArray[np.float32]) -> Predictions:
        """As a network in tiles."""
        return predict_tiled(self._look, image, 1)

    def _look(self, image: NDArray[np.float32]) -> Predictions:
        self.n_seen += image.shape[0] * image.shape[1]
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
        bright = cv2.morphologyEx(np.ascontiguousarray(image[..., 0]), cv2.MORPH_OPEN, disc)
        blobs = cv2.connectedComponents((bright >= 0.5).astype(np.uint8))[1]
        depths = cv2.distanceTransform((bright >= 0.5).astype(np.uint8), cv2.DIST_L2, 5)
        wide = np.unique(blobs[depths > 35])
        probability = np.where(np.isin(blobs, wide[wide > 0]), np.minimum(bright, 0.7), bright)
        probability[::20][np.isin(blobs[::20], wide)] = 0
        probability[:, ::20][np.isin(blobs[:, ::20], wide)] = 0
        return Predictions(probability.astype(np.float32))


def engine(max_pixels: int = 10**7) -> Engine:
    card = fakes.card(contract=Contract(reach_px=1))
    return Engine(Model(SeesSomeWidths(), card), Limits(max_pixels, 10**8, 2**30))


def segment(labels: NDArray[np.int32], data: bytes | None = None, **options: Any) -> PlaneResult:
    return engine().segment(data or png(picture(labels)), SegmentationOptions(**options)).planes[0]


def grid(diameter_px: float, n: int = 5, spacing: float = 1.6) -> NDArray[np.int32]:
    """So many discs a side."""
    step = diameter_px * spacing
    side = round(n * step)
    middles = (np.arange(n) + 0.5) * step
    return discs((side, side), *((row, column, diameter_px / 2) for row in middles for column in middles))


@pytest.mark.parametrize(
    ("diameter_px", "applied"),
    [(6.5, 3.7), (9, 2.67), (15, 1), (24, 1), (38, 1), (90, 0.267), (160, 0.15), (240, 0.1)],
)
def test_nuclei_of_any_width_are_counted(diameter_px: float, applied: float) -> None:
    found = segment(grid(diameter_px, 12 if diameter_px < 20 else 5))
    assert found.count == (144 if diameter_px < 20 else 25)
    assert found.scale == pytest.approx(applied, rel=0.12)
    assert found.provenance["options"]["scale_applied"] == found.scale
    assert found.provenance["options"]["scale"] == "auto"
    assert found.warnings == ()
    np.testing.assert_allclose(found.nuclei["equivalent_diameter_px"], diameter_px, rtol=0.12)


def test_without_another_scale_wide_nuclei_fall_to_pieces() -> None:
    assert segment(grid(90), scale=1).count > 100


@pytest.mark.parametrize("options", [{"scale": 0.25}, {"diameter_px": 96}, {"diameter_um": 48, "pixel_size_um": 0.5}])
def test_a_scale_can_be_asked_for(options: dict[str, Any]) -> None:
    found = segment(grid(90), **options)
    assert (found.count, found.scale) == (25, 0.25)


def test_outlines_are_smooth() -> None:
    truth = grid(150, 3)
    found = segment(truth)
    assert found.scale < 0.2
    assert np.count_nonzero((found.labels > 0) != (truth > 0)) < 0.02 * np.count_nonzero(truth)
    # Stairs are longer by a sixth.
    np.testing.assert_allclose(found.nuclei["perimeter_px"], perimeter(truth == 1), rtol=0.02)


def test_a_giant_beside_small_ones_is_one_nucleus() -> None:
    small = [(row, column, 10.0) for row in range(30, 600, 45) for column in range(330, 600, 45)]
    truth = discs((600, 600), (150, 150, 75), (450, 150, 90), *small)
    found = segment(truth)
    assert (found.scale, found.count) == (1, 2 + len(small))
    assert segment(truth, scale=1).count > found.count + 50
    np.testing.assert_allclose(np.sort(found.nuclei["equivalent_diameter_px"])[-2:], [150, 180], rtol=0.03)


def test_what_touches_a_giant_stays_beside_it() -> None:
    small = [(row, 500.0, 10.0) for row in range(30, 600, 30)]
    found = segment(discs((600, 600), (300, 200, 80), (300, 292, 12), *small), split_touching=False)
    assert found.count == 1 + len(small)
    whole = found.labels[300, 200]
    assert found.labels[300, 292] == whole


@pytest.mark.parametrize("shape", [(256, 256), (520, 696), (1024, 1024), (2048, 2048), (2500, 3000)])
def test_an_image_that_stays_at_full_size_costs_little_more(shape: tuple[int, int]) -> None:
    circles = [(row, column, 12.0) for row in range(30, 230, 40) for column in range(30, 230, 40)]
    tile = picture(discs((256, 256), *circles))
    image = np.tile(tile, (shape[0] // 256 + 1, shape[1] // 256 + 1))[: shape[0], : shape[1]]
    model = Model(SeesSomeWidths(), fakes.card(contract=Contract(reach_px=1)))
    normalised = model.normalise(image)
    costs = []
    for options in (SegmentationOptions(scale=1), SegmentationOptions()):
        model.predictor.n_seen = 0  # type: ignore[attr-defined]
        predictions, choice = predict_at_scale(model, normalised, options)
        assert choice == Choice(1.0)
        costs.append((model.predictor.n_seen, predictions))  # type: ignore[attr-defined]
    assert costs[1][0] <= 1.35 * costs[0][0]
    np.testing.assert_array_equal(costs[0][1].probability, costs[1][1].probability)


def test_a_network_that_resizes_every_image_sees_it_once() -> None:
    predictor = SeesSomeWidths()
    image = np.zeros((100, 100, 3), np.float32)
    choice = predict_at_scale(Model(predictor, fakes.card()), image, SegmentationOptions())[1]
    assert (choice, predictor.n_seen) == (Choice(1.0), 128 * 128)


def test_micrometres_need_the_size_of_a_pixel() -> None:
    with pytest.raises(OptionError, match="give pixel_size_um"):
        segment(grid(90), diameter_um=45)
    resolution = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    found = segment(grid(90), tiff(picture(grid(90)), **resolution), diameter_um=45)
    assert found.scale == pytest.approx(24 / 90)


def test_more_pixels_than_allowed_are_refused_and_never_chosen() -> None:
    image = png(picture(grid(8, 12)))
    with pytest.raises(ImageTooLargeError, match=r"give a scale of at most 2\.05"):
        engine(100_000).segment(image, SegmentationOptions(scale=4))
    assert 2 < engine(100_000).segment(image, SegmentationOptions()).planes[0].scale < 2.06


@pytest.mark.parametrize(
    "options",
    [{"scale": 2, "diameter_px": 30}, {"diameter_px": 30, "diameter_um": 9}, {"scale": 5}, {"diameter_px": 0}],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"scale|diameter"):
        SegmentationOptions(**options)


@pytest.mark.parametrize(
    ("options", "scale_claimed"),
    [({}, 1), ({"scale": 2}, 2), ({"diameter_px": 8}, 3), ({"diameter_um": 8}, 1), ({"diameter_px": 96}, 0.25)],
)
def test_the_work_of_an_enlarged_copy_is_known_beforehand(options: dict[str, Any], scale_claimed: float) -> None:
    chosen = SegmentationOptions(**options)
    assert claimed_scale(chosen) == scale_claimed
    assert n_predicted(100, chosen, scale_claimed) == 100 * max(1, scale_claimed) ** 2
    image = png(np.zeros((100, 100), np.uint8))
    assert engine().pixels_to_segment(image, chosen) == 10_000 * max(1, scale_claimed) ** 2


@pytest.mark.parametrize("diameter_px", [6, 11.9, 12, 40, 40.1, 1000])
def test_the_scale_of_a_diameter(diameter_px: float) -> None:
    asked = asked_scale(SegmentationOptions(diameter_px=diameter_px), None)
    assert asked == scale_of(diameter_px)
    assert 12 <= asked * diameter_px <= 40 or asked == SMALLEST_SCALE


class Shown(View):
    """A view whose nuclei are told: by scale, their diameters in the image's pixels, and how sure they are."""

    def __init__(self, nuclei: dict[float, tuple[list[float], float]]) -> None:
        self._told = nuclei

    def nuclei(self, scale: float) -> Nuclei:
        """As told, none where nothing is; they lie beside each other."""
        diameters_px, confidence = self._told.get(scale, ([], 0.0))
        labels = np.arange(len(diameters_px) + 1, dtype=np.int32)[np.newaxis]
        return Nuclei(labels, np.array(diameters_px), np.full(len(diameters_px), confidence))


def test_blobs_of_many_nuclei_are_not_taken_for_one() -> None:
    blobs, single = ([100.0] * 5, 0.7), [14.0] * 40
    assert choose_scale([Shown({1 / 8: blobs, 1 / 4: blobs, 1 / 2: (single, 0.9), 1: (single, 0.95)})]) == Choice(1.0)
    # Where the larger copy shows the same widths, but is much surer, so are those that come after it.
    surer = {1 / 8: ([100.0] * 5, 0.7), 1 / 4: ([95.0] * 5, 0.9), 1 / 2: (single, 0.9), 1: (single, 0.95)}
    assert choose_scale([Shown(surer)]).scale == 1


def test_scales_that_disagree_about_the_count_are_told() -> None:
    def chosen(n_half: int, confidence: float) -> Choice:
        return choose_scale([Shown({1 / 2: ([25.0] * n_half, 0.9), 1: ([25.0] * 20, confidence)})])

    assert chosen(10, 0.7) == Choice(1.0, is_uncertain=True)
    assert chosen(17, 0.7) == Choice(1.0)
    # Sure nuclei are not looked at again.
    assert chosen(10, 0.9) == Choice(1.0)


def test_a_disagreement_is_a_warning() -> None:
    plane = fakes.segment(png(picture(grid(24))))
    assert plane.warnings == ()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "choose_scale", lambda *_: Choice(1.0, is_uncertain=True))
        codes = [warning.code for warning in segment(grid(24)).warnings]
    assert codes == ["scale_uncertain"]


def test_large_images_are_looked_at_where_there_is_most_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "WHOLE_VIEW_PX", 10_000)
    monkeypatch.setattr(view, "VIEW_SIDE_PX", 50)
    image = np.zeros((200, 310))
    image[120:180, 220:300] = np.random.default_rng(0).random((60, 80))
    windows = view_windows(image.shape, lambda window: float(image[window].std()))
    assert sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in windows) <= image.size / 4
    assert image[windows[0]].std() > 0
    assert view_windows((100, 100), lambda _: 0.0) == [(slice(0, 100), slice(0, 100))]


def test_windows_choose_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "WHOLE_VIEW_PX", 200_000)
    monkeypatch.setattr(view, "VIEW_SIDE_PX", 400)
    found = segment(grid(90, 6))
    assert (found.count, found.scale) == (36, pytest.approx(24 / 90, rel=0.1))


def test_out_of_core_the_scale_is_chosen_too() -> None:
    data = tiff(picture(grid(90)))
    with engine(max_pixels=0).segment(data, SegmentationOptions()) as result:
        found = result.planes[0]
        assert not found.is_in_memory
        assert found.count == 25
        whole = engine().segment(data, SegmentationOptions()).planes[0]
        assert found.provenance == whole.provenance
        np.testing.assert_array_equal(found.labels, whole.labels)


@pytest.mark.parametrize("options", [{"scale": 2}, {"diameter_px": 8}])
def test_out_of_core_nothing_is_enlarged(options: dict[str, Any]) -> None:
    data = tiff(picture(grid(90)))
    with pytest.raises(OptionError, match="Of so large an image"):
        engine(max_pixels=0).segment(data, SegmentationOptions(**options))
