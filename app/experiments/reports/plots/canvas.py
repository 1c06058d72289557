"""Figures as SVG that a page takes in, and as PNG; names in them are text, whatever they hold."""

import io
import re
from dataclasses import dataclass
from functools import cache, cached_property

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

# Colours that colour-blind people can tell apart (Okabe and Ito 2008), without black and yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# In a page it becomes the colour of the page's text, and blue the page's blue, for dark and for light.
INK = "#1a1b1c"
_PAGE_INK, _PAGE_BLUE = "currentColor", "var(--blue)"
# Of what stands behind: seen on dark and on light.
GREY = "#8a8f98"
MAP = "cividis"
_LONGEST = 34
_PNG_DPI = 200


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def styled(axes: Axes) -> Axes:
    """Axes of thin lines in the colour of the text, open above and to the right."""
    axes.tick_params(colors=INK, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_color(GREY)
        spine.set_visible(side in ("left", "bottom"))
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(INK)
        text.set_fontsize(10)
    return axes


def literal(text: str, longest: int = _LONGEST) -> str:
    r"""A name as it can be drawn: no formula, no sign that the font lacks, not too long.

    Examples
    --------
    >>> literal("5 $/$ day") == r"5 \$/\$ day", literal("x" * 50, 10)
    (True, 'xxxxxxxxx…')
    """
    known = _signs()
    text = "".join(sign if ord(sign) in known and sign.isprintable() else "?" for sign in text)
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return text.replace("$", r"\$")


@cache
def _signs() -> frozenset[int]:
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


@dataclass(frozen=True)
class Plot:
    """A figure with what it shows.

    Attributes
    ----------
    name
        That of its files.
    caption
        A sentence or two.
    drawn
        The figure, which is laid out once for all of its files.
    """

    name: str
    caption: str
    drawn: Figure

    @cached_property
    def svg(self) -> str:
        """An SVG element to stand in a page: its ids begin with the name, and text has the page's colour."""
        file = io.StringIO()
        self._laid_out.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        text = file.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = text.replace(INK, _PAGE_INK).replace(COLOURS[0].lower(), _PAGE_BLUE)
        ids: dict[str, str] = {}

        def renamed(found: re.Match[str]) -> str:
            return found[1] + ids.setdefault(found[2], f"{self.name}-{len(ids)}") + found[3]

        # Several figures stand in one page, and matplotlib's own ids are the same in each, or chance.
        return re.sub(r'((?:\sid="|href="#|url\(#))([^")]+)(["\)])', renamed, text)

    def files(self) -> dict[str, bytes]:
        """SVG with its own colours, and PNG, by their names."""
        svg = self.svg.replace(_PAGE_INK, INK).replace(_PAGE_BLUE, COLOURS[0])
        png = io.BytesIO()
        self._laid_out.savefig(png, format="png", dpi=_PNG_DPI, facecolor="white")
        return {f"{self.name}.svg": svg.encode(), f"{self.name}.png": png.getvalue()}

    @cached_property
    def _laid_out(self) -> Figure:
        # With an engine each file would be laid out, and drawn, twice more.
        if (engine := self.drawn.get_layout_engine()) is not None:
            engine.execute(self.drawn)
        self.drawn.set_layout_engine(None)
        return self.drawn
