from fastapi.testclient import TestClient

from benchmarks import readme


def test_sections_are_made_anew_and_the_rest_is_left(client: TestClient) -> None:
    names = [name for name in readme.SECTIONS if name != "accuracy"]
    old = "before\n" + "\nbetween\n".join(f"<!-- {name} -->\nFORMER\n<!-- end -->" for name in names) + "\nafter\n"
    new = readme.filled(old, client)
    assert new.startswith("before\n")
    assert new.endswith("\nafter\n")
    assert new.count("\nbetween\n") == len(names) - 1
    assert "FORMER" not in new
    assert '"model": {"name": "fake"' in new
    assert "label,area_px,centroid_row_px,centroid_col_px,intensity_mean,intensity_median" in new
    assert all(len(line) <= 120 for line in new.splitlines())
    # Made again it says the same, but for the times.
    assert readme.filled(new, client).count("\n") == new.count("\n")


def test_the_readme_has_every_section_and_the_shipped_models_figures(client: TestClient) -> None:
    text = (readme.ROOT / "README.md").read_text()
    assert all(text.count(f"<!-- {name} -->") == 1 for name in readme.SECTIONS)
    assert readme.accuracy(client) in text
