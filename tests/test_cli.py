import pytest
import uvicorn

from app import __version__
from app.cli import main
from app.settings import Settings


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"karyometer {__version__}\n"


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    text = capsys.readouterr().out
    assert all(f"KARYOMETER_{name.upper()}" in text for name in Settings.model_fields)


def test_a_wrong_setting_ends_before_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KARYOMETER_MAX_PIXELS", "0")
    assert main(["serve"]) == 2
    assert caplog.messages == [
        "KARYOMETER_MAX_PIXELS has a value it cannot have; set it to a number of pixels above 0."
    ]


def test_settings_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server: started.append(server.config))
    monkeypatch.setenv("KARYOMETER_HOST", "127.0.0.2")
    monkeypatch.setenv("KARYOMETER_PORT", "8123")
    assert main(["serve"]) == 0
    (config,) = started
    assert (config.host, config.port, config.timeout_graceful_shutdown) == ("127.0.0.2", 8123, 30)
    assert config.app.state.settings.port == 8123
