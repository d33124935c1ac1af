"""The metrics of every set, as the page shows them: groups, numbers, and what is said below a number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ctr.metrics.catalog import CATALOG
from ctr.metrics.metric import Metric, Question
from ctr.report import formats
from ctr.schema.split_metrics import SplitMetrics


@dataclass(frozen=True)
class Cell:
    """A number, and what is said below it."""

    value: str
    notes: list[str]


@dataclass(frozen=True)
class Line:
    """One metric."""

    name: str
    meaning: str
    cells: list[Cell]  # of each set


@dataclass(frozen=True)
class Group:
    """SplitMetrics that answer one question."""

    title: str
    lines: list[Line]


def _auc_notes(metrics: SplitMetrics) -> list[str]:
    interval = metrics["auc_interval"]
    notes = [formats.interval(interval) if interval else f"no interval: {metrics['reasons']['auc_interval']}"]
    if "auc_error" in metrics:
        notes.append(f"binned, so exact to ± {metrics['auc_error']:.1g}")
    return notes


def _gauc_notes(metrics: SplitMetrics) -> list[str]:
    groups = metrics["gauc_groups"]
    return [
        f"{formats.count(groups)} group{'s' if groups != 1 else ''} by {metrics['gauc_group']}",
        f"{formats.percent(metrics['gauc_rows'])} of rows",
    ]


def _loss_notes(metrics: SplitMetrics) -> list[str]:
    error = metrics["log_loss_error"]
    notes = [f"± {formats.metric(error)}"] if error is not None else []
    excess, error = metrics["log_loss_excess"], metrics["log_loss_excess_error"]
    if excess is not None and error is not None:
        notes.append(f"{excess:+.5f} ± {error:.5f} against the label rate")
    return notes


def _calibration_notes(metrics: SplitMetrics) -> list[str]:
    error = metrics["calibration_error"]
    return [
        *([f"± {formats.metric(error)}"] if error is not None else []),
        f"z {formats.signed(metrics['calibration_z'])}",
    ]


def _rate_notes(metrics: SplitMetrics) -> list[str]:
    return [
        f"± {formats.metric(metrics['positive_rate_error'])}",
        f"{formats.count(metrics['positives'])} positives",
    ]


def _at(threshold: str) -> Callable[[SplitMetrics], list[str]]:
    return lambda metrics: [f"at {metrics[threshold]:.3g}"]


NOTES: dict[str, Callable[[SplitMetrics], list[str]]] = {
    "auc": _auc_notes,
    "gauc": _gauc_notes,
    "ks": _at("ks_threshold"),
    "log_loss": _loss_notes,
    "calibration": _calibration_notes,
    "positive_rate": _rate_notes,
    "precision": _at("threshold"),
    "recall": _at("threshold"),
    "f1": _at("threshold"),
    "best_f1": _at("best_f1_threshold"),
}
"""Key of a metric -> what is said below its number; nothing for others."""


def metric_groups(sets: Mapping[str, SplitMetrics]) -> list[Group]:
    """Every metric that any set has, in groups; what a set lacks is `-`, with the reason."""
    groups = []
    for question in Question:
        lines = [
            Line(metric.label, metric.meaning, [_cell(metric, found) for found in sets.values()])
            for metric in CATALOG
            if metric.question == question and any(metric.key in found for found in sets.values())
        ]
        if lines:
            groups.append(Group(question, lines))
    return groups


def _cell(metric: Metric, found: SplitMetrics) -> Cell:
    if metric.key not in found:
        return Cell("-", [])
    if found[metric.key] is None:
        return Cell("-", [found["reasons"][metric.key]])
    notes = NOTES.get(metric.key)
    return Cell(metric.text(found[metric.key]), notes(found) if notes else [])
