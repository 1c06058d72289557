"""Workers in processes of their own, with the shipped model."""

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import tifffile

from app.cli import main
from app.experiments.cluster import Cluster
from app.experiments.folder import DATA_NAME
from app.experiments.worker import ClusterLostError
from app.settings import Settings
from tests.client import TestClient
from tests.conftest import DATA


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four wells of two channels, from parts of one real field."""
    folder = tmp_path_factory.mktemp("plate")
    field = tifffile.imread(DATA / "fluorescence.tif")
    for number, well in enumerate(("A01", "A02", "B01", "B02")):
        part = field[:192, 40 * number : 40 * number + 192]
        tifffile.imwrite(folder / f"run_{well}_s1_w1.tif", part)
        tifffile.imwrite(folder / f"run_{well}_s1_w2.tif", part[::-1] // 2)
    layout = "well;condition;dose;dose_unit;control\nA01;DMSO;0;uM;negative\nA02;drug;0,5;uM;\nB01;drug;5;uM;\n"
    (folder / "layout.csv").write_text(layout)
    return folder


def measured(plate: Path, output: Path, *more: str) -> int:
    layout = str(plate / "layout.csv")
    return main(
        ["experiment", str(plate), "--layout", layout, "--output", str(output), "--nuclear-channel", "w1", *more]
    )


def test_the_shell_and_http_give_the_same_tables(plate: Path, tmp_path: Path) -> None:
    from app.main import create_app

    output = tmp_path / "results"
    assert measured(plate, output, "--workers", "2") == 0
    settings = Settings(data=tmp_path / "data", experiment_workers=1)
    with TestClient(create_app(settings)) as client:
        url = client.post("/experiments", json={"name": "plate", "nuclear_channel": "w1"}).headers["location"]
        for path in sorted(plate.glob("*.tif"), reverse=True):
            assert client.put(f"{url}/images/{path.name}", content=path.read_bytes()).status_code == 201
        client.put(f"{url}/layout", content=(plate / "layout.csv").read_bytes())
        client.post(f"{url}/close?expected=8")
        deadline = time.monotonic() + 300
        while client.get(url).json()["state"] != "done" and time.monotonic() < deadline:
            time.sleep(0.2)
        for table in ("nuclei", "images", "wells", "conditions"):
            assert client.get(f"{url}/tables/{table}").content == (output / f"{table}.csv").read_bytes(), table
    wells = (output / "wells.csv").read_text().splitlines()
    assert [line.split(",")[1:3] for line in wells[1:]] == [
        ['"A01"', '"DMSO"'],
        ['"A02"', '"drug"'],
        ['"B01"', '"drug"'],
        ['"B02"', ""],
    ]
    # All of it is known: nothing is started, and the tables are the same.
    before = (output / "nuclei.csv").read_bytes()
    marker = ["--endpoint", "positive_fraction", "--marker", "intensity_mean_c1", "--marker-threshold", "0"]
    assert measured(plate, output, "--resume", *marker) == 0
    assert (output / "nuclei.csv").read_bytes() == before
    answer = json.loads((output / "effects.json").read_bytes())
    assert answer["effects"]["endpoints"][0]["comparisons"][0]["mean_treated"] == 1
    assert answer["provenance"]["effects"]["marker"] == "intensity_mean_c1"
    assert (output / DATA_NAME).is_dir()


def test_a_worker_that_is_killed_gives_its_images_back(tmp_path: Path) -> None:
    # Whoever reads it waits.
    pipe = tmp_path / "files" / "00" / ("0" * 64)
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    cluster = Cluster(Settings(data=tmp_path, experiment_workers=1))
    try:
        job: Any = _job()
        assert cluster.room() == 2
        assert cluster.submit(job, is_suspect=False)
        assert cluster.submit(job, is_suspect=False)
        assert not cluster.submit(job, is_suspect=False)
        os.kill(_worker_pid(cluster), signal.SIGKILL)
        pipe.unlink()
        ended = _all_ended(cluster, 2)
        assert [(one.outcome, one.is_suspect) for one in ended] == [(None, True), (None, False)]
        deadline = time.monotonic() + 120
        while not cluster.room() and time.monotonic() < deadline:
            cluster.wait(0.2)
        # Another process has taken its place, with a folder of its own for temporary files.
        assert {Path(path).name[:11] for path in cluster._client.run(tempfile.gettempdir).values()} == {"karyometer-"}
        assert cluster.submit(job, is_suspect=True)
        assert cluster.room() == 0
        (one,) = _all_ended(cluster, 1)
        assert one.outcome is not None
        assert one.outcome.error_code == "unreadable_image"
    finally:
        cluster.close()


def test_workers_that_a_new_scheduler_knows_nothing_of_are_no_fault_of_the_images(tmp_path: Path) -> None:
    cluster = Cluster(Settings(data=tmp_path, experiment_workers=1))
    try:
        # As after the scheduler was started anew: it gives workers no engine.
        cluster._client.unregister_worker_plugin("karyometer")
        assert cluster.submit(_job(), is_suspect=False)
        with pytest.raises(ClusterLostError, match="its scheduler was started anew"):
            _all_ended(cluster, 1)
    finally:
        cluster.close()


def _job() -> Any:
    """One whose file is the pipe."""
    from app.experiments.worker import Job, Maker
    from app.inference.load import load_model
    from app.options import SegmentationOptions

    maker = Maker.of(load_model(Settings().model, "cpu"))
    options = SegmentationOptions().model_dump_json()
    return Job(1, 1, "key", "labels", "a.tif", "0" * 64, (), options, maker)


def _worker_pid(cluster: Cluster) -> int:
    pids: list[int] = cluster._client.run(os.getpid).values()
    (pid,) = pids
    assert psutil.Process(pid).nice() > 0
    return pid


def _all_ended(cluster: Cluster, n: int) -> list[Any]:
    ended: list[Any] = []
    deadline = time.monotonic() + 120
    while len(ended) < n and time.monotonic() < deadline:
        ended += cluster.wait(0.2)
    return ended
