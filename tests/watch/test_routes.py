"""The watch and the routes of the service, which must mean the same."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn

from app.errors import ServerError
from app.main import create_app
from app.settings import Settings
from app.watch.memory import Memory
from app.watch.remote import RemoteService
from app.watch.watch import Report, Watch
from tests import fakes
from tests.experiments.inline import InlineCluster, nuclei

LAYOUT = "well,condition,dose,dose_unit,control\nA01,DMSO,0,uM,negative\nA02,drug,1,uM,\n"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RemoteService]:
    """One that listens."""
    engine, data = fakes.engine(), tmp_path / "data"
    app = create_app(
        Settings(data=data),
        engine,
        lambda: InlineCluster(engine, data / "files"),  # type: ignore[arg-type, return-value]
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield RemoteService(f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join()


def test_a_plate_that_is_watched_is_measured(
    service: RemoteService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plate, layout = tmp_path / "plate", tmp_path / "layout.csv"
    (plate / "day 1").mkdir(parents=True)
    layout.write_text(LAYOUT)
    (plate / "day 1" / "A01_s1_w1.tif").write_bytes(nuclei(3))
    (plate / "day 1" / "A02_s1_w1.tif").write_bytes(nuclei(5))

    def watch(name: str) -> Report:
        memory = Memory(tmp_path / name)
        given: dict[str, Any] = {"nuclear_channel": "w1", "layout": layout, "settle_s": 0, "close_after_s": 0}
        return Watch(service, plate, memory, name, **given, sleep=lambda _: None).run()

    assert watch("plate 7") == (3, 0)
    (told,) = service.ask("GET", "/experiments").body["experiments"]
    assert (told["name"], told["n_files"], told["nuclear_channel"], told["layout"]) == (
        "plate 7",
        2,
        "w1",
        "layout.csv",
    )
    url = f"/experiments/{told['id']}"
    while (state := service.ask("GET", url).body["state"]) == "running":
        time.sleep(0.05)
    assert state == "done"
    images = service.ask("GET", f"{url}/images").body["images"]
    assert [(one["image"], one["well"], one["count"]) for one in images] == [
        ("day 1/A01_s1_w1.tif", "A01", 3),
        ("day 1/A02_s1_w1.tif", "A02", 5),
    ]
    with pytest.raises(ServerError, match="is closed"):
        watch("plate 7")
    # Once more as another experiment, with a layout that says nothing.
    layout.write_text("nothing\n")
    assert watch("plate 8") == (2, 1)
    assert any(said.startswith(f"{layout}: ") for said in caplog.messages)
