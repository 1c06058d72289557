import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from app.experiments.reports.report import Report
from app.statistics.effects import EffectOptions, effects
from tests.experiments.reports.test_report import two_groups

CHROMIUM = shutil.which("chromium")


def printed(html: str, folder: Path) -> bytes:
    """The page as a browser prints it."""
    (folder / "report.html").write_text(html)
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    command += ["--no-pdf-header-footer", f"--print-to-pdf={folder / 'report.pdf'}", f"file://{folder / 'report.html'}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return (folder / "report.pdf").read_bytes()


def pages_of(pdf: bytes) -> int:
    """How many there are."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def text_of(pdf: bytes) -> str:
    """All text, read by the map of each font in turn: what a font does not show is noise."""
    streams = [zlib.decompress(found) for found in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", pdf, re.DOTALL)]
    shown = [found for stream in streams for found in re.findall(rb"<([0-9A-Fa-f]+)>\s*Tj", stream)]
    maps = [stream.decode("latin-1") for stream in streams if b"begincmap" in stream]
    return "\n".join(decoded(shown, glyphs(one)) for one in maps)


def glyphs(cmap: str) -> dict[int, str]:
    """The letter of each glyph of a font."""
    known: dict[int, str] = {}
    for block in re.findall(r"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        known |= {int(glyph, 16): letters(code) for glyph, code in re.findall(r"<(\w+)>\s*<(\w+)>", block)}
    for block in re.findall(r"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
        for first, last, code in re.findall(r"<(\w+)>\s*<(\w+)>\s*<(\w+)>", block):
            for step in range(int(last, 16) - int(first, 16) + 1):
                known[int(first, 16) + step] = chr(int(code, 16) + step)
    return known


def letters(code: str) -> str:
    """One or more, as a ligature has."""
    return bytes.fromhex(code).decode("utf-16-be", "replace")


def decoded(shown: list[bytes], known: dict[int, str]) -> str:
    """Glyphs of two bytes as letters."""
    return "".join(
        known.get(int(text[start : start + 4], 16), "") for text in shown for start in range(0, len(text), 4)
    )


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_prints_pages_with_text(tmp_path: Path) -> None:
    table = two_groups()
    found = effects(table, EffectOptions(endpoints=("count", "area_median_px")))
    pdf = printed(Report(table, found).page("Printed", {}, {"model": "fast"}), tmp_path)
    assert pages_of(pdf) >= 2
    text = text_of(pdf).replace("\u00a0", " ")
    for words in ("changed the number of nuclei", "Methods", "Provenance", "Welch BL"):
        assert words in text
