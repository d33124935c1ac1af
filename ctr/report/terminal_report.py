"""Reports in the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctr.console import PLAIN
from ctr.metrics.catalog import shown_in
from ctr.metrics.metric import Metric, Place
from ctr.metrics.psi import Drift, PSIResult
from ctr.report import formats
from ctr.report.drift import integer_columns
from ctr.report.interval_notes import interval_notes
from ctr.schema.levels import Level
from ctr.schema.report import DriftReport, Report, ScoredReport
from ctr.schema.split_metrics import SplitMetrics

STYLES = {Drift.STABLE: "green", Drift.MODERATE: "yellow", Drift.MAJOR: "red", Drift.TOO_LITTLE_DATA: "dim"}
LEVELS = {Level.WARNING: "red", Level.NOTE: "yellow"}
NUMBERS = ("PSI", "corrected", "p-value")  # columns of `ctr psi` that are aligned to the right


def print_report(report: Report, console: Console) -> None:
    """Print report.json of a run, of an evaluation or of `ctr psi`."""
    if report["kind"] == "psi":
        _print_drift(report, console)
    else:
        _print_metrics(report, console)


def _print_metrics(report: ScoredReport, console: Console) -> None:
    """Print the metrics of each split, the PSI of the score, and the checks that did not pass."""
    splits = report["metrics"]
    visible = [
        metric for metric in shown_in(Place.TERMINAL) if any(metric.key in metrics for metrics in splits.values())
    ]
    table = Table(box=None, pad_edge=False)
    table.add_column("\nsplit")
    for column in ("\nexamples", *(_in_two_lines(metric.label) for metric in visible)):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("\nscore PSI", justify="right")
    for name, metrics in splits.items():
        psi = report["psi"]["score"].get(name)
        cells = [_value(metric, metrics) for metric in visible]
        table.add_row(escape(name), formats.count(metrics["rows"]), *cells, _psi(psi) if psi else "reference")
    _print_table(table, console)
    for name, metrics in splits.items():
        reasons: dict[str, str] = metrics.get("reasons", {})
        for reason in dict.fromkeys(reasons.values()):
            missing = [metric.label for metric in shown_in(Place.TERMINAL) if reasons.get(metric.key) == reason]
            if missing:
                console.print(f"{escape(name)}: no {', '.join(missing)}: {escape(reason)}", highlight=False)
    for note in interval_notes(splits):
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    findings = [check for check in report["checks"] if check["level"] in LEVELS]
    for check in findings:
        style, sentence = LEVELS[check["level"]], " ".join(check["sentence"].split())
        console.print(f"[{style}]{check['level']}[/{style}]: {escape(sentence)}", highlight=False, soft_wrap=True)
    passed = len(report["checks"]) - len(findings)
    if passed:
        console.print(f"{passed} check{'s' if passed != 1 else ''} passed", highlight=False)


def _print_table(table: Table, console: Console) -> None:
    """Print a table, with narrower gaps between its columns if it is wider than the terminal."""
    width = console.measure(table, options=console.options.update(width=1000)).maximum
    table.collapse_padding = width > console.width
    console.print(table)


def _in_two_lines(label: str) -> str:
    """Return a label as a narrow heading; all metrics of common reports then fit 80 columns."""
    first, _, second = label.rpartition(" ")
    return f"{first}\n{second}"


def _value(metric: Metric, metrics: SplitMetrics) -> str:
    """Return a metric's value, with half the width of its 95% CI."""
    interval = None if metric.interval is None else metrics.get(metric.interval)
    half = f"±{(interval[1] - interval[0]) / 2:.1g}" if interval else ""
    return metric.text(metrics.get(metric.key)) + half


def _psi(psi: PSIResult) -> str:
    style = STYLES[psi["drift"]]
    return f"[{style}]{formats.psi(psi['psi'])} {formats.drift(psi['drift'])}[/{style}]"


def _count(number: int, noun: str) -> str:
    return f"{formats.count(number)} {noun}{'s' if number != 1 else ''}"


def _print_drift(report: DriftReport, console: Console) -> None:
    """Print the PSI of each column, the worst drift first, and the columns that were not compared."""
    for name, files in report["files"].items():
        extent = f"{_count(report['rows'][name], 'row')} in {_count(len(files), 'file')}"
        console.print(f"{name}: {extent}", highlight=False, markup=False)
    over_time = report["psi"]["over_time"]
    since = {} if over_time is None else {name: column["since"] for name, column in over_time["features"].items()}
    table = Table(box=None, pad_edge=False)
    for header in ("column", "type", *NUMBERS, "drift"):
        table.add_column(header, justify="right" if header in NUMBERS else "left", overflow="fold")
    if since:
        table.add_column("major drift since", no_wrap=True)
    compared = report["psi"]["features"]["current"].items()
    for name, result in sorted(compared, key=lambda item: (item[1]["drift"].rank, -(item[1]["psi"] or 0))):
        style = STYLES[result["drift"]]
        table.add_row(
            escape(name),
            escape(report["column_types"][name]),
            formats.psi(result["psi"]),
            formats.psi(result["psi_corrected"]),
            formats.p_value(result["p_value"]),
            f"[{style}]{formats.drift(result['drift'])}[/{style}]",
            *([escape(since[name] or "-")] if since else []),
        )
    _print_table(table, console)
    for type_, why, columns in integer_columns(report):
        console.print(f"integers as {type_}: {', '.join(columns)}: {why}", **PLAIN)
    for name, result in compared:
        if "reason" in result:
            console.print(f"{formats.drift(result['drift'])}: {name}: {result['reason']}", **PLAIN)
    if report["shared_files"]:
        shared = _count(len(report["shared_files"]), "file")
        console.print(
            f"[yellow]note[/yellow]: the reference and the current data share {shared}. Rows in both make columns of "
            "many ids seem to drift, so compare different data",
            highlight=False,
            soft_wrap=True,
        )
    not_compared: dict[str, str] = report["not_compared"]
    for reason in dict.fromkeys(not_compared.values()):
        names = ", ".join(name for name in not_compared if not_compared[name] == reason)
        console.print(f"not compared: {names}: {reason}", highlight=False, markup=False, soft_wrap=True)
    if report["settings"]["time"] is not None and not since:
        too_short = "fewer than two periods"
        reason = too_short if over_time is None else over_time.get("reason", too_short)
        console.print(f"no PSI over time: {reason}", highlight=False, markup=False)
