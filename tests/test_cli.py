import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from app import __version__, cli
from app.cli import main
from app.command_line import command_line, effect_options
from app.options import SegmentationOptions
from app.settings import DEFAULT_MODEL, Settings
from app.statistics.effects import EffectOptions
from tests.conftest import DATA
from tests.fakes import engine
from tests.synthetic import discs, picture, png

HOLDS_A_FOLDER = """
import sys
from pathlib import Path
from app.export.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


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


def test_effects_are_asked_for_by_flags() -> None:
    flags = ["--endpoint", "positive_fraction", "--marker", "intensity_mean_c1", "--marker-threshold", "500"]
    options = command_line().parse_args(["experiment", "plate", "--output", "results", *flags])
    asked = effect_options(options)
    assert (asked.endpoints, asked.marker, asked.marker_threshold) == (("positive_fraction",), "intensity_mean_c1", 500)
    compare = command_line().parse_args(["compare", "counts.csv", "--output", "results"])
    assert effect_options(compare) == EffectOptions()


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


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"max_pixels": "0"},
            "KARYOMETER_MAX_PIXELS has a value it cannot have; set it to a number of pixels above 0.",
        ),
        ({"device": "tpu"}, "KARYOMETER_DEVICE has a value it cannot have; set it to auto, cpu or gpu:N."),
        ({"host": "0.0.0.0"}, "Other machines can reach 0.0.0.0, so set KARYOMETER_API_KEYS_FILE"),
        ({"host": "0.0.0.0", "allow_anonymous": "perhaps"}, "KARYOMETER_ALLOW_ANONYMOUS has a value it cannot have"),
        ({"api_keys_file": "nowhere"}, "KARYOMETER_API_KEYS_FILE names nowhere, which is not a text file to read."),
    ],
)
def test_a_wrong_setting_ends_before_the_start(
    environment: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"KARYOMETER_{name.upper()}", value)
    assert main(["serve"]) == 2
    (told,) = caplog.messages
    assert told.startswith(sentence)


@pytest.mark.parametrize("harm", ["truncated", "bit flipped"])
def test_a_damaged_model_is_refused_in_one_sentence(
    harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DEFAULT_MODEL, folder)
    weights = next(folder.glob("variables/variables.data*"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data[:-1] if harm == "truncated" else data)
    monkeypatch.setenv("KARYOMETER_MODEL", str(folder))
    monkeypatch.setenv("KARYOMETER_PORT", "0")
    with pytest.raises(SystemExit) as stop:
        main(["serve"])
    assert stop.value.code == 3
    assert f"The model files in {folder} are not those its card describes" in caplog.text
    assert "Traceback" not in caplog.text


def test_settings_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server: started.append(server.config))
    monkeypatch.setenv("KARYOMETER_HOST", "127.0.0.2")
    monkeypatch.setenv("KARYOMETER_PORT", "8123")
    assert main(["serve"]) == 0
    (config,) = started
    assert (config.host, config.port) == ("127.0.0.2", 8123)
    assert config.app.state.settings.port == 8123


@pytest.mark.parametrize("is_resumed", [False, True])
@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing"])
def test_a_folder_that_cannot_hold_results_is_told_before_the_work(
    place: str, is_resumed: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "well.png").touch()
    output = tmp_path / place
    assert (
        main(["segment", str(tmp_path / "well.png"), "--output", str(output), *(["--resume"] if is_resumed else [])])
        == 2
    )
    reason = "a file stands where a folder must be" if "file" in place else "No such file or directory"
    assert caplog.messages == [
        f"The results cannot be written to {output}: {reason}. Name a folder that can be written to."
    ]


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_folder_is_tried_before_the_work(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(cli, "folder_lock", refuse)
    (tmp_path / "well.png").touch()
    assert main(["segment", str(tmp_path / "well.png"), "--output", str(tmp_path / "new")]) == 2
    assert caplog.messages[0].endswith(f"{os.strerror(error)}. Name a folder that can be written to.")


def test_a_second_run_into_one_folder_is_refused_while_the_first_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cli, "_engine", lambda _: nullcontext(engine()))
    (tmp_path / "well.png").write_bytes(png(picture(discs((20, 20), (10, 10, 5)))))
    output = tmp_path / "results"
    output.mkdir()
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_FOLDER, str(output)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert first.stdout is not None
    assert first.stdout.readline() == b"held\n"
    arguments = ["segment", str(tmp_path / "well.png"), "--output", str(output)]
    for more in ([], ["--resume"]):
        assert main([*arguments, *more]) == 2
        assert caplog.messages[-1].startswith(f"Another run of karyometer is writing to {output}; wait until")
    first.kill()
    first.communicate()
    # Nothing is left to be cleaned up.
    assert main(arguments) == 0


def test_temporary_files_are_in_one_folder_that_goes_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> Any:
        used.append(Path(tempfile.gettempdir()))
        return nullcontext(engine())

    used: list[Path] = []
    monkeypatch.setattr(cli, "open_engine", opened)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "well.png").write_bytes(png(picture(discs((20, 20), (10, 10, 5)))))
    assert main(["segment", str(tmp_path / "well.png"), "--output", str(tmp_path / "results")]) == 0
    assert [folder.parent for folder in used] == [tmp_path / "temporary"]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_a_system_left_in_a_folder_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cli, "_engine", lambda _: nullcontext(engine()))
    (tmp_path / "well.png").write_bytes(png(picture(discs((20, 20), (10, 10, 5)))))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / ".DS_Store").touch()
    arguments = ["segment", str(tmp_path / "well.png"), "--output", str(tmp_path / "results")]
    assert main(arguments) == 0
    assert main(arguments) == 2
    assert caplog.messages[-1].endswith(
        "is not empty; add --resume to go on with what is in it, or name another folder."
    )


@pytest.mark.parametrize(("command", "more"), [("segment", ["--output", "results"]), ("evaluate", ["plate.png"])])
def test_ctrl_c_tells_how_to_go_on_where_that_is_possible(
    command: str,
    more: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    Path("plate.png").touch()
    monkeypatch.setattr(cli, "_engine", stop)
    assert main([command, "plate.png", *more]) == 130
    assert caplog.messages == ["Stopped." + (" Add --resume to go on." if command == "segment" else "")]


def test_names_cannot_move_the_cursor(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "_engine", lambda _: nullcontext(engine()))
    for folder, name in (("images", "a\x1b[2J.png"), ("images", "b\n.png"), ("masks", "a\x1b[2J.png")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(png(picture(discs((20, 20), (10, 10, 5)))))
    (tmp_path / "masks" / "b\n_mask.png").write_bytes(b"text")
    (tmp_path / "masks" / "c\n.png").touch()
    assert main(["evaluate", str(tmp_path / "images"), str(tmp_path / "masks")]) == 1
    assert caplog.messages[0] == "1 masks are those of no image, such as 'c\\n.png'."
    assert caplog.messages[1].startswith("'b\\n.png': The mask is not a")
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["'a\\x1b[2J.png'", "all"]


def test_on_a_cpu_an_image_is_segmented_without_tensorflow(tmp_path: Path) -> None:
    program = "import sys; from app.cli import main; sys.exit(main(sys.argv[1:]) or 'tensorflow' in sys.modules)"
    options = ["segment", str(DATA / "fluorescence.tif"), "--output", str(tmp_path)]
    assert subprocess.run([sys.executable, "-c", program, *options]).returncode == 0
    assert len((tmp_path / "nuclei.csv").read_text().splitlines()) > 40
