"""Makes the pictures of docs/page.md: `python -m benchmarks.page_pictures`.

It needs `scripts/install dev` and Debian's package chromium. The images are the sample in tests/data, and a plate that
is drawn from it: in each well lies the sample, mirrored, and the more of a drug the well got, the fewer nuclei.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from app.evaluation.truth import read_truth
from app.reading.decode import decode_image
from benchmarks.service import running
from benchmarks.treatments import Field, with_fewer
from tests.synthetic import tiff

ROOT = Path(__file__).parent.parent
SAMPLE, TRUTH = (ROOT / "tests" / "data" / name for name in ("fluorescence.tif", "fluorescence_labels.png"))
CHROMIUM = "/usr/bin/chromium"
SEED = 0
MAX_PIXELS = 2**24
# Part of the nuclei that are lost at each dose, and the doses in nM; each column of the plate has one.
LOST = (0, 0, 0.02, 0.1, 0.3, 0.5, 0.6, 0.65)
DOSES_NM = (None, None, 1, 3, 10, 30, 100, 300)
ROWS = "BCDEFG"
# Wells differ by chance in how many cells were seeded.
SEEDED_LESS = 0.12


def plate() -> Iterator[tuple[str, bytes]]:
    """Names and TIFFs of the plate's images."""
    generator = np.random.default_rng(SEED)
    image = decode_image(SAMPLE.read_bytes(), MAX_PIXELS).image
    labels = read_truth(TRUTH.read_bytes(), MAX_PIXELS).labels
    for row in ROWS:
        for column, lost in enumerate(LOST, 2):
            left = (1 - lost) * (1 - SEEDED_LESS * generator.random())
            changed = with_fewer(Field(image, labels), 1 - left, generator).image
            mirrored = changed[:: generator.choice((1, -1)), :: generator.choice((1, -1))]
            yield f"P7_{row}{column:02}_s1.tif", tiff(np.ascontiguousarray(mirrored))


def layout() -> str:
    """What each well got."""
    lines = ["well,condition,dose,dose_unit,control"]
    for row in ROWS:
        for column, dose in enumerate(DOSES_NM, 2):
            lines.append(f"{row}{column:02}," + ("DMSO,,,negative" if dose is None else f"taxol,{dose},nM,"))
    return "\n".join(lines)


def measured(client: httpx2.Client) -> str:
    """The ID of the plate when it is done."""
    made: str = client.post("/experiments", json={"name": "Taxol, 24 h"}).json()["id"]
    client.post(f"/experiments/{made}/images", files=[("files", one) for one in plate()]).raise_for_status()
    client.put(f"/experiments/{made}/layout", content=layout()).raise_for_status()
    client.post(f"/experiments/{made}/close").raise_for_status()
    while client.get(f"/experiments/{made}").json()["state"] == "running":
        time.sleep(0.5)
    return made


def pictures(browser: Browser, url: str, made: str) -> None:
    """One of each view, as a window shows it."""

    def page(scheme: str, width: int, height: int) -> Page:
        size = {"width": width, "height": height}
        opened = browser.new_page(viewport=size, base_url=url, color_scheme=scheme)  # type: ignore[arg-type]
        opened.set_default_timeout(120_000)
        return opened

    def keep(one: Page, name: str) -> None:
        one.wait_for_load_state("networkidle")
        one.screenshot(path=ROOT / "docs" / f"page-{name}.png")
        one.close()

    for name, scheme, size in (("image", "light", (1440, 900)), ("phone", "dark", (390, 844))):
        one = page(scheme, *size)
        one.goto("/")
        one.locator("main input[type=file]").first.set_input_files(SAMPLE)
        one.locator("table tbody tr").first.wait_for()
        keep(one, name)
    for name, view in (("plate", "plate?well=D06"), ("answer", "answer")):
        one = page("light", 1440, 900)
        one.goto(f"/#/experiments/{made}/{view}")
        one.get_by_role("heading", name="Taxol").wait_for()
        keep(one, name)


def main() -> int:
    """Make them from the command line."""
    with (
        TemporaryDirectory(prefix="karyometer-pictures-") as folder,
        running(data=Path(folder, "data")) as service,
        httpx2.Client(base_url=service.url, timeout=60) as client,
        sync_playwright() as playwright,
    ):
        made = measured(client)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        pictures(browser, service.url, made)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
