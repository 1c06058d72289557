from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from app.engine.engine import Engine
from app.statistics.results import Interval
from benchmarks import effects, effects_plates, effects_pool
from benchmarks.effects_pool import FEWER, LARGER, UNCHANGED, Areas, Change, pools
from benchmarks.treatments import Field, with_fewer, with_larger
from tests import fakes
from tests.synthetic import discs, png, tiff
from training.dataset import find_samples

GRID = [(25 + 40 * row, 25 + 40 * column) for row in range(3) for column in range(5)]


def field(seed: int = 0, n_nuclei: int = 15) -> Field:
    """Nuclei apart from each other, as bright as ten times the background and its noise."""
    generator = np.random.default_rng(seed)
    labels = discs((130, 210), *((*middle, generator.uniform(8, 11)) for middle in GRID[:n_nuclei]))
    return Field((generator.integers(300, 340, labels.shape) + 3000 * (labels > 0)).astype(np.uint16), labels)


def test_nuclei_that_are_gone_leave_background() -> None:
    before = field()
    after = with_fewer(before, 0.4, np.random.default_rng(3))
    assert after.labels.max() == np.unique(after.labels[after.labels > 0]).size == 9
    gone = (before.labels > 0) & (after.labels == 0)
    assert 300 <= after.image[gone].min() <= after.image[gone].max() < 340
    assert after.image[gone].std() == pytest.approx(before.image[before.labels == 0].std(), rel=0.1)
    np.testing.assert_array_equal(after.image[after.labels > 0], before.image[after.labels > 0])


def test_a_larger_part_takes_the_same_nuclei_and_more() -> None:
    some, more = (with_fewer(field(), part, np.random.default_rng(3)).labels > 0 for part in (0.2, 0.6))
    assert not (more & ~some).any()
    assert with_fewer(field(), 0.0, np.random.default_rng(3)).labels.max() == 15


@pytest.mark.parametrize("part", [0.05, 0.1, 0.2])
def test_nuclei_grow_by_what_is_asked_and_stay_where_they_are(part: float) -> None:
    sharp = field()
    # As in a microscope outlines lie between pixels.
    before = Field(cv2.GaussianBlur(sharp.image, (0, 0), 1.5), sharp.labels)
    after = with_larger(before, part)
    areas = np.bincount(after.labels.ravel())[1:] / np.bincount(before.labels.ravel())[1:]
    assert areas == pytest.approx(1 + part, abs=0.003)
    assert ((after.labels == before.labels) | (before.labels == 0)).all()
    found = fakes.segment(tiff(after.image)).nuclei["area_px"] / fakes.segment(tiff(before.image)).nuclei["area_px"]
    assert np.median(found) == pytest.approx(1 + part, abs=0.04)


def test_neighbours_that_touch_keep_their_pixels() -> None:
    labels = discs((40, 60), (20, 20, 9), (20, 38, 9))
    grown = with_larger(Field((1000 * labels).astype(np.uint16), labels), 0.2).labels
    assert (grown[labels > 0] == labels[labels > 0]).all()
    assert (np.bincount(grown.ravel())[1:] > np.bincount(labels.ravel())[1:]).all()


def test_what_is_measured_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = data_set(tmp_path)
    samples = find_samples([data])
    cache = tmp_path / "cache.jsonl"
    changes = (UNCHANGED, LARGER[0])
    first = list(effects_pool.measured_fields(fakes.engine(), samples, changes, cache))
    # A run that was stopped leaves half a line.
    cache.write_bytes(b"".join(cache.read_bytes().splitlines(keepends=True)[:-1]) + b'["image2", ["lar')
    seen = []

    def measured(_: Engine, name: str, *__: object, **___: object) -> Areas:
        seen.append(name)
        return first[-1]

    monkeypatch.setattr(effects_pool, "_measure", measured)
    again = list(effects_pool.measured_fields(fakes.engine(), samples, changes, cache))
    assert [list(one.true) for one in again] == [list(one.true) for one in first]
    assert seen == [samples[-1].image_id]


def test_wells_differ_by_what_is_said_and_mean_what_is_expected() -> None:
    generator = np.random.default_rng(0)
    areas = [
        Areas(f"field{number}", change, of, of)
        for number in range(40)
        for n in [int(generator.normal(100, 30))]
        for change in (UNCHANGED, Change("fewer", 0.2))
        for of in [[400] * round(n * (1 - change.part))]
    ]
    lab = effects_plates.Lab(*pools(areas), generator)
    for change in (UNCHANGED, Change("fewer", 0.2)):
        values = np.concatenate([lab.plate("count", [change] * 60)["true"] for _ in range(100)])
        assert values.mean() == pytest.approx(lab.expected("count", change), rel=0.005)
        # The edge adds a little.
        assert 0.078 < values.std() / values.mean() < 0.09


def test_an_interval_with_an_open_end_covers_what_lies_there() -> None:
    assert effects_plates.covers(Interval(None, 2.0), 1.0)
    assert not effects_plates.covers(Interval(1.5, None), 1.0)
    assert not effects_plates.covers(None, 1.0)


def data_set(folder: Path) -> tuple[Path, Path]:
    """Six fields with true labels, one of them for training, and their splits."""
    splits = ["image_id,split,modality"]
    for number in range(6):
        for name, content in (
            ("images", tiff(field(number).image)),
            ("labels", png(field(number).labels.astype("u1"))),
        ):
            path = folder / "data" / name / f"image{number}.{'tif' if name == 'images' else 'png'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        splits.append(f"data/image{number},{'train' if number == 0 else 'test'},fluorescence")
    (folder / "splits.csv").write_text("\n".join(splits) + "\n")
    return folder / "data", folder / "splits.csv"


def test_one_command_fills_its_section_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, splits = data_set(tmp_path)
    page = tmp_path / "effects.md"
    page.write_text("# Effects\n<!-- effects -->\n<!-- end -->\n")
    monkeypatch.setattr(effects, "PAGE", page)
    for module in (effects, effects_plates):
        monkeypatch.setattr(module, "REPLICATES", (3, 8))
    monkeypatch.setattr(Engine, "load", lambda *_: fakes.engine())
    cache = tmp_path / "cache.jsonl"
    options = {"--data": data, "--splits": splits, "--model": tmp_path, "--cache": cache, "--plates": 3, "--workers": 1}
    effects.main([str(part) for option in options.items() for part in option])
    text = page.read_text()
    assert "of 5 fields: 3 plates for each cell, 6 where nothing was done and 1 of curves" in text
    assert str(tmp_path.parent) not in text
    for row in ("| 20% of the nuclei gone |", "| 10% larger nuclei |", "| counts, five doses |", "| holds the EC50 |"):
        assert row in text
    assert "| none | 75 | 75 (+0.0%) |" in text
    assert len(cache.read_bytes().splitlines()) == 5 * (len(FEWER) + len(LARGER))
    with Image.open(page.with_suffix(".png")) as drawn:
        assert min(drawn.size) > 300
