"""Fills in the examples, tables and figures of README.md and docs/operating.md: `python -m benchmarks.readme`.

It needs `scripts/install dev`. What stands between `<!-- NAME -->` and `<!-- end -->` is made anew: answers of the
service with the shipped model, the options and settings as the code describes them, and figures of the models' cards.
The picture docs/overlay.png is made too.
"""

import io
import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from pydantic import BaseModel

from app.inference.model_card import read_model_card
from app.main import create_app
from app.options import SegmentationOptions
from app.settings import DEFAULT_MODEL, Settings
from tests.client import TestClient

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "operating.md")
PICTURE = ROOT / "docs" / "overlay.png"
SAMPLES = ROOT / "tests" / "data"
LINE_WIDTH = 118
GAP_PX = 8
# What is white in the picture: most nuclei are dim beside a few.
SHOWN_PERCENTILE = 99
DSB, BBBC039 = "test dsb2018_stage1_train fast", "test bbbc039 fast"


def segment(client: TestClient) -> str:
    """The JSON answer for an image, shortened."""
    body = client.post("/segment", files={"image": _sample("fluorescence.tif")}).json()
    body["image"] = _some(body["image"], "filename", "height_px", "width_px", "pixel_size_um")
    body["mask"]["data"] = f"{body['mask']['data'][:16]}..."
    first = _some(body["nuclei"][0], "label", "area_px", "centroid_row_px", "centroid_col_px", "intensity_mean")
    body["nuclei"] = [first, f"{len(body['nuclei']) - 1} more"]
    body["summary"] = _some(body["summary"], "count", "area_px", "foreground_fraction")
    body["provenance"] = _some(body["provenance"], "karyometer")
    return _console("curl -F image=@tests/data/fluorescence.tif localhost:8000/segment", _shown(body))


def table(client: TestClient) -> str:
    """The first rows and columns of a table."""
    text = client.post("/segment?format=csv", files={"image": _sample("fluorescence.tif")}).text
    command = (
        "curl -F image=@tests/data/fluorescence.tif 'localhost:8000/segment?format=csv' -o nuclei.csv\n"
        "$ head -4 nuclei.csv | cut -d, -f1-6"
    )
    return _console(command, "\n".join(",".join(line.split(",")[:6]) for line in text.splitlines()[:4]))


def evaluate(client: TestClient) -> str:
    """Scores, shortened."""
    names = {"image": "fluorescence.tif", "mask": "fluorescence_labels.png"}
    body = client.post("/evaluate", files={part: _sample(name) for part, name in names.items()}).json()
    body["matching"] = [body["matching"][0], f"{len(body['matching']) - 1} more, up to 0.95"]
    body["provenance"] = _some(body["provenance"], "karyometer")
    parts = " ".join(f"-F {part}=@tests/data/{name}" for part, name in names.items())
    return _console(f"curl {parts} localhost:8000/evaluate", _shown(body))


def options(_: TestClient) -> str:
    """Every option of the segmentation."""
    return _described(SegmentationOptions, "option", lambda name: name)


def settings(_: TestClient) -> str:
    """Every setting of the service."""
    return _described(Settings, "variable", lambda name: f"KARYOMETER_{name.upper()}")


def operate(client: TestClient) -> str:
    """What tells which service runs."""
    paths = ("version", "health/live", "health/ready")
    lines = [f"$ curl localhost:8000/{path}\n{client.get(f'/{path}').text}" for path in paths]
    return "```console\n" + "\n".join(lines) + "\n```"


def accuracy(_: TestClient) -> str:
    """The shipped model's figures on images that it never saw, beside those of the first model."""
    card, first = read_model_card(DEFAULT_MODEL), read_model_card(ROOT / "models" / "original" / "1")
    of_first = next(one for name, one in first.evaluations.items() if name.startswith("test dsb"))
    rows = [
        (card, "2018 Data Science Bowl", card.evaluations[DSB]),
        (card, "BBBC039", card.evaluations[BBBC039]),
        (first, "2018 Data Science Bowl", of_first),
    ]
    lines = [
        "| model | test images of | images | IoU | AP50 | mean AP | count error |",
        "|---|---|---|---|---|---|---|",
    ]
    for of, data, evaluation in rows:
        figures = evaluation.figures["all"]
        scores = (
            f"{figures[name]:.3f} ({figures[f'{name}_low']:.3f} to {figures[f'{name}_high']:.3f})"
            for name in ("iou", "ap50", "average_precision")
        )
        cells = (f"`{of.name}/{of.version}`", data, str(evaluation.n_images), *scores, f"{figures['count_error']:+.1%}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


SECTIONS: dict[str, Callable[[TestClient], str]] = {
    function.__name__: function for function in (segment, table, evaluate, options, settings, operate, accuracy)
}


def filled(text: str, client: TestClient) -> str:
    """A document with every section made anew."""

    def section(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n{SECTIONS[match[1]](client)}\n<!-- end -->"

    return re.sub(rf"<!-- ({'|'.join(SECTIONS)}) -->\n.*?<!-- end -->", section, text, flags=re.DOTALL)


def picture(client: TestClient) -> bytes:
    """A PNG of the sample, as it is and with the outlines of the nuclei found."""
    name, data = _sample("fluorescence.tif")
    answer = client.post("/segment?format=overlay", files={"image": (name, data)})
    with Image.open(io.BytesIO(answer.content)) as overlay:
        outlined = np.asarray(overlay)
    image = tifffile.imread(io.BytesIO(data)).astype(np.float64)
    shown = (np.clip(image / np.percentile(image, SHOWN_PERCENTILE), 0, 1) * 255).astype(np.uint8)
    gap = np.full((len(image), GAP_PX, 3), 255, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.hstack([np.repeat(shown[..., np.newaxis], 3, axis=2), gap, outlined])).save(buffer, "PNG")
    return buffer.getvalue()


def _sample(name: str) -> tuple[str, bytes]:
    return name, (SAMPLES / name).read_bytes()


def _some(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Some of the values, and how many there are more."""
    return {name: values[name] for name in names} | {"...": f"{len(values) - len(names)} more"}


def _described(model: type[BaseModel], kind: str, called: Callable[[str], str]) -> str:
    """A table of a model's fields; each description is what a field takes and, after a colon, what that means."""
    lines = [f"| {kind} | takes | meaning | default |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        takes, _, meaning = (field.description or "").partition(": ")
        default = field.default
        if isinstance(default, Path) and default.is_absolute():
            default = default.relative_to(ROOT)
        shown = "" if default in (None, ()) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        lines.append(f"| `{called(name)}` | {takes} | {meaning} | {shown} |")
    return "\n".join(lines)


def _console(command: str, answer: str) -> str:
    return f"```console\n$ {command}\n{answer}\n```"


def _shown(body: dict[str, Any]) -> str:
    """JSON with numbers of four digits, a line or more for each of the first names."""

    def flat(value: Any) -> str:
        return json.dumps(json.loads(json.dumps(value), parse_float=lambda text: float(f"{float(text):.4g}")))

    def lines(name: str, value: Any) -> str:
        return textwrap.fill(f'"{name}": {flat(value)}', LINE_WIDTH, initial_indent=" ", subsequent_indent="  ")

    return "{\n" + ",\n".join(lines(name, value) for name, value in body.items()) + "\n}"


def main() -> None:
    """Fill in."""
    with TestClient(create_app(Settings())) as client:
        for path in DOCUMENTS:
            path.write_text(filled(path.read_text(encoding="utf-8"), client), encoding="utf-8")
        PICTURE.write_bytes(picture(client))


if __name__ == "__main__":
    main()
