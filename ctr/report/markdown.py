"""report.md: the summary of a report, short enough for a pull request."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from ctr.metrics.catalog import shown_in
from ctr.metrics.metric import Metric, Place
from ctr.metrics.psi import Drift, PSIResult
from ctr.report import formats
from ctr.report.drift import integer_columns
from ctr.report.interval_notes import interval_notes
from ctr.report.unknown_ids import unknown_ids
from ctr.schema.drift import FeatureDrift
from ctr.schema.levels import Level
from ctr.schema.report import BadRows, Check, DriftReport, ScoredReport
from ctr.schema.split_metrics import SplitMetrics

MAX_FEATURES, MAX_CHECKS = 10, 12  # lines of each before the rest is counted


def run_markdown(report: ScoredReport, name: str, is_run: bool) -> str:
    """Return the metrics of each split, the checks that did not pass, and the features that have drifted.

    Args:
        report: report.json of a run or an evaluation.
        name: name of the run.
        is_run: True for a run, False for an evaluation.
    """
    splits = "" if is_run else f": {', '.join(report['metrics'])}"
    title = [f"# {escaped(name + splits)}"]
    notes = [escaped(note) for note in interval_notes(report["metrics"])]
    calendar = {name for names in report["psi"]["calendar"].values() for name in names}
    sections = [
        title,
        _metrics(report),
        notes,
        _invalid_rows(report["bad_rows"]),
        _checks(report["checks"]),
        _drifted_features(report["psi"], "feature", calendar),
        _unknown_ids(report),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def drift_markdown(report: DriftReport) -> str:
    """Return the columns that have drifted between the two datasets of `ctr psi`."""
    rows, columns = report["rows"], report["psi"]["features"]["current"]
    extent = (
        f"{len(columns)} columns of {rows['current']:,} rows, compared with a reference of {rows['reference']:,} rows."
    )
    left_out = [f"Not compared: {', '.join(map(escaped, report['not_compared']))}."] if report["not_compared"] else []
    integers = [
        f"- Integers as {as_}: {', '.join(map(escaped, names))}: {escaped(reason)}."
        for as_, reason, names in integer_columns(report)
    ]
    drifted = _drifted_features(report["psi"], "column", set())
    sections = [["# PSI of two datasets"], [extent], drifted, integers, left_out]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def escaped(text: str) -> str:
    r"""Return text from outside on one line, escaped so that Markdown shows it as it is, in a table or elsewhere.

    >>> print(escaped("a|b `c`"))
    a\|b \`c\`
    """
    flat = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"([\\`*_\[\]<>|~&$@])", r"\\\1", flat)


def _metrics(report: ScoredReport) -> list[str]:
    splits = report["metrics"]
    columns: list[tuple[str, Callable[[SplitMetrics], str]]] = []
    for metric in shown_in(Place.MARKDOWN):
        if _has_any(splits, metric.key):
            columns.append((metric.label, partial(_value, metric)))
        if metric.interval is not None and _has_any(splits, metric.interval):
            columns.append(("95% CI", partial(_interval, metric.interval)))
    lines = _header(["split", "examples", *(escaped(label) for label, _ in columns), "score PSI"])
    for name, metrics in splits.items():
        psi = report["psi"]["score"].get(name)
        cells = [text(metrics) for _, text in columns]
        lines.append(_row([escaped(name), formats.count(metrics["rows"]), *cells, _psi(psi) if psi else "reference"]))
    return lines


def _has_any(splits: Mapping[str, SplitMetrics], key: str) -> bool:
    return any(metrics.get(key) is not None for metrics in splits.values())


def _value(metric: Metric, metrics: SplitMetrics) -> str:
    return metric.text(metrics.get(metric.key))


def _interval(key: str, metrics: SplitMetrics) -> str:
    bounds = metrics.get(key)
    return formats.interval(bounds) if bounds else "-"


def _invalid_rows(bad_rows: Mapping[str, BadRows]) -> list[str]:
    """Return the number of invalid rows that were left out of each split, by reason."""
    counts = [
        f"{escaped(name)} {formats.count(bad['rows'])} "
        f"({', '.join(f'{escaped(reason)}: {formats.count(count)}' for reason, count in bad['reasons'].items())})"
        for name, bad in bad_rows.items()
    ]
    return [f"Invalid rows left out: {', '.join(counts)}."] if counts else []


def _checks(checks: list[Check]) -> list[str]:
    if not checks:
        return []
    findings = [check for check in checks if check["level"] != Level.OK]
    lines = [f"- **{escaped(check['level'])}**: {escaped(check['sentence'])}" for check in findings[:MAX_CHECKS]]
    if len(findings) > MAX_CHECKS:
        lines.append(f"- and {len(findings) - MAX_CHECKS} more")
    passed = len(checks) - len(findings)
    return [*lines, f"- {passed} check{'s' if passed != 1 else ''} passed"]


def _drifted_features(psi: FeatureDrift, noun: str, calendar: set[str]) -> list[str]:
    """Return a row for each feature that has drifted in any split or at the end of the data, the worst first.

    Args:
        psi: PSI of the features.
        noun: the word for a feature.
        calendar: features that are left out.
    """
    by_split = psi["features"]
    if not by_split:
        return []
    names = [name for name in next(iter(by_split.values())) if name not in calendar]
    worst = {
        name: min((features[name]["drift"] for features in by_split.values()), key=lambda level: level.rank)
        for name in names
    }
    largest = {name: max(features[name]["psi"] or 0 for features in by_split.values()) for name in names}
    over_time = {} if psi["over_time"] is None else psi["over_time"]["features"]
    dated = {name for name, column in over_time.items() if column["since"] and name not in calendar}
    drifted = [name for name in names if worst[name].has_drifted or name in dated]
    drifted.sort(key=lambda name: (worst[name].rank, -largest[name]))
    unknown = sum(level == Drift.TOO_LITTLE_DATA for level in worst.values())
    too_little = f"{unknown} {noun}{'s' if unknown != 1 else ''} with too little data." if unknown else ""
    if not drifted:
        stable = f"No {'other ' if unknown else ''}{noun} has drifted. " if unknown < len(names) else ""
        return [f"{stable}{too_little}".strip()]
    lines = _header(
        [noun, *(f"PSI, {escaped(split)}" for split in by_split), *(["major drift since"] if dated else [])]
    )
    for name in drifted[:MAX_FEATURES]:
        since = [escaped(over_time[name]["since"] or "-")] if dated else []
        lines.append(_row([escaped(name), *(_psi(features[name]) for features in by_split.values()), *since]))
    rest = f"{len(drifted) - MAX_FEATURES} more have drifted." if len(drifted) > MAX_FEATURES else ""
    return [*lines, *(["", f"{rest} {too_little}".strip()] if rest or too_little else [])]


def _unknown_ids(report: ScoredReport) -> list[str]:
    """Return the features with the largest fraction of unknown ids in the main split."""
    main = report["main_split"]
    fractions = [(name, fraction) for name, by_split in unknown_ids(report).items() if (fraction := by_split.get(main))]
    items = [f"{escaped(name)} {formats.percent(fraction)}" for name, fraction in fractions[:MAX_FEATURES]]
    rest = f" and {len(fractions) - MAX_FEATURES} more features" if len(fractions) > MAX_FEATURES else ""
    return [f"Unknown ids in {escaped(main)}: {', '.join(items)}{rest}."] if items else []


def _header(names: list[str]) -> list[str]:
    return [_row(names), _row([":--", *["--:"] * (len(names) - 1)])]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _psi(result: PSIResult) -> str:
    return f"{formats.psi(result['psi'])} {escaped(formats.drift(result['drift']))}"
