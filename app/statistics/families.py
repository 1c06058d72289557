"""Which wells are compared with which controls, and what a replicate is: from a table of wells to comparisons."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import TableError
from app.statistics.aggregate import Values, group_index, mean_of
from app.statistics.compare import Comparison, compare_in_blocks, compare_with_control, estimates
from app.statistics.permutation import PermutationTest, permutation_test
from app.statistics.results import StatisticsWarning
from app.statistics.well_table import WellTable

Mask = NDArray[np.bool_]
Key = tuple[str, float | None]
NO_BLOCK = "none"


@dataclass(frozen=True)
class Compared:
    """A comparison and what its replicates are.

    Attributes
    ----------
    condition, dose
        What was compared; the dose is None where there is none.
    replicate, block
        Columns: what n counts, and what treated and control share (None where they share nothing).
    comparison
        The numbers.
    treated, control
        The replicates themselves, in blocks side by side.
    warnings
        The design's; the comparison has its own.
    """

    condition: str
    dose: float | None
    replicate: str
    block: str | None
    comparison: Comparison
    treated: Values
    control: Values
    warnings: tuple[StatisticsWarning, ...]

    def permutation(self, ranks: bool, n_comparisons: int) -> PermutationTest:
        """The permutation or rank test of the same replicates."""
        return permutation_test(
            self.treated, self.control, ranks=ranks, paired=self.block is not None, n_comparisons=n_comparisons
        )


@dataclass(frozen=True)
class _Group:
    """Wells of one condition and dose with the controls on the same plates."""

    key: Key
    treated: Mask
    control: Mask
    plates: frozenset[str]
    warnings: tuple[StatisticsWarning, ...]


def compared(
    wells: WellTable, values: Values, replicate: str | None = None, block: str | None = None
) -> list[Compared]:
    """Compare every condition and dose with its control.

    Parameters
    ----------
    wells
        The design.
    values
        `(N,)` of one endpoint; wells with NaN are left out.
    replicate
        The column whose values are the replicates: `well`, `plate`, `replicate` or another. Without it the column
        `replicate` if the table has one, else each well; where plates repeat both condition and control the plate is
        the replicate.
    block
        The column whose values treated and control share: then they are compared within it. Without it the plate, where
        several hold both; `none` for no blocks.

    Notes
    -----
    Conditions and doses that share controls are one family. Those of which each is on a single plate are compared with
    that plate's controls; those on several plates in blocks.
    """
    families: dict[tuple[str, frozenset[str]], list[_Group]] = {}
    found = []
    for group in _groups(wells, np.isfinite(values)):
        if not group.plates:
            found.append(_untested(group, values, _CONFOUNDED))
            continue
        control = str(wells.condition[group.control][0])
        families.setdefault((control, group.plates if len(group.plates) == 1 else frozenset()), []).append(group)
    for (_, plate), groups in families.items():
        for connected in [groups] if plate else _connected(groups):
            found += _family(wells, values, connected, replicate, block)
    return sorted(found, key=lambda one: (one.condition, -1 if one.dose is None else one.dose))


def _groups(wells: WellTable, known: Mask) -> Iterator[_Group]:
    """Conditions and doses of which at least one well, and one control, has a value."""
    if wells.is_negative.all():
        raise TableError("All wells are controls; there is nothing to compare with them.")
    doses = [None if np.isnan(dose) else float(dose) for dose in wells.dose]
    keys, key_of = group_index(wells.condition.tolist(), doses)
    for index, key in enumerate(keys):
        chosen = (key_of == index) & ~wells.is_negative & known
        own = wells.is_negative & (wells.condition == key[0])
        control = (own if own.any() else wells.is_negative) & known
        if not (chosen.any() and control.any()):
            continue
        plates = frozenset(wells.plate[chosen].tolist()) & frozenset(wells.plate[control].tolist())
        if not plates:
            yield _Group(key, chosen, control, plates, ())
            continue
        shared = np.isin(wells.plate, sorted(plates))
        n_left = int((chosen & ~shared).sum())
        said = f"{n_left} of the wells are on plates without controls and were left out."
        warnings = (StatisticsWarning("plate_without_control", said),) if n_left else ()
        yield _Group(key, chosen & shared, control & shared, plates, warnings)


def _connected(groups: list[_Group]) -> list[list[_Group]]:
    """Groups that are linked by shared plates."""
    parts: list[tuple[set[str], list[_Group]]] = []
    for group in groups:
        linked = [part for part in parts if part[0] & group.plates]
        parts = [part for part in parts if not part[0] & group.plates]
        plates = set(group.plates).union(*(part[0] for part in linked))
        parts.append((plates, [*(one for part in linked for one in part[1]), group]))
    return [members for _, members in parts]


def _family(
    wells: WellTable, values: Values, groups: list[_Group], replicate: str | None, block: str | None
) -> Iterator[Compared]:
    members = np.any([group.treated | group.control for group in groups], axis=0)
    unit, shared = _levels(wells, members, any(len(group.plates) > 1 for group in groups), replicate, block)
    if shared is not None:
        yield from _in_blocks(wells, values, groups, members, shared, _finest(wells, replicate))
        return
    for plates in dict.fromkeys(group.plates for group in groups):
        yield from _side_by_side(wells, values, [group for group in groups if group.plates == plates], unit)


def _side_by_side(wells: WellTable, values: Values, groups: list[_Group], unit: str) -> Iterator[Compared]:
    """Groups with the same controls, replicate by replicate."""
    unit_of = unit_index(wells, unit)
    treated = {str(index): _means(values, unit_of, group.treated) for index, group in enumerate(groups)}
    control = _means(values, unit_of, groups[0].control)
    comparisons = compare_with_control(treated, control)
    for group, (label, replicates) in zip(groups, treated.items()):
        yield Compared(*group.key, unit, None, comparisons[label], replicates, control, group.warnings)


def _in_blocks(
    wells: WellTable, values: Values, groups: list[_Group], members: Mask, block: str, finest: str
) -> Iterator[Compared]:
    """Groups and controls, block by block."""
    block_of, replicate_of = unit_index(wells, block), unit_index(wells, finest)
    control = _means(values, block_of, np.any([group.control for group in groups], axis=0), of=members)
    treated = {str(index): _means(values, block_of, group.treated, of=members) for index, group in enumerate(groups)}
    shared = {label: np.isfinite(means) & np.isfinite(control) for label, means in treated.items()}
    comparisons = compare_in_blocks({label: treated[label] for label, both in shared.items() if both.any()}, control)
    for group, (label, means) in zip(groups, treated.items()):
        if label not in comparisons:
            yield _untested(group, values, _NO_SHARED_BLOCK)
            continue
        averaged = np.unique(replicate_of[group.treated]).size > comparisons[label].n_treated
        warnings = (*group.warnings, _averaged(block)) if averaged else group.warnings
        both = shared[label]
        yield Compared(*group.key, block, block, comparisons[label], means[both], control[both], warnings)


def _levels(
    wells: WellTable, members: Mask, several_plates: bool, replicate: str | None, block: str | None
) -> tuple[str, str | None]:
    """The columns that name replicates, and blocks."""
    unit = _finest(wells, replicate)
    if block not in (None, NO_BLOCK):
        return block, block
    if block == NO_BLOCK or not several_plates or replicate == "well":
        return unit, None
    replicates = wells.labels[unit][members] if unit != "well" else np.array([])
    plates_of_one = replicates.size and all(
        np.unique(replicates[wells.plate[members] == plate]).size == 1 for plate in np.unique(wells.plate[members])
    )
    coarsest = unit if plates_of_one and "" not in replicates else "plate"
    return coarsest, coarsest


def _finest(wells: WellTable, replicate: str | None) -> str:
    """The column of replicates that was asked for, or that the table has."""
    return replicate or ("replicate" if wells.labels["replicate"].astype(bool).any() else "well")


def unit_index(wells: WellTable, column: str) -> NDArray[np.intp]:
    """`(N,)` which replicate, or block, each well is of. Wells without one are their own."""
    names = wells.labels[column]
    own = [f"{plate}/{well}" for plate, well in zip(wells.plate, wells.well)]
    if column == "well":
        return group_index(own)[1]
    return group_index(names.tolist(), [one if not name else "" for name, one in zip(names, own)])[1]


def _means(values: Values, unit_of: NDArray[np.intp], chosen: Mask, of: Mask | None = None) -> Values:
    """Means of the chosen wells by unit: of their own, or `of` more wells (NaN where none is chosen)."""
    units = np.unique(unit_of[chosen if of is None else of])
    return mean_of(values[chosen], unit_of[chosen], int(unit_of.max()) + 1)[units]


def _untested(group: _Group, values: Values, reason: StatisticsWarning) -> Compared:
    treated, control = values[group.treated], values[group.control]
    return Compared(*group.key, "well", None, estimates(treated, control, reason), treated, control, group.warnings)


def _averaged(block: str) -> StatisticsWarning:
    return StatisticsWarning(
        "replicates_averaged",
        f"Several wells of a {block} were averaged: the design repeats whole {block}s, so that these are the "
        "replicates. If the wells are independent cultures, ask for replicate=well.",
    )


_CONFOUNDED = StatisticsWarning(
    "confounded_with_plate",
    "No plate holds both this condition and its control: what the treatment does and what the plate does cannot be "
    "told apart, so that there is no p. Put controls on every plate.",
)
_NO_SHARED_BLOCK = StatisticsWarning(
    "blocks_not_shared",
    "No block holds both this condition and its control, so that they cannot be compared within blocks. Name another "
    "block, or none.",
)
