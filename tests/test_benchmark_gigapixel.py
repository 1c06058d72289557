from pathlib import Path

import numpy as np
import pytest
import tifffile

from app.settings import Settings
from benchmarks.gigapixel import Cost, report, write_mosaic
from tests.conftest import DATA


@pytest.mark.parametrize(("name", "shape"), [("fluorescence.tif", (600, 600)), ("histology.jpg", (600, 600, 3))])
def test_a_mosaic_is_made_of_real_images_and_the_same_again(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    for copy in ("one.tif", "other.tif"):
        write_mosaic(tmp_path / copy, 600, [str(DATA / name)], seed=1)
    one = tifffile.imread(tmp_path / "one.tif")
    assert (one.shape, one.dtype) == (shape, np.uint8)
    assert one.std() > 10
    np.testing.assert_array_equal(one, tifffile.imread(tmp_path / "other.tif"))


def test_the_report_compares_megapixels() -> None:
    small, large = Cost(10, 5.0, 4.0, 2**30), Cost(100, 50.0, 20.0, 3 * 2**30)
    text = report(["--side-px", "4000"], 4000, small, large, Settings())
    assert "python -m benchmarks.gigapixel --side-px 4000" in text
    assert "| 4000 x 4000 | 16 | 100 | 50 | 20 | 1.250 | 3.00 |" in text
    assert "costs 1.56 times as much" in text
