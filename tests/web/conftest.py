"""The page in Debian's chromium, against the real service with the shipped model."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.api.keys import new_key
from app.main import create_app
from app.settings import Settings
from benchmarks.service import running
from tests import fakes

# A busy machine is slow; what is there at once is seen at once all the same.
_PATIENCE_MS = 30_000
expect.set_options(timeout=_PATIENCE_MS)

CHROMIUM = shutil.which("chromium")
_ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service of its own."""
    with running(data=tmp_path_factory.mktemp("service") / "data", experiment_workers=1) as service:
        yield service.url


@pytest.fixture
def service_with_key(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of a service with the fake predictor that wants a key, and one."""
    key, line = new_key("alice")
    (tmp_path / "keys").write_text(line)
    app = create_app(Settings(api_keys_file=tmp_path / "keys"), fakes.engine())
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", key
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium; gone after this folder's tests, because Playwright's event loop runs in the tests' own thread."""
    if not CHROMIUM:
        pytest.skip("Debian's package chromium is not installed")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)


@pytest.fixture
def page(browser: Browser, service: str) -> Iterator[Page]:
    """An empty page; at its end nothing was asked of other machines, blocked, or thrown."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=service, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda message: wrong.append(message.text) if "Content Security Policy" in message.text else None
    )
    yield page
    context.close()
    assert [url for url in asked if not url.startswith((service, "blob:", "data:"))] == []
    assert wrong == []
