"""The documentation page in a real browser, used as a biologist would."""

import shutil
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from app.main import create_app
from app.settings import Settings
from tests import fakes
from tests.conftest import DATA

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")), reason="needs chromium and chromedriver"
)
OFFLINE = ["background-networking", "component-update", "sync", "quic", "gpu", "dev-shm-usage"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A service with the fake predictor."""
    server = uvicorn.Server(uvicorn.Config(create_app(Settings(), fakes.segmenter()), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
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


def test_an_image_can_be_tried_out(browser: webdriver.Chrome, url: str) -> None:
    browser.get(url)
    wait = WebDriverWait(browser, 30)

    def click(selector: str) -> None:
        element = wait.until(lambda page: page.find_element(By.CSS_SELECTOR, f"#operations-measure-segment {selector}"))
        browser.execute_script("arguments[0].click()", element)

    click(".opblock-summary-control")
    click(".try-out__btn")
    chooser = wait.until(
        lambda page: page.find_element(By.CSS_SELECTOR, "#operations-measure-segment input[type=file]")
    )
    chooser.send_keys(str(DATA / "fluorescence.png"))
    click(".execute")
    body = wait.until(
        lambda page: page.find_element(By.CSS_SELECTOR, "#operations-measure-segment .live-responses-table .response")
    ).text
    assert body.startswith("200")
    assert '"count"' in body
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
