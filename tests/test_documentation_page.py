"""The documentation page in a real browser, used as a biologist would."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from app.api.keys import new_key
from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.conftest import DATA

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")), reason="needs chromium and chromedriver"
)
OFFLINE = ["background-networking", "component-update", "sync", "quic", "gpu", "dev-shm-usage"]


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """The address of a service with the fake predictor."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings, fakes.engine()), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """Headless Chromium that stays at home."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in OFFLINE)):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(str(shutil.which("chromedriver"))))
    browser.set_window_size(1200, 1600)
    yield browser
    browser.quit()


def find(browser: webdriver.Chrome, selector: str) -> WebElement:
    return WebDriverWait(browser, 30).until(lambda page: page.find_element(By.CSS_SELECTOR, selector))


def click(browser: webdriver.Chrome, selector: str) -> None:
    browser.execute_script("arguments[0].click()", find(browser, selector))


def try_out(browser: webdriver.Chrome) -> str:
    """What the page shows of the answer for an image."""
    segment = "#operations-measure-segment"
    click(browser, f"{segment} .opblock-summary-control")
    click(browser, f"{segment} .try-out__btn")
    find(browser, f"{segment} input[type=file]").send_keys(str(DATA / "fluorescence.tif"))
    click(browser, f"{segment} .execute")
    return find(browser, f"{segment} .live-responses-table .response").text


def test_an_image_can_be_tried_out(browser: webdriver.Chrome) -> None:
    with running(Settings()) as url:
        browser.get(f"{url}/docs")
        body = try_out(browser)
    assert body.startswith("200")
    assert '"count"' in body
    # A script or style that the headers forbid would be named here.
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_an_image_can_be_tried_out_with_a_key(browser: webdriver.Chrome, tmp_path: Path) -> None:
    key, line = new_key("alice")
    (tmp_path / "keys").write_text(line)
    with running(Settings(api_keys_file=tmp_path / "keys")) as url:
        browser.get(f"{url}/docs")
        click(browser, ".auth-wrapper .authorize")
        find(browser, ".auth-container input").send_keys(key)
        click(browser, ".auth-container .authorize")
        body = try_out(browser)
    assert body.startswith("200")
    assert '"count"' in body
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
