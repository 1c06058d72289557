from collections.abc import Iterator
from typing import Any

import anyio
import numpy as np
import pytest

from app import errors
from app.api.admission import Admission
from app.api.problems import ANSWERS
from app.api.schemas import Problem
from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.client import TestClient
from tests.conftest import DATA
from tests.reading.test_decode import png_claiming
from tests.synthetic import picture, png, tiff

GOOD = png(np.eye(20, dtype=np.uint8) * 200)
REAL_PNG = (DATA / "immunohistochemistry.png").read_bytes()
REAL_TIFF = (DATA / "fluorescence.tif").read_bytes()


def check(answer: Any, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate(answer.json())
    assert problem.status == status
    assert problem.detail.endswith(".")
    return problem.detail


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "empty_upload"),
        (b"nuclei, I promise", 415, "unsupported_image"),
        (REAL_PNG[: len(REAL_PNG) // 2], 400, "unreadable_image"),
        (REAL_TIFF[: len(REAL_TIFF) // 2], 400, "unreadable_image"),
        (REAL_TIFF[:20], 400, "unreadable_image"),
        (png_claiming(50_000, 50_000), 413, "image_too_large"),
        (tiff(np.zeros((8, 8), np.complex64)), 415, "unsupported_image"),
    ],
    ids=["empty", "text", "cut png", "cut tiff", "tiff header", "huge", "complex64"],
)
@pytest.mark.parametrize("raw", [True, False])
def test_bad_images(client: TestClient, data: bytes, status: int, code: str, raw: bool) -> None:
    if raw:
        answer = client.post("/segment", content=data, headers={"content-type": "image/png"})
    else:
        answer = client.post("/segment", files={"image": ("nuclei.png", data)})
    check(answer, status, code)


@pytest.mark.parametrize(
    "image", [np.zeros((1, 1), np.uint8), np.full((1, 1, 3), 255, np.uint8), picture(np.ones((1, 1), np.int32))]
)
def test_one_pixel_is_a_valid_empty_result(client: TestClient, image: np.ndarray) -> None:
    answer = client.post("/segment", files={"image": png(image)})
    assert (answer.status_code, answer.json()["count"], answer.json()["nuclei"]) == (200, 0, [])


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("thresold=0.5", "no option 'thresold'"),
        ("threshold=1.5", "threshold does not take '1.5'; give `model`"),
        ("threshold=nan", "threshold does not take 'nan'"),
        ("min_area_px=-1", "min_area_px does not take '-1'; give a whole number from 0"),
        ("min_area_px=9223372036854775808", "min_area_px does not take '9223372036854775808'"),
        ("min_area_px=many", "min_area_px does not take 'many'"),
        ("split_touching=perhaps", "split_touching does not take 'perhaps'; give true or false"),
        ("pixel_size_um=0", "pixel_size_um does not take '0'; give a number from 0.0001 to 10"),
        ("pixel_size_um=1e-200", "pixel_size_um does not take '1e-200'"),
        ("pixel_size_um=inf", "pixel_size_um does not take 'inf'"),
        ("scale=wide", "scale does not take 'wide'; give `auto`, or a number from 0.0625 to 4"),
        ("scale=5", "scale does not take '5'"),
        ("diameter_px=30&scale=2", "diameter_px does not take '30'; give a number from 3 to 1000, and no number for"),
        ("diameter_um=9&diameter_px=30", "diameter_um does not take '9'; give a number from 0.1 to 1000, and neither"),
        ("diameter_um=9", "diameter_um needs the size of a pixel"),
        ("format=gif", "format does not take 'gif'"),
        ("include=everything", "include does not take 'everything'"),
    ],
)
def test_bad_options(client: TestClient, query: str, sentence: str) -> None:
    answer = client.post(f"/segment?{query}", files={"image": GOOD})
    assert sentence in check(answer, 422, "invalid_option")


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([("mask", GOOD)], "missing_part"),
        ([("image", GOOD), ("image", GOOD)], "unknown_part"),
        ([("image", GOOD), ("picture", GOOD)], "unknown_part"),
    ],
)
def test_bad_parts(client: TestClient, files: list[tuple[str, bytes]], code: str) -> None:
    check(client.post("/segment", files=files), 422, code)


def test_text_parts_are_no_files(client: TestClient) -> None:
    options = client.post("/segment", files={"image": GOOD}, data={"threshold": "0.5"})
    assert "options in the query string" in check(options, 422, "unknown_part")
    check(client.post("/segment", files={"mask": GOOD}, data={"image": "nuclei"}), 422, "unknown_part")


def test_a_mask_field_left_empty_is_no_mask(client: TestClient) -> None:
    as_swagger = client.post("/segment", files={"image": GOOD}, data={"mask": ""})
    as_form = client.post("/segment", files={"image": ("a.png", GOOD), "mask": ("", b"")})
    assert as_swagger.json()["evaluation"] is as_form.json()["evaluation"] is None


@pytest.mark.parametrize("charset", ["punycode", "undefined", "unicode_escape", "utf-7"])
def test_file_names_are_utf8_whatever_the_request_claims(client: TestClient, charset: str) -> None:
    filename = "Zellkern é +2AA- ud800.png"
    part = f'--x\r\ncontent-disposition: form-data; name="image"; filename="{filename}"\r\n\r\n'
    content_type = f"multipart/form-data; boundary=x; charset={charset}"
    body = part.encode() + GOOD + b"\r\n--x--\r\n"
    answer = client.post("/segment", content=body, headers={"content-type": content_type})
    assert answer.status_code == 200
    assert answer.json()["image"]["filename"] == filename


def test_options_given_twice(client: TestClient) -> None:
    answer = client.post("/segment?threshold=0.3&threshold=0.9", files={"image": GOOD})
    assert "more than once" in check(answer, 422, "invalid_option")


def test_an_upload_that_breaks_off_is_no_mistake_of_ours() -> None:
    async def broken() -> None:
        messages: Iterator[dict[str, Any]] = iter(
            [{"type": "http.request", "body": b"part", "more_body": True}, {"type": "http.disconnect"}]
        )
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        app = create_app(Settings(), fakes.engine())
        app.state.engine, app.state.admission = fakes.engine(), Admission(Settings(), 1, lambda: None)
        headers = [(b"content-type", b"image/png")]
        scope = {"type": "http", "method": "POST", "path": "/segment", "query_string": b"", "headers": headers}
        await app(scope, receive, send)
        assert sent[0]["status"] == 400

    anyio.run(broken)


def test_malformed_multipart_bodies(client: TestClient) -> None:
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = client.post("/segment", content=b"--y\r\nnothing", headers={"content-type": content_type})
        check(answer, 400, "malformed_upload")
    answer = client.post("/segment", files=[("image", GOOD)] * 3)
    check(answer, 400, "malformed_upload")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_bodies_that_are_no_image(client: TestClient, content_type: str) -> None:
    answer = client.post("/segment", content=GOOD, headers={"content-type": content_type})
    check(answer, 415, "unsupported_image")


def test_evaluate_needs_a_mask_of_the_images_size(client: TestClient) -> None:
    check(client.post("/evaluate", files={"image": GOOD}), 422, "missing_part")
    check(client.post("/evaluate", content=GOOD, headers={"content-type": "image/png"}), 422, "missing_part")
    other = png(np.zeros((20, 21), np.uint8))
    detail = check(client.post("/evaluate", files={"image": GOOD, "mask": other}), 422, "size_mismatch")
    assert "20 x 21" in detail
    assert "20 x 20" in detail


def test_uploads_are_bounded_however_they_come() -> None:
    settings = Settings(max_upload_bytes=1000)
    with TestClient(create_app(settings, fakes.engine())) as client:
        large = bytes(1001)
        headers = {"content-type": "image/png"}
        check(client.post("/segment", content=large, headers=headers), 413, "upload_too_large")
        in_chunks = (large[start : start + 100] for start in range(0, 1001, 100))
        check(client.post("/segment", content=in_chunks, headers=headers), 413, "upload_too_large")
        check(client.post("/segment", files={"image": large}), 413, "upload_too_large")
        lying = {"content-length": "9" * 5000}
        check(client.post("/segment", content=large, headers=headers | lying), 413, "upload_too_large")
        check(client.post("/segment", content=bytes(1000), headers=headers), 415, "unsupported_image")


def test_unknown_paths_and_methods(client: TestClient) -> None:
    assert "/nothing" in check(client.get("/nothing"), 404, "not_found")
    answer = client.get("/segment")
    assert "GET" in check(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_a_mistake_of_ours_says_nothing_of_the_inside() -> None:
    engine = fakes.engine()
    object.__setattr__(engine.model, "predictor", None)
    with TestClient(create_app(Settings(), engine), raise_server_exceptions=False) as client:
        detail = check(client.post("/segment", files={"image": GOOD}), 500, "internal_error")
    assert "NoneType" not in detail


def test_every_error_that_a_request_can_raise_has_an_answer() -> None:
    def leaves(error: type[Exception]) -> set[type[Exception]]:
        below = error.__subclasses__()
        return set().union(*map(leaves, below)) if below else {error}

    of_no_request = {
        *(errors.SettingsError, errors.DeviceError, errors.ModelError, errors.OutputError, errors.ServerError),
    }
    in_errors = {error for error in leaves(errors.KaryometerError) if error.__module__ == errors.__name__}
    # It is raised itself, beside those below it.
    assert (in_errors - of_no_request) | {errors.TableError} == set(ANSWERS)


def test_an_upload_that_trickles_in_is_not_waited_for() -> None:
    async def trickled() -> None:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await anyio.sleep(0.01)
            return {"type": "http.request", "body": b"a", "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        settings = Settings(max_transfer_s=0.1)
        app = create_app(settings, fakes.engine())
        app.state.engine, app.state.admission = fakes.engine(), Admission(settings, 1, lambda: None)
        headers = [(b"content-type", b"image/png")]
        scope = {"type": "http", "method": "POST", "path": "/segment", "query_string": b"", "headers": headers}
        await app(scope, receive, send)
        assert sent[0]["status"] == 408
        assert b"more than 0.1 seconds" in sent[1]["body"]
        assert app.state.admission.held_bytes == 0

    anyio.run(trickled)
