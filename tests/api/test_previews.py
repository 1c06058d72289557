import hashlib
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.api import preview_store
from app.api.schemas import PreviewInfo
from app.engine.preview import Preview
from app.main import create_app
from app.options import SegmentationOptions
from app.settings import Settings
from tests import fakes
from tests.api.test_experiments import app as app_with_experiments
from tests.api.test_experiments import make, put, wait
from tests.api.test_keys import DIGEST, KEY, with_keys
from tests.client import TestClient
from tests.experiments.inline import nuclei
from tests.synthetic import brightfield, dense, png, tiff

GREY = np.random.default_rng(0).integers(0, 4000, (514, 460)).astype(np.uint16)
DATA = tiff(GREY)


def send(client: TestClient, data: bytes = DATA, **options: Any) -> Any:
    answer = client.post("/preview", files={"image": data}, params=options)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    PreviewInfo.model_validate(body)
    return body


def pixels(answer: Any) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_an_image_that_is_sent_is_described(client: TestClient) -> None:
    data = tiff(np.stack([GREY] * 2), ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}})
    body = send(client, data)
    assert body | {"warnings": None} == {
        "id": hashlib.sha256(data).hexdigest(),
        "height_px": 514,
        "width_px": 460,
        "n_channels": 2,
        "channel_names": ["DAPI", "GFP"],
        "n_pages": 1,
        "n_scenes": 1,
        "channel": 0,
        "page": 0,
        "scene": 0,
        "dtype": "uint16",
        "axes": "CYX",
        "pixel_size_um": None,
        "pixel_height_um": None,
        "pixel_width_um": None,
        "tile_px": 512,
        "n_levels": 2,
        "warnings": None,
    }
    assert client.get(f"/preview/{body['id']}").json() == body
    raw = client.post("/preview", content=data, headers={"content-type": "image/tiff"})
    assert raw.json() == body


def test_tiles_are_png_at_every_level(client: TestClient) -> None:
    body = send(client)
    tiles = f"/preview/{body['id']}"
    rows = [pixels(client.get(f"{tiles}/1/0_{row}")) for row in (0, 1)]
    expected = fakes.engine().normalised(DATA, SegmentationOptions())[..., 0]
    np.testing.assert_array_equal(np.concatenate(rows), np.round(255 * expected))
    assert pixels(client.get(f"{tiles}/0/0_0")).shape == (257, 230)


def test_colour_is_shown_in_colour_and_one_of_its_channels_in_grey(client: TestClient) -> None:
    data = png(brightfield(dense((60, 80))))
    body = send(client, data)
    assert (body["channel"], body["n_channels"], body["n_levels"]) == (None, 3, 1)
    assert pixels(client.get(f"/preview/{body['id']}/0/0_0")).shape == (60, 80, 3)
    assert pixels(client.get(f"/preview/{body['id']}/0/0_0?channel=1")).shape == (60, 80)


def test_channel_page_and_scene_choose_what_is_shown(client: TestClient) -> None:
    stack = np.stack([np.stack([GREY, GREY[::-1]]), np.stack([GREY[:, ::-1], GREY[::-1, ::-1]])])
    data = tiff(stack, ome=True, metadata={"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}})
    body = send(client, data, page=1, channel="GFP")
    assert (body["page"], body["channel"], body["n_pages"]) == (1, 1, 2)
    first = pixels(client.get(f"/preview/{body['id']}/0/0_0"))
    np.testing.assert_array_equal(
        pixels(client.get(f"/preview/{body['id']}/0/0_0?page=1&channel=1")), first[::-1, ::-1]
    )
    for query in ("page=2", "channel=2", "channel=Cy5", "scene=1", "page=all", "quality=best"):
        refused = client.get(f"/preview/{body['id']}/0/0_0?{query}")
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_option"), query


def test_a_viewer_can_show_channels_that_have_no_names(client: TestClient) -> None:
    body = send(client, tiff(np.stack([GREY, GREY // 2]), ome=True, metadata={"axes": "CYX"}))
    assert (body["channel"], body["n_channels"]) == (0, 2)
    assert body["warnings"][0]["code"] == "channel_needed"


def test_tiles_are_kept_by_the_browser_that_asked(client: TestClient) -> None:
    url = f"/preview/{send(client)['id']}/0/0_0"
    answer = client.get(url)
    assert answer.headers["cache-control"].startswith("private")
    again = client.get(url, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    assert client.get(url, headers={"if-none-match": '"another"'}).status_code == 200
    other = client.get(url.replace("0/0_0", "1/0_0"), headers={"if-none-match": answer.headers["etag"]})
    assert other.status_code == 200


def test_another_keys_images_are_not_there(tmp_path: Path) -> None:
    settings = with_keys(tmp_path / "keys", f"alice:{DIGEST}", f"bob:{hashlib.sha256(b'bob').hexdigest()}")
    with TestClient(create_app(settings, fakes.engine())) as client:
        alice, bob = ({"authorization": f"Bearer {key}"} for key in (KEY, "bob"))
        body = client.post("/preview", files={"image": DATA}, headers=alice).json()
        for path in ("", "/0/0_0"):
            assert client.get(f"/preview/{body['id']}{path}", headers=alice).status_code == 200
            refused = client.get(f"/preview/{body['id']}{path}", headers=bob)
            assert (refused.status_code, refused.json()["code"]) == (404, "no_such_preview")
            assert "send it again" in refused.json()["detail"]
            assert client.get(f"/preview/{body['id']}{path}").status_code == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("0/1_0", 404),
        ("1/0_2", 404),
        ("9/0_0", 404),
        ("-1/0_0", 422),
        ("1/0_-1", 422),
        ("99999999999999999999/0_0", 422),
        ("0/x_0", 422),
        ("0/0", 404),
    ],
)
def test_tiles_that_do_not_exist(client: TestClient, path: str, status: int) -> None:
    assert client.get(f"/preview/{send(client)['id']}/{path}").status_code == status


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "empty_upload"),
        (b"no image", 415, "unsupported_image"),
        (DATA[:1000], 400, "unreadable_image"),
        (tiff(np.zeros((40, 50), np.complex64)), 415, "unsupported_image"),
        (tiff(np.full((40, 50), np.nan, np.float32)), 200, None),
    ],
)
def test_what_cannot_be_shown_is_told_when_it_is_sent(
    client: TestClient, data: bytes, status: int, code: str | None
) -> None:
    answer = client.post("/preview", files={"image": data})
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["code"] == code


def test_ids_that_are_none(client: TestClient) -> None:
    assert client.get(f"/preview/{'0' * 64}").json()["code"] == "no_such_preview"
    assert client.get("/preview/nonsense").status_code == 422


def test_large_tiffs_are_shown_without_being_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = tiff(GREY, tile=(64, 64), compression="zlib")
    tiles = []
    for max_pixels in (10**6, 10**5):
        with TestClient(create_app(Settings(), fakes.engine(max_pixels=max_pixels))) as client:
            body = send(client, data)
            tiles.append(pixels(client.get(f"/preview/{body['id']}/1/0_1")))
    np.testing.assert_array_equal(tiles[0], tiles[1])
    # Gone with the service.
    assert list(tmp_path.iterdir()) == []


def test_a_picture_larger_than_its_room_is_refused_with_the_setting() -> None:
    settings = Settings(max_preview_bytes=len(DATA) // 3)
    with TestClient(create_app(settings, fakes.engine())) as client:
        too_large = client.post("/preview", files={"image": DATA})
        assert (too_large.status_code, too_large.json()["code"]) == (413, "upload_too_large")
        packed = client.post("/preview", files={"image": png(np.zeros((900, 900), np.uint8))})
        assert (packed.status_code, packed.json()["code"]) == (413, "image_too_large")
        assert "KARYOMETER_MAX_PREVIEW_BYTES" in packed.json()["detail"]


def test_what_is_too_old_goes_though_nobody_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with TestClient(create_app(Settings(keep_preview_s=0.2), fakes.engine())) as client:
        send(client)
        for _ in range(200):
            if not any(path.is_file() for path in tmp_path.rglob("*")):
                return
            time.sleep(0.05)
    raise AssertionError("it is still there")


def test_tiles_that_are_asked_for_together_are_drawn_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    body = send(client)
    drawn = []
    draw = preview_store.PreviewStore.draw

    def slowly(*arguments: Any) -> Preview:
        drawn.append(arguments)
        time.sleep(0.2)
        return draw(*arguments)

    monkeypatch.setattr(preview_store.PreviewStore, "draw", slowly)
    answers: list[Any] = []
    url = f"/preview/{body['id']}/1/0_0?page=max"
    threads = [threading.Thread(target=lambda: answers.append(client.get(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ([answer.status_code for answer in answers], len(drawn)) == ([200] * 4, 1)


@pytest.fixture
def experiments(tmp_path: Path) -> Iterator[TestClient]:
    with app_with_experiments(tmp_path) as client:
        yield client


def test_images_of_experiments_are_shown_by_the_same_viewer(experiments: TestClient) -> None:
    url = make(experiments)
    data = nuclei(3)
    put(experiments, url, "A01", data)
    experiments.post(f"{url}/close")
    wait(experiments, url)
    answer = experiments.get(f"{url}/images/p_A01_s1_w1.tif/preview")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    PreviewInfo.model_validate(body)
    assert body["id"] == hashlib.sha256(data).hexdigest()
    tile = pixels(experiments.get(f"/preview/{body['id']}/0/0_0"))
    assert tile.shape == (body["height_px"], body["width_px"])
    assert experiments.get(f"{url}/images/p_A01_s1_w1.tif/preview").json() == body
    assert experiments.get(f"{url}/images/other.tif/preview").status_code == 404
    experiments.delete(url)
    # A plane that is not drawn yet needs the file, which went with the experiment.
    gone = experiments.get(f"/preview/{body['id']}/0/0_0?page=max")
    assert (gone.status_code, gone.json()["code"]) == (404, "no_such_preview")
