"""A report in the terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctr.errors import ConfigError
from ctr.metrics.catalog import shown_in
from ctr.metrics.metric import Metric, Place
from ctr.report import formats
from ctr.report.drift import SEVERITY
from ctr.report.interval_notes import interval_notes

STYLES = {"stable": "green", "moderate": "yellow", "unstable": "red", "insufficient_data": "dim"}
LEVELS = {"warning": "red", "note": "yellow"}


def show_report(report: dict[str, Any], console: Console) -> None:
    """Print what report.json of a run, of an evaluation or of `ctr psi` says.

    Raises:
        ConfigError: it lacks something.
    """
    show = _show_metrics if "metrics" in report else _show_drift
    try:
        show(report, console)
    except KeyError as error:
        raise ConfigError(
            f"report.json lacks {error}, so it is damaged or of an earlier version; train or evaluate again"
        ) from error


def _show_metrics(report: dict[str, Any], console: Console) -> None:
    """Metrics of each set, the score's PSI, and the checks that found something."""
    sets = report["metrics"]
    shown = [metric for metric in shown_in(Place.TERMINAL) if any(metric.key in metrics for metrics in sets.values())]
    table = Table(box=None, pad_edge=False)
    table.add_column("\nset")
    for column in ("\nrows", *(_in_two_lines(metric.label) for metric in shown)):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("\nscore PSI", justify="right")
    for name, metrics in sets.items():
        psi = report["psi"]["score"].get(name)
        cells = [_value(metric, metrics) for metric in shown]
        table.add_row(escape(name), formats.count(metrics["rows"]), *cells, _psi(psi) if psi else "reference")
    console.print(table)
    for name, metrics in sets.items():
        reasons: dict[str, str] = metrics.get("reasons", {})
        for reason in dict.fromkeys(reasons.values()):
            missing = [metric.key for metric in shown_in(Place.TERMINAL) if reasons.get(metric.key) == reason]
            if missing:
                console.print(f"{escape(name)}: no {', '.join(missing)}: {escape(reason)}", highlight=False)
    for note in interval_notes(sets):
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    found = [one for one in report["checks"] if one["level"] in LEVELS]
    for one in found:
        style, sentence = LEVELS[one["level"]], " ".join(one["sentence"].split())
        console.print(f"[{style}]{one['level']}[/{style}]: {escape(sentence)}", highlight=False, soft_wrap=True)
    fine = len(report["checks"]) - len(found)
    if fine:
        console.print(f"{fine} check{'s' if fine != 1 else ''} found nothing", highlight=False)


def _in_two_lines(label: str) -> str:
    """Return a label as a narrow heading; all metrics of common reports then fit 80 columns."""
    first, _, second = label.rpartition(" ")
    return f"{first}\n{second}"


def _value(metric: Metric, metrics: dict[str, Any]) -> str:
    """Return a metric's value, with half the width of its 95 % interval."""
    interval = None if metric.interval is None else metrics.get(metric.interval)
    half = f"±{(interval[1] - interval[0]) / 2:.1g}" if interval else ""
    return metric.text(metrics.get(metric.key)) + half


def _psi(psi: dict[str, Any]) -> str:
    style = STYLES[psi["verdict"]]
    return f"[{style}]{formats.psi(psi['psi'])} {psi['verdict']}[/{style}]"


def _show_drift(report: dict[str, Any], console: Console) -> None:
    """The PSI of each column, the worst verdict first, and what was not compared."""
    for name, files in report["files"].items():
        console.print(f"{name}: {report['rows'][name]:,} rows in {len(files)} file(s)", highlight=False, markup=False)
    over_time = report["psi"]["over_time"] or {}
    since = {name: one["since"] for name, one in over_time.get("features", {}).items()}
    table = Table(box=None, pad_edge=False)
    for column in ("column", "kind", "PSI", "corrected", "p-value", "verdict", *(["unstable since"] if since else [])):
        table.add_column(column, justify="right" if column in ("PSI", "corrected", "p-value") else "left")
    compared = report["psi"]["features"]["current"].items()
    for name, one in sorted(compared, key=lambda item: (SEVERITY.index(item[1]["verdict"]), -(item[1]["psi"] or 0))):
        style = STYLES[one["verdict"]]
        table.add_row(
            escape(name),
            escape(report["kinds"][name]),
            formats.psi(one["psi"]),
            formats.psi(one["psi_corrected"]),
            formats.p_value(one["p_value"]),
            f"[{style}]{formats.verdict(one['verdict'])}[/{style}]",
            *([escape(since[name] or "-")] if since else []),
        )
    console.print(table)
    if report["shared_files"]:
        shared = len(report["shared_files"])
        console.print(f"[yellow]note[/yellow]: reference and current data share {shared} file(s)", highlight=False)
    not_compared: dict[str, str] = report["not_compared"]
    for reason in dict.fromkeys(not_compared.values()):
        names = ", ".join(name for name in not_compared if not_compared[name] == reason)
        console.print(f"not compared: {names}: {reason}", highlight=False, markup=False, soft_wrap=True)
    if report["settings"]["time"] is not None and not since:
        reason = over_time.get("reason", "fewer than two periods")
        console.print(f"no PSI over time: {reason}", highlight=False, markup=False)
