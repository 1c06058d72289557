"""What many tests share."""

import os
from collections.abc import Iterator
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any

# Set before TensorFlow is imported: its start-up chatter is no test output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadFileScheduling

from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.client import TestClient

# Of processes that tests start; below a test's own folder its path is too long for a socket.
get_temp_dir()

# Tests time nothing: these machines are noisy.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")

TESTS = Path(__file__).parent
DATA = TESTS / "data"
_LONGEST_FIRST = {TESTS / "training": 0, TESTS: 1}
REAL_IMAGES = ("fluorescence.tif", "histology.jpg", "immunohistochemistry.png")


class _BySharedFixtures(LoadFileScheduling):
    """Gives one process all tests of a file, and one all that train networks: they share what takes long to make."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "tests/training" if file.startswith("tests/training/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """How `pytest -n` shares the tests."""
    return _BySharedFixtures(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, which train or start the real service: no process is left with one at the end."""
    items.sort(key=lambda item: _LONGEST_FIRST.get(item.path.parent, len(_LONGEST_FIRST)))


@pytest.fixture
def client() -> Iterator[TestClient]:
    """The app in-process, with the fake predictor and small limits."""
    settings = Settings(max_upload_bytes=2_000_000, max_pixels=1_000_000)
    with TestClient(
        create_app(settings, fakes.engine(max_pixels=settings.max_pixels)), raise_server_exceptions=False
    ) as client:
        yield client
