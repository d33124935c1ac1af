"""PSI over time as a heat map: a strip of periods for the score and for each feature."""

from dataclasses import dataclass, field
from itertools import groupby

from ctr.metrics.psi import Drift
from ctr.report import formats
from ctr.schema.drift import ColumnOverTime, OverTime

SHOWN = 40  # strips before the rest is folded
SINGLE = 62  # periods up to which each has a cell of its own; beyond, neighbours of one colour share it
LABELS = 4


@dataclass(frozen=True)
class Cells:
    """Neighbouring periods of one colour."""

    first: int
    count: int
    level: str  # of the colour: none, stable, near, moderate, major, far
    text: str


@dataclass(frozen=True)
class Strip:
    """PSI of one distribution in every period."""

    name: str
    cells: list[Cells]
    worst: float | None
    worst_period: str  # "" where it is stable, or where `since` says more
    since: str | None
    reason: str = ""  # why its periods differ without any drift


@dataclass(frozen=True)
class HeatMap:
    """All strips over the same periods.

    Attributes:
        periods: their names, in order of time.
        labels: those to write below: the name, and where its middle lies, in percent of the width.
        rows: the fewest and the most of a period.
        score: None where there is no score.
        features: the worst first.
        partial: the first or the last period, where the data begins or ends within it.
    """

    periods: list[str]
    labels: list[tuple[str, float]]
    rows: tuple[int, int]
    score: Strip | None
    features: list[Strip]
    partial: list[str] = field(default_factory=list)


def heat_map(over_time: OverTime, thresholds: dict[str, float]) -> HeatMap:
    """What is drawn of report.json's `over_time`, which has at least two periods."""
    periods, rows = over_time["periods"], over_time["rows"]
    score = None if over_time["score"] is None else _strip("", over_time["score"], periods, thresholds)
    features = [_strip(name, one, periods, thresholds) for name, one in over_time["features"].items()]
    features.sort(key=lambda strip: (strip.since is None, -(strip.worst or 0)))
    last = len(periods) - 1
    places = sorted({round(k * last / (LABELS - 1)) for k in range(LABELS)})
    labels = [(periods[place], 100 * (place + 0.5) / len(periods)) for place in places]
    return HeatMap(periods, labels, (min(rows), max(rows)), score, features, over_time["partial"])


def _strip(name: str, one: ColumnOverTime, periods: list[str], thresholds: dict[str, float]) -> Strip:
    levels = [_level(*both, thresholds) for both in zip(one["psi"], one["drift"], strict=True)]
    is_single = len(periods) <= SINGLE
    cells = []
    for (_, level), places in groupby(range(len(periods)), lambda place: (place * is_single, levels[place])):
        first, *rest = places
        last = rest[-1] if rest else first
        cells.append(Cells(first, last - first + 1, level, _text(one, periods, first, last)))
    # where there is too little data to tell, a large PSI is no news
    told = [place for place, level in enumerate(levels) if level != "none"]
    worst = max(told, key=lambda place: one["psi"][place] or 0.0, default=None)
    if worst is None:
        return Strip(name, cells, None, "", one["since"], one.get("reason", ""))
    is_news = one["drift"][worst] != Drift.STABLE and one["since"] is None
    return Strip(name, cells, one["psi"][worst], periods[worst] if is_news else "", one["since"], one.get("reason", ""))


def _level(psi: float | None, drift: Drift, thresholds: dict[str, float]) -> str:
    if psi is None or drift == Drift.TOO_LITTLE_DATA:
        return "none"
    if drift == Drift.MAJOR:
        return "far" if psi > 2 * thresholds["unstable_above"] else drift
    return "near" if drift == Drift.STABLE and psi > thresholds["moderate_above"] / 2 else drift


def _text(one: ColumnOverTime, periods: list[str], first: int, last: int) -> str:
    """`2026-01-09 to 2026-01-10: PSI 0.3361 to 0.3458, unstable`."""
    psi = [value for value in one["psi"][first : last + 1] if value is not None]
    ends = dict.fromkeys(formats.psi(value) for value in (min(psi), max(psi))) if psi else ["-"]
    when = " to ".join(dict.fromkeys([periods[first], periods[last]]))
    return f"{when}: PSI {' to '.join(ends)}, {formats.drift(one['drift'][first])}"
