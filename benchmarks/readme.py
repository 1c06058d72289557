"""Fills in the README's examples and figures: `python -m benchmarks.readme`; needs `scripts/install dev`.

What stands between `<!-- NAME -->` and `<!-- end -->` is made anew: answers of the service with the shipped model, and
figures of the models' cards.
"""

import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from app.main import create_app
from app.segmentation.model_card import read_model_card
from app.settings import DEFAULT_MODEL, Settings

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "tests" / "data"
LINE_WIDTH = 118
DSB, BBBC039 = "test dsb2018_stage1_train fast", "test bbbc039 fast"


def segment(client: TestClient) -> str:
    """The JSON answer for an image, shortened."""
    image = {"image": ("fluorescence.png", (SAMPLES / "fluorescence.png").read_bytes())}
    # The first one waits for the decoders to start.
    _, body = (client.post("/segment", files=image).json() for _ in range(2))
    body["image"]["sha256"] = _cut(body["image"]["sha256"], 8)
    body["mask"]["data"] = _cut(body["mask"]["data"], 16)
    body["nuclei"] = [body["nuclei"][0], f"{len(body['nuclei']) - 1} more"]
    body["provenance"]["model"]["sha256"] = _cut(body["provenance"]["model"]["sha256"], 8)
    return _console("curl -F image=@tests/data/fluorescence.png localhost:8000/segment", _shown(body))


def table(client: TestClient) -> str:
    """The first rows of a table."""
    data = (SAMPLES / "bbbc039.tif").read_bytes()
    text = client.post("/segment?format=csv", content=data, headers={"content-type": "image/tiff"}).text
    command = (
        "curl -H 'Content-Type: image/tiff' --data-binary @tests/data/bbbc039.tif \\\n"
        "    'localhost:8000/segment?format=csv' | head -3 | cut -d, -f1-4,24-25"
    )
    columns = (*range(4), 23, 24)
    rows = [line.split(",") for line in text.splitlines()[:3]]
    return _console(command, "\n".join(",".join(row[column] for column in columns) for row in rows))


def evaluate(client: TestClient) -> str:
    """Scores, shortened."""
    names = {"image": "fluorescence.png", "mask": "fluorescence_labels.png"}
    files = {part: (name, (SAMPLES / name).read_bytes()) for part, name in names.items()}
    body = client.post("/evaluate", files=files).json()
    body["matching"] = [body["matching"][0], f"{len(body['matching']) - 1} more, up to 0.95"]
    body["provenance"] = "..."
    parts = " ".join(f"-F {part}=@tests/data/{name}" for part, name in names.items())
    return _console(f"curl {parts} localhost:8000/evaluate", _shown(body))


def operate(client: TestClient) -> str:
    """What tells which service runs."""
    paths = ("version", "health/live", "health/ready")
    lines = [f"$ curl localhost:8000/{path}\n{client.get(f'/{path}').text}" for path in paths]
    return "```console\n" + "\n".join(lines) + "\n```"


def accuracy(_: TestClient) -> str:
    """The shipped model's figures on images that it never saw."""
    card = read_model_card(DEFAULT_MODEL)
    dsb, bbbc039 = (card.evaluations[name] for name in (DSB, BBBC039))
    of_dsb, of_bbbc039 = dsb.figures["all"], bbbc039.figures["all"]
    original = read_model_card(ROOT / "models" / "original" / "1")
    of_original = next(one.figures["all"] for name, one in original.evaluations.items() if name.startswith("test dsb"))

    def interval(name: str) -> str:
        return f"{of_dsb[name]:.3f} ({of_dsb[f'{name}_low']:.3f} to {of_dsb[f'{name}_high']:.3f})"

    def counted(figures: dict[str, float]) -> str:
        return f"{abs(figures['count_error']):.1%} too {'many' if figures['count_error'] > 0 else 'few'} nuclei"

    paragraph = (
        f"On {dsb.n_images} test images of the 2018 Data Science Bowl, never trained or tuned on, the shipped model "
        f"`{card.name}/{card.version}` reaches a mean IoU of {interval('iou')}, an AP50 of {interval('ap50')} and a "
        f"mean AP of {interval('average_precision')}, and counts {counted(of_dsb)}. On {bbbc039.n_images} fields of "
        f"BBBC039 that it never saw: F1 {of_bbbc039['f1']:.3f}, mean AP {of_bbbc039['average_precision']:.3f}, "
        f"{counted(of_bbbc039)}. `original/1`, the 128 x 128 U-Net that the project started from, reaches an IoU of "
        f"{of_original['iou']:.3f} and an AP50 of {of_original['ap50']:.3f} on the former."
    )
    return textwrap.fill(paragraph, LINE_WIDTH)


SECTIONS: dict[str, Callable[[TestClient], str]] = {
    function.__name__: function for function in (segment, table, evaluate, operate, accuracy)
}


def filled(text: str, client: TestClient) -> str:
    """The README with every section made anew."""

    def section(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n{SECTIONS[match[1]](client)}\n<!-- end -->"

    return re.sub(rf"<!-- ({'|'.join(SECTIONS)}) -->\n.*?\n<!-- end -->", section, text, flags=re.DOTALL)


def _cut(text: str, length: int) -> str:
    return f"{text[:length]}..."


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
    path = ROOT / "README.md"
    with TestClient(create_app(Settings())) as client:
        path.write_text(filled(path.read_text(encoding="utf-8"), client), encoding="utf-8")


if __name__ == "__main__":
    main()
