"""The real server, as the README starts it, with the shipped model."""

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import numpy as np
import pytest
import tifffile
from PIL import Image

from app.api.keys import new_key
from app.settings import DEFAULT_MODEL
from tests.conftest import DATA
from tests.synthetic import brightfield, dense, png, tiff

READY_S = 120
# A busy machine takes longer than most clients wait.
get = partial(httpx2.get, timeout=READY_S)
post = partial(httpx2.post, timeout=READY_S)


def start(**environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "app.cli", "serve"]
    variables = {f"KARYOMETER_{name.upper()}": value for name, value in environment.items()}
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=os.environ | variables
    )


@contextmanager
def running(**environment: str) -> Iterator[tuple[str, subprocess.Popen[str], list[str]]]:
    """The address, process and log of a service, which at the end has stopped because it was asked to."""
    process = start(port="0", device="cpu", **environment)
    assert process.stderr
    killer = threading.Timer(READY_S, process.kill)
    killer.start()
    lines = []
    for line in process.stderr:
        lines.append(line)
        if match := re.search(r"running on (http://\S+)", line):
            break
    else:
        pytest.fail("".join(lines))
    killer.cancel()
    drain = threading.Thread(target=lines.extend, args=[process.stderr])
    drain.start()
    try:
        yield match[1], process, lines
    finally:
        process.send_signal(signal.SIGTERM)
        exit_code = process.wait(30)
        drain.join()
        process.stderr.close()
    assert exit_code == -signal.SIGTERM


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[str, int]]:
    """The address and process of a service that this machine alone can reach."""
    with running() as (address, process, _):
        yield address, process.pid


@pytest.fixture(scope="module")
def url(service: tuple[str, int]) -> str:
    """Its address."""
    return service[0]


def test_asked_to_stop_it_answers_who_is_in_and_takes_nobody_else() -> None:
    image, may_go_on = (DATA / "fluorescence.tif").read_bytes(), threading.Event()

    def in_halves() -> Iterator[bytes]:
        yield image[: len(image) // 2]
        assert may_go_on.wait(READY_S)
        yield image[len(image) // 2 :]

    with running() as (url, process, _), ThreadPoolExecutor() as threads:
        answer = threads.submit(post, f"{url}/segment", content=in_halves(), headers={"content-type": "image/tiff"})
        wait_for(lambda: "karyometer_held_bytes 0.0" not in get(f"{url}/metrics").text)
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: get(f"{url}/health/ready").status_code == 503)
        assert get(f"{url}/health/ready").json()["code"] == "not_ready"
        may_go_on.set()
        assert answer.result().status_code == 200
        assert process.wait(30) == -signal.SIGTERM


@pytest.mark.parametrize("name", ["fluorescence.tif", "brightfield.png"])
def test_an_image_is_segmented_and_scored(url: str, name: str) -> None:
    if name == "fluorescence.tif":
        image, mask = (DATA / name).read_bytes(), (DATA / "fluorescence_labels.png").read_bytes()
    else:
        labels = dense((192, 256), spacing_px=26)
        image, mask = png(brightfield(labels)), png(labels.astype(np.uint16))
    body = post(f"{url}/segment", files={"image": (name, image)}).json()
    assert body["count"] == len(body["nuclei"])
    with Image.open(io.BytesIO(base64.b64decode(body["mask"]["data"]))) as decoded:
        assert (decoded.height, decoded.width) == (body["image"]["height_px"], body["image"]["width_px"])
    scores = post(f"{url}/evaluate", files={"image": image, "mask": mask}).json()
    assert scores["iou"] > 0.85
    assert scores["matching"][0]["f1"] > 0.9
    assert scores["count_predicted"] == body["count"]


def below(pid: int) -> list[int]:
    """Ids of the processes that a process has started, and of theirs."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [below_it for child in children for below_it in (child, *below(child))]


def test_killed_decoders_are_replaced(service: tuple[str, int]) -> None:
    url, pid = service
    image = (DATA / "histology.jpg").read_bytes()
    expected = post(f"{url}/segment", files={"image": image}).json()["count"]
    for _ in range(2):
        decoders = [child for child in below(pid) if "fork" in Path(f"/proc/{child}/cmdline").read_text()]
        assert len(decoders) >= 2
        for decoder in decoders:
            os.kill(decoder, signal.SIGKILL)
        assert post(f"{url}/segment", files={"image": image}).json()["count"] == expected


def test_ready_and_model(url: str) -> None:
    assert get(f"{url}/health/ready").status_code == 200
    assert get(f"{url}/model").json()["name"] == DEFAULT_MODEL.parent.name


def test_the_same_pixels_give_the_same_labels_however_they_come(url: str) -> None:
    with Image.open(DATA / "histology.jpg") as image:
        pixels = np.asarray(image)
    as_png, as_tiff = png(pixels), tiff(pixels, photometric="rgb", compression="lzw")
    answers = [
        post(f"{url}/segment?format=labels", files={"image": as_png}).content,
        post(f"{url}/segment?format=labels", files={"image": as_png}).content,
        post(f"{url}/segment?format=labels", files={"image": as_tiff}).content,
        post(f"{url}/segment?format=labels", content=as_tiff, headers={"content-type": "image/tiff"}).content,
    ]
    assert len(set(answers)) == 1
    inside = post(f"{url}/segment?include=labels", files={"image": as_png}).json()["labels"]["data"]
    assert base64.b64decode(inside) == answers[0]
    assert tifffile.imread(io.BytesIO(answers[0])).max() > 10


def test_two_posts_give_the_same_answer_but_for_the_timings(url: str) -> None:
    image = (DATA / "fluorescence.tif").read_bytes()
    first, second = (post(f"{url}/segment", files={"image": ("a.tif", image)}).json() for _ in range(2))
    for body in (first, second):
        del body["provenance"]["timing_ms"]
    assert first == second
    assert first["provenance"]["model"]["dtype"] == "int8"


@pytest.mark.parametrize(
    ("environment", "exit_code", "sentence"),
    [
        ({"model": "nowhere"}, 3, "There is no model at nowhere"),
        ({"port": "eighty"}, 2, "KARYOMETER_PORT has a value it cannot have"),
    ],
)
def test_a_wrong_set_up_is_refused_in_one_sentence(environment: dict[str, str], exit_code: int, sentence: str) -> None:
    process = start(**environment)
    _, text = process.communicate(timeout=READY_S)
    assert process.returncode == exit_code
    assert sentence in text
    assert "Traceback" not in text


def test_other_machines_need_a_key_and_the_log_says_whose(tmp_path: Path) -> None:
    key, line = new_key("alice")
    (tmp_path / "keys").write_text(line)
    image = (DATA / "fluorescence.tif").read_bytes()
    with running(host="0.0.0.0", api_keys_file=str(tmp_path / "keys")) as (address, _, lines):
        url = address.replace("0.0.0.0", "127.0.0.1")
        n_lines_before = len(lines)
        assert get(f"{url}/health/ready").status_code == 200
        assert post(f"{url}/segment", files={"image": image}).status_code == 401
        headers = {"authorization": f"Bearer {key}"}
        body = post(f"{url}/segment", files={"image": ("mine.png", image)}, headers=headers).json()
        assert f"karyometer_nuclei_total {body['count']}.0" in get(f"{url}/metrics", headers=headers).text
    written = [json.loads(line) for line in lines[n_lines_before:]]
    requests = [line for line in written if "path" in line]
    assert [(line["path"], line["status"], line["key"], line["count"]) for line in requests] == [
        ("/health/ready", 200, None, None),
        ("/segment", 401, None, None),
        ("/segment", 200, "alice", body["count"]),
        ("/metrics", 200, "alice", None),
    ]
    # The server's own messages are such lines too, and its own line for each request is gone.
    assert {line["logger"] for line in written} == {"uvicorn.error", "app.api.middleware"}
    assert not any(secret in line for line in lines for secret in (key, "mine.png"))


def test_a_model_that_is_replaced_under_a_running_service_goes_on_serving(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DEFAULT_MODEL, folder)
    image = (DATA / "histology.jpg").read_bytes()
    with running(model=str(folder)) as (url, *_):

        def answers() -> tuple[bytes, str]:
            labels = post(f"{url}/segment?format=labels", files={"image": image}).content
            return labels, get(f"{url}/model").json()["sha256"]

        before = answers()
        for path in folder.rglob("*"):
            if path.is_file():
                path.write_bytes(b"another model")
        assert answers() == before
        shutil.rmtree(folder)
        assert answers() == before


def test_a_second_request_to_stop_waits_for_no_large_image(monkeypatch: pytest.MonkeyPatch) -> None:
    blank = tiff(np.zeros((6_000, 6_000), np.uint8), compression="zlib", rowsperstrip=100)

    def has_answer(url: str) -> bool:
        with suppress(httpx2.HTTPError):
            return post(f"{url}/segment?format=csv", files={"image": blank}).status_code == 200
        return False

    # Sockets lie there, and their paths may have 107 bytes: that of a test's own folder is too long.
    with TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        with running(max_pixels="10000000") as (url, process, _), ThreadPoolExecutor() as threads:
            sent = threads.submit(has_answer, url)
            wait_for(lambda: sent.done() or any(Path(folder).glob("karyometer-*/karyometer-*/image")))
            assert not sent.done()
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: get(f"{url}/health/ready").status_code == 503)
            process.send_signal(signal.SIGTERM)
            assert process.wait(READY_S) == -signal.SIGTERM
            assert not sent.result()
        assert list(Path(folder).iterdir()) == []


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
