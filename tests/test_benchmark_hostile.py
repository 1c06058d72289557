"""A part of `python -m benchmarks.hostile`, in this process."""

from collections.abc import Iterator

import pytest

from app.engine.engine import Engine, Limits
from app.inference.load import Model
from app.main import create_app
from app.reading.isolation import DecodeProcesses
from app.settings import Settings
from benchmarks.hostile_files import hostile_files
from tests import fakes
from tests.client import TestClient

# Files of one kind lie together, so that each kind is met.
STEP = 60


@pytest.fixture(scope="module")
def guarded() -> Iterator[TestClient]:
    """A service that decodes in processes of their own, as the real one does."""
    decoders = DecodeProcesses(2, 2 * 2**30, 10)
    engine = Engine(Model(fakes.BrightIsNucleus(), fakes.card()), Limits(500_000), decoders.call)
    with TestClient(create_app(Settings(max_upload_bytes=8 * 2**20), engine)) as client:
        yield client
    decoders.close()


def test_no_hostile_file_breaks_the_service(guarded: TestClient) -> None:
    all_files = list(hostile_files())
    files = all_files[::STEP] + all_files[-100::10]
    assert {file.kind for file in files} == {file.kind for file in all_files}
    for number, file in enumerate(files):
        answer = guarded.post("/segment", content=file.data, headers={"content-type": "image/tiff"})
        assert answer.status_code in (200, 400, 413, 415, 422), f"{file.kind}, number {number}"
        assert answer.headers["content-type"] == f"application/{'problem+' if answer.is_error else ''}json"
