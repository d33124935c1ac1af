"""Heat map of PSI over time: a strip of periods for the score and for each feature."""

from dataclasses import dataclass, field
from itertools import groupby

from ctr.metrics.psi import Drift
from ctr.report import formats
from ctr.schema.drift import ColumnOverTime, OverTime

MAX_VISIBLE = 40  # strips before the rest is folded
MAX_SINGLE = 62  # periods up to which each has a cell of its own; beyond, adjacent cells of one color are joined
LABELS = 4


@dataclass(frozen=True)
class Cells:
    """Adjacent periods of one color.

    Attributes:
        first: index of the first period.
        count: number of periods.
        level: name of the color: none, stable, near, moderate, major or far.
        text: tooltip.
    """

    first: int
    count: int
    level: str
    text: str


@dataclass(frozen=True)
class Strip:
    """PSI of one distribution in every period.

    Attributes:
        name: name of the distribution.
        cells: colored cells, in order of time.
        worst: largest PSI of a period with enough data; None if no period has enough.
        worst_period: period of `worst`; empty if it is stable, or if `since` says more.
        since: period since which drift is major.
        reason: why its periods differ without drift.
    """

    name: str
    cells: list[Cells]
    worst: float | None
    worst_period: str
    since: str | None
    reason: str = ""


@dataclass(frozen=True)
class HeatMap:
    """All strips, over the same periods.

    Attributes:
        by: length of a period.
        periods: names of the periods, in order of time.
        labels: labels of the time axis: name of a period, and its middle in percent of the width.
        rows: smallest and largest number of rows in a period.
        score: strip of the score; None without a score.
        features: strips of the features, the worst first.
        partial: first or last period, if the data begins or ends within it.
    """

    by: str
    periods: list[str]
    labels: list[tuple[str, float]]
    rows: tuple[int, int]
    score: Strip | None
    features: list[Strip]
    partial: list[str] = field(default_factory=list)


def heat_map(over_time: OverTime, thresholds: dict[str, float]) -> HeatMap:
    """Return the heat map of `over_time` in report.json, which has at least two periods."""
    periods, rows = over_time["periods"], over_time["rows"]
    score = None if over_time["score"] is None else _strip("", over_time["score"], periods, thresholds)
    features = [_strip(name, column, periods, thresholds) for name, column in over_time["features"].items()]
    features.sort(key=lambda strip: (strip.since is None, -(strip.worst or 0)))
    last = len(periods) - 1
    labeled = sorted({round(k * last / (LABELS - 1)) for k in range(LABELS)})
    labels = [(periods[index], 100 * (index + 0.5) / len(periods)) for index in labeled]
    return HeatMap(over_time["by"], periods, labels, (min(rows), max(rows)), score, features, over_time["partial"])


def _strip(name: str, column: ColumnOverTime, periods: list[str], thresholds: dict[str, float]) -> Strip:
    levels = [_level(*pair, thresholds) for pair in zip(column["psi"], column["drift"], strict=True)]
    is_single = len(periods) <= MAX_SINGLE
    cells = []
    for (_, level), indices in groupby(range(len(periods)), lambda index: (index * is_single, levels[index])):
        first, *rest = indices
        last = rest[-1] if rest else first
        cells.append(Cells(first, last - first + 1, level, _tooltip(column, periods, first, last)))
    # a large PSI means nothing in a period with too little data
    with_data = [index for index, level in enumerate(levels) if level != "none"]
    worst = max(with_data, key=lambda index: column["psi"][index] or 0.0, default=None)
    since, reason = column["since"], column.get("reason", "")
    if worst is None:
        return Strip(name, cells, None, "", since, reason)
    worst_period = periods[worst] if column["drift"][worst] != Drift.STABLE and since is None else ""
    return Strip(name, cells, column["psi"][worst], worst_period, since, reason)


def _level(psi: float | None, drift: Drift, thresholds: dict[str, float]) -> str:
    if psi is None or drift == Drift.TOO_LITTLE_DATA:
        return "none"
    if drift == Drift.MAJOR:
        return "far" if psi > 2 * thresholds["unstable_above"] else drift
    return "near" if drift == Drift.STABLE and psi > thresholds["moderate_above"] / 2 else drift


def _tooltip(column: ColumnOverTime, periods: list[str], first: int, last: int) -> str:
    """Return `2026-01-09 to 2026-01-10: PSI 0.3361 to 0.3458, major drift`."""
    psi = [value for value in column["psi"][first : last + 1] if value is not None]
    ends = dict.fromkeys(formats.psi(value) for value in (min(psi), max(psi))) if psi else ["-"]
    dates = " to ".join(dict.fromkeys([periods[first], periods[last]]))
    return f"{dates}: PSI {' to '.join(ends)}, {formats.drift_phrase(column['drift'][first])}"
