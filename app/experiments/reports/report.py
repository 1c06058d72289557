"""One self-contained page about an experiment: the answer first, then what it rests on."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from app import __version__
from app.errors import TableError
from app.experiments.reports.methods import methods
from app.experiments.reports.plots.canvas import Plot
from app.experiments.reports.plots.count_area import draw_count_area
from app.experiments.reports.plots.dose_response import MOST_CURVES, draw_curves, draw_growth_rates
from app.experiments.reports.plots.plates import MOST_PLATES, draw_plates
from app.experiments.reports.plots.replicates import MOST_GROUPS, draw_replicates
from app.experiments.reports.report_text import (
    all_warnings,
    answer_sentences,
    change_percent,
    endpoint_name,
    endpoint_words,
    number,
    p_words,
    percent,
    treatment_words,
    value_words,
)
from app.statistics.families import NO_BLOCK
from app.statistics.normalise import normalised
from app.statistics.schema import Effects, EndpointEffects
from app.statistics.well_table import LABELS, WellTable, well_table

Wells = Mapping[str, Sequence[Any]]
# Rows of the table of wells that a page holds; the CSV file has all.
_MOST_ROWS = 400


@dataclass(frozen=True)
class Report:
    """What a table of wells says, with its plots, which are drawn when they are needed first.

    Attributes
    ----------
    wells
        The table that the effects were computed of, a row a well (or image): see `statistics.effects.effects`.
    effects
        The answer; None where there is none.
    why_no_effects
        The sentence that is shown then.
    """

    wells: Wells
    effects: Effects | None
    why_no_effects: str | None = None

    def page(self, title: str, images: Mapping[str, bytes], provenance: Mapping[str, Any]) -> str:
        """A page as HTML that needs no other file, no script and no network.

        Parameters
        ----------
        title
            The experiment's name.
        images
            PNG files by their captions, such as control and treated side by side.
        provenance
            What it can be made again from: names and values, which may be mappings.
        """
        wells, effects = self.wells, self.effects
        paragraph, references = methods(effects, __version__) if effects else ("", [])
        return _template().render(
            title=title or "Experiment",
            answer=answer_sentences(effects, self.why_no_effects),
            effects=effects,
            plots=self._plots,
            images=[(name, base64.b64encode(data).decode()) for name, data in images.items()],
            warnings=list(all_warnings(effects)) if effects else [],
            methods=paragraph,
            references=references,
            provenance=[(name, _plain(value)) for name, value in provenance.items()],
            wells=_rows(wells),
            n_left_out=max(0, len(next(iter(wells.values()), ())) - _MOST_ROWS),
            version=__version__,
        )

    def figures(self) -> dict[str, bytes]:
        """The plots as SVG and PNG files, by their names."""
        return {name: data for plot in self._plots for name, data in plot.files().items()}

    @cached_property
    def _plots(self) -> list[Plot]:
        if self.effects is None:
            return []
        checked = _checked(self.wells, self.effects)
        plots = [
            plot
            for index, answer in enumerate(self.effects.endpoints)
            for plot in _plots_of(answer, checked, f"-{index + 1}" if len(self.effects.endpoints) > 1 else "")
        ]
        area = next((name for name in self.wells if name.startswith("area_median")), None)
        if "count" in self.wells and area:
            both = _numbers(self.wells, self.effects, ("count", area))
            drawn = draw_count_area(both, both.endpoints["count"], both.endpoints[area], area)
            if drawn is not None:
                said = "Each well's number of nuclei and their median area: what kills may also swell or shrink."
                plots.append(Plot("count-area", said, drawn))
        return plots


def _plots_of(answer: EndpointEffects, wells: WellTable, end: str) -> Iterator[Plot]:
    """The plots of one endpoint, whose names end in `end`."""
    words = endpoint_name(answer.endpoint) if wells.are_amounts else value_words(answer.endpoint, wells.normalise)
    shown = "" if len(answer.comparisons) <= MOST_GROUPS else f" The {MOST_GROUPS} with the smallest p are shown."
    if (drawn := draw_replicates(wells, answer)) is not None:
        said = (
            f"Left: {words}; a dot is a well, with an outline a replicate of several wells, a bar the mean. Right: "
            f"change from the control with its 95 % interval, orange where p is at most 0.05; a hollow sign has no "
            f"interval.{shown}"
        )
        yield Plot(f"replicates{end}", said, drawn)
    more = "" if len(answer.curves) <= MOST_CURVES else f" The {MOST_CURVES} clearest of {len(answer.curves)}."
    if (drawn := draw_curves(wells, answer)) is not None:
        said = (
            f"Dose-response curves of the {words} with the 95 % band of the curve (blue) and the 95 % interval of the "
            f"EC50 (orange). Dashed: the doses do not tell the EC50.{more}"
        )
        yield Plot(f"dose-response{end}", said, drawn)
    if (drawn := draw_growth_rates(wells, answer)) is not None:
        said = (
            "Growth rates (GR): 1 is growth as in the control, 0 no growth, below 0 death. Blue: the curve and its "
            "95 % band; orange: the GEC50, the dose halfway between 1 and the lowest GR, and its 95 % interval."
        )
        yield Plot(f"growth-rate{end}", said, drawn)
    n_plates = np.unique(wells.plate).size
    more = "" if n_plates <= MOST_PLATES else f" The first {MOST_PLATES} of {n_plates} plates."
    if (drawn := draw_plates(wells, answer.endpoint)) is not None:
        said = f"The {words} of each well in its place; N are negative controls and P positive ones.{more}"
        yield Plot(f"plates{end}", said, drawn)


def _checked(wells: Wells, effects: Effects) -> WellTable:
    checked = _numbers(wells, effects, [answer.endpoint for answer in effects.endpoints])
    return normalised(checked, effects.normalise)


def _numbers(wells: Wells, effects: Effects, endpoints: Sequence[str]) -> WellTable:
    """The table as the effects saw it, with the same controls."""
    used = {name for answer in effects.endpoints for one in answer.comparisons for name in (one.replicate, one.block)}
    labels = sorted(name for name in used if name and name not in (*LABELS, NO_BLOCK))
    for control in (None, *effects.control):
        try:
            found = well_table(wells, endpoints, control, labels)
        except TableError:
            continue
        if set(np.unique(found.condition[found.is_negative]).tolist()) == set(effects.control):
            return found
    raise TableError("The table is not the one that the effects were computed of; its controls differ.")


def _rows(wells: Wells) -> tuple[list[str], list[list[str]]]:
    names = [name for name, column in wells.items() if any(value not in (None, "") for value in column[:_MOST_ROWS])]
    rows = zip(*(wells[name][:_MOST_ROWS] for name in names))
    return names, [
        [number(one) if isinstance(one, float) else "" if one is None else str(one) for one in row] for row in rows
    ]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_plain(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    return "-" if value is None else str(value)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("app.experiments.reports"), autoescape=True, undefined=StrictUndefined
    )
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {"number": number, "p": p_words, "words": endpoint_words, "percent": percent}
    environment.globals |= {"treatment": treatment_words, "change": change_percent}
    return environment.get_template("report.html")
