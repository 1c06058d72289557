"""The documentation of the interface, used as a biologist would."""

from playwright.sync_api import Browser, Page, expect

from tests.conftest import DATA


def try_an_image(page: Page) -> None:
    """Send a sample by the form of `POST /segment`, and see its answer."""
    segment = page.locator("#operations-measure-segment")
    segment.locator(".opblock-summary-control").click()
    segment.get_by_role("button", name="Try it out").click()
    segment.locator("input[type=file]").first.set_input_files(DATA / "fluorescence.tif")
    segment.get_by_role("button", name="Execute").click()
    answer = segment.locator(".live-responses-table .response")
    expect(answer).to_contain_text("200")
    expect(answer).to_contain_text('"count"')


def test_an_image_can_be_tried_out(page: Page) -> None:
    page.goto("/docs")
    try_an_image(page)


def test_an_image_can_be_tried_out_with_a_key(browser: Browser, service_with_key: tuple[str, str]) -> None:
    url, key = service_with_key
    with browser.new_page() as page:
        page.goto(f"{url}/docs")
        page.locator(".auth-wrapper .authorize").click()
        page.locator(".auth-container input").fill(key)
        page.locator(".auth-container .authorize").click()
        page.locator(".auth-container .btn-done").click()
        try_an_image(page)
