"""What many tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

# Set before TensorFlow is imported: its start-up chatter is no test output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from hypothesis import settings as hypothesis_settings

from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.client import TestClient

# Tests time nothing: these machines are noisy.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")

TESTS = Path(__file__).parent
DATA = TESTS / "data"
TRAINING = TESTS / "training"
_LONGEST_FIRST = {TRAINING: 0, TESTS: 1}
REAL_IMAGES = ("fluorescence.tif", "histology.jpg", "immunohistochemistry.png")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share the tests among processes, where there are several.

    Those of a file stay together, and so do all that train networks: they share fixtures that take long. The longest
    files, which train or start the real service, come first, so that no process has one left when the others are done.
    """
    for item in items:
        group = TRAINING if item.path.parent == TRAINING else item.path
        item.add_marker(pytest.mark.xdist_group(str(group)))
    items.sort(key=lambda item: _LONGEST_FIRST.get(item.path.parent, len(_LONGEST_FIRST)))


@pytest.fixture
def client() -> Iterator[TestClient]:
    """The app in-process, with the fake predictor and small limits."""
    settings = Settings(max_upload_bytes=2_000_000, max_pixels=1_000_000)
    with TestClient(
        create_app(settings, fakes.engine(max_pixels=settings.max_pixels)), raise_server_exceptions=False
    ) as client:
        yield client
