"""What is installed: the wheel, and the packages that come with it."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from app import __version__
from app.settings import DEFAULT_MODEL

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODEL = DEFAULT_MODEL.relative_to(ROOT)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built as `pip wheel` builds it, but offline."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_carries_the_shipped_model_and_no_other(wheel: zipfile.ZipFile) -> None:
    carried = {name: wheel.read(name) for name in wheel.namelist() if name.startswith("models/")}
    shipped = {
        path.relative_to(ROOT).as_posix(): path.read_bytes() for path in DEFAULT_MODEL.rglob("*") if path.is_file()
    }
    assert carried == shipped


def test_the_wheel_carries_the_code_and_its_data_but_no_tests(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"app", "training", "models", f"karyometer-{__version__}.dist-info"}
    tracked = subprocess.run(["git", "ls-files", "app", "training"], cwd=ROOT, check=True, capture_output=True)
    assert set(tracked.stdout.decode().split()) <= set(wheel.namelist())


def test_the_image_carries_the_shipped_model_and_no_other() -> None:
    copied = re.findall(r"^COPY (models\S*) (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert copied == [(MODEL.as_posix(), MODEL.as_posix())]


@pytest.mark.parametrize(
    ("lock", "has_tensorflow"),
    [("service", False), ("bio", False), ("fuzz", False)]
    + [(name, True) for name in ("savedmodel", "gpu", "training", "dev", "peers")],
)
def test_tensorflow_comes_with_the_locks_that_need_it(lock: str, has_tensorflow: bool) -> None:
    pinned = re.findall(r"^(\S+?)(?:\[.*\])?==", (ROOT / "requirements" / f"{lock}.lock").read_text(), re.MULTILINE)
    assert ("tensorflow" in pinned) == has_tensorflow
    declared = {re.split(r"[\[<>=]", requirement)[0].replace(".", "-") for requirement in PROJECT["dependencies"]}
    assert declared <= set(pinned)
