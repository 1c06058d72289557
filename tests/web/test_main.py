from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.main import _WEB

MODULES = sorted(path.relative_to(_WEB).as_posix() for path in _WEB.rglob("js/**/*.js"))


def test_the_first_view_takes_images_and_leads_to_experiments(page: Page) -> None:
    page.goto("/")
    expect(page.locator("main input[type=file]").first).to_be_attached()
    page.get_by_role("link", name="Experiments").click()
    expect(page.get_by_role("heading", name="Experiments", level=1)).to_be_visible()
    assert page.title() == "Experiments - Karyometer"


@pytest.mark.parametrize(
    ("parts", "parameters", "fragment"),
    [
        ([], {}, "#/"),
        (["experiments", "a/b"], {"endpoint": "count", "dose": ""}, "#/experiments/a%2Fb?endpoint=count"),
        (["images"], {"channel": "w 1&2"}, "#/images?channel=w+1%262"),
    ],
)
def test_routes_are_fragments_and_back(page: Page, parts: list[str], parameters: dict[str, str], fragment: str) -> None:
    page.goto("/")
    made, read = page.evaluate(
        """async ([parts, parameters]) => {
            const { parseRoute, routeTo } = await import("/web/js/route.js");
            const made = routeTo(parts, parameters);
            const read = parseRoute(made);
            return [made, [read.parts, Object.fromEntries(read.parameters)]];
        }""",
        [parts, parameters],
    )
    assert made == fragment
    assert read == [parts, {name: value for name, value in parameters.items() if value}]


def test_no_module_names_another_machine() -> None:
    assert MODULES
    for name in MODULES:
        text = (_WEB / name).read_text()
        assert "http://" not in text, name
        assert "https://" not in text, name


def test_vendored_libraries_have_their_licences() -> None:
    for folder in (path for path in (_WEB / "vendor").iterdir() if path.is_dir()):
        assert list(Path(folder).glob("LICENSE*")), folder.name
