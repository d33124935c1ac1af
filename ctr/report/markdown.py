"""report.md: the summary of a report that fits a pull request."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ctr.metrics.catalog import shown_in
from ctr.metrics.metric import Metric, Place
from ctr.report import formats
from ctr.report.drift import SEVERITY
from ctr.report.interval_notes import interval_notes
from ctr.report.unknown_ids import unknown_ids

FEATURES, CHECKS = 10, 12  # lines of each before the rest is counted


def run_markdown(report: dict[str, Any], name: str, is_run: bool) -> str:
    """Metrics of each set, checks that found something, and the features that moved.

    Args:
        report: report.json of a run or an evaluation.
        name: of the run.
        is_run: whether it is the run itself, and not an evaluation.
    """
    sets = "" if is_run else f": {', '.join(report['metrics'])}"
    left_out = _bad_rows(report.get("bad_rows", {}))  # an earlier version left none out
    title = [f"# {escaped(name + sets)}"]
    notes = [escaped(note) for note in interval_notes(report["metrics"])]
    found = [_checks(report["checks"]), _moved(report["psi"]), _unknown_ids(report)]
    parts = [title, _metrics(report), notes, left_out, *found]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def drift_markdown(report: dict[str, Any]) -> str:
    """The columns that moved between the two data sets of `ctr psi`."""
    rows, columns = report["rows"], report["psi"]["features"]["current"]
    counted = f"{len(columns)} columns of {rows['current']:,} rows, beside a reference of {rows['reference']:,} rows."
    left_out = [f"Not compared: {', '.join(map(escaped, report['not_compared']))}."] if report["not_compared"] else []
    parts = [["# PSI of two data sets"], [counted], _moved(report["psi"], "column"), left_out]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def escaped(text: str) -> str:
    """Text from outside as Markdown shows it as it is, on one line, in a table or out of it.

    >>> print(escaped("a|b `c`"))
    a\\|b \\`c\\`
    """
    flat = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"([\\`*_\[\]<>|~&$@])", r"\\\1", flat)


def _metrics(report: dict[str, Any]) -> list[str]:
    sets = report["metrics"]
    columns: list[tuple[str, Callable[[dict[str, Any]], str]]] = []
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


def _has_any(sets: dict[str, dict[str, Any]], key: str) -> bool:
    return any(found.get(key) is not None for found in sets.values())


def _value(metric: Metric, found: dict[str, Any]) -> str:
    return metric.text(found.get(metric.key))


def _interval(key: str, found: dict[str, Any]) -> str:
    bounds = found.get(key)
    return formats.interval(bounds) if bounds else "-"


def _bad_rows(bad_rows: dict[str, dict[str, Any]]) -> list[str]:
    """How many rows were left out of each set, and why."""
    counted = [
        f"{escaped(name)} {formats.count(bad['rows'])} "
        f"({', '.join(f'{escaped(reason)}: {formats.count(count)}' for reason, count in bad['reasons'].items())})"
        for name, bad in bad_rows.items()
    ]
    return [f"Bad rows left out: {', '.join(counted)}."] if counted else []


def _checks(checks: list[dict[str, str]]) -> list[str]:
    if not checks:
        return []
    found = [one for one in checks if one["level"] != "ok"]
    lines = [f"- **{escaped(one['level'])}**: {escaped(one['sentence'])}" for one in found[:CHECKS]]
    if len(found) > CHECKS:
        lines.append(f"- and {len(found) - CHECKS} more")
    fine = len(checks) - len(found)
    return [*lines, f"- {fine} check{'s' if fine != 1 else ''} found nothing"]


def _moved(psi: dict[str, Any], kind: str = "feature") -> list[str]:
    """A row for each feature that is unstable or moderate in any set or at the end of the data, the worst first."""
    by_set = psi["features"]
    if not by_set:
        return []
    left_out = {name for names in psi.get("calendar", {}).values() for name in names}  # an earlier version had none
    names = [name for name in next(iter(by_set.values())) if name not in left_out]
    worst = {name: min(SEVERITY.index(found[name]["verdict"]) for found in by_set.values()) for name in names}
    largest = {name: max(found[name]["psi"] or 0 for found in by_set.values()) for name in names}
    over_time = (psi["over_time"] or {}).get("features", {})
    dated = {name for name, one in over_time.items() if one["since"] and name not in left_out}
    moved = [name for name in names if SEVERITY[worst[name]] in ("unstable", "moderate") or name in dated]
    moved.sort(key=lambda name: (worst[name], -largest[name]))
    unknown = sum(SEVERITY[place] == "insufficient_data" for place in worst.values())
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


def _unknown_ids(report: dict[str, Any]) -> list[str]:
    """The features with the most unknown ids in the set that matters most."""
    main = list(report["metrics"])[-1]
    found = [(name, share) for name, shares in unknown_ids(report).items() if (share := shares.get(main))]
    listed = [f"{escaped(name)} {formats.percent(share)}" for name, share in found[:FEATURES]]
    rest = f" and {len(found) - FEATURES} more features" if len(found) > FEATURES else ""
    return [f"Unknown ids in {escaped(main)}: {', '.join(listed)}{rest}."] if listed else []


def _header(names: list[str]) -> list[str]:
    return [_row(names), _row([":--", *["--:"] * (len(names) - 1)])]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _psi(one: dict[str, Any]) -> str:
    return f"{formats.psi(one['psi'])} {escaped(formats.verdict(one['verdict']))}"
