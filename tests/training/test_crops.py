from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tests.synthetic import discs
from training.augment import DIAMETERS_PX, vary, warp
from training.config import PRESETS
from training.crops import Annotated, Crops, load_annotated, middles
from training.dataset import DatasetError, find_samples
from training.splits import Assignment
from training.targets import DISTANCE, FOREGROUND, OFFSET, WEIGHT, instance_targets

CONFIG = PRESETS["tiny-crops"]


def annotated(labels: np.ndarray, modality: str = "fluorescence", dataset: str = "") -> Annotated:
    image = np.repeat((labels > 0).astype(np.uint16)[..., np.newaxis] * 60_000, 3, axis=2)
    return Annotated(image, instance_targets(labels), 20.0, modality, dataset, int(labels.max()))


def test_the_inner_distance_has_one_peak_a_nucleus_and_none_between() -> None:
    labels = discs((60, 90), (30, 25, 15), (30, 54, 15), (5, 5, 2))
    target = instance_targets(labels)
    foreground, distance, weight = target[..., FOREGROUND], target[..., DISTANCE], target[..., WEIGHT]
    np.testing.assert_array_equal(foreground == 255, labels > 0)
    np.testing.assert_array_equal(ndimage.maximum(distance, labels, [1, 2, 3]), 255)
    outline = (labels > 0) & (ndimage.grey_erosion(labels, 3) != labels)
    assert distance[outline & (labels < 3)].max() < 30
    assert weight[30, 39] == weight[30, 40] == 255
    assert weight[0, 0] == weight[30, 25] == weight[30, 9] < 100


def test_a_nucleus_cut_by_the_images_edge_peaks_there() -> None:
    distance = instance_targets(discs((40, 40), (0, 20, 12)))[..., 1]
    assert distance[0, 20] == 255
    assert instance_targets(np.ones((4, 5), np.int32))[..., 1].min() == 255


def test_offsets_turn_with_the_image() -> None:
    one = annotated(discs((200, 200), (100, 100, 95)))
    for seed in range(10):
        target = warp(one.image, one.target, 200, (64, 64), np.random.default_rng(seed))[1]
        inside = target[..., FOREGROUND] == 1
        offset = 2 * target[..., OFFSET] - 1
        # Whichever way the crop is turned, the centroid lies where the offset points away from.
        assert np.median(np.gradient(offset[..., 0], axis=0)[inside]) > 0.002
        assert np.median(np.gradient(offset[..., 1], axis=1)[inside]) > 0.002
        assert np.linalg.norm(offset[inside], axis=1).max() < 1.25


def test_the_offset_leaps_where_nuclei_touch() -> None:
    offset = 2 * (instance_targets(discs((40, 60), (20, 20, 10), (20, 40, 10)))[..., OFFSET] / 255) - 1
    assert offset[20, 29, 1] > 0.8
    assert offset[20, 31, 1] < -0.8
    np.testing.assert_allclose(offset[20, 20], 0, atol=0.01)
    np.testing.assert_allclose(offset[0, 0], 0, atol=0.01)


def test_a_crop_depends_on_its_number_alone() -> None:
    images = [annotated(discs((50, 60), (20, 20, 8))), annotated(discs((20, 20), (10, 10, 5)), "histology")]
    first, second = Crops(images, CONFIG), Crops(images, CONFIG)
    second.crop(3)
    for number in (0, 1, 17):
        for one, other in zip(first.crop(number), second.crop(number), strict=True):
            np.testing.assert_array_equal(one, other)
            assert (one.shape[:2], one.dtype) == ((32, 32), np.float32)
            assert 0 <= one.min() <= one.max() <= 1
    assert not np.array_equal(first.crop(0)[0], first.crop(1)[0])


def test_batches_go_on_where_a_run_stopped() -> None:
    crops = Crops([annotated(discs((50, 60), (20, 20, 8)))], CONFIG)
    image, target = next(iter(crops.batches(first_crop=8)))
    np.testing.assert_array_equal(image[1], crops.crop(9)[0])
    np.testing.assert_array_equal(target[1], crops.crop(9)[1])


def test_image_and_target_are_warped_alike() -> None:
    one = annotated(discs((80, 80), (30, 30, 12), (60, 50, 9)))
    n_beyond = 0
    for seed in range(20):
        image, target = warp(one.image, one.target, 20, (64, 64), np.random.default_rng(seed))
        learned = target[..., WEIGHT] > 0.15
        agree = (image[..., 0] > 0.5 * 60_000 / 65_535) == (target[..., FOREGROUND] > 0.5)
        assert agree[learned].mean() > 0.99
        assert not target[..., FOREGROUND][target[..., WEIGHT] == 0].any()
        n_beyond += not learned.all()
    assert n_beyond > 5


def test_two_fifths_of_the_crops_hold_the_images_own_pixels() -> None:
    image = np.random.default_rng(0).permutation(np.arange(1, 100 * 120 * 3 + 1, dtype=np.uint16)).reshape(100, 120, 3)
    target = instance_targets(discs((100, 120), (40, 40, 20), (70, 80, 9)))
    n_exact = 0
    for seed in range(60):
        crop, target_crop = warp(image, target, 40, (64, 64), np.random.default_rng(seed))
        pixels = (crop * 65_535).round().astype(int)
        turned = [np.rot90(side, turns) for turns in range(4) for side in (image, image[:, ::-1])]
        places = [np.argwhere((side == pixels[0, 0]).all(axis=2)) for side in turned]
        found = [
            turns
            for turns, place in enumerate(places)
            for row, column in place
            if np.array_equal(turned[turns][row : row + 64, column : column + 64], pixels)
        ]
        n_exact += len(found)
        if found:
            np.testing.assert_array_equal(np.unique(target_crop[..., FOREGROUND]), [0, 1])
    assert 16 < n_exact < 32


def test_small_nuclei_weigh_more() -> None:
    weight = instance_targets(discs((60, 90), (30, 25, 15), (10, 60, 2), (40, 70, 4)))[..., WEIGHT]
    assert weight[30, 25] == weight[55, 85] < weight[40, 70] < weight[10, 60] < 255
    assert weight[10, 63] == weight[10, 60]


def test_scales_keep_nuclei_between_the_smallest_and_the_largest() -> None:
    for radius in (4, 30):
        one = annotated(discs((200, 200), (100, 100, radius)))
        diameters_px = []
        for seed in range(150):
            foreground = warp(one.image, one.target, 2 * radius, (256, 256), np.random.default_rng(seed))[1][..., 0]
            part = ndimage.label(foreground > 0.5)[0] == 1
            touches = part[[0, -1]].any() or part[:, [0, -1]].any()
            if part.any() and not touches:
                diameters_px.append(2 * np.sqrt(part.sum() / np.pi))
        assert DIAMETERS_PX[0] * 0.8 < min(diameters_px) < DIAMETERS_PX[0] * 4
        assert min(6 * 2 * radius, DIAMETERS_PX[1]) * 0.7 < max(diameters_px) < DIAMETERS_PX[1] * 1.1


def test_outlines_stay_one_pixel_wide_when_nuclei_grow() -> None:
    one = annotated(discs((60, 60), (30, 30, 9)))
    for seed in range(30):
        foreground = warp(one.image, one.target, 18, (200, 200), np.random.default_rng(seed))[1][..., FOREGROUND]
        n_between = np.count_nonzero((foreground > 0.01) & (foreground < 0.99))
        assert n_between < 3.5 * np.sqrt(4 * np.pi * max(1, (foreground > 0.5).sum()))


@pytest.mark.parametrize("channels", ["grey", "colour"])
def test_variation_stays_in_range_and_leaves_grey_grey(channels: str) -> None:
    image = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32) ** 2
    if channels == "grey":
        image[...] = image[..., :1]
    target = np.divide(instance_targets(discs((32, 32), (16, 16, 9))), 255, dtype=np.float32)
    before, target_before = image.copy(), target.copy()
    changed = 0
    for seed in range(100):
        varied, varied_target = vary(image, target, np.random.default_rng(seed))
        assert (varied.shape, varied.dtype, varied_target.shape) == (image.shape, np.float32, target.shape)
        assert 0 <= varied.min() <= varied.max() <= 1
        assert not (varied_target[..., FOREGROUND] > target[..., FOREGROUND]).any()
        if channels == "grey":
            assert np.ptp(varied, axis=2).max() < 0.02
        changed += not np.allclose(varied, image)
    assert 60 < changed <= 100
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(target, target_before)


def test_middles_hold_the_image_and_mirror_what_lacks() -> None:
    labels = discs((20, 50), (10, 25, 6))
    arrays = middles([annotated(labels)], CONFIG)
    assert (arrays.image.shape, arrays.target.shape) == ((1, 32, 32, 3), (1, 32, 32, 5))
    np.testing.assert_array_equal(arrays.target[0, 6:26, :, 0] > 0, labels[:, 9:41] > 0)
    np.testing.assert_array_equal(arrays.image[0, :6], arrays.image[0, 6:12][::-1])
    assert not arrays.target[0, :6].any()


def test_middles_of_several_kinds_are_mixed() -> None:
    empty, full = np.zeros((32, 32), np.int32), np.ones((32, 32), np.int32)
    arrays = middles([annotated(empty)] * 30 + [annotated(full)] * 30, CONFIG)
    n_full = (arrays.target[..., FOREGROUND].mean(axis=(1, 2)) == 1).reshape(15, 4).sum(axis=1)
    assert n_full.sum() == 30
    assert np.count_nonzero(n_full % 4) > 10
    np.testing.assert_array_equal(arrays.image[..., 0] > 0, arrays.target[..., FOREGROUND] > 0)


@pytest.mark.parametrize("kind", [("histology", ""), ("fluorescence", "other")])
def test_rare_kinds_are_drawn_more_often_than_they_occur(kind: tuple[str, str]) -> None:
    common = [annotated(np.zeros((32, 32), np.int32)) for _ in range(90)]
    rare = [annotated(np.ones((32, 32), np.int32), *kind) for _ in range(5)]
    crops = Crops(common + rare, CONFIG.changed(scene_part=0))
    part = np.mean([crops.crop(n)[1][..., FOREGROUND].max() for n in range(400)])
    # 10 images and nuclei beside 90: the cube roots' part.
    assert 0.26 < part < 0.39


def test_what_has_more_nuclei_is_drawn_more_often() -> None:
    images = [annotated(np.zeros((32, 32), np.int32)), annotated(discs((32, 32), (16, 16, 9)), dataset="other")]
    images[1] = images[1]._replace(n_nuclei=26)
    crops = Crops(images, CONFIG.changed(scene_part=0))
    assert 0.65 < np.mean([crops.crop(n)[1][..., FOREGROUND].max() > 0 for n in range(200)]) < 0.82


SCENES = CONFIG.changed(scene_part=1, empty_part=0, image_size_px=(64, 64))


def test_scenes_show_two_images_with_a_seam_between() -> None:
    crowded = annotated(discs((90, 90), *((r, c, 5) for r in range(8, 90, 16) for c in range(8, 90, 16))))
    crops = Crops([crowded, annotated(np.ones((90, 90), np.int32))], SCENES)
    n_mixed = 0
    for n in range(60):
        image, target = crops.crop(n)
        assert (image.shape, target.shape) == ((64, 64, 3), (64, 64, WEIGHT + 1))
        unlearned = target[..., WEIGHT] == 0
        assert unlearned.all(axis=0).sum() >= 4 or unlearned.all(axis=1).sum() >= 4
        parts = target[:16, :16, FOREGROUND].mean(), target[-16:, -16:, FOREGROUND].mean()
        n_mixed += max(parts) == 1 and 0 < min(parts) < 0.9
    assert n_mixed > 5


def test_scenes_keep_to_one_modality() -> None:
    empty, full = annotated(np.zeros((90, 90), np.int32)), annotated(np.ones((90, 90), np.int32), "histology")
    crops = Crops([empty, full], SCENES)
    for n in range(30):
        target = crops.crop(n)[1]
        assert target[:16, :16, FOREGROUND].any() == target[-16:, -16:, FOREGROUND].any()


def test_all_damaged_files_are_named(kaggle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = find_samples([kaggle])[:2]
    splits = {sample.image_id: Assignment("train", "unknown") for sample in samples}
    assert len(load_annotated(samples, splits, CONFIG, "train")) == 2
    monkeypatch.setattr(samples[0].tree, "read", lambda _: b"text")
    with pytest.raises(DatasetError) as caught:
        load_annotated(samples, splits, CONFIG, "train")
    assert all(sample.image_path in str(caught.value) for sample in samples)


def test_empty_crops_show_text_or_noise_and_ask_for_nothing() -> None:
    one = [annotated(discs((60, 60), (30, 30, 20)))]
    crops = Crops(one, CONFIG.changed(empty_part=1, image_size_px=(64, 64)))
    images = []
    for n in range(40):
        image, target = crops.crop(n)
        assert (image.shape, target.shape) == ((64, 64, 3), (64, 64, WEIGHT + 1))
        assert target[..., [FOREGROUND, DISTANCE]].max() == 0
        assert (target[..., WEIGHT] > 0).all()
        assert (image.min() >= 0, image.max() <= 1, np.ptp(image) > 0.1) == (True, True, True)
        images.append(image)
    assert len({image.tobytes() for image in images}) == 40
    assert any(not np.array_equal(image[..., 0], image[..., 1]) for image in images)


def test_some_crops_are_empty() -> None:
    crops = Crops([annotated(np.ones((60, 60), np.int32))], CONFIG.changed(empty_part=0.5))
    n_empty = sum(crops.crop(n)[1][..., FOREGROUND].max() == 0 for n in range(100))
    assert 35 < n_empty < 65
