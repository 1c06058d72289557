import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.temporary import temporary_folder

WAITS = """
import multiprocessing, sys
from multiprocessing.util import get_temp_dir
from app.errors import SettingsError
from app.temporary import temporary_folder
with temporary_folder():
    print(get_temp_dir(), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, in processes that are started too."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def waiting() -> tuple[subprocess.Popen[bytes], Path]:
    """A process with a folder, and where in it multiprocessing has its files."""
    process = subprocess.Popen([sys.executable, "-c", WAITS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    return process, Path(process.stdout.readline().decode().strip())


def test_all_temporary_files_are_in_one_folder_that_goes_at_the_end(above: Path) -> None:
    with temporary_folder() as folder:
        assert folder.parent == above
        assert Path(tempfile.mkdtemp()).parent == folder
    assert tempfile.gettempdir() == str(above)
    assert list(above.iterdir()) == []


def test_processes_can_be_started_after_a_folder_that_others_were_started_in() -> None:
    context = multiprocessing.get_context("forkserver")
    for _ in range(2):
        with temporary_folder():
            process = context.Process(target=os.getpid)
            process.start()
            process.join()
        assert process.exitcode == 0


def test_without_a_folder_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match="set TMPDIR to one that can"), temporary_folder():
        pass


def test_what_a_killed_process_left_is_removed_and_nothing_else(above: Path) -> None:
    others = [above / "karyometer-of-others", above / "pymp-other", above / "karyometer-file"]
    for folder in others[:2]:
        folder.mkdir()
    others[2].touch()
    (above / "karyometer-link").symlink_to(above / "pymp-other")
    (killed, left), (alive, used) = waiting(), waiting()
    killed.kill()
    killed.communicate()
    assert left.exists()
    assert left.parent == above
    with temporary_folder():
        assert not left.exists()
        assert used.exists()
    alive.communicate()
    assert not used.exists()
    assert {path.name for path in above.iterdir()} == {*(path.name for path in others), "karyometer-link"}
