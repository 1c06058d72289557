"""Scenes whose count is known, through the post-processing, with the predictions of a perfect network."""

import numpy as np
import pytest

from app.segmentation.split import split
from tests.synthetic import discs
from training.config import NUCLEI_HEADS
from training.serving import separate
from training.targets import WEIGHT, instance_targets

DEPTH = 0.1


def count(labels: np.ndarray) -> int:
    """How many nuclei `split` finds with the perfect predictions of these."""
    perfect = instance_targets(labels)[np.newaxis, ..., :WEIGHT] / np.float32(255)
    predictions = separate(dict(zip(NUCLEI_HEADS, np.split(perfect, len(NUCLEI_HEADS), axis=-1), strict=True)))
    return int(split(labels > 0, DEPTH, predictions["distance"].numpy()[0, ..., 0]).max())


@pytest.mark.parametrize("radius", [4, 10, 25, 60])
@pytest.mark.parametrize("overlap", np.round(np.arange(0, 0.41, 0.05), 2))
def test_two_discs_that_overlap(radius: int, overlap: float) -> None:
    apart = radius * (2 - overlap)
    assert (
        count(discs((4 * radius, 6 * radius), (2 * radius,) * 2 + (radius,), (2 * radius, 2 * radius + apart, radius)))
        == 2
    )


@pytest.mark.parametrize("step", [16, 20, 24])
def test_a_chain_of_five(step: int) -> None:
    assert count(discs((40, 150), *((20, 20 + step * number, 12) for number in range(5)))) == 5


@pytest.mark.parametrize(("outer", "inner"), [(12, 5), (30, 20), (60, 30)])
def test_a_ring_is_one(outer: int, inner: int) -> None:
    ring = discs((140, 140), (70, 70, outer))
    ring[discs((140, 140), (70, 70, inner)) > 0] = 0
    assert count(ring) == 1


def test_one_at_each_border_and_corner() -> None:
    places = [(row, column) for row in (0, 50, 99) for column in (0, 50, 99)]
    assert count(discs((100, 100), *((*place, 12) for place in places))) == 9


def test_from_4_to_200_pixels_in_one_image() -> None:
    diameters = (4, 8, 15, 30, 60, 110, 200)
    centres = np.cumsum([diameter + 2 for diameter in diameters]) - np.array(diameters) / 2
    scene = discs((220, 460), *((110, centre, diameter / 2) for centre, diameter in zip(centres, diameters)))
    assert count(scene) == len(diameters)


def test_a_dense_packing() -> None:
    places = [(10 + 17 * row, 10 + 19 * column + 9 * (row % 2)) for row in range(12) for column in range(12)]
    assert count(discs((220, 260), *((*place, 10) for place in places))) == 144
