"""Write `matching_reference.json`: what StarDist's `matching` says of a fixed set of label images.

From the root of the repository::

    uv run --no-project --python 3.11 --with stardist==0.9.2 --with numpy==2.4.6 python tests/data/make_matching_reference.py

The label images are the base64 of the zlib-compressed little-endian int32 pixels, row by row::

    np.frombuffer(zlib.decompress(base64.b64decode(pair["truth"])), "<i4").reshape(pair["shape"])

StarDist computes every IoU in float32, so its `panoptic_quality` and `mean_matched_score` are good to about 1e-7 only;
the counts and the ratios of counts are exact.
"""  # noqa: E501 - the command stays on one line, to be copied

import base64
import json
import zlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]
Circles = NDArray[np.float64]  # one row each: row, column, radius

COMMAND = next(line.strip() for line in (__doc__ or "").splitlines() if line.strip().startswith("uv run"))
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
SCORES = ("precision", "recall", "f1", "accuracy", "panoptic_quality", "mean_matched_score")


def main() -> None:
    """Build the pairs, ask StarDist, write the file."""
    # Imported here because pytest's doctest collection imports this module where StarDist is not installed.
    from stardist.matching import matching

    reference = {
        "command": COMMAND,
        "stardist": version("stardist"),
        "numpy": version("numpy"),
        "pairs": [
            {
                "name": name,
                "shape": truth.shape,
                "truth": _encoded(truth),
                "labels": _encoded(labels),
                "matching": _results(matching, truth, labels),
            }
            for name, (truth, labels) in _pairs().items()
        ],
    }
    Path(__file__).with_name("matching_reference.json").write_text(json.dumps(reference, indent=1) + "\n")


def _pairs() -> dict[str, tuple[Labels, Labels]]:
    """Truth and prediction by name."""
    rng = np.random.default_rng(2018)
    some = _discs((64, 64), _circles(rng, (64, 64), 6))
    nothing = np.zeros_like(some)
    whole, halves = _halves(rng)
    pairs = {
        "jittered": _random_pair(rng, (64, 80), 10),
        "dropped and invented": _random_pair(rng, (96, 96), 18, drop=4, invent=3),
        "merged": _random_pair(rng, (96, 128), 24, merge=5),
        "split": _random_pair(rng, (128, 96), 20, split=6),
        "all errors": _random_pair(rng, (128, 128), 36, drop=3, invent=4, merge=4, split=4),
        "every threshold met exactly": _exact(),
        "one true nucleus cut in two exact halves": (whole, halves),
        "two true halves merged exactly": (halves, whole),
        "empty prediction": (some, nothing),
        "empty truth": (nothing, some),
    }
    # Shuffled, so that partners do not bear the same number.
    return {name: (_renumbered(rng, truth), _renumbered(rng, labels)) for name, (truth, labels) in pairs.items()}


def _random_pair(
    rng: np.random.Generator,
    shape: tuple[int, int],
    count: int,
    drop: int = 0,
    invent: int = 0,
    merge: int = 0,
    split: int = 0,
) -> tuple[Labels, Labels]:
    """Discs at random places, and a prediction that has them a little off and makes so many errors of each kind."""
    circles = _circles(rng, shape, count)
    kept = _jittered(rng, circles[drop:])
    labels = _discs(shape, np.concatenate([kept, _circles(rng, shape, invent)]))
    for index in range(merge):
        distance = np.hypot(*(kept[:, :2] - kept[index, :2]).T)
        nearest = int(np.argsort(distance)[1])  # [0] is the nucleus itself
        labels[labels == nearest + 1] = index + 1
    columns = np.indices(shape)[1]
    for index in range(merge, merge + split):
        # Off the middle by up to half a radius: the larger part sometimes still matches.
        cut = kept[index, 1] + rng.uniform(0, 0.5) * kept[index, 2]
        labels[(labels == index + 1) & (columns > cut)] = labels.max() + 1
    return _discs(shape, circles), labels


def _exact() -> tuple[Labels, Labels]:
    """Rectangles 20 pixels wide, of which the prediction has 10, 11 ... 19: IoU 0.5, 0.55 ... 0.95."""
    truth, labels = np.zeros((2, 64, 128), np.int32)
    for number in range(1, 11):
        top, left = 2 + 12 * ((number - 1) // 5), 2 + 25 * ((number - 1) % 5)
        truth[top : top + 8, left : left + 20] = number
        labels[top : top + 8, left : left + 9 + number] = number
    return truth, labels


def _halves(rng: np.random.Generator) -> tuple[Labels, Labels]:
    """Discs a little off, but for one that is exact and cut in the middle: two predictions with an IoU of 0.5."""
    shape = (80, 80)
    # Centred between two pixels, so that the halves are equal; first, so that no other disc hides a part of it.
    cut = np.array([[39.5, 39.5, 11.0]])
    others = _circles(rng, shape, 10)
    truth = _discs(shape, np.concatenate([cut, others]))
    labels = _discs(shape, np.concatenate([cut, _jittered(rng, others)]))
    labels[(labels == 1) & (np.indices(shape)[1] >= 40)] = labels.max() + 1
    return truth, labels


def _circles(rng: np.random.Generator, shape: tuple[int, int], count: int) -> Circles:
    """Random circles in the image; they may touch, overlap and leave it."""
    return rng.uniform((0, 0, 5), (*shape, 10), size=(count, 3))


def _jittered(rng: np.random.Generator, circles: Circles) -> Circles:
    """The circles moved and resized by about a pixel."""
    return circles + rng.normal(0, 0.8, size=circles.shape)


def _discs(shape: tuple[int, int], circles: Circles) -> Labels:
    """Label image with one disc for each circle; later discs lie below earlier ones."""
    rows, columns = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    for number, (row, column, radius) in enumerate(circles, start=1):
        labels[((rows - row) ** 2 + (columns - column) ** 2 <= radius**2) & (labels == 0)] = number
    return labels


def _renumbered(rng: np.random.Generator, labels: Labels) -> Labels:
    """The same nuclei, numbered 1..N in random order."""
    present = np.unique(labels[labels > 0])
    numbers = np.zeros(labels.max() + 1, np.int32)
    numbers[present] = rng.permutation(len(present)) + 1
    return numbers[labels]


def _results(matching: Callable[..., object], truth: Labels, labels: Labels) -> list[dict[str, float]]:
    """StarDist's result at each threshold; it returns NumPy scalars, which JSON does not know."""
    found = [matching(truth, labels, thresh=thresh) for thresh in THRESHOLDS]
    return [
        {"thresh": thresh}
        | {name: int(getattr(result, name)) for name in ("tp", "fp", "fn")}
        | {name: float(getattr(result, name)) for name in SCORES}
        for thresh, result in zip(THRESHOLDS, found)
    ]


def _encoded(labels: Labels) -> str:
    return base64.b64encode(zlib.compress(labels.astype("<i4").tobytes(), 9)).decode("ascii")


if __name__ == "__main__":
    main()
