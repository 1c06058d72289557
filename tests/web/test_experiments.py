"""Experiments on the page: from a folder and a layout to a plate, an answer and a report."""

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FilePayload, Page, Route, expect

from tests.synthetic import discs, picture, tiff

# Nuclei of each well; C01 is no image.
COUNTS = {
    **{f"A0{number}": count for number, count in enumerate((12, 13, 11, 12, 14, 13), 1)},
    **{f"B0{number}": count for number, count in enumerate((6, 5, 7, 6, 6, 5), 1)},
}
LAYOUT = "".join(
    ["well,condition,dose,dose_unit,control\n"]
    + [f"{well},DMSO,,,negative\n" if well[0] == "A" else f"{well},taxol,10,nM,\n" for well in (*COUNTS, "C01")]
)
MEASURED_MS = 180_000


def nuclei(count: int) -> bytes:
    circles = [(12 + 24 * (number // 4), 12 + 24 * (number % 4), 6) for number in range(count)]
    return tiff(picture(discs((96, 96), *circles)))


def files() -> dict[str, bytes]:
    images = {f"p_{well}_s1.tif": nuclei(count) for well, count in COUNTS.items()}
    return images | {"p_C01_s1.tif": b"no image", "notes.md": b"of the microscope"}


@pytest.fixture(scope="module")
def measured(service: str) -> Iterator[str]:
    """The ID of a plate that is measured, in plain files without a page."""
    with httpx2.Client(base_url=service, timeout=60) as client:
        made = client.post("/experiments", json={"name": "measured"}).json()["id"]
        parts = [("files", (name, data)) for name, data in files().items()]
        client.post(f"/experiments/{made}/images", files=parts)
        client.put(f"/experiments/{made}/layout", content=LAYOUT)
        client.post(f"/experiments/{made}/close")
        end = time.monotonic() + MEASURED_MS / 1000
        while client.get(f"/experiments/{made}").json()["state"] != "done_with_errors":
            assert time.monotonic() < end
            time.sleep(0.2)
        yield made


def make(service: str, name: str = "made", *, images: dict[str, bytes] | None = None) -> str:
    """An experiment that waits for its start."""
    made: str = httpx2.post(f"{service}/experiments?start=manual", json={"name": name}, timeout=60).json()["id"]
    if images:
        parts = [("files", one) for one in images.items()]
        httpx2.post(f"{service}/experiments/{made}/images", files=parts).raise_for_status()
    return made


def test_from_an_empty_page_to_an_answer_and_a_report(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "plate 7"
    folder.mkdir()
    for name, data in (files() | {"layout.csv": LAYOUT.encode()}).items():
        (folder / name).write_bytes(data)

    page.goto("/#/experiments")
    page.get_by_role("link", name="New experiment").click()
    page.get_by_role("textbox", name="Name").fill("From a folder")
    page.get_by_role("button", name="Make it").click()
    page.get_by_label("Choose a folder").set_input_files(folder)
    expect(page.get_by_text("The layout is plate 7/layout.csv.")).to_be_visible()
    expect(page.get_by_text("13 images in 13 wells of 1 plate, 2 conditions.")).to_be_visible()
    expect(page.get_by_text("1 file that is no image was left out")).to_be_visible()
    expect(page.get_by_role("gridcell", name="B02, taxol 10 nM, 1 image")).to_be_visible()
    expect(page.get_by_role("gridcell", name="A01, DMSO, negative control, 1 image")).to_be_visible()
    page.get_by_role("button", name="Start measuring 13 images").click()

    expect(page.get_by_text("Done, but not all images")).to_be_visible(timeout=MEASURED_MS)
    page.get_by_role("gridcell", name=re.compile(r"^B02, taxol 10 nM, Number of nuclei \d")).click()
    expect(page.get_by_text(re.compile(r"^\d+ nuclei in 1 image"))).to_be_visible()
    page.get_by_role("button", name=re.compile(r"p_B02_s1\.tif, \d+ nuclei")).click()
    expect(page.get_by_label("plate 7/p_B02_s1.tif with the outlines of its nuclei")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_text(re.compile(r"^\d+ nuclei$"))).to_be_visible()
    assert found_by_axe(page) == []
    page.get_by_role("button", name="Close").click()

    page.get_by_role("link", name="Answer").click()
    expect(page.get_by_text("taxol 10 nM changed the number of nuclei: -")).to_be_visible()
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Open the report").click()
    expect(opened.value.get_by_role("heading", name="From a folder")).to_be_visible()

    page.get_by_role("link", name="Report and tables").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="wells as CSV").click()
    assert "taxol" in download.value.path().read_text()
    page.goto("/#/experiments")
    expect(page.get_by_role("row", name="From a folder")).to_contain_text("12 of 13, 1 failed")


@pytest.mark.parametrize("view", ["plate?well=B01", "answer", "images", "downloads", "setup"])
def test_views_of_a_measured_plate_can_be_used_by_everybody(page: Page, measured: str, view: str) -> None:
    page.goto(f"/#/experiments/{measured}/{view}")
    expect(page.get_by_role("heading", name="measured")).to_be_visible()
    expect(page.locator("main .muted", has_text="Loading")).to_have_count(0)
    expect(page.get_by_text("Comparing...")).to_have_count(0)
    assert found_by_axe(page) == []


@pytest.mark.parametrize("view", ["experiments", "experiments/new", "experiments/unknown"])
def test_views_without_a_plate_can_be_used_by_everybody(page: Page, view: str) -> None:
    page.goto(f"/#/{view}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert found_by_axe(page) == []


def found_by_axe(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")]


def test_what_was_understood_is_told_before_it_starts_and_a_channel_is_chosen(page: Page, service: str) -> None:
    one, other = nuclei(3), nuclei(4)
    images = {"A01_s1_w1.tif": one, "A01_s1_w2.tif": other, "again/A01_s1_w1.tif": one, "<b>nowhere.tif": one}
    made = make(service, images=images)
    httpx2.put(f"{service}/experiments/{made}/layout", content="well,condition\nA01,DMSO\nA02,taxol\n")
    page.goto(f"/#/experiments/{made}")
    start = page.get_by_role("button", name="Start measuring")
    expect(start).to_be_disabled()
    expect(page.get_by_text("Choose the channel that shows the nuclei.")).to_be_visible()
    # Until then nobody knows which files are images.
    expect(page.get_by_text("without images")).to_have_count(0)
    page.get_by_label("Which channel shows the nuclei?").select_option("w2")
    expect(start).to_be_enabled()
    expect(page.get_by_role("img", name="The image A01_s1_w2.tif")).to_be_visible()
    expect(page.get_by_role("gridcell", name="A02, taxol, no image")).to_be_visible()
    page.get_by_text("1 well of the layout without images").click()
    page.get_by_text("1 file names no well").click()
    # A hostile name is text.
    expect(page.get_by_text("<b>nowhere.tif")).to_be_visible()


def test_a_layout_in_a_zip_that_is_dropped_is_found(page: Page, service: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plate/A01.tif", nuclei(2))
        archive.writestr("plate/layout.csv", "well,condition\nA01,DMSO\n")
    made = make(service)
    page.goto(f"/#/experiments/{made}")
    expect(page.get_by_text("Drop the folder or zip")).to_be_visible()
    page.evaluate(
        """(bytes) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(bytes)], "plate.zip"));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        list(packed.getvalue()),
    )
    expect(page.get_by_text("The layout is plate/layout.csv.")).to_be_visible()
    expect(page.get_by_role("gridcell", name="A01, DMSO, 1 image")).to_be_visible()


def test_wells_are_named_at_the_plate_by_keyboard(page: Page, service: str) -> None:
    made = make(service, images={f"A0{number}.tif": nuclei(number) for number in (1, 2, 3)})
    page.goto(f"/#/experiments/{made}")
    page.get_by_role("gridcell", name="A01, nothing known, 1 image").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_role("combobox", name="Condition").fill('DMSO, "pure"')
    page.get_by_role("combobox", name="Control").select_option("negative")
    page.get_by_role("button", name="Apply").press("Enter")
    expect(page.get_by_role("gridcell", name='A02, DMSO, "pure", negative control, 1 image')).to_be_visible()
    expect(page.get_by_role("gridcell", name="A03, nothing known, 1 image")).to_be_visible()
    table = httpx2.get(f"{service}/experiments/{made}/tables/wells?format=json").json()
    assert [row["condition"] for row in table] == ['DMSO, "pure"', 'DMSO, "pure"', None]


def test_a_layout_that_cannot_be_used_is_refused_in_a_sentence(page: Page, service: str) -> None:
    made = make(service)
    page.goto(f"/#/experiments/{made}")
    wrong = FilePayload(name="plate.csv", mimeType="text/csv", buffer=b"well,condition\nZZ99,DMSO\n")
    page.get_by_label("Choose a table").set_input_files(wrong)
    expect(page.get_by_role("alert")).to_contain_text("ZZ99")


def test_an_upload_waits_where_the_service_is_full(page: Page, service: str) -> None:
    made = make(service)
    n_asked = 0

    def full_at_first(route: Route) -> None:
        nonlocal n_asked
        n_asked += 1
        if n_asked > 1:
            route.continue_()
            return
        problem: dict[str, Any] = {"detail": "The queue is full.", "code": "busy"}
        route.fulfill(status=503, headers={"Retry-After": "1"}, json=problem)

    page.route("**/images", full_at_first)
    page.goto(f"/#/experiments/{made}")
    some = FilePayload(name="A01.tif", mimeType="image/tiff", buffer=nuclei(2))
    page.get_by_label("Choose images or zips").set_input_files(some)
    expect(page.get_by_text("The queue is full. It is tried again in 1 s.")).to_be_visible()
    expect(page.get_by_text("1 file is here.")).to_be_visible()


@pytest.fixture
def unmarked(service: str, measured: str) -> Iterator[str]:
    """The measured plate, whose layout does not say what the control is."""
    layout = f"{service}/experiments/{measured}/layout"
    unmarked = "\n".join(line.rpartition(",")[0] for line in LAYOUT.splitlines())
    httpx2.put(layout, content=unmarked).raise_for_status()
    yield measured
    httpx2.put(layout, content=LAYOUT).raise_for_status()


def test_the_control_is_asked_for_where_the_layout_names_none(page: Page, unmarked: str) -> None:
    page.goto(f"/#/experiments/{unmarked}/answer")
    expect(page.get_by_text("Which wells are untreated?")).to_be_visible()
    page.get_by_role("combobox", name="Control").select_option("DMSO")
    expect(page.get_by_text("taxol 10 nM changed the number of nuclei: -")).to_be_visible()
    assert page.url.endswith("control=DMSO")


def test_fractions_of_nuclei_and_b_scores_are_choices(page: Page, measured: str) -> None:
    page.goto(f"/#/experiments/{measured}/answer")
    page.get_by_label("What is compared").select_option("Fraction of positive nuclei")
    expect(page.get_by_text("Which nuclei are positive?")).to_be_visible()
    page.get_by_label("Positive where").select_option("Intensity mean")
    page.get_by_label("is above").fill("1")
    page.get_by_label("is above").press("Enter")
    expect(page.locator(".answer")).to_contain_text("fraction of positive nuclei")
    assert "marker=intensity_mean&marker_threshold=1" in page.url
    # The table of wells has no fractions.
    expect(page.get_by_text("The line is the mean of n replicates (a well)")).to_be_visible()
    page.get_by_label("What is compared").select_option("Number of nuclei")
    page.get_by_text("Design").click()
    page.get_by_label("Values").select_option("B-scores")
    expect(page.get_by_text("B-scores need wells in three rows")).to_be_visible()


def growing() -> str:
    """Two drugs, of which one needs ten times as much as the other, with counts at time 0."""
    lines = ["well,condition,control,dose,dose_unit,count,time0_count"]
    lines += [f"A{column},DMSO,negative,,,{count},100" for column, count in enumerate((400, 390, 410, 405), 1)]
    for row, drug, ec50 in (("B", "taxol", 10), ("C", "nocodazole", 100)):
        for column, dose in enumerate((1, 1, 10, 10, 100, 100, 1000, 1000), 1):
            count = 50 + 350 / (1 + dose / ec50) + 3 * (column % 3)
            lines.append(f"{row}{column},{drug},,{dose},nM,{count:.0f},100")
    return "\n".join(lines)


def test_curves_have_bands_and_are_compared_and_growth_is_told(page: Page, service: str, measured: str) -> None:
    told = httpx2.post(f"{service}/effects", content=growing(), headers={"Content-Type": "text/csv"}, timeout=60)
    body = told.raise_for_status().json()
    page.route("**/effects*", lambda route: route.fulfill(json=body))
    page.goto(f"/#/experiments/{measured}/answer")
    curve = page.get_by_role("img", name="Number of nuclei of nocodazole by dose")
    expect(curve.locator(".fit-band")).to_have_count(1)
    ratios = page.get_by_role("region", name="EC50 against each other")
    expect(ratios.get_by_role("row", name="taxol nocodazole 0.")).to_be_visible()
    rates = page.get_by_role("region", name="Growth rates")
    expect(rates.get_by_role("row", name="taxol")).to_contain_text("nM")
    assert found_by_axe(page) == []
    expect(page.locator(".forest .dot")).not_to_have_count(0)
    # The counts of wells are no B-scores.
    body["normalise"] = "b_score"
    page.reload()
    expect(ratios).to_be_visible()
    expect(page.locator(".forest .dot")).to_have_count(0)


def test_an_image_is_excluded_with_a_reason_and_failures_are_told(page: Page, measured: str) -> None:
    page.goto(f"/#/experiments/{measured}/images?shown=failed")
    expect(page.get_by_role("row", name="p_C01_s1.tif")).to_contain_text("failed")
    with page.expect_response("**/retry") as retried:
        page.get_by_role("button", name="Measure 1 failed image again").click()
    assert retried.value.json() == {"n_images": 1}
    page.goto(f"/#/experiments/{measured}/plate?well=A06")
    page.get_by_text("Exclude this well").click()
    page.get_by_label("Why?").fill("a bubble")
    page.get_by_role("button", name="Exclude it").click()
    expect(page.get_by_text("It is excluded: a bubble")).to_be_visible()
    expect(page.get_by_role("gridcell", name="A06, DMSO")).to_contain_text("⊘")
    expect(page.get_by_role("region", name="1 exclusion")).to_contain_text("A06: a bubble")


def test_a_report_that_a_key_must_be_sent_for_looks_as_it_should(page: Page, measured: str) -> None:
    page.goto("/")
    page.evaluate("sessionStorage.setItem('karyometer-key', 'any')")
    page.goto(f"/#/experiments/{measured}/downloads")
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Open the report").click()
    report = opened.value
    expect(report.get_by_role("heading", name="measured")).to_be_visible()
    assert report.evaluate("document.adoptedStyleSheets[0].cssRules.length") > 10
    # Lines of figures are drawn by their style attributes.
    assert (
        report.evaluate("getComputedStyle(document.querySelector('svg path[data-style*=\"fill: #\"]')).fill")
        != "rgb(0, 0, 0)"
    )


def test_progress_is_told_with_pace_and_time_left_and_can_be_stopped(page: Page, service: str) -> None:
    made = make(service, images={"A01.tif": nuclei(2)})
    now = httpx2.get(f"{service}/experiments/{made}").json()
    counts = now["images"] | {"waiting": 48, "running": 2, "done": 49, "failed": 1}
    measuring = now | {"is_started": True, "state": "running", "images": counts}
    told = json.dumps(measuring | {"images_per_minute": 45.6, "seconds_left": 66.2})
    events = f"event: progress\ndata: {told}\n\n"
    page.route("**/events", lambda route: route.fulfill(content_type="text/event-stream", body=events))
    page.goto(f"/#/experiments/{made}")
    expect(page.get_by_text("50 of 100 images measured, 46 a minute, about 1 min left, 1 failed")).to_be_visible()
    page.unroute("**/events")
    page.get_by_role("button", name="Stop measuring").click()
    expect(page.get_by_text("Stopped", exact=True)).to_be_visible()


def test_what_stands_on_the_page_keeps_its_place_when_measuring_ends(page: Page, service: str) -> None:
    made = make(service, images={"A01.tif": nuclei(2)})
    now = httpx2.get(f"{service}/experiments/{made}").json()
    running = now | {"is_started": True, "state": "running", "warnings": [{"code": "told", "message": "Something."}]}
    done = running | {"state": "done", "images": now["images"] | {"waiting": 0, "done": 1}}
    told = "".join(f"event: progress\ndata: {json.dumps(one)}\n\n" for one in (running, done))
    page.route("**/events", lambda route: route.fulfill(content_type="text/event-stream", body=told))
    page.goto(f"/#/experiments/{made}/downloads")
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.get_by_text("1 thing to know")).to_be_visible()
    expect(page.locator("main > :first-child")).to_have_text("Experiments")


def test_an_answer_that_was_asked_for_too_early_comes_when_measuring_ends(page: Page, measured: str) -> None:
    problems = [{"detail": "All wells are controls.", "code": "unusable_table"}]

    def too_early(route: Route) -> None:
        route.fulfill(status=422, json=problems.pop()) if problems else route.continue_()

    def measuring(route: Route) -> None:
        now = route.fetch(url=route.request.url.removesuffix("/events")).json() | {"state": "running"}
        route.fulfill(content_type="text/event-stream", body=f"event: progress\ndata: {json.dumps(now)}\n\n")

    page.route("**/effects*", too_early)
    page.route("**/events", measuring)
    page.goto(f"/#/experiments/{measured}/answer")
    expect(page.get_by_text("All wells are controls.")).to_be_visible()
    page.unroute("**/events")
    expect(page.get_by_text("taxol 10 nM changed the number of nuclei: -")).to_be_visible()


def test_a_layout_is_changed_when_it_has_been_read(page: Page, service: str) -> None:
    made = make(service, images={"A01.tif": nuclei(2)})
    layout = "well,condition,dose\nA01,DMSO,0\nA02,taxol,3\n"
    httpx2.put(f"{service}/experiments/{made}/layout", content=layout).raise_for_status()
    held: list[Route] = []
    is_read = False
    page.route("**/tables/wells*", lambda route: route.continue_() if is_read else held.append(route))
    page.goto(f"/#/experiments/{made}")
    expect(page.get_by_text("1 file is here.")).to_be_visible()
    expect(page.get_by_text("The doses have no unit.")).to_have_count(0)
    is_read = True
    for one in held:
        one.continue_()
    page.get_by_label("The doses have no unit.").fill("nM")
    page.get_by_role("button", name="Say so").click()
    expect(page.get_by_role("gridcell", name="A02, taxol 3 nM, no image")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the layout").click()
    assert "A02,taxol,3.0,nM" in download.value.path().read_text()


def test_it_is_asked_before_an_experiment_is_deleted(page: Page, service: str) -> None:
    made = make(service, "to be deleted")
    page.goto(f"/#/experiments/{made}")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("heading", name="Experiments")).to_be_visible()
    expect(page.get_by_role("row", name="to be deleted")).to_have_count(0)


LOGIC = {
    "a well beyond Z": ("wells.js", "m.wellName(31, 47)", "AF48"),
    "its place": ("wells.js", "m.placeOf('AF48')", {"row": 31, "column": 47}),
    "no well": ("wells.js", "m.placeOf('A123')", None),
    "the smallest usual plate": ("wells.js", "m.plateSize(['A01', 'H12', 'P01'])", [16, 24]),
    "cells with commas": ("../csv.js", "m.csvOf(['a', 'b'], [{a: 'x,\"y\"', b: null}])", 'a,b\n"x,""y""",\n'),
    "a layout of a table": (
        "layout_csv.js",
        "m.layoutOf([{plate: null, well: 'A01', condition: 'c', dose: 0, site: '1', n_images: 2, count: 5}, "
        "{well: 'A02', condition: null, n_images: 1}])",
        "well,condition,dose,site\nA01,c,0,1\n",
    ),
    "zips go by themselves": (
        "upload.js",
        "m.batchesOf(['a.tif', 'b.zip', 'c.tif', 'd.tif'].map((name) => ({name, file: {size: 3e6}})))"
        ".map((some) => some.map((one) => one.name))",
        [["a.tif"], ["b.zip"], ["c.tif", "d.tif"]],
    ),
    "ink on dark": ("colours.js", "[m.inkOn('#00224e'), m.inkOn('#fee838')]", ["#ffffff", "#000000"]),
    "a value far out is beyond the scale": (
        "colours.js",
        "m.rangeOf([...Array.from({length: 99}, (_, at) => at), 1e6, null])",
        {"low": 2, "high": 97, "isBelow": True, "isAbove": True},
    ),
    "ends of the scale": ("colours.js", "[m.scaleColour(0), m.scaleColour(1)]", ["#00224e", "#fee838"]),
    "a band goes along its upper ends and back along the lower": (
        "curve.js",
        "m.bandOf([[1, 2, 4], [3, 1, 3]].map(([dose, low, high]) => ({dose, interval: {low, high}})), Number, Number)",
        "M1.0 4.0L3.0 3.0L3.0 1.0L1.0 2.0Z",
    ),
    "no band where an end is not known": ("curve.js", "m.bandOf([{dose: 1, interval: null}], Number, Number)", None),
    "what may be positive": (
        "words.js",
        "m.markersOf([{count: 1, area_median_px: 2, intensity_mean_c1_median: 3, intensity_mean_c1_mean: 3}])",
        ["intensity_mean_c1"],
    ),
    "round ticks": ("axis.js", "m.linearTicks(-0.3, 2.1, 4)", [0, 1, 2]),
    "what wells have in common": (
        "treatment_form.js",
        "m.shared([{condition: 'c', dose: 1}, {condition: 'c', dose: 2}, {condition: 'c', dose: null}])",
        {"condition": "c", "dose": "several", "dose_unit": "", "control": "", "replicate": ""},
    ),
    "powers of ten": ("axis.js", "m.logTicks(0.1, 100)", [0.1, 1, 10, 100]),
    "the line for a shell": (
        "downloads.js",
        "m.experimentLine({options: {scale: 'auto', min_area_px: 9}, nuclear_channel: 'w 1', layout: 'a.csv'})",
        "karyometer experiment FOLDER --layout layout.csv --nuclear-channel 'w 1' --min-area-px 9 --output results",
    ),
    "a well of any plate is excluded": (
        "exclusions.js",
        "m.exclusionOf([{plate: null, well: 'A01', image: null, reason: 'r'}], {plate: 'p', well: 'A01'}).reason",
        "r",
    ),
    "replicates are means of their wells": (
        "replicates.js",
        "m.replicatesOf([1, 3, 8].map((count, at) => ({well: `A0${at}`, condition: 'c', dose: null, day: at < 2 ? 'x' "
        ": 'y', count, isNegative: false})), {condition: 'c', dose: null, replicate: 'day'}, 'count')"
        ".map(({value}) => value)",
        [2, 8],
    ),
}


def test_logic_of_the_modules(page: Page) -> None:
    page.goto("/")
    for name, (module, expression, expected) in LOGIC.items():
        found = page.evaluate(
            f"async () => {{ const m = await import('/web/js/experiments/{module}'); return {expression}; }}"
        )
        assert found == expected, name
