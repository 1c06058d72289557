import csv
import io
import json
import math
import time
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy.exc import OperationalError

from app.experiments.work import Work
from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.client import TestClient
from tests.experiments.inline import InlineCluster, nuclei

LAYOUT = b"well,condition,dose,dose_unit,control\nA01,DMSO,0,uM,negative\nA02,drug,1,uM,\nA03,drug,10,uM,\n"


def app(folder: Path, **settings: Any) -> TestClient:
    engine = fakes.engine()
    return TestClient(
        create_app(
            Settings(data=folder / "data", **settings),
            engine,
            lambda: InlineCluster(engine, folder / "data" / "files"),  # type: ignore[arg-type, return-value]
        ),
        raise_server_exceptions=False,
    )


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with app(tmp_path) as client:
        yield client


def make(client: TestClient, query: str = "", **body: Any) -> str:
    answer = client.post(f"/experiments{query}", json={"name": "plate"} | body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/experiments/{answer.json()['id']}"
    return str(answer.headers["location"])


def put(client: TestClient, url: str, well: str, data: bytes, channel: str = "w1") -> Any:
    return client.put(f"{url}/images/p_{well}_s1_{channel}.tif", content=data)


def wait(client: TestClient, url: str) -> dict[str, Any]:
    for _ in range(6000):
        status = client.get(url).json()
        if status["state"] in ("done", "done_with_errors") and not status["images"]["waiting"]:
            return dict(status)
        time.sleep(0.05)
    raise AssertionError(status)


@pytest.fixture
def plate(client: TestClient) -> str:
    """Three wells, measured."""
    url = make(client)
    for number, well in enumerate(("A01", "A02", "A03"), 2):
        assert put(client, url, well, nuclei(number)).status_code == 201
    assert client.put(f"{url}/layout", content=LAYOUT).status_code == 200
    assert client.post(f"{url}/close?expected=3").status_code == 200
    assert wait(client, url)["state"] == "done"
    return url


def queued_images(client: TestClient) -> float:
    text = client.get("/metrics").text
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith("karyometer_queued_images ")))


@pytest.mark.usefixtures("plate")
def test_metrics_say_how_many_images_can_be_measured_now(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert queued_images(client) == 0
    later = make(client, "?start=manual")
    put(client, later, "A01", nuclei(7))
    put(client, later, "A02", nuclei(8))
    client.post(f"{later}/close")
    # Nobody has started it: more workers would have nothing to do.
    assert queued_images(client) == 0
    # As with a coordinator that has gone.
    monkeypatch.setattr(Work, "claim", lambda *_, **__: [])
    client.post(f"{later}/start")
    assert queued_images(client) == 2
    monkeypatch.setattr(Work, "n_queued", failing)
    assert math.isnan(queued_images(client))
    client.post(f"{later}/cancel")
    monkeypatch.undo()
    assert queued_images(client) == 0


def failing(*_: Any) -> int:
    raise OperationalError("SELECT", {}, Exception("the database is away"))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_plate_becomes_tables(client: TestClient, plate: str) -> None:
    wells = rows(client.get(f"{plate}/tables/wells").text)
    assert [(row["well"], row["condition"], row["dose"], row["count"]) for row in wells] == [
        ("A01", "DMSO", "0", "2"),
        ("A02", "drug", "1", "3"),
        ("A03", "drug", "10", "4"),
    ]
    images = rows(client.get(f"{plate}/tables/images").text)
    assert [row["image"] for row in images] == [f"p_A0{number}_s1_w1.tif" for number in (1, 2, 3)]
    assert [row["count"] for row in images] == ["2", "3", "4"]
    measured = rows(client.get(f"{plate}/tables/nuclei").text)
    assert len(measured) == 9
    assert {row["model"] for row in measured} == {"fake/1"}
    conditions = rows(client.get(f"{plate}/tables/conditions").text)
    assert [(row["condition"], row["dose"], row["n_wells"], row["count_mean"]) for row in conditions] == [
        ("DMSO", "0", "1", "2"),
        ("drug", "1", "1", "3"),
        ("drug", "10", "1", "4"),
    ]


@pytest.mark.parametrize("table", ["nuclei", "images", "wells", "conditions"])
def test_formats_hold_the_same_table(client: TestClient, plate: str, table: str) -> None:
    from_json = client.get(f"{plate}/tables/{table}?format=json").json()
    parquet = client.get(f"{plate}/tables/{table}", headers={"Accept": "application/vnd.apache.parquet"})
    whole = pq.read_table(io.BytesIO(parquet.content))
    assert whole.to_pylist() == from_json
    assert json.loads(whole.schema.metadata[b"karyometer"])["model"] == "fake/1"
    of_csv = rows(client.get(f"{plate}/tables/{table}?format=csv").text)
    assert list(of_csv[0]) == whole.column_names
    assert len(of_csv) == len(from_json)


def test_cellprofilers_names(client: TestClient, plate: str) -> None:
    measured = rows(client.get(f"{plate}/tables/nuclei?names=cellprofiler").text)
    wanted = {"Metadata_Plate", "Metadata_Well", "Metadata_Site", "Metadata_ObjectNumber", "Metadata_condition"}
    assert wanted | {"Nuclei_AreaShape_Area", "Nuclei_Intensity_MeanIntensity_w1"} <= set(measured[0])
    images = rows(client.get(f"{plate}/tables/images?names=cellprofiler").text)
    assert [row["Image_Count_Nuclei"] for row in images] == ["2", "3", "4"]


def test_an_images_answer_is_that_of_segment(client: TestClient, plate: str) -> None:
    data = nuclei(2)
    answer = client.get(f"{plate}/images/p_A01_s1_w1.tif").json()
    direct = client.post("/segment", files={"image": ("p_A01_s1_w1.tif", data)}).json()
    for body in (answer, direct):
        del body["provenance"]["timing_ms"]
    assert answer == direct
    for form in ("mask", "labels", "overlay", "csv", "geojson", "coco", "rois"):
        url = f"/segment?format={form}"
        same = client.post(url, files={"image": ("p_A01_s1_w1.tif", data)}).content
        assert client.get(f"{plate}/images/p_A01_s1_w1.tif?format={form}").content == same, form
    picture = client.get(f"{plate}/images/p_A01_s1_w1.tif/thumbnail")
    assert picture.content.startswith(b"\x89PNG")
    assert client.get(f"{plate}/images/p_A01_s1_w1.tif?format=thumbnail").content == picture.content


def test_the_same_bytes_again_are_no_matter_and_other_bytes_are_refused(client: TestClient) -> None:
    url = make(client)
    assert put(client, url, "A01", nuclei(1)).status_code == 201
    again = put(client, url, "A01", nuclei(1))
    assert (again.status_code, again.json()["sha256"]) == (200, sha256(nuclei(1)).hexdigest())
    other = put(client, url, "A01", nuclei(2))
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    client.post(f"{url}/close")
    assert put(client, url, "A01", nuclei(1)).status_code == 200
    assert put(client, url, "A02", nuclei(1)).status_code == 409


def test_images_are_measured_while_others_come(client: TestClient) -> None:
    url = make(client, nuclear_channel="w1")
    put(client, url, "A01", nuclei(1))
    for _ in range(6000):
        status = client.get(url).json()
        if status["images"]["done"]:
            break
        time.sleep(0.05)
    assert (status["state"], status["images"]["done"]) == ("open", 1)


def test_a_lone_channel_that_nothing_names_waits_for_the_others(client: TestClient) -> None:
    url = make(client)
    put(client, url, "A01", nuclei(1), "w2")
    time.sleep(0.6)
    status = client.get(url).json()
    assert (status["images"]["waiting"], status["images"]["done"]) == (1, 0)
    assert [warning["code"] for warning in status["warnings"]] == ["nuclear_channel_assumed"]
    assert client.post(f"{url}/close").json()["warnings"] == []
    assert wait(client, url)["images"]["done"] == 1


def test_columns_of_a_layout_do_not_take_the_place_of_ours(client: TestClient) -> None:
    url = make(client, nuclear_channel="w1")
    put(client, url, "A01", nuclei(2))
    client.put(f"{url}/layout", content=b"well,condition,count,donor\nA01,DMSO,77,X\n")
    client.post(f"{url}/close")
    wait(client, url)
    for table in ("images", "wells"):
        (row,) = rows(client.get(f"{url}/tables/{table}").text)
        assert (row["count"], row["metadata_count"], row["donor"]) == ("2", "77", "X")


def test_a_layout_is_given_back_in_our_own_format(client: TestClient) -> None:
    url = make(client)
    missing = client.get(f"{url}/layout")
    assert (missing.status_code, missing.json()["detail"]) == (404, "The experiment has no layout; PUT one.")
    client.put(f"{url}/layout?dose_unit=nM", content=b"condition\n,1,2\nA,DMSO,taxol\n\ndose\n,1,2\nA,,5\n")
    answer = client.get(f"{url}/layout")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text == "well,condition,dose,dose_unit,replicate,control\nA01,DMSO,,,,\nA02,taxol,5.0,nM,,\n"
    assert client.put(f"{url}/layout", content=answer.content).status_code == 200


def test_nothing_is_measured_before_the_start_by_hand(client: TestClient) -> None:
    url = make(client, "?start=manual")
    put(client, url, "A01", nuclei(1))
    client.post(f"{url}/close")
    time.sleep(0.6)
    assert client.get(url).json()["images"]["done"] == 0
    client.post(f"{url}/start")
    assert wait(client, url)["images"]["done"] == 1


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_many_files_and_zips_at_once_and_what_became_of_each(client: TestClient) -> None:
    url = make(client)
    packed = zipped(
        **{
            "day 1/p_A02_s1_w1.tif": nuclei(2),
            "../p_A03_s1_w1.tif": nuclei(3),
            "notes.txt": b"no image",
            "__MACOSX/._p_A02_s1_w1.tif": b"",
        }
    )
    files = [("files", ("p_A01_s1_w1.tif", nuclei(1))), ("files", ("all.zip", packed)), ("files", ("a.txt", b"x"))]
    answer = client.post(f"{url}/images", files=files)
    fates = {one["name"]: one["state"] for one in answer.json()["files"]}
    assert fates == {
        "p_A01_s1_w1.tif": "added",
        "day 1/p_A02_s1_w1.tif": "added",
        "../p_A03_s1_w1.tif": "refused",
        "notes.txt": "left_out",
        "__MACOSX/._p_A02_s1_w1.tif": "left_out",
        "a.txt": "left_out",
    }
    client.post(f"{url}/close")
    assert wait(client, url)["images"]["done"] == 2
    assert client.get(f"{url}/images/day 1/p_A02_s1_w1.tif").json()["count"] == 2


def test_a_zip_that_claims_too_much_or_is_damaged_is_refused(tmp_path: Path) -> None:
    with app(tmp_path, max_archive_bytes=20_000) as client:
        url = make(client)
        large = io.BytesIO()
        with zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("p_A01_s1_w1.tif", bytes(100_000))
        answer = client.post(f"{url}/images", files=[("files", ("a.zip", large.getvalue()))])
        assert [one["code"] for one in answer.json()["files"]] == ["upload_too_large"]
        damaged = bytearray(zipped(**{"p_A01_s1_w1.tif": nuclei(1)}))
        damaged[60:80] = bytes(20)
        answer = client.post(f"{url}/images", files=[("files", ("a.zip", bytes(damaged)))])
        assert [one["code"] for one in answer.json()["files"]] == ["unreadable_image"]
        assert client.post(f"{url}/images", files=[("files", ("a.tif", bytes(30_000)))]).status_code == 413


def test_exclusions_are_kept_and_told_in_every_table(client: TestClient, plate: str) -> None:
    body = {"well": "a2", "reason": "out of focus"}
    assert client.post(f"{plate}/exclusions", json=body).status_code == 201
    told = client.get(f"{plate}/exclusions").json()["exclusions"]
    assert [(one["well"], one["reason"]) for one in told] == [("A02", "out of focus")]
    images = rows(client.get(f"{plate}/tables/images").text)
    assert [row["excluded"] for row in images] == ["0", "1", "0"]
    assert images[1]["exclusion_reason"] == "out of focus"
    assert sum(row["excluded"] == "1" for row in rows(client.get(f"{plate}/tables/nuclei").text)) == 3
    wells = rows(client.get(f"{plate}/tables/wells").text)
    assert [(row["n_images"], row["n_excluded"], row["count"]) for row in wells] == [
        ("1", "0", "2"),
        ("0", "1", ""),
        ("1", "0", "4"),
    ]
    assert client.get(f"{plate}/images").json()["images"][1]["excluded"] is True


def test_failed_images_are_told_and_tried_again_alone(client: TestClient) -> None:
    url = make(client)
    put(client, url, "A01", nuclei(1))
    put(client, url, "A02", b"no image at all")
    client.post(f"{url}/close")
    assert wait(client, url)["state"] == "done_with_errors"
    failed = client.get(f"{url}/images").json()["images"][1]
    assert (failed["state"], failed["error_code"]) == ("failed", "unsupported_image")
    result = client.get(f"{url}/images/p_A02_s1_w1.tif")
    assert (result.status_code, result.json()["code"]) == (409, "conflict")
    assert client.post(f"{url}/retry").json() == {"n_images": 1}


def test_events_end_with_the_work(client: TestClient, plate: str) -> None:
    with client.stream("GET", f"{plate}/events") as stream:
        text = "".join(stream.iter_text())
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert text.startswith("event: progress\ndata: ")
    assert json.loads(text.splitlines()[1].removeprefix("data: "))["state"] == "done"


def test_channels_must_be_told_apart_before_it_closes(client: TestClient) -> None:
    url = make(client)
    put(client, url, "A01", nuclei(1), "w1")
    put(client, url, "A01", nuclei(2), "w2")
    refused = client.post(f"{url}/close")
    assert (refused.status_code, refused.json()["code"]) == (422, "channel_needed")
    assert client.get(url).json()["understood"]["channels"] == ["w1", "w2"]
    assert client.post(f"{url}/close?nuclear_channel=w2").status_code == 200
    wait(client, url)
    assert [row["count"] for row in rows(client.get(f"{url}/tables/images").text)] == ["2"]


def test_the_nuclear_channel_can_be_chosen_before_it_starts_and_again(client: TestClient) -> None:
    url = make(client, "?start=manual")
    put(client, url, "A01", nuclei(1), "w1")
    put(client, url, "A01", nuclei(2), "w2")
    for name in ("w1", "w2"):
        status = client.put(f"{url}/nuclear_channel?name={name}").json()
        assert (status["state"], status["warnings"]) == ("open", [])
        assert (status["understood"]["nuclear_channel"], status["understood"]["channels"]) == (name, ["w1", "w2"])
    client.post(f"{url}/close")
    client.post(f"{url}/start")
    wait(client, url)
    assert [row["count"] for row in rows(client.get(f"{url}/tables/images").text)] == ["2"]


def test_what_was_begun_goes_on_after_a_restart(tmp_path: Path) -> None:
    with app(tmp_path) as client:
        url = make(client, "?start=manual")
        put(client, url, "A01", nuclei(2))
        client.post(f"{url}/close")
        client.post(f"{url}/start")
    with app(tmp_path) as client:
        assert wait(client, url)["images"]["done"] == 1


def test_another_keys_experiment_is_not_there(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("".join(f"{name}:{sha256(name.encode()).hexdigest()}\n" for name in ("alice", "bob")))
    with app(tmp_path, api_keys_file=keys) as client:
        alice, bob = ({"Authorization": f"Bearer {name}"} for name in ("alice", "bob"))
        url = client.post("/experiments", json={"name": "p"}, headers=alice).headers["location"]
        asked = [
            ("GET", ""),
            ("GET", "/events"),
            ("PUT", "/images/a.tif"),
            ("POST", "/images"),
            ("PUT", "/layout"),
            ("GET", "/layout"),
            ("POST", "/close"),
            ("POST", "/start"),
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("POST", "/exclusions"),
            ("GET", "/exclusions"),
            ("GET", "/images"),
            ("GET", "/images/a.tif"),
            ("GET", "/images/a.tif/thumbnail"),
            ("GET", "/tables/nuclei"),
            ("DELETE", ""),
        ]
        for method, path in asked:
            body = {"json": {"well": "A1", "reason": "x"}} if path == "/exclusions" and method == "POST" else {}
            answer = client.request(method, url + path, headers=bob, **body)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["code"]) == (404, "no_such_experiment"), (method, path)
            assert client.request(method, url + path).status_code == 401
        assert client.get("/experiments", headers=bob).json() == {"experiments": []}
        assert len(client.get("/experiments", headers=alice).json()["experiments"]) == 1
        assert client.delete(url, headers=alice).status_code == 204
        assert client.get(url, headers=alice).status_code == 404


def test_a_key_makes_one_experiment(client: TestClient) -> None:
    headers = {"Idempotency-Key": "plate-7"}
    first = client.post("/experiments", json={"name": "p"}, headers=headers)
    again = client.post("/experiments", json={"name": "p"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = client.post("/experiments", json={"name": "q"}, headers=headers)
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", "/experiments", b""),
        ("POST", "/experiments", b"{"),
        ("POST", "/experiments", b"[]"),
        ("POST", "/experiments", b'{"name": ""}'),
        ("POST", "/experiments", b'{"name": "a", "colour": 1}'),
        ("POST", "/experiments", b'{"name": "a", "options": {"threshold": 7}}'),
        ("POST", "/experiments", b'{"name": "a", "options": {"page": "all"}}'),
        ("POST", "/experiments?start=soon", b'{"name": "a"}'),
        ("PUT", "{url}/images/a.tif", b""),
        ("PUT", "{url}/images/..%2Fa.tif", b"x"),
        ("PUT", "{url}/images/a%0Ab.tif", b"x"),
        ("PUT", "{url}/images/" + "a" * 600, b"x"),
        ("POST", "{url}/images", b"no multipart"),
        ("PUT", "{url}/layout", b""),
        ("PUT", "{url}/layout", b"\x00\x01\x02"),
        ("PUT", "{url}/layout", b"well,condition\nZZ99,drug\n"),
        ("POST", "{url}/close?expected=-1", b""),
        ("POST", "{url}/exclusions", b"{}"),
        ("POST", "{url}/exclusions", b'{"well": "Q", "reason": "x"}'),
        ("POST", "{url}/exclusions", b'{"image": "none.tif", "reason": "x"}'),
        ("GET", "{url}/images?limit=0", b""),
        ("GET", "{url}/images?offset=99999999999999999999", b""),
        ("GET", "{url}/images/none.tif", b""),
        ("GET", "{url}/images/%00", b""),
        ("GET", "{url}/tables/cells", b""),
        ("GET", "{url}/tables/nuclei?format=xlsx", b""),
        ("GET", "/experiments/none", b""),
        ("DELETE", "/experiments/none", b""),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(client: TestClient, method: str, path: str, content: bytes) -> None:
    url = make(client)
    answer = client.request(
        method, path.replace("{url}", url), content=content, headers={"Content-Type": "application/json"}
    )
    assert 400 <= answer.status_code < 500, answer.text
    problem = answer.json()
    assert problem["detail"].endswith(".")
    assert problem["code"]


def test_a_full_disk_is_told_before_the_body_is_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.experiments import files

    url = make(client)
    monkeypatch.setattr(files, "RESERVE_BYTES", 2**60)
    answer = put(client, url, "A01", nuclei(1))
    assert (answer.status_code, answer.json()["code"]) == (503, "no_room")


def test_experiments_of_a_service_that_nobody_asked_leave_no_folder(tmp_path: Path) -> None:
    with app(tmp_path) as client:
        assert client.get("/version").status_code == 200
    assert not (tmp_path / "data").exists()


def test_effects_and_report_of_a_plate(client: TestClient) -> None:
    url = make(client)
    layout = ["well,condition,dose,dose_unit,control"]
    for row, counts in zip("ABC", ((6, 3, 2), (7, 4, 2), (6, 3, 1))):
        for column, (count, dose) in enumerate(zip(counts, (0, 1, 10)), 1):
            well = f"{row}{column:02}"
            put(client, url, well, nuclei(count, size=80 + column))
            layout.append(f"{well},{'drug' if dose else 'DMSO'},{dose},uM,{'' if dose else 'negative'}")
    bare = client.get(f"{url}/report")
    assert "No layout" in bare.text
    refused = client.get(f"{url}/effects")
    assert (refused.status_code, refused.json()["code"]) == (422, "unusable_table")
    client.put(f"{url}/layout", content="\n".join(layout).encode())
    client.post(f"{url}/close?expected=9")
    wait(client, url)
    answer = client.get(f"{url}/effects?endpoint=count&endpoint=area_median_px").json()
    (low, high) = answer["endpoints"][0]["comparisons"]
    assert (low["dose"], low["n_treated"], low["n_control"]) == (1, 3, 3)
    assert high["difference"] < low["difference"] < 0
    assert high["p_value"] < 0.05
    table = client.get(f"{url}/tables/wells").content
    elsewhere = client.post("/effects?endpoint=count", content=table, headers={"Content-Type": "text/csv"}).json()
    assert (
        elsewhere["endpoints"][0]["comparisons"] == client.get(f"{url}/effects").json()["endpoints"][0]["comparisons"]
    )
    page = client.get(f"{url}/report").text
    assert page.count("data:image/png") >= 2
    assert "DMSO" in page
    assert "<script" not in page


def test_fractions_of_nuclei_are_endpoints(client: TestClient) -> None:
    url = make(client, nuclear_channel="w1")
    for well, brightness in (("A01", 0.2), ("A02", 0.2), ("A03", 0.2), ("B01", 0.8), ("B02", 0.8), ("B03", 0.8)):
        put(client, url, well, nuclei(4))
        put(client, url, well, nuclei(3 if well == "B01" else 4, brightness=brightness), "w2")
    layout = "\n".join(
        ["well,condition,control", *(f"A0{n},DMSO,negative" for n in (1, 2, 3)), *(f"B0{n},drug," for n in (1, 2, 3))]
    )
    client.put(f"{url}/layout", content=layout.encode())
    client.post(f"{url}/close")
    wait(client, url)
    query = "endpoint=positive_fraction&marker=intensity_mean_c1&marker_threshold=80"
    (effect,) = client.get(f"{url}/effects?{query}").json()["endpoints"][0]["comparisons"]
    assert (effect["mean_control"], effect["mean_treated"]) == pytest.approx((0, (0.75 + 1 + 1) / 3))
    text = client.get(f"{url}/report?{query}").text
    assert "fraction of positive nuclei" in text
    assert "marker_threshold: 80" in text
    refused = client.get(f"{url}/effects?endpoint=positive_fraction")
    assert refused.json()["code"] == "unusable_table"
    assert "marker_threshold" in refused.json()["detail"]
    wrong = client.get(f"{url}/effects?{query}0x")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_option")
    assert "give a number" in wrong.json()["detail"]
    told = client.get(f"{url}/effects?endpoint=condensed_fraction").json()
    assert "condensed_not_told" in {warning["code"] for warning in told["warnings"]}
    elsewhere = client.post("/effects?marker=area_px", content=b"well,count\n", headers={"Content-Type": "text/csv"})
    assert "There is no option 'marker' here" in elsewhere.json()["detail"]


def test_a_method_that_a_path_does_not_answer_is_told_those_that_it_does(client: TestClient) -> None:
    answer = client.request("OPTIONS", "/experiments")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
