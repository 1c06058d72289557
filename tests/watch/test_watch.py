import logging
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app import cli
from app.errors import KaryometerError, OptionError, OutputError, ServerError
from app.watch import remote
from app.watch.memory import Memory
from app.watch.remote import LaterError, RemoteService
from app.watch.watch import Watch
from tests.watch.service import FakeService, fake_service


class StoppedError(Exception):
    """As with Ctrl-C."""


class Time:
    """A clock that only sleeping moves; what is to happen meanwhile happens at the n-th sleep."""

    def __init__(self, *events: Callable[[], Any], stops: bool = False) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.events = list(events)
        self.stops = stops

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let some pass."""
        self.slept.append(seconds)
        self.now += seconds
        if self.events:
            self.events.pop(0)()
        elif self.stops:
            raise StoppedError
        assert len(self.slept) < 500, "It never ends."


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as service:
        yield service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images."""
    folder = tmp_path / "plate"
    (folder / "day 1").mkdir(parents=True)
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return folder


CONTENT = {"A01.tif": b"one", "A02.tif": b"two" * 1000, "day 1/ä#1%.tif": b"three"}


def watch(service: FakeService, folder: Path, time: Time | None = None, **options: Any) -> Watch:
    time = time or Time()
    memory = Memory(folder.parent / "state" / "memory.jsonl")
    remote = RemoteService(service.address, "key", timeout_s=5)
    given: dict[str, Any] = {"name": "plate", "close_after_s": 0, "settle_s": 3, **options}
    return Watch(remote, folder, memory, clock=time.clock, sleep=time.sleep, **given)


def test_once_sends_what_is_there_and_closes(service: FakeService, folder: Path) -> None:
    layout = folder.parent / "layout.csv"
    layout.write_text("well,condition\nA1,a\n")
    (folder / "notes.txt").write_text("not an image")
    time = Time()
    assert watch(service, folder, time, layout=layout, nuclear_channel="w1").run() == (4, 0)
    assert service.files == CONTENT
    assert service.layouts == [layout.read_bytes()]
    made = {"name": "plate", "nuclear_channel": "w1", "state": "running"}
    assert service.experiments["e0"].items() >= made.items()
    assert time.now >= 3
    assert {headers["Authorization"] for *_, headers in service.seen} == {"Bearer key"}
    assert service.requests("POST", "/close?expected=3")
    assert {headers["Content-Type"] for headers in service.requests("PUT", ".tif")} == {"application/octet-stream"}


def test_a_file_is_sent_when_it_has_stopped_growing(service: FakeService, folder: Path) -> None:
    path = folder / "A03.tif"

    def grow() -> None:
        assert "A03.tif" not in service.files
        with path.open("ab") as file:
            file.write(b"more")

    time = Time(*[grow] * 9, stops=False)
    watch(service, folder, time).run()
    assert service.files["A03.tif"] == b"more" * 9


TROUBLES: dict[str, list[Any]] = {
    "cut": ["cut", "cut"],
    "busy": [(503, "7"), (429, "7")],
    "broken": [500, 502, 408],
    "busy before the body is read": [-503, -503],
}


@pytest.mark.parametrize("troubles", TROUBLES.values(), ids=TROUBLES)
@pytest.mark.parametrize("n_before", range(5))
def test_nothing_is_lost_whenever_the_service_fails(
    service: FakeService, folder: Path, troubles: list[Any], n_before: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    service.troubles = [None] * n_before + troubles
    time = Time()
    assert watch(service, folder, time).run() == (3, 0)
    assert service.files == CONTENT
    assert len(service.experiments) == 1
    if troubles == TROUBLES["busy"]:
        assert time.slept.count(7) == 2
    assert caplog.messages.count("It works again.") >= 1


def test_pauses_grow_while_the_service_is_away(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with fake_service() as gone:
        pass
    time = Time(*[lambda: None] * 8, stops=True)
    with pytest.raises(StoppedError):
        watch(gone, folder, time).run()
    assert time.slept == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    (said,) = caplog.messages
    assert "does not answer" in said


def test_a_file_that_never_goes_through_keeps_no_other(service: FakeService, folder: Path) -> None:
    service.trouble_with = {"A01.tif": "cut"}

    def better() -> None:
        if len(service.files) == 2 and len(service.requests("PUT", "A01.tif")) > 4:
            service.trouble_with = {}

    watch(service, folder, Time(*[better] * 40)).run()
    assert service.files == CONTENT


def test_a_restart_goes_on_with_the_same_experiment(service: FakeService, folder: Path) -> None:
    service.trouble_with = {"A02.tif": "cut"}
    with pytest.raises(StoppedError):
        watch(service, folder, Time(*[lambda: None] * 8, stops=True)).run()
    assert set(service.files) == set(CONTENT) - {"A02.tif"}
    # As after a power cut while the last line was being written.
    memory = folder.parent / "state" / "memory.jsonl"
    memory.write_bytes(memory.read_bytes() + b'{"path": "A')
    service.trouble_with = {}
    n_before = len(service.seen)
    assert watch(service, folder).run() == (3, 0)
    assert service.files == CONTENT
    assert len(Memory(memory).sent) == 3
    assert len(service.experiments) == 1
    assert [path for method, path, _ in service.seen[n_before:] if method == "PUT"] == [
        "/experiments/e0/images/A02.tif"
    ]


def test_a_crash_before_the_answer_makes_no_second_experiment(service: FakeService, folder: Path) -> None:
    service.troubles = [None]
    with pytest.raises(StoppedError):
        watch(service, folder, Time(stops=True)).run()
    memory = folder.parent / "state" / "memory.jsonl"
    memory.write_bytes(b"".join(line for line in memory.read_bytes().splitlines(True) if b'"experiment"' not in line))
    watch(service, folder).run()
    assert list(service.experiments) == ["e0"]


def test_a_file_that_changes_after_it_was_sent_is_told_and_not_sent_on_and_on(
    service: FakeService, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def change() -> None:
        (folder / "A01.tif").write_bytes(b"another")

    time = Time(*[lambda: None] * 5, change, *[lambda: None] * 20, stops=True)
    with pytest.raises(StoppedError):
        watch(service, folder, time, close_after_s=None).run()
    assert service.files == CONTENT
    assert len(service.requests("PUT", "A01.tif")) == 2
    assert [said for said in caplog.messages if "A01.tif" in said] == [f"{folder / 'A01.tif'}: There is another file."]
    assert watch(service, folder).run() == (2, 1)
    assert len(service.requests("PUT", "A01.tif")) == 2


def test_a_file_that_is_only_touched_is_not_sent_again(service: FakeService, folder: Path) -> None:
    time = Time(*[lambda: None] * 5, (folder / "A01.tif").touch, *[lambda: None] * 8, stops=True)
    with pytest.raises(StoppedError):
        watch(service, folder, time, close_after_s=None).run()
    assert len(service.requests("PUT")) == 3


def test_a_file_that_grows_while_it_is_sent_does_not_arrive_in_part(
    service: FakeService, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "A02.tif"
    path.write_bytes(b"x" * 3_000_000)
    send_body = remote._send_body
    grown: list[bool] = []

    def send(connection: Any, chunks: Iterator[bytes]) -> None:
        def growing() -> Iterator[bytes]:
            for chunk in chunks:
                yield chunk
                if len(chunk) == 2**20 and not grown:
                    grown.append(True)
                    with path.open("ab") as file:
                        file.write(b"more")

        send_body(connection, growing())

    monkeypatch.setattr(remote, "_send_body", send)
    assert watch(service, folder).run() == (3, 0)
    assert grown
    assert service.files["A02.tif"] == b"x" * 3_000_000 + b"more"


@pytest.mark.parametrize("status", [415, -413])
def test_a_file_that_is_refused_is_told_and_tried_again_after_a_start(
    service: FakeService, folder: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    # Too much for the buffers of a connection that nobody reads from.
    (folder / "A01.tif").write_bytes(b"x" * 20_000_000)
    service.trouble_with = {"A01.tif": status}
    with pytest.raises(StoppedError):
        watch(service, folder, Time(*[lambda: None] * 20, stops=True), close_after_s=None).run()
    assert set(service.files) == set(CONTENT) - {"A01.tif"}
    assert len(service.requests("PUT", "A01.tif")) == 1
    assert len([said for said in caplog.messages if "A01.tif" in said]) == 1
    service.trouble_with = {}
    assert watch(service, folder).run() == (3, 0)


def test_what_cannot_be_read_is_told_and_counted(
    service: FakeService, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "empty.tif").touch()
    (folder / "A04.zarr").mkdir()
    assert watch(service, folder).run() == (3, 2)
    assert {said.partition(": ")[2] for said in caplog.messages} == {
        "It is empty.",
        "It is a folder; pack it into a file that ends in .zarr.zip.",
    }


def test_a_file_that_the_instrument_has_locked_is_tried_again_and_not_all_the_time(
    service: FakeService, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    time = Time(*[lambda: None] * 30, stops=True)
    tries: list[float] = []
    open_file = Path.open

    def locked(path: Path, *how: Any, **more: Any) -> Any:
        if path.name == "A01.tif":
            tries.append(time.now)
            if len(tries) < 4:
                raise PermissionError(13, "Permission denied", str(path))
        return open_file(path, *how, **more)

    monkeypatch.setattr(Path, "open", locked)
    with pytest.raises(StoppedError):
        watch(service, folder, time, close_after_s=None).run()
    assert service.files == CONTENT
    assert all(later - earlier >= 3 for earlier, later in pairwise(tries))
    assert [said for said in caplog.messages if "A01.tif" in said] == [
        f"{folder / 'A01.tif'}: It cannot be read: Permission denied."
    ]


def test_a_placeholder_is_sent_when_it_is_filled(service: FakeService, folder: Path) -> None:
    path = folder / "A03.tif"
    path.touch()
    time = Time(*[lambda: None] * 8, lambda: path.write_bytes(b"full"), *[lambda: None] * 8, stops=True)
    with pytest.raises(StoppedError):
        watch(service, folder, time, close_after_s=None).run()
    assert service.files["A03.tif"] == b"full"


def test_a_layout_is_sent_again_when_it_has_changed(service: FakeService, folder: Path) -> None:
    layout = folder.parent / "layout.csv"
    layout.write_text("first")
    time = Time(*[lambda: None] * 5, lambda: layout.write_text("second"), *[lambda: None] * 8, stops=True)
    with pytest.raises(StoppedError):
        watch(service, folder, time, close_after_s=None, layout=layout).run()
    assert service.layouts == [b"first", b"second"]


def test_it_closes_when_no_file_has_come_for_long_enough(service: FakeService, folder: Path) -> None:
    time = Time(*[lambda: None] * 10, lambda: (folder / "A03.tif").write_bytes(b"late"))
    assert watch(service, folder, time, close_after_s=20).run() == (4, 0)
    assert 11 + 3 + 20 <= time.now < 11 + 3 + 25


def test_a_share_that_is_away_is_waited_for(
    service: FakeService, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = folder.with_name("away")
    time = Time(lambda: folder.rename(away), *[lambda: None] * 30, lambda: away.rename(folder))
    assert watch(service, folder, time, close_after_s=10).run() == (3, 0)
    assert [said for said in caplog.messages if "cannot be read" in said] == [
        f"{folder} cannot be read: No such file or directory. It is tried again."
    ]


def test_files_for_an_experiment_of_another_are_not_counted_at_its_end(service: FakeService, folder: Path) -> None:
    service.experiments["e7"] = {"state": "open", "key": ""}
    service.files["other.tif"] = b"other"
    assert watch(service, folder, experiment="e7").run() == (3, 0)
    assert service.experiments["e7"]["state"] == "running"
    assert service.requests("POST", "/e7/close")


def refused(service: FakeService, folder: Path, **options: Any) -> str:
    with pytest.raises(KaryometerError) as refusal:
        watch(service, folder, **options).run()
    assert isinstance(refusal.value, ServerError | OptionError)
    return str(refusal.value)


def test_what_is_wrong_with_all_ends_it(service: FakeService, folder: Path) -> None:
    assert "no such experiment" in refused(service, folder, experiment="e9")
    for status in (401, 403, 422):
        service.troubles = [status]
        assert f"refuses: It is {status}." in refused(service, folder)
    service.trouble_with = {"A02.tif": 401}
    assert "It is 401." in refused(service, folder)
    service.trouble_with = {"close?expected=3": 409}
    assert "It is 409." in refused(service, folder)
    service.trouble_with = {}
    watch(service, folder).run()
    assert "is closed and takes no more files; give another --name" in refused(service, folder)


def test_an_experiment_that_is_closed_meanwhile_ends_it(service: FakeService, folder: Path) -> None:
    time = Time(lambda: service.experiments["e0"].update(state="running"))
    with pytest.raises(ServerError, match="is closed"):
        watch(service, folder, time).run()
    assert service.files == {}


def test_folders_and_layouts_that_are_not_there(service: FakeService, folder: Path) -> None:
    assert "There is no folder" in refused(service, folder / "nothing")
    assert "There is no layout" in refused(service, folder, layout=folder / "layout.csv")
    (folder.parent / "empty").mkdir()
    assert "There are no images" in refused(service, folder.parent / "empty")
    assert service.experiments == {}


def test_a_server_that_knows_no_experiments(service: FakeService, folder: Path) -> None:
    service.troubles = [(200, None)]
    assert "makes no experiments" in refused(service, folder)


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000",
        "ftp://host",
        "http://",
        "http://host:99999",
        "http://[::1",
        "http://a:b@host",
        "http://host?q=1",
    ],
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(OptionError, match="is no address of a server"):
        RemoteService(address)


def test_what_is_no_key_and_no_host() -> None:
    for key in ("", "two\nlines", "schlüssel"):
        with pytest.raises(OptionError, match="API key"):
            RemoteService("http://host", key)
    for address in (f"http://{'a' * 70}.example", "https://127.0.0.1:1/below"):
        with pytest.raises(LaterError, match="does not answer"):
            RemoteService(address).ask("GET", "/")


def test_a_memory_that_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Set XDG_STATE_HOME"):
        Memory(tmp_path / "file" / "memory")
    memory = Memory(tmp_path / "memory")
    monkeypatch.setattr(memory, "_path", tmp_path)
    with pytest.raises(OutputError, match="Set XDG_STATE_HOME"):
        memory.keep(experiment="e0")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command keeps its memory; nothing settles."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("app.watch.watch._POLL_S", 0)
    return tmp_path / "home"


def test_the_command(
    service: FakeService, folder: Path, home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    key = folder.parent / "key"
    key.write_text("from-file\n")
    command = ["watch", str(folder), "--server", service.address + "/", "--settle", "0", "--once"]
    assert cli.main([*command, "--key-file", str(key)]) == 0
    assert service.files == CONTENT
    assert caplog.messages[-1] == "The experiment is closed; 3 files were sent and 0 were not taken."
    assert service.seen[-1][2]["Authorization"] == "Bearer from-file"
    assert service.experiments["e0"]["name"] == "plate"
    assert len(list((home / "karyometer").iterdir())) == 1
    # The same folder for another experiment.
    (folder / "empty.tif").touch()
    service.files.clear()
    monkeypatch.setenv("KARYOMETER_API_KEY", "from-environment")
    assert cli.main([*command, "--name", "again"]) == 1
    assert service.experiments["e1"]["name"] == "again"
    assert service.seen[-1][2]["Authorization"] == "Bearer from-environment"
    assert cli.main([*command, "--key-file", str(folder)]) == 2


def test_the_command_takes_seconds_only(capsys: pytest.CaptureFixture[str]) -> None:
    for seconds in ("soon", "-1", "inf", "nan"):
        with pytest.raises(SystemExit):
            cli.main(["watch", "folder", "--server", "http://host", "--settle", seconds])
        assert f"'{seconds}' is no number of seconds from 0" in capsys.readouterr().err
