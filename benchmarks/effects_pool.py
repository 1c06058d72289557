"""Real fields whose nuclei are known, as they are and treated, each measured once by Karyometer."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray
from tqdm import tqdm

from app.engine.engine import Engine
from app.options import SegmentationOptions
from benchmarks.treatments import Field, with_fewer, with_larger
from training.dataset import Sample

Values = NDArray[np.float64]


class Change(NamedTuple):
    """What is done to the nuclei of a field: `fewer` or `larger`, by a part of them or of their areas."""

    kind: str
    part: float


UNCHANGED = Change("fewer", 0.0)
# The last ones are for dose-response curves only.
FEWER = tuple(Change("fewer", part) for part in (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.7, 0.75))
LARGER = tuple(Change("larger", part) for part in (0.05, 0.1, 0.2))


class Areas(NamedTuple):
    """Of each nucleus of one field, in pixels: of the true ones, and of those that Karyometer found."""

    field: str
    change: Change
    true: Sequence[int]
    measured: Sequence[int]


@dataclass(frozen=True)
class Pool:
    """Count and median area of each field (NaN without nuclei), `(F,)`, by the change."""

    count: dict[Change, Values]
    area: dict[Change, Values]


def measured_fields(
    engine: Engine, samples: Sequence[Sample], changes: Sequence[Change], cache: Path
) -> Iterator[Areas]:
    """Change each field in each way and measure it. `cache` keeps what is done: a line of JSON each."""
    known = {(one.field, one.change): one for one in _cached(cache)}
    with cache.open("ab") as file:
        for number, sample in enumerate(tqdm(samples, unit="field")):
            wanted = [change for change in changes if (sample.image_id, change) not in known]
            if wanted:
                image = sample.image()
                field = Field(image, sample.labels(image.shape[:2]))
            for change in wanted:
                one = _measure(engine, sample.image_id, field, change, seed=number)
                known[one.field, change] = one
                file.write(json.dumps(one).encode() + b"\n")
                file.flush()
            yield from (known[sample.image_id, change] for change in changes)


def _cached(cache: Path) -> Iterator[Areas]:
    lines = cache.read_bytes().split(b"\n") if cache.exists() else []
    # What follows the last end of a line was cut off.
    for line in lines[:-1]:
        name, change, true, measured = json.loads(line)
        yield Areas(name, Change(*change), true, measured)


def _measure(engine: Engine, name: str, field: Field, change: Change, seed: int) -> Areas:
    # Nuclei that a smaller part takes are among those of a larger one, as with the doses of a drug.
    generator = np.random.default_rng(seed)
    changed = with_fewer(field, change.part, generator) if change.kind == "fewer" else with_larger(field, change.part)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, changed.image)
    nuclei = engine.segment(buffer.getvalue(), SegmentationOptions()).planes[0].nuclei
    true = np.bincount(changed.labels.ravel())[1:]
    return Areas(name, change, true.tolist(), nuclei["area_px"].tolist())


def pools(areas: Sequence[Areas]) -> tuple[Pool, Pool]:
    """The fields as they truly are, and as Karyometer sees them; those of a change lie in the same order."""
    by_change: dict[Change, list[Areas]] = {}
    for one in areas:
        by_change.setdefault(one.change, []).append(one)
    true, measured = (
        Pool(
            {change: np.array([float(len(getattr(one, side))) for one in of]) for change, of in by_change.items()},
            {change: np.array([_median(getattr(one, side)) for one in of]) for change, of in by_change.items()},
        )
        for side in ("true", "measured")
    )
    return true, measured


def _median(areas: Sequence[int]) -> float:
    return float(np.median(areas)) if areas else np.nan
