"""A layout as our own table."""

import csv
import io

from app.experiments.layouts.layout import Layout

# Where a line belongs; written where any line says it.
_PLACES = ("plate", "well", "image", "channel", "site")


def write_layout(layout: Layout) -> str:
    r"""CSV that is read as the same, whatever kind of layout it was: a line a well, or an image that is named.

    Examples
    --------
    >>> from app.experiments.layouts.layout import read_layout
    >>> print(write_layout(read_layout("condition\n,1,2\nA,DMSO,taxol\n".encode())), end="")
    well,condition,dose,dose_unit,replicate,control
    A01,DMSO,,,,
    A02,taxol,,,,
    """
    lines = [
        {"plate": row.plate, "well": row.well, "image": path, "channel": channel, "site": row.site, **row.values}
        for row in layout.rows
        for channel, path in row.files or ((None, None),)
    ]
    places = [name for name in _PLACES if any(line[name] is not None for line in lines)]
    text = io.StringIO()
    writer = csv.DictWriter(text, (*places, *layout.columns), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
