import pytest

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


def test_a_missing_model_ends_the_start(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KARYOMETER_MODEL", "nowhere")
    monkeypatch.setenv("KARYOMETER_PORT", "0")
    with pytest.raises(SystemExit) as stop:
        main(["serve"])
    assert stop.value.code == 3
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "There is no model at nowhere" in line]
    assert not [line for line in lines if "Traceback" in line]
