"""report.md: the summary of a report that fits a pull request."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from ctr.metrics.catalog import shown_in
from ctr.metrics.metric import Metric, Place
from ctr.metrics.psi import Drift, PSIResult
from ctr.report import formats
from ctr.report.interval_notes import interval_notes
from ctr.report.unknown_ids import unknown_ids
from ctr.schema.drift import FeatureDrift
from ctr.schema.levels import Level
from ctr.schema.report import BadRows, Check, DriftReport, ScoredReport
from ctr.schema.split_metrics import SplitMetrics

FEATURES, CHECKS = 10, 12  # lines of each before the rest is counted


def run_markdown(report: ScoredReport, name: str, is_run: bool) -> str:
    """Metrics of each set, checks that found something, and the features that moved.

    Args:
        report: report.json of a run or an evaluation.
        name: of the run.
        is_run: whether it is the run itself, and not an evaluation.
    """
    sets = "" if is_run else f": {', '.join(report['metrics'])}"
    left_out = _bad_rows(report["bad_rows"])
    title = [f"# {escaped(name + sets)}"]
    notes = [escaped(note) for note in interval_notes(report["metrics"])]
    by_nature = {name for names in report["psi"]["calendar"].values() for name in names}
    found = [_checks(report["checks"]), _moved(report["psi"], "feature", by_nature), _unknown_ids(report)]
    parts = [title, _metrics(report), notes, left_out, *found]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def drift_markdown(report: DriftReport) -> str:
    """The columns that moved between the two data sets of `ctr psi`."""
    rows, columns = report["rows"], report["psi"]["features"]["current"]
    counted = f"{len(columns)} columns of {rows['current']:,} rows, beside a reference of {rows['reference']:,} rows."
    left_out = [f"Not compared: {', '.join(map(escaped, report['not_compared']))}."] if report["not_compared"] else []
    parts = [["# PSI of two data sets"], [counted], _moved(report["psi"], "column", set()), left_out]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def escaped(text: str) -> str:
    """Text from outside as Markdown shows it as it is, on one line, in a table or out of it.

    >>> print(escaped("a|b `c`"))
    a\\|b \\`c\\`
    """
    flat = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"([\\`*_\[\]<>|~&$@])", r"\\\1", flat)


def _metrics(report: ScoredReport) -> list[str]:
    sets = report["metrics"]
    columns: list[tuple[str, Callable[[SplitMetrics], str]]] = []
    for metric in shown_in(Place.MARKDOWN):
        if _has_any(sets, metric.key):
            columns.append((metric.label, partial(_value, metric)))
        if metric.interval is not None and _has_any(sets, metric.interval):
            columns.append(("95 % interval", partial(_interval, metric.interval)))
    lines = _header(["set", "rows", *(escaped(label) for label, _ in columns), "score PSI"])
    for name, found in sets.items():
        psi = report["psi"]["score"].get(name)
        cells = [text(found) for _, text in columns]
        lines.append(_row([escaped(name), formats.count(found["rows"]), *cells, _psi(psi) if psi else "reference"]))
    return lines


def _has_any(sets: Mapping[str, SplitMetrics], key: str) -> bool:
    return any(found.get(key) is not None for found in sets.values())


def _value(metric: Metric, found: SplitMetrics) -> str:
    return metric.text(found.get(metric.key))


def _interval(key: str, found: SplitMetrics) -> str:
    bounds = found.get(key)
    return formats.interval(bounds) if bounds else "-"


def _bad_rows(bad_rows: Mapping[str, BadRows]) -> list[str]:
    """How many rows were left out of each set, and why."""
    counted = [
        f"{escaped(name)} {formats.count(bad['rows'])} "
        f"({', '.join(f'{escaped(reason)}: {formats.count(count)}' for reason, count in bad['reasons'].items())})"
        for name, bad in bad_rows.items()
    ]
    return [f"Bad rows left out: {', '.join(counted)}."] if counted else []


def _checks(checks: list[Check]) -> list[str]:
    if not checks:
        return []
    found = [one for one in checks if one["level"] != Level.OK]
    lines = [f"- **{escaped(one['level'])}**: {escaped(one['sentence'])}" for one in found[:CHECKS]]
    if len(found) > CHECKS:
        lines.append(f"- and {len(found) - CHECKS} more")
    passed = len(checks) - len(found)
    return [*lines, f"- {passed} check{'s' if passed != 1 else ''} found nothing"]


def _moved(psi: FeatureDrift, kind: str, by_nature: set[str]) -> list[str]:
    """Return a row for each feature that has drifted in any split or at the end of the data, the worst first.

    Args:
        psi: of a report.
        kind: the word for a feature.
        by_nature: features that are left out.
    """
    by_set = psi["features"]
    if not by_set:
        return []
    names = [name for name in next(iter(by_set.values())) if name not in by_nature]
    worst = {
        name: min((found[name]["drift"] for found in by_set.values()), key=lambda level: level.rank) for name in names
    }
    largest = {name: max(found[name]["psi"] or 0 for found in by_set.values()) for name in names}
    over_time = {} if psi["over_time"] is None else psi["over_time"]["features"]
    dated = {name for name, one in over_time.items() if one["since"] and name not in by_nature}
    moved = [name for name in names if worst[name].has_drifted or name in dated]
    moved.sort(key=lambda name: (worst[name].rank, -largest[name]))
    unknown = sum(level == Drift.TOO_LITTLE_DATA for level in worst.values())
    too_little = f"{unknown} {kind}{'s' if unknown != 1 else ''} with too little data to tell." if unknown else ""
    if not moved:
        none = f"No {'other ' if unknown else ''}{kind} has moved. " if unknown < len(names) else ""
        return [f"{none}{too_little}".strip()]
    lines = _header([kind, *(f"PSI, {escaped(of)}" for of in by_set), *(["unstable since"] if dated else [])])
    for name in moved[:FEATURES]:
        since = [escaped(over_time[name]["since"] or "-")] if dated else []
        lines.append(_row([escaped(name), *(_psi(found[name]) for found in by_set.values()), *since]))
    rest = f"{len(moved) - FEATURES} more have moved." if len(moved) > FEATURES else ""
    return [*lines, *(["", f"{rest} {too_little}".strip()] if rest or too_little else [])]


def _unknown_ids(report: ScoredReport) -> list[str]:
    """The features with the most unknown ids in the set that matters most."""
    main = report["main_split"]
    found = [(name, share) for name, shares in unknown_ids(report).items() if (share := shares.get(main))]
    listed = [f"{escaped(name)} {formats.percent(share)}" for name, share in found[:FEATURES]]
    rest = f" and {len(found) - FEATURES} more features" if len(found) > FEATURES else ""
    return [f"Unknown ids in {escaped(main)}: {', '.join(listed)}{rest}."] if listed else []


def _header(names: list[str]) -> list[str]:
    return [_row(names), _row([":--", *["--:"] * (len(names) - 1)])]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _psi(one: PSIResult) -> str:
    return f"{formats.psi(one['psi'])} {escaped(formats.drift(one['drift']))}"
