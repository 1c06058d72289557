"""XML that programs write into images, read as far as it goes.

Control characters, bare ampersands, prefixes that nobody declared and a missing end are common, and no reason to leave
an image unread. Entities of its own, which may expand without end, no program needs.
"""

import re
from typing import NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

_MAX_DEPTH = 100
# Ten thousand planes have a tenth of them.
_MAX_ELEMENTS = 300_000
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"&#(?:x([0-9a-f]{1,7})|(\d{1,7}));", re.IGNORECASE)
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,7});)")


class Markup(NamedTuple):
    """The outermost element, names without prefixes, and whether all of it could be read as it stands."""

    root: Element
    is_whole: bool


def read_markup(text: str) -> Markup | None:
    """What is in XML up to the first place that cannot be mended; None if there is nothing.

    Examples
    --------
    >>> root, is_whole = read_markup('<a:Image Name="A & B"><Pixels SizeX="3"/><Chan')
    >>> root.tag, root.get("Name"), root[0].get("SizeX"), is_whole
    ('Image', 'A & B', '3', False)
    """
    mended = _NOT_XML.sub("", _REFERENCE.sub(_character, _BARE_AMPERSAND.sub("&amp;", text))).strip()
    builder, opened, n_elements = TreeBuilder(), list[str](), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal n_elements
        n_elements += 1
        if len(opened) >= _MAX_DEPTH or n_elements > _MAX_ELEMENTS:
            raise _NotReadError
        opened.append(_local(name))
        builder.start(opened[-1], {_local(key): value for key, value in attributes.items()})

    def end(_: str) -> None:
        builder.end(opened.pop())

    def refuse(*_: object) -> None:
        raise _NotReadError

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(mended.encode("utf-8", "ignore"), True)
        is_whole = mended == text.strip()
    except (expat.ExpatError, _NotReadError):
        is_whole = False
    while opened:
        builder.end(opened.pop())
    root = builder.close()
    return Markup(root, is_whole) if root is not None else None


def _character(reference: re.Match[str]) -> str:
    """A reference to a character, or nothing where XML has no such character."""
    code = int(reference[1], 16) if reference[1] else int(reference[2])
    return reference[0] if code < 0x110000 and not _NOT_XML.match(chr(code)) else ""


class _NotReadError(Exception):
    pass


def _local(name: str) -> str:
    return name.rpartition(":")[2]
