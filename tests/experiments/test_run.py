import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, text

from app.errors import ConflictError, NoSuchError
from app.experiments.database import metadata
from app.experiments.rendering import render
from app.experiments.tables import Tables
from app.experiments.work import Work
from benchmarks.durability import has_postgres, postgres
from tests.experiments.inline import Room, nuclei, opened


@pytest.fixture(scope="module")
def server() -> Iterator[str | None]:
    """A PostgreSQL, if Debian's package is installed."""
    if not has_postgres():
        yield None
        return
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, server: str | None) -> str | None:
    """An empty database; none is SQLite in the folder."""
    if request.param == "sqlite":
        return None
    if server is None:
        pytest.skip("Debian's package postgresql is not installed")
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return server.replace("/postgres", f"/{name}")


@pytest.fixture
def room(tmp_path: Path, url: str | None) -> Iterator[Room]:
    with opened(tmp_path, url) as room:
        yield room


def nuclei_csv(room: Room, experiment_id: str) -> bytes:
    tables = Tables(room.store, room.store.experiment(experiment_id))
    return b"".join(render("csv", *tables.batches("nuclei"), {}))


def test_every_image_is_measured_once_and_its_count_is_told(room: Room) -> None:
    made = room.make()
    room.add(made, A01_w1=nuclei(3), A02_w1=nuclei(5), A03_w1=nuclei(0))
    room.store.close(made)
    assert room.store.progress(made).state == "running"
    room.run(made)
    assert room.store.progress(made).state == "done"
    counts = {image.well: image.result and image.result.count for image in room.store.images(made)}
    assert counts == {"A01": 3, "A02": 5, "A03": 0}
    assert len(room.cluster.measured) == 3


def test_the_same_image_is_never_measured_twice(room: Room) -> None:
    first, second = room.make(), room.make()
    room.add(first, A01_w1=nuclei(3), A02_w1=nuclei(3))
    room.add(second, B07_w1=nuclei(3))
    room.run(first)
    room.run(second)
    assert len(room.cluster.measured) == 1
    assert [image.result.count for image in room.store.images(second) if image.result] == [3]


def test_other_options_are_another_result(room: Room) -> None:
    for made in (room.make(), room.make(min_area_px=10_000)):
        room.add(made, A01_w1=nuclei(3))
        room.run(made)
    assert [image.result.count for image in room.store.images(made) if image.result] == [0]


def test_a_channel_that_comes_later_is_measured_in_the_nuclei_that_are_known(room: Room) -> None:
    late, whole = room.make(), room.make(min_area_px=1)
    dna, gfp = nuclei(4), nuclei(4, brightness=0.5)
    room.add(late, A01_w1=dna)
    room.run(late)
    room.add(late, A01_w2=gfp)
    room.run(late)
    assert room.cluster.measured == [("p_A01_s1_w1.tif", False), ("p_A01_s1_w1.tif", True)]
    room.add(whole, A01_w1=dna, A01_w2=gfp)
    room.run(whole)
    # Keys differ, since the options do.
    strip = [b",".join(line.split(b",")[:-1]) for line in nuclei_csv(room, late).splitlines()]
    assert strip == [b",".join(line.split(b",")[:-1]) for line in nuclei_csv(room, whole).splitlines()]
    assert b"intensity_mean_c1" in strip[0]


def test_an_image_that_kills_its_workers_is_set_aside_and_no_other(room: Room) -> None:
    made = room.make()
    room.add(made, A01_w1=nuclei(1), A02_w1=nuclei(2), A03_w1=nuclei(3), A04_w1=nuclei(4))
    room.store.close(made)
    room.cluster.deadly = {"p_A02_s1_w1.tif"}
    room.run(made)
    states = {image.well: (image.state, image.error_code) for image in room.store.images(made)}
    assert states.pop("A02") == ("set_aside", "worker_died")
    assert set(states.values()) == {("done", None)}
    assert room.store.progress(made).state == "done_with_errors"
    room.cluster.deadly = set()
    assert room.store.retry(made) == 1
    room.run(made)
    assert room.store.progress(made).state == "done"


def test_an_image_that_cannot_be_read_fails_alone_with_its_sentence(room: Room) -> None:
    made = room.make()
    room.add(made, A01_w1=nuclei(2), A02_w1=b"II*\0 broken")
    room.run(made)
    failed = room.store.image(made, "p_A02_s1_w1.tif")
    assert (failed.state, failed.error_code) == ("failed", "unreadable_image")
    assert failed.error
    assert failed.error.endswith(".")


def test_a_result_of_an_earlier_attempt_changes_nothing(room: Room) -> None:
    made = room.make()
    room.add(made, A01_w1=nuclei(2))
    work = Work(room.store.database, room.files)
    room.coordinator.turn()
    room.store.retry(made)
    room.run(made)
    other = room.make(min_area_px=3)
    room.add(other, A01_w1=nuclei(2))
    from app.experiments.plan import plan

    plan(room.store, other)
    ((job, _),) = work.claim(other, 1, ())
    outcome = room.cluster._worker.measure(job)
    work.give_back_all()
    ((again, _),) = work.claim(other, 1, ())
    work.finish(job, replace(outcome, result=None, error_code="x", error="Late."))
    assert room.store.image(other, job.image).state == "running"
    work.finish(again, outcome)
    assert room.store.image(other, job.image).state == "done"


def test_a_new_coordinator_goes_on_where_the_last_one_was(room: Room, tmp_path: Path, url: str | None) -> None:
    made = room.make()
    room.add(made, **{f"A{number:02}_w1": nuclei(number) for number in range(1, 7)})
    room.store.close(made)
    for _ in range(3):
        room.coordinator.turn()
    n_done = room.store.progress(made).n_images["done"]
    assert 0 < n_done < 6
    with opened(tmp_path, url) as after:
        Work(after.store.database, after.files).give_back_all()
        after.run(made)
        assert after.store.progress(made).state == "done"
        assert len(after.cluster.measured) == 6 - n_done


def test_experiments_take_turns(room: Room) -> None:
    large, small = room.make(), room.make()
    room.add(large, **{f"A{number:02}_w1": nuclei(3, size=64 + number) for number in range(1, 13)})
    room.add(small, B01_w1=nuclei(3, size=90))
    room.run(small)
    assert room.store.progress(large).n_images["waiting"] > 6


def test_jobs_whose_workers_have_gone_meanwhile_wait_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    made = room.make()
    room.add(made, A01_w1=nuclei(1), A02_w1=nuclei(2))
    with monkeypatch.context() as patch:
        patch.setattr(room.cluster, "submit", lambda _, **__: False)
        room.coordinator.turn()
    room.run(made)
    assert room.store.progress(made).n_images["done"] == 2


def test_what_was_cancelled_or_not_started_is_not_measured(room: Room) -> None:
    made = room.make()
    room.add(made, A01_w1=nuclei(2))
    room.store.cancel(made)
    by_hand = room.store.create(
        "", "later", room.store.experiment(made).options, room.maker, nuclear_channel="w1", is_started=False
    )[0]
    room.add(by_hand, A01_w1=nuclei(2))
    for _ in range(5):
        room.coordinator.turn()
    assert not room.cluster.measured
    assert room.store.progress(made).state == "cancelled"
    room.store.start(by_hand)
    room.run(by_hand)
    assert room.cluster.measured


def test_another_model_or_version_does_not_mix_a_plate(room: Room) -> None:
    made = room.store.create("", "old", room.store.experiment(room.make()).options, replace(room.maker, dtype="x"))[0]
    room.add(made, A01_w1=nuclei(2))
    for _ in range(5):
        room.coordinator.turn()
    assert room.store.progress(made).n_images["waiting"] == 1
    assert not room.cluster.measured


def test_deleting_removes_what_no_other_experiment_needs(room: Room, tmp_path: Path) -> None:
    shared, alone = room.make(), room.make()
    room.add(shared, A01_w1=nuclei(1))
    room.add(alone, A01_w1=nuclei(1), A02_w1=nuclei(2))
    room.run(alone)
    room.run(shared)
    room.store.delete(alone)
    with pytest.raises(NoSuchError):
        room.store.experiment(alone)
    kept = room.store.images(shared)[0]
    assert kept.result is not None
    needed = {*kept.digests, kept.result.labels_sha256, kept.result.nuclei_sha256}
    stored = {path.name for path in (tmp_path / "files").glob("??/*")}
    assert stored == needed
    room.store.delete(shared)
    assert not list((tmp_path / "files").glob("??/*"))


def test_experiments_that_are_kept_no_longer_are_deleted(room: Room) -> None:
    from app.experiments.run import Coordinator

    made = room.make()
    keeping = Coordinator(room.store, room.maker, lambda: room.cluster, keep_days=1e-9)  # type: ignore[arg-type, return-value]
    keeping.turn()
    with pytest.raises(NoSuchError):
        room.store.experiment(made)


def test_a_file_is_added_once_and_another_by_its_name_is_refused(room: Room) -> None:
    made = room.make()
    room.add(made, A01_w1=nuclei(1))
    room.add(made, A01_w1=nuclei(1))
    with pytest.raises(ConflictError, match="another file"):
        room.add(made, A01_w1=nuclei(2))
    with pytest.raises(ConflictError, match="2 were expected"):
        room.store.close(made, expected=2)
    room.store.close(made, expected=1)
    with pytest.raises(ConflictError, match="closed"):
        room.add(made, A02_w1=nuclei(2))


def test_an_idempotency_key_makes_one_experiment(room: Room) -> None:
    options = room.store.experiment(room.make()).options
    first = room.store.create("a", "plate", options, room.maker, idempotency_key="k")
    assert room.store.create("a", "plate", options, room.maker, idempotency_key="k") == (first[0], False)
    assert room.store.create("b", "plate", options, room.maker, idempotency_key="k")[1]
    with pytest.raises(ConflictError, match="Idempotency-Key"):
        room.store.create("a", "other", options, room.maker, idempotency_key="k")


def test_channels_that_nothing_tells_apart_are_a_problem_until_one_is_named(room: Room) -> None:
    made = room.make(nuclear_channel=None)
    room.add(made, A01_w1=nuclei(1), A01_w2=nuclei(2))
    room.coordinator.turn()
    problem = room.store.experiment(made).problem
    assert problem
    assert problem["code"] == "channel_needed"
    room.store.set_nuclear_channel(made, "w2")
    room.run(made)
    assert [image.image for image in room.store.images(made)] == ["p_A01_s1_w2.tif"]
    assert json.loads(json.dumps(room.store.experiment(made).notes))["n_images"] == 1


def test_one_coordinator_a_database(room: Room) -> None:
    first = room.store.database.try_to_coordinate()
    assert first is not None
    assert first.is_held()
    assert room.store.database.try_to_coordinate() is None
    first.close()
    second = room.store.database.try_to_coordinate()
    assert second is not None
    second.close()


def test_the_tables_are_those_that_the_migrations_make(room: Room) -> None:
    with room.store.database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
