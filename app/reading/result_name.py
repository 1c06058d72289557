"""What an image is called in the results."""

import re

# A table's field that begins so is run as a formula by spreadsheets.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r")


def result_name(path: str) -> str:
    r"""What an image is called in the results: its path below the folder named, as text that every program can take.

    Bytes that are no UTF-8 become `%XX`, as in addresses. What a spreadsheet would run as a formula begins with `./`,
    which names the same file.

    Examples
    --------
    >>> result_name("day 1/caf\udce9.tif"), result_name("=1+1.tif")
    ('day 1/caf%E9.tif', './=1+1.tif')
    """
    name = re.sub("[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", path)
    return f"./{name}" if name.startswith(_FORMULA_SIGNS) else name
