"""Description of a metric: its computation from counts, its names, and the reports that have it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from ctr.metrics.counts import ScoreCounts
from ctr.metrics.paired import RowDifferences
from ctr.metrics.scales import linear_interval

Measure: TypeAlias = Callable[[ScoreCounts, float], Any]
"""A function of the counts of a split and of the threshold of decisions, a probability; raises `Undefined`."""


class Better(StrEnum):
    """Direction in which a metric is better."""

    HIGHER = "higher"
    LOWER = "lower"
    ONE = "close to 1"
    NEITHER = "-"

    @property
    def sign(self) -> int:
        """1 if higher is better, -1 if lower is better; other directions have no sign."""
        return {Better.HIGHER: 1, Better.LOWER: -1}[self]


class Question(StrEnum):
    """Heading of a metric on the page."""

    RANKING = "Ranking"
    PROBABILITIES = "Probabilities"
    DECISIONS = "Decisions"


class Place(StrEnum):
    """Report that shows a metric, in addition to the page, which shows all of them."""

    TERMINAL = "terminal"
    MARKDOWN = "report.md"
    SIDE_BY_SIDE = "side by side"
    COMPARISON = "comparison"


@dataclass(frozen=True)
class Companion:
    """Number that belongs to a metric: its interval, its standard error or its threshold.

    Attributes:
        key: key in report.json.
        definition: exact meaning, in Markdown.
        compute: function that computes it; None if it is computed with the groups of a split.
        type: type of its value.
    """

    key: str
    definition: str
    compute: Measure | None = None
    type: Any = float


@dataclass(frozen=True)
class Metric:
    """A metric of a scored split. Its entry in the catalog is all that the program needs.

    Attributes:
        key: key in report.json.
        label: name in tables and on pages.
        meaning: short explanation for the reader of a page.
        definition: exact meaning, in Markdown, for the documentation.
        better: direction in which it is better.
        question: heading on the page.
        compute: function that computes it; None if it is computed from the groups of a split, see `groups.gauc`.
        places: reports that show it, in addition to the page.
        format: format specification of its number.
        companions: numbers that belong to it.
        interval: key of the companion that is its 95% CI; None without a CI.
        over_seeds: function that returns a CI of the mean over seeds, from the mean and Student's half-width.
        paired: function that returns its difference between two models on the same examples; None if comparisons do
            not test it.
    """

    key: str
    label: str
    meaning: str
    definition: str
    better: Better
    question: Question
    compute: Measure | None = None
    places: frozenset[Place] = frozenset()
    format: str = ".5f"
    companions: tuple[Companion, ...] = ()
    interval: str | None = None
    over_seeds: Callable[[float, float], tuple[float, float]] = linear_interval
    paired: Callable[..., RowDifferences] | None = None

    def text(self, value: float | None) -> str:
        """Return a value as tables show it; `-` for None."""
        return "-" if value is None else format(value, self.format)

    @property
    def measures(self) -> dict[str, Measure]:
        """Key -> function, for the metric and its companions that are functions of counts."""
        computed = {self.key: self.compute, **{companion.key: companion.compute for companion in self.companions}}
        return {key: compute for key, compute in computed.items() if compute is not None}
