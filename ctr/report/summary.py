"""A report in the terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

STYLES = {"stable": "green", "moderate": "yellow", "unstable": "red", "insufficient_data": "dim"}


def show_report(report: dict[str, Any], console: Console) -> None:
    """Print metrics of each set, the score's PSI, and the features that moved."""
    table = Table(box=None, pad_edge=False)
    for column in ("set", "rows", "AUC", "log loss", "label rate", "mean score", "score PSI"):
        table.add_column(column, justify="left" if column == "set" else "right")
    for name, metrics in report["metrics"].items():
        psi = report["psi"]["score"].get(name)
        cells = [_number(metrics[key]) for key in ("auc", "log_loss", "label_rate", "mean_score")]
        table.add_row(escape(name), f"{metrics['rows']:,}", *cells, _psi(psi) if psi else "reference")
    console.print(table)
    for name, metrics in report["metrics"].items():
        for metric, reason in metrics.get("reasons", {}).items():
            console.print(f"{escape(name)}: no {metric}: {reason}", highlight=False)
    for name, features in report["psi"]["features"].items():
        moved = {feature: psi for feature, psi in features.items() if psi["verdict"] != "stable"}
        ranked = sorted(moved.items(), key=lambda item: -(item[1]["psi"] or 0))
        listed = ", ".join(f"{escape(feature)} {_psi(psi)}" for feature, psi in ranked)
        console.print(f"{escape(name)}: features that moved: {listed or 'none'}", highlight=False)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5f}"


def _psi(psi: dict[str, Any]) -> str:
    style = STYLES[psi["verdict"]]
    return f"[{style}]{'-' if psi['psi'] is None else format(psi['psi'], '.4f')} {psi['verdict']}[/{style}]"
