"""A report in the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctr.metrics.catalog import shown_in
from ctr.metrics.metric import Metric, Place
from ctr.metrics.psi import Drift, PSIResult
from ctr.report import formats
from ctr.report.interval_notes import interval_notes
from ctr.schema.levels import Level
from ctr.schema.report import DriftReport, Report, ScoredReport
from ctr.schema.split_metrics import SplitMetrics

STYLES = {Drift.STABLE: "green", Drift.MODERATE: "yellow", Drift.MAJOR: "red", Drift.TOO_LITTLE_DATA: "dim"}
LEVELS = {Level.WARNING: "red", Level.NOTE: "yellow"}


def show_report(report: Report, console: Console) -> None:
    """Print what report.json of a run, of an evaluation or of `ctr psi` says."""
    if report["kind"] == "psi":
        _show_drift(report, console)
    else:
        _show_metrics(report, console)


def _show_metrics(report: ScoredReport, console: Console) -> None:
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
            missing = [metric.label for metric in shown_in(Place.TERMINAL) if reasons.get(metric.key) == reason]
            if missing:
                console.print(f"{escape(name)}: no {', '.join(missing)}: {escape(reason)}", highlight=False)
    for note in interval_notes(sets):
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    found = [one for one in report["checks"] if one["level"] in LEVELS]
    for one in found:
        style, sentence = LEVELS[one["level"]], " ".join(one["sentence"].split())
        console.print(f"[{style}]{one['level']}[/{style}]: {escape(sentence)}", highlight=False, soft_wrap=True)
    passed = len(report["checks"]) - len(found)
    if passed:
        console.print(f"{passed} check{'s' if passed != 1 else ''} found nothing", highlight=False)


def _in_two_lines(label: str) -> str:
    """Return a label as a narrow heading; all metrics of common reports then fit 80 columns."""
    first, _, second = label.rpartition(" ")
    return f"{first}\n{second}"


def _value(metric: Metric, metrics: SplitMetrics) -> str:
    """Return a metric's value, with half the width of its 95 % interval."""
    interval = None if metric.interval is None else metrics.get(metric.interval)
    half = f"±{(interval[1] - interval[0]) / 2:.1g}" if interval else ""
    return metric.text(metrics.get(metric.key)) + half


def _psi(psi: PSIResult) -> str:
    style = STYLES[psi["drift"]]
    return f"[{style}]{formats.psi(psi['psi'])} {formats.drift(psi['drift'])}[/{style}]"


def _show_drift(report: DriftReport, console: Console) -> None:
    """The PSI of each column, the worst verdict first, and what was not compared."""
    for name, files in report["files"].items():
        console.print(f"{name}: {report['rows'][name]:,} rows in {len(files)} file(s)", highlight=False, markup=False)
    over_time = report["psi"]["over_time"]
    since = {} if over_time is None else {name: one["since"] for name, one in over_time["features"].items()}
    table = Table(box=None, pad_edge=False)
    for column in ("column", "kind", "PSI", "corrected", "p-value", "verdict", *(["unstable since"] if since else [])):
        table.add_column(column, justify="right" if column in ("PSI", "corrected", "p-value") else "left")
    compared = report["psi"]["features"]["current"].items()
    for name, one in sorted(compared, key=lambda item: (item[1]["drift"].rank, -(item[1]["psi"] or 0))):
        style = STYLES[one["drift"]]
        table.add_row(
            escape(name),
            escape(report["column_types"][name]),
            formats.psi(one["psi"]),
            formats.psi(one["psi_corrected"]),
            formats.p_value(one["p_value"]),
            f"[{style}]{formats.drift(one['drift'])}[/{style}]",
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
        few = "fewer than two periods"
        reason = few if over_time is None else over_time.get("reason", few)
        console.print(f"no PSI over time: {reason}", highlight=False, markup=False)
