"""What a metric is: how it is computed from counts, what it is called, and where it is shown."""

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
    """Which values of a metric are better."""

    HIGHER = "higher"
    LOWER = "lower"
    ONE = "close to 1"
    NEITHER = "-"

    @property
    def sign(self) -> int:
        """1 if higher is better, -1 if lower is; only for metrics that are one of these."""
        return {Better.HIGHER: 1, Better.LOWER: -1}[self]


class Question(StrEnum):
    """What a metric answers: its heading on the page."""

    RANKING = "Ranking"
    PROBABILITIES = "Probabilities"
    DECISIONS = "Decisions"


class Place(StrEnum):
    """Where a metric is shown besides the page, which has them all."""

    TERMINAL = "terminal"
    MARKDOWN = "report.md"
    SIDE_BY_SIDE = "side by side"
    COMPARISON = "comparison"


@dataclass(frozen=True)
class Companion:
    """A number that is shown with a metric: its interval, its standard error, its threshold.

    Attributes:
        key: of report.json.
        definition: its exact meaning, in Markdown.
        compute: None: it is computed with the groups of a split.
        type: of its value.
    """

    key: str
    definition: str
    compute: Measure | None = None
    type: Any = float


@dataclass(frozen=True)
class Metric:
    """One metric of a scored split. The catalog's entry is all that the program needs to know of it.

    Attributes:
        key: of report.json.
        label: its name in tables and on pages.
        meaning: what it says, for the reader of a page.
        definition: its exact meaning, in Markdown, for the documentation.
        better: which values are better.
        question: its heading on the page.
        compute: None: it is computed from the groups of a split, see `groups.gauc`.
        shown: where else than on the page.
        format: of its number, as `format` takes it.
        companions: numbers that are shown with it.
        interval: key of the companion that is its 95% interval; None: it has no interval.
        over_seeds: an interval of the mean over seeds, from the mean and half the width of Student's.
        paired: its difference between two models on the same rows; None: comparisons do not test it.
    """

    key: str
    label: str
    meaning: str
    definition: str
    better: Better
    question: Question
    compute: Measure | None = None
    shown: frozenset[Place] = frozenset()
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
        """Key -> function, of the metric and its companions, as far as they are functions of counts."""
        computed = {self.key: self.compute, **{one.key: one.compute for one in self.companions}}
        return {key: compute for key, compute in computed.items() if compute is not None}
