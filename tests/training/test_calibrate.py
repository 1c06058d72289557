from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit

from app.evaluation.matching import Matching, match
from app.inference.model_card import Calibration
from app.inference.predictions import Predictions
from app.measurement.measure import confidence_features
from app.measurement.regions import Regions
from tests.synthetic import discs, png
from tests.training.conftest import write_folder
from training.calibrate import Predicted, _matchings, _merit, fit_confidence, group_weights
from training.dataset import find_samples
from training.ood_score import fit_familiar, ood_score
from training.splits import Assignment

CALIBRATION = Calibration(threshold=0.5, marker_depth=0.1, min_area_px=0)


def scene(seed: int) -> Predicted:
    """Sixteen nuclei of random probability, each of which is a true one as often as that says."""
    generator = np.random.default_rng(seed)
    probability, truth = np.zeros((80, 80), np.float32), np.zeros((80, 80), np.int32)
    for row in range(10, 80, 20):
        for column in range(10, 80, 20):
            nucleus = discs((80, 80), (row, column, 5)) > 0
            certainty = generator.uniform(0.5, 0.99)
            probability[nucleus] = 0.5 + (certainty - 0.5) / 2
            if generator.random() < certainty:
                truth[nucleus] = truth.max() + 1
    return Predicted(Predictions(probability), truth)


def test_confidence_is_the_part_of_nuclei_that_are_true() -> None:
    predicted = [scene(seed) for seed in range(40)]
    model = fit_confidence(predicted, CALIBRATION)
    for low in (0.5, 0.75):
        confident, true = [], []
        for predictions, truth in predicted:
            labels = discs((80, 80), *((row, column, 5) for row in range(10, 80, 20) for column in range(10, 80, 20)))
            features = confidence_features(Regions(labels), predictions)
            certainty = 2 * (expit(features[:, 0]) - 0.5) + 0.5
            chosen = (certainty >= low) & (certainty < low + 0.25)
            confident += list(expit(model.intercept + model.probability_slope * features[chosen, 0]))
            true += [truth[labels == index + 1].any() for index in np.flatnonzero(chosen)]
        assert np.mean(confident) == pytest.approx(np.mean(true), abs=0.07)


def test_no_nuclei_leave_the_confidence_as_it_is() -> None:
    nothing = Predicted(Predictions(np.zeros((8, 8), np.float32)), np.zeros((8, 8), np.int32))
    assert fit_confidence([nothing], CALIBRATION).probability_slope == 1


def test_an_unbiased_count_comes_before_ap50() -> None:
    truth = discs((40, 80), (20, 20, 8), (20, 60, 8))
    probability = (truth > 0).astype(np.float32) * 0.9
    probability[:3, :3] = 0.9
    matchings = _matchings([Predicted(Predictions(probability), truth)], 0.5, 0.1)
    one = np.ones(1)
    assert _merit(matchings[16], one) > _merit(matchings[0], one)


def counted(n_true: int, n_invented: int) -> Matching:
    """The matching of an image in which all true nuclei are found, and some more."""
    found = np.zeros((1, 2 * (n_true + n_invented)), np.int32)
    found[0, ::2] = np.arange(1, n_true + n_invented + 1)
    return match(np.where(found <= n_true, found, 0), found, 0.5)


def test_one_odd_image_does_not_decide_the_count() -> None:
    unbiased, odd, alike = [counted(100, 0)] * 60, counted(100, 900), np.ones(61)
    assert _merit([*unbiased, odd], alike)[0] == _merit(unbiased, alike[1:])[0]
    assert _merit([counted(100, 3)] * 60, alike[1:])[0] < _merit([*unbiased, odd], alike)[0]


def test_a_group_counts_as_one_image(tmp_path: Path) -> None:
    names = ("a", "b", "c", "d", "e")
    files = {f"{part}/{name}.png": png(np.zeros((4, 4), np.uint8)) for name in names for part in ("images", "labels")}
    samples = find_samples([write_folder(files, tmp_path / "set")])
    splits = {f"set/{name}": Assignment("val", "unknown", group) for name, group in zip("abcd", ("1", "1", "1", ""))}
    np.testing.assert_allclose(group_weights(samples, splits), [1 / 3, 1 / 3, 1 / 3, 1, 1])
    many, few = [counted(10, 4)] * 3, [counted(10, 0)] * 2
    assert _merit(many + few, group_weights(samples, splits))[0] == pytest.approx(-0.4 / 3)


def test_unlike_images_are_far_and_the_familiar_ones_about_one() -> None:
    generator = np.random.default_rng(0)
    mixing = generator.standard_normal((6, 6))
    features = (generator.standard_normal((500, 6)) @ mixing).astype(np.float32)
    familiar = fit_familiar(features)
    familiar_ones = ood_score(tf.constant(features), familiar).numpy()
    assert np.sqrt(np.square(familiar_ones).mean()) == pytest.approx(1, abs=0.1)
    # As far as the others in each feature, but not as they go together.
    shuffled = np.stack([generator.permutation(column) for column in features.T], axis=1)
    assert np.median(ood_score(tf.constant(shuffled), familiar).numpy()) > 1.3 * np.median(familiar_ones)
    assert ood_score(tf.constant(features[:1] + 100), familiar).numpy() > 10
