"""Sections of pages in `docs/`, each made by a command of its own."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

REPORT = Path(__file__).parent.parent / "docs" / "robustness.md"


def fill(section: str, text: str, page: Path = REPORT) -> None:
    """Put what a command found between `<!-- section -->` and the next `<!-- end -->` of a page."""
    pattern = rf"(<!-- {section} -->\n).*?(<!-- end -->)"
    report, n = re.subn(
        pattern, lambda match: f"{match[1]}{text}\n{match[2]}", page.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    if n != 1:
        raise ValueError(f"{page.name} has {n} sections {section}; it needs one.")
    page.write_text(report, encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as Markdown.

    Examples
    --------
    >>> print(table(["a", "b"], [[1, 2]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [head, *rows]
    text = [f"| {' | '.join(map(str, line))} |" for line in lines]
    return "\n".join([text[0], "|---" * len(head) + "|", *text[1:]])
