import numpy as np
import pytest

from app.reading.decode import decode_image
from app.reading.warnings import light_statistics, light_warnings
from tests.conftest import DATA, REAL_IMAGES
from tests.synthetic import discs

GENERATOR = np.random.default_rng(0)
NUCLEI = (discs((80, 100), (20, 20, 9), (50, 60, 12)) > 0) * 100 + 20


def codes(image: np.ndarray) -> list[str]:
    return [warning.code for warning in light_warnings(light_statistics(image))]


@pytest.mark.parametrize("name", REAL_IMAGES)
def test_real_images_are_fine(name: str) -> None:
    decoded = decode_image((DATA / name).read_bytes(), 10**8)
    assert codes(decoded.image) == []


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("value", [0, 7, 255])
def test_constant_images_are_of_low_contrast(dtype: type, value: int) -> None:
    assert codes(np.full((5, 5), value, dtype)) == ["low_contrast"]


def test_hardly_exposed_images_are_of_low_contrast() -> None:
    assert codes((NUCLEI + 200).astype(np.uint16)) == ["low_contrast"]
    assert codes((NUCLEI * 16).astype(np.uint16)) == []
    assert codes(NUCLEI.astype(np.int32)) == codes(NUCLEI.astype(np.float32)) == []


def test_saturation_is_told_of_fluorescence_but_not_of_white_paper() -> None:
    overexposed = np.clip(NUCLEI * 3, 0, 255).astype(np.uint8)
    assert codes(overexposed) == ["saturated"]
    assert codes(255 - (NUCLEI - 20).astype(np.uint8)) == []
    assert codes(np.repeat(overexposed[..., np.newaxis], 3, axis=2)) == []


@pytest.mark.parametrize("n_bits", [10, 12, 14])
def test_saturation_of_a_camera_that_does_not_fill_16_bits(n_bits: int) -> None:
    white = 2**n_bits - 1
    overexposed = np.clip(NUCLEI * 3.0 / 255 * white, 0, white).astype(np.uint16)
    assert "saturated" in codes(overexposed)
    assert "saturated" not in codes(overexposed + np.uint16(1))


def test_noise_is_told_when_it_hides_the_nuclei() -> None:
    assert codes((NUCLEI + GENERATOR.normal(0, 3, NUCLEI.shape)).astype(np.uint8)) == []
    assert codes(np.clip(NUCLEI + GENERATOR.normal(0, 90, NUCLEI.shape), 0, 255).astype(np.uint8)) == ["noisy"]


FIELD = (NUCLEI * 16 + GENERATOR.normal(0, 20, NUCLEI.shape)).astype(np.uint16)


@pytest.mark.parametrize("value", [0, 65_535])
def test_a_border_is_told_and_is_neither_saturation_nor_contrast(value: int) -> None:
    assert codes(FIELD) == []
    assert codes(np.pad(FIELD, 30, constant_values=value)) == ["border_excluded"]
    faint = (NUCLEI + 200).astype(np.uint16)
    assert codes(np.pad(faint, 30, constant_values=value)) == ["border_excluded", "low_contrast"]


def test_a_border_does_not_hide_the_noise() -> None:
    noisy = np.clip(1000 + GENERATOR.normal(0, 300, NUCLEI.shape), 1, None).astype(np.uint16)
    assert codes(noisy) == ["noisy"]
    assert codes(np.pad(noisy, 100)) == ["border_excluded", "noisy"]


def test_outliers_are_told() -> None:
    dim = np.where(NUCLEI > 20, 900, 300) + GENERATOR.normal(0, 10, NUCLEI.shape)
    assert codes(dim.astype(np.uint16)) == []
    dim[20:30, 70:80] = 50_000
    assert codes(dim.astype(np.uint16)) == ["bright_outliers"]
    dim[20:30, 70:80] = 3000
    assert codes(dim.astype(np.uint16)) == []
