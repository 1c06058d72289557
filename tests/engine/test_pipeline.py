import numpy as np
import pytest
from numpy.typing import NDArray

from app.engine import blocks, pipeline
from app.errors import SizeMismatchError
from app.inference.predictions import Predictions
from app.options import SegmentationOptions
from tests import fakes
from tests.synthetic import discs, picture, png, tiff

SCENE = discs((60, 80), (20, 20, 9), (20, 35, 9), (50, 0, 5), (50, 60, 2))
DATA = png(picture(SCENE))


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 4),
        ({"split_touching": False}, 3),
        ({"min_area_px": 20}, 3),
        ({"exclude_border": True}, 3),
        ({"threshold": "mean"}, 4),
        ({"threshold": "otsu"}, 4),
        ({"threshold": 0.999}, 4),
    ],
)
def test_options_change_the_count(options: dict, count: int) -> None:
    segmentation = fakes.segment(DATA, SegmentationOptions(**options))
    assert segmentation.count == count == segmentation.labels.max()
    assert segmentation.nuclei["label"].tolist() == list(range(1, count + 1))
    assert set(segmentation.timing_ms) == {"decode", "predict", "split", "measure"}


@pytest.mark.parametrize("most_whole_px", [0, 10**6], ids=["in blocks", "whole"])
def test_what_a_stitcher_cut_touches_the_border(most_whole_px: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MOST_WHOLE_PX", most_whole_px)
    scene = discs((90, 120), (20, 30, 8), (45, 60, 8), (70, 20, 8), (75, 95, 8), (20, 95, 8))
    image = picture(scene) // 2 + np.random.default_rng(0).integers(20, 30, scene.shape).astype(np.uint8)
    # A tile is missing, and a border is around it all; they cut two nuclei.
    image[60:, 90:] = 0
    data = png(np.pad(image[:, 25:], 20))
    found = fakes.segment(data, SegmentationOptions(threshold=0.5))
    assert found.nuclei["touches_border"].tolist() == [True, False, False, True, True]
    inside = fakes.segment(data, SegmentationOptions(threshold=0.5, exclude_border=True))
    np.testing.assert_array_equal(inside.nuclei["centroid_row_px"], found.nuclei["centroid_row_px"][1:3])


def test_what_was_applied_is_recorded() -> None:
    segmentation = fakes.segment(DATA, SegmentationOptions(threshold="mean", min_area_px=5))
    assert segmentation.threshold == pytest.approx((SCENE > 0).mean())
    assert segmentation.min_area_px == 5


@pytest.mark.parametrize("image", [np.zeros((1, 1), np.uint8), np.full((9, 7, 3), 255, np.uint8)])
def test_an_image_without_nuclei_has_none(image: np.ndarray) -> None:
    segmentation = fakes.segment(png(image), SegmentationOptions())
    assert segmentation.count == 0
    assert segmentation.labels.shape == image.shape[:2]


class DarkIsNucleus(fakes.BrightIsNucleus):
    """A predictor whose probability is the normalised darkness."""

    def predict(self, image: NDArray[np.float32]) -> Predictions:
        """As the bright one of the inverted image."""
        return super().predict(1 - image)


@pytest.mark.parametrize("pixels", [picture(SCENE), np.repeat(picture(SCENE)[..., np.newaxis], 3, axis=2)])
def test_dark_nuclei_of_a_grey_image_are_told(pixels: np.ndarray) -> None:
    dark = fakes.segment(png(255 - pixels), predictor=DarkIsNucleus())
    bright = fakes.segment(png(pixels), SegmentationOptions())
    assert dark.count == bright.count == 4
    assert [warning.code for warning in dark.warnings] == ["dark_nuclei"]
    assert bright.warnings == ()


def test_stained_nuclei_are_always_dark() -> None:
    white = np.full((*SCENE.shape, 3), 255, np.uint8)
    white[SCENE > 0] = (60, 40, 120)
    segmentation = fakes.segment(png(white), predictor=DarkIsNucleus())
    assert (segmentation.count, segmentation.warnings) == (4, ())


def test_truth_of_both_kinds() -> None:
    engine = fakes.engine()
    result = engine.segment(DATA, SegmentationOptions(split_touching=False))
    binary = engine.evaluate(result, png(picture(SCENE)))
    assert (binary.mask_kind, binary.count_true, binary.average_precision) == ("binary", 3, 1)
    labels = engine.evaluate(result, tiff(SCENE.astype(np.uint16) * 1000))
    assert (labels.mask_kind, labels.count_true) == ("labels", 4)
    assert labels.pixels.iou == 1
    assert labels.average_precision < 1


def test_another_size_names_both() -> None:
    engine = fakes.engine()
    result = engine.segment(DATA, SegmentationOptions())
    with pytest.raises(SizeMismatchError, match=r"mask is 80 x 60 pixels, the image 60 x 80"):
        engine.evaluate(result, png(picture(SCENE).T))


@pytest.mark.parametrize("threshold", ["model", "mean", "otsu"])
@pytest.mark.parametrize("image", [picture(SCENE), np.dstack([picture(SCENE), picture(SCENE) // 2, picture(SCENE)])])
def test_large_images_are_parted_and_measured_in_blocks_with_the_same_result(
    threshold: str, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fakes.segment(png(image), SegmentationOptions(threshold=threshold))
    monkeypatch.setattr(pipeline, "MOST_WHOLE_PX", 60 * 80 - 1)
    monkeypatch.setattr(blocks, "BLOCK_PX", 25)
    parts = fakes.segment(png(image), SegmentationOptions(threshold=threshold))
    np.testing.assert_array_equal(parts.labels, whole.labels)
    assert parts.labels.dtype == whole.labels.dtype
    assert parts.provenance == whole.provenance
    for name, values in whole.nuclei.items():
        np.testing.assert_allclose(parts.nuclei[name], values, rtol=1e-12)
