"""Makes the examples of the API's documentation, app/api/examples.json: `python -m benchmarks.examples`.

Every route is asked and every error is caused, with the shipped model. What is long is shortened: a list to its first
two entries, a text to its beginning. A test asks the same again and compares.
"""

import asyncio
import errno
import json
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from fastapi import Request
from PIL import Image

from app.api.documentation import EXAMPLES_FILE
from app.api.problems import domain_problem
from app.api.uploads import in_time
from app.engine.engine import Engine
from app.engine.result import Result
from app.errors import UploadTooSlowError
from app.main import create_app
from app.reading.memmap import disk_full_told
from app.settings import Settings
from app.start import open_engine
from tests.client import TestClient
from tests.experiments.inline import InlineCluster
from tests.synthetic import discs, picture, png, tiff

_FIRST, _MOST_NUMBERS, _MOST_CHARACTERS, _MOST_LINES, _MOST_IN_LINE, _DIGITS = 2, 4, 120, 3, 600, 4
_SAMPLES = Path(__file__).parent.parent / "tests" / "data"
_LAYOUT = (
    "well,condition,dose,dose_unit,control\n"
    "A01,DMSO,,,negative\nA02,DMSO,,,negative\nA03,DMSO,,,negative\n"
    "B01,taxol,10,nM,\nB02,taxol,10,nM,\nB03,taxol,10,nM,\n"
)
_COUNTS = {
    "DMSO,negative,,": (100, 101, 108),
    "taxol,,1,nM": (98, 103, 100),
    "taxol,,3,nM": (91, 86, 88),
    "taxol,,10,nM": (66, 60, 61),
    "taxol,,30,nM": (45, 41, 44),
    "taxol,,100,nM": (39, 36, 40),
}
_TABLE = "well,condition,control,dose,dose_unit,count\n" + "".join(
    f"{row}{column},{got},{count}\n"
    for row, (got, counts) in zip("ABCDEF", _COUNTS.items())
    for column, count in enumerate(counts, 1)
)


class Recorder:
    """Asks routes, and keeps what they take and answer by the route's name."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.examples: dict[str, dict[str, Any]] = {}
        self.parameters: dict[str, Any] = {}

    def ask(self, route: str, method: str, path: str, parameters: dict[str, Any] | None = None, **options: Any) -> Any:
        """The answer of a route, whose path has places for these parameters."""
        self.parameters |= parameters or {}
        filled = path.format(**parameters or {})
        answer = self.client.request(method, filled, headers={"accept-encoding": "identity"}, **options)
        assert answer.is_success, f"{method} {filled}: {answer.text}"  # noqa: S101
        example: dict[str, Any] = {"status": answer.status_code}
        body = options.get("json") or options.get("content")
        if isinstance(body, str | dict):
            example["request"] = body
        media_type = answer.headers["content-type"].partition(";")[0] if answer.content else ""
        if media_type == "application/json":
            example["answer"] = shortened(answer.json())
        elif media_type.startswith("text/") and media_type != "text/html":
            example["answer"] = "\n".join(line[:_MOST_IN_LINE] for line in answer.text.splitlines()[:_MOST_LINES])
        if media_type:
            example["media_type"] = media_type
        self.examples[route] = example
        return answer


def shortened(value: Any) -> Any:
    """The same, short enough to be read."""
    match value:
        case dict():
            return {name: shortened(part) for name, part in value.items()}
        case list():
            is_long = any(isinstance(part, dict | list) for part in value)
            return [shortened(part) for part in value[: _FIRST if is_long else _MOST_NUMBERS]]
        case str() if len(value) > _MOST_CHARACTERS and " " not in value:
            return f"{value[:_MOST_CHARACTERS]}..."
        case float():
            return float(f"{value:.{_DIGITS}g}")
    return value


def answers(engine: Engine, folder: Path) -> Recorder:
    """What every route takes and answers but that of the report, which is a page."""
    with _service(engine, Settings(data=folder / "data"), folder) as client:
        recorder = Recorder(client)
        _ask_of_images(recorder)
        _ask_of_experiments(recorder)
        for route, path in (
            *(("model", "/model"), ("metrics", "/metrics"), ("version", "/version")),
            *(("live", "/health/live"), ("ready", "/health/ready")),
        ):
            recorder.ask(route, "GET", path)
    return recorder


def _ask_of_images(recorder: Recorder) -> None:
    image, labels = (_SAMPLES / name for name in ("fluorescence.tif", "fluorescence_labels.png"))
    of = {name: (path.name, path.read_bytes()) for name, path in (("image", image), ("mask", labels))}
    recorder.ask("segment", "POST", "/segment", files={"image": of["image"]})
    recorder.ask("measure", "POST", "/measure?corrected=true", files={"image": of["image"], "labels": of["mask"]})
    recorder.ask("evaluate", "POST", "/evaluate?include=matches", files=of)
    recorder.ask("effects_of_table", "POST", "/effects", content=_TABLE)
    sent = recorder.ask("add_preview", "POST", "/preview", files={"image": of["image"]}).json()
    place = {"preview_id": sent["id"], "level": 0, "column": 0, "row": 0}
    recorder.ask("describe_preview", "GET", "/preview/{preview_id}", place)
    recorder.ask("preview_tile", "GET", "/preview/{preview_id}/{level}/{column}_{row}", place)


def _ask_of_experiments(recorder: Recorder) -> None:
    ask = recorder.ask
    made = ask("make", "POST", "/experiments?start=manual", json={"name": "Taxol, plate 1", "options": {}}).json()
    of = {"experiment_id": made["id"], "name": "plate1_A01_s1_w1.tif", "table": "wells"}
    one = "/experiments/{experiment_id}"
    ask("put_layout", "PUT", f"{one}/layout", of, content=_LAYOUT)
    ask("get_layout", "GET", f"{one}/layout", of)
    first, *others = (
        (f"plate1_{column}{row:02}_s1_w1.tif", _field(16 * row, is_treated=column == "B"))
        for column in "AB"
        for row in (1, 2, 3)
    )
    ask("put_image", "PUT", f"{one}/images/{{name}}", of, content=first[1])
    ask("post_images", "POST", f"{one}/images", of, files=[("files", each) for each in others])
    ask("put_nuclear_channel", "PUT", f"{one}/nuclear_channel?name=w1", of)
    ask("start", "POST", f"{one}/start", of)
    ask("close", "POST", f"{one}/close", of)
    while recorder.client.get(one.format(**of)).json()["state"] not in ("done", "done_with_errors"):
        time.sleep(0.05)
    ask("status", "GET", one, of)
    ask("listed", "GET", "/experiments")
    ask("events", "GET", f"{one}/events", of)
    ask("images", "GET", f"{one}/images", of)
    ask("image", "GET", f"{one}/images/{{name}}", of)
    ask("thumbnail", "GET", f"{one}/images/{{name}}/thumbnail", of)
    ask("image_preview", "GET", f"{one}/images/{{name}}/preview", of)
    ask("table", "GET", f"{one}/tables/{{table}}", of)
    ask("effects", "GET", f"{one}/effects", of)
    ask("exclude", "POST", f"{one}/exclusions", of, json={"well": "B02", "reason": "out of focus"})
    ask("exclusions", "GET", f"{one}/exclusions", of)
    ask("retry", "POST", f"{one}/retry", of)
    ask("cancel", "POST", f"{one}/cancel", of)
    ask("remove", "DELETE", one, of)


def _field(offset_px: int, *, is_treated: bool) -> bytes:
    """A part of the sample; of a treated one every second nucleus is gone."""
    window = slice(offset_px, offset_px + 192), slice(offset_px, offset_px + 224)
    image, labels = (
        np.array(Image.open(_SAMPLES / name))[window] for name in ("fluorescence.tif", "fluorescence_labels.png")
    )
    if is_treated:
        image[labels % 2 == 1] = np.median(image[labels == 0])
    return tiff(image.astype(np.uint16))


def problems(engine: Engine, folder: Path) -> dict[str, dict[str, Any]]:
    """Every error that can be answered, by its code."""
    image = png(picture(discs((64, 64), (32, 32, 9))))
    told = [_too_slow()]

    def post(client: TestClient, path: str = "/segment", data: bytes = image, **options: Any) -> None:
        answer = client.post(path, **{"files": {"image": ("nuclei.png", data)}} | options)
        told.append(answer.json())

    folder.mkdir(exist_ok=True)
    small = Settings(data=folder / "data", max_upload_bytes=200_000)
    with _service(engine, small, folder) as client:
        for data in (b"", b"no image", image[:-20], bytes(300_000)):
            post(client, data=data)
        post(client, data=_claiming(50_000, 50_000))
        post(client, data=tiff(np.zeros((2, 64, 64), np.uint8), photometric="minisblack", metadata={"axes": "CYX"}))
        post(client, "/segment?threshold=2")
        post(client, "/segment?page=all&format=overlay")
        post(client, "/measure")
        post(client, files={"image": image, "picture": image})
        post(client, content=b"--x", headers={"content-type": "multipart/form-data; boundary=y"}, files=None)
        post(client, "/evaluate", files={"image": image, "mask": png(np.zeros((32, 32), np.uint8))})
        post(client, "/effects", content="no table", headers={"content-type": "text/csv"}, files=None)
        post(client, headers={"host": "lab.example"})
        told.append(client.get(f"/preview/{'0' * 64}").json())
        made = client.post("/experiments", json={"name": "plate"}).json()["id"]
        told.append(client.put(f"/experiments/{made}/layout", content=b"nothing").json())
        client.post(f"/experiments/{made}/close")
        told.append(client.put(f"/experiments/{made}/images/a.png", content=image).json())
        client.delete(f"/experiments/{made}")
        told.append(client.get(f"/experiments/{made}").json())
        closed = create_app(small, engine)
    told.append(TestClient(closed).get("/health/ready").json())
    keys = folder / "keys"
    keys.write_text(f"alice:{sha256(b'key').hexdigest()}")
    for settings in (Settings(api_keys_file=keys), Settings(max_held_bytes=1), Settings(pixels_per_minute=5000)):
        with _service(engine, settings.model_copy(update={"data": folder / "none"}), folder) as client:
            if settings.pixels_per_minute:
                for _ in range(2):
                    client.post("/segment", files={"image": image})
            post(client)
    with _service(_FullDisk(engine.model, engine.limits), small, folder) as client:
        post(client)
    return {one["code"]: one for one in told}


class _FullDisk(Engine):
    def segment(self, *_: Any, **__: Any) -> Result:
        """Nothing: there is no room."""
        with disk_full_told():
            raise OSError(errno.ENOSPC, "no space left")
        raise AssertionError


def _too_slow() -> dict[str, Any]:
    settings = Settings(max_transfer_s=0.01)
    app = create_app(settings)

    async def wait() -> dict[str, Any]:
        try:
            async with in_time(Request({"type": "http", "app": app})):
                await asyncio.sleep(10)
        except UploadTooSlowError as exc:
            answered: dict[str, Any] = json.loads(bytes(domain_problem(exc).body))
            return answered
        raise AssertionError

    return asyncio.run(wait())


def _claiming(height: int, width: int) -> bytes:
    """A PNG whose header says this size."""
    data = bytearray(png(np.zeros((1, 1), np.uint8)))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@contextmanager
def _service(engine: Engine, settings: Settings, folder: Path) -> Iterator[TestClient]:
    files = folder / settings.data.name / "files"
    files.mkdir(parents=True, exist_ok=True)
    app = create_app(settings, engine, lambda: InlineCluster(engine, files))  # type: ignore[arg-type, return-value]
    with TestClient(app) as client:
        yield client


def main() -> None:
    """Write the file."""
    with TemporaryDirectory() as folder, open_engine(Settings(), n_decoders=1) as engine:
        asked = answers(engine, Path(folder))
        made = {
            "parameters": asked.parameters,
            "answers": asked.examples,
            "problems": problems(engine, Path(folder, "problems")),
        }
    EXAMPLES_FILE.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
