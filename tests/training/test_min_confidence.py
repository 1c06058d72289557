import numpy as np
import pytest

from app.evaluation.matching import Matching
from training.dataset import DatasetError
from training.evaluate import ImageScores
from training.min_confidence import fit_min_confidence


def image(n_true: int, *confidence: float) -> ImageScores:
    found = np.array(confidence)
    matching = Matching(0.5, 0, len(confidence), n_true, *[0.0] * 6)
    return ImageScores("image", "fluorescence", 1.0, [matching], confidence=found, is_true=found > 0.5)


def test_the_doubtful_go_where_there_are_too_many() -> None:
    crumbs = [("set", image(2, 0.9, 0.8, 0.12, 0.13))] * 4
    assert fit_min_confidence(crumbs) == 0.15
    assert fit_min_confidence([("set", image(4, 0.9, 0.8, 0.12, 0.13))] * 4) == 0


def test_each_kind_counts_alike() -> None:
    # Many nuclei of one kind do not decide for the other.
    many = [("large", image(1000, *np.full(1000, 0.12)))] * 4
    few = [("small", image(1, 0.9, 0.12, 0.12, 0.12))] * 4
    assert fit_min_confidence([*many, *few]) == 0.15


def test_a_kind_of_few_images_says_nothing() -> None:
    with pytest.raises(DatasetError, match="give more data"):
        fit_min_confidence([("set", image(1, 0.9))] * 3)
