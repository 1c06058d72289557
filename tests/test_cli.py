import json
import subprocess
import sys
from pathlib import Path

import pytest
import uvicorn

from app import __version__
from app.cli import main
from app.segmentation.options import SegmentationOptions
from app.settings import Settings
from tests.conftest import DATA


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


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["segment", "--help"])
    text = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')} VALUE" in text for name in SegmentationOptions.model_fields)


def test_completion_knows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--print-completion", "bash"])
    assert stop.value.code == 0
    assert "--exclude-border" in capsys.readouterr().out


def test_info_says_what_the_shipped_model_is(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert text.startswith(f"{card['name']}/{card['version']}, exported on {card['created']}.")
    assert all(name in text for name in card["evaluations"])
    assert main(["info", str(tmp_path)]) == 2
    assert caplog.messages[0].startswith("There is no model at")


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
    assert (config.host, config.port) == ("127.0.0.2", 8123)
    assert config.app.state.settings.port == 8123


def test_on_a_cpu_an_image_is_segmented_without_tensorflow(tmp_path: Path) -> None:
    program = "import sys; from app.cli import main; sys.exit(main(sys.argv[1:]) or 'tensorflow' in sys.modules)"
    options = ["segment", str(DATA / "fluorescence.png"), "--output", str(tmp_path)]
    subprocess.run([sys.executable, "-c", program, *options], check=True)
