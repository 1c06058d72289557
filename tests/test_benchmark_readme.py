import io
import re
from pathlib import Path

import pytest
from PIL import Image

from app.options import SegmentationOptions
from app.settings import Settings
from benchmarks import readme
from tests.client import TestClient

DOCUMENTS = {path.name: path.read_text(encoding="utf-8") for path in readme.DOCUMENTS}


def test_sections_are_made_anew_and_the_rest_is_left(client: TestClient) -> None:
    names = [name for name in readme.SECTIONS if name != "accuracy"]
    old = "before\n" + "\nbetween\n".join(f"<!-- {name} -->\nFORMER\n<!-- end -->" for name in names) + "\nafter\n"
    new = readme.filled(old.replace("FORMER\n", "", 1), client)
    assert new.startswith("before\n")
    assert new.endswith("\nafter\n")
    assert new.count("\nbetween\n") == len(names) - 1
    assert "FORMER" not in new
    assert '"count_true": 50' in new
    assert "label,area_px,centroid_row_px" in new
    assert all(len(line) <= 120 or line.startswith("|") for line in new.splitlines())
    # Made again it says the same, but for the times.
    assert readme.filled(new, client).count("\n") == new.count("\n")


def test_every_section_is_in_one_document() -> None:
    text = "".join(DOCUMENTS.values())
    assert all(text.count(f"<!-- {name} -->") == 1 for name in readme.SECTIONS)


def test_the_readme_has_the_shipped_models_figures(client: TestClient) -> None:
    assert readme.accuracy(client) in DOCUMENTS["README.md"]


def test_all_settings_and_options_are_documented_as_they_are(client: TestClient) -> None:
    assert readme.settings(client) in DOCUMENTS["operating.md"]
    assert readme.options(client) in DOCUMENTS["README.md"]
    for field in (*Settings.model_fields.values(), *SegmentationOptions.model_fields.values()):
        meaning = (field.description or "").partition(": ")[2]
        assert meaning, field


def test_the_picture_shows_the_sample_twice(client: TestClient) -> None:
    with Image.open(io.BytesIO(readme.picture(client))) as picture:
        assert picture.size == (2 * 320 + readme.GAP_PX, 256)


@pytest.mark.parametrize("path", [*readme.ROOT.glob("*.md"), *(readme.ROOT / "docs").rglob("*.md")])
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert missing == []
