import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas
import pytest
import tifffile

from app.inference.model_card import Contract
from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.client import TestClient
from tests.synthetic import discs, picture, png, tiff

SCENE = discs((150, 200), (30, 30, 9), (30, 45, 9), (100, 150, 12))
DATA = tiff(picture(SCENE), tile=(32, 32), compression="zlib")

READERS: dict[str, Callable[[bytes], Any]] = {
    "labels": lambda data: tifffile.imread(io.BytesIO(data)),
    "mask": lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED),
    "csv": lambda data: pandas.read_csv(io.BytesIO(data)).to_numpy(),
}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The app, for which the scene is large, and whose temporary files are all that there is at `tmp_path`."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    engine = fakes.engine(max_pixels=SCENE.size - 1, contract=Contract(reach_px=3))
    with TestClient(create_app(Settings(), engine), raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, data: bytes = DATA, **options: Any) -> Any:
    # Compressed on the way, answers of unknown length have none.
    headers = {"content-type": "image/tiff", "accept-encoding": "identity"}
    return client.post("/segment", content=data, headers=headers, params=options)


def test_large_tiffs_are_answered_as_smaller_ones_are(client: TestClient, tmp_path: Path) -> None:
    with TestClient(create_app(Settings(), fakes.engine())) as whole:
        for name, read in READERS.items():
            large, small = post(client, format=name), post(whole, format=name)
            assert large.status_code == small.status_code == 200
            for header in ("Content-Type", "X-Nucleus-Count", "X-Model"):
                assert large.headers[header] == small.headers[header]
            np.testing.assert_allclose(read(large.content), read(small.content), rtol=1e-12)
            assert int(large.headers["Content-Length"]) == len(large.content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["json", "overlay", "parquet", "geojson", "rois", "coco"])
def test_other_formats_of_large_tiffs_are_refused_with_those_that_there_are(client: TestClient, name: str) -> None:
    answer = post(client, format=name)
    assert (answer.status_code, answer.json()["code"]) == (413, "image_too_large")
    assert answer.json()["detail"].startswith(f"Of so large an image there is no {name}; ask for labels, mask or csv, ")


def test_other_files_that_are_large_are_refused(client: TestClient) -> None:
    answer = post(client, png(picture(SCENE)), format="labels")
    assert (answer.status_code, answer.json()["code"]) == (413, "image_too_large")
    assert answer.json()["detail"].endswith("; crop it. KARYOMETER_MAX_PIXELS on the server sets this.")


def test_no_temporary_file_stays_where_something_is_wrong(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer, code in (
        (post(client, format="csv", threshold="otsu"), "invalid_option"),
        (post(client, DATA[:-500], format="csv"), "unreadable_image"),
    ):
        assert answer.json()["code"] == code
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0}))
    full = post(client, format="csv")
    assert (full.status_code, full.json()["code"]) == (503, "no_room")
    assert "TMPDIR" in full.json()["detail"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_worked_on_out_of_core_is_counted(client: TestClient) -> None:
    post(client, format="csv")
    metrics = client.get("/metrics").text
    assert f"karyometer_pixels_total {SCENE.size:.1f}" in metrics
    assert 'stage="encode"' in metrics
