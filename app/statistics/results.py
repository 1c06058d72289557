"""What every answer is made of: intervals, estimates with their reference distribution, and warnings."""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

LEVEL = 0.95
# Below this many replicates in a group a standard deviation says next to nothing.
FEWEST_REPLICATES = 3


class StatisticsWarning(NamedTuple):
    """A stable code and a plain sentence."""

    code: str
    message: str


class Interval(NamedTuple):
    """A confidence interval; an end that the data do not bound is None."""

    low: float | None
    high: float | None


class Reference(Protocol):
    """The distribution that a standardised estimate is held against."""

    def p_value(self, statistic: float) -> float:
        """Two-sided p of `statistic`."""

    def critical(self, level: float) -> float:
        """What the absolute statistic stays below with probability `level`."""


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and the distribution of their ratio.

    Attributes
    ----------
    value
        The estimate. Of a ratio: the ratio itself.
    standard_error
        Of a ratio: that of its natural logarithm. None where there are too few replicates, or no variation, to tell.
    reference
        The distribution of value / standard error where nothing changed; None along with the standard error.
    is_ratio
        Whether the interval is symmetric on the logarithm.

    Examples
    --------
    >>> from app.statistics.distributions import Student
    >>> estimate = Estimate(2.0, 0.5, Student(10))
    >>> round(estimate.p_value, 4)
    0.0025
    >>> tuple(round(end, 3) for end in estimate.confidence_interval())
    (0.886, 3.114)
    """

    value: float
    standard_error: float | None = None
    reference: Reference | None = None
    is_ratio: bool = False

    @property
    def statistic(self) -> float | None:
        """The estimate (of a ratio its logarithm) in standard errors."""
        if self.standard_error is None:
            return None
        return (math.log(self.value) if self.is_ratio else self.value) / self.standard_error

    @property
    def p_value(self) -> float | None:
        """Two-sided p of no change; None where there is no standard error."""
        if self.reference is None or self.statistic is None:
            return None
        return self.reference.p_value(self.statistic)

    def confidence_interval(self, level: float = LEVEL) -> Interval | None:
        """The interval that covers the truth with probability `level`; None where there is no standard error."""
        if self.reference is None or self.standard_error is None:
            return None
        half = self.reference.critical(level) * self.standard_error
        if self.is_ratio:
            return Interval(self.value * math.exp(-half), self.value * math.exp(half))
        return Interval(self.value - half, self.value + half)
