"""Metrics of every split as the page shows them: by question, with notes below each number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ctr.metrics.catalog import CATALOG
from ctr.metrics.metric import Metric, Question
from ctr.report import formats
from ctr.schema.split_metrics import SplitMetrics


@dataclass(frozen=True)
class Cell:
    """A number with the notes below it."""

    value: str
    notes: list[str]


@dataclass(frozen=True)
class Line:
    """A metric with its number in each split."""

    name: str
    meaning: str
    cells: list[Cell]  # by split


@dataclass(frozen=True)
class Group:
    """Metrics that answer one question."""

    title: str
    lines: list[Line]


def _auc_notes(metrics: SplitMetrics) -> list[str]:
    interval = metrics["auc_interval"]
    notes = [formats.interval(interval) if interval else f"no CI: {metrics['reasons']['auc_interval']}"]
    if "auc_error" in metrics:
        notes.append(f"from binned scores: error at most {metrics['auc_error']:.1g}")
    return notes


def _gauc_notes(metrics: SplitMetrics) -> list[str]:
    groups = metrics["gauc_groups"]
    return [
        f"{formats.count(groups)} group{'s' if groups != 1 else ''} by {metrics['gauc_group']}",
        f"{formats.percent(metrics['gauc_rows'])} of examples",
    ]


def _loss_notes(metrics: SplitMetrics) -> list[str]:
    error = metrics["log_loss_error"]
    notes = [_standard_error(error)] if error is not None else []
    excess, error = metrics["log_loss_excess"], metrics["log_loss_excess_error"]
    if excess is not None and error is not None:
        notes += [f"vs. constant {excess:+.5f}", _standard_error(error)]
    return notes


def _calibration_notes(metrics: SplitMetrics) -> list[str]:
    error = metrics["calibration_error"]
    return [
        *([_standard_error(error)] if error is not None else []),
        f"z {formats.signed(metrics['calibration_z'])}",
    ]


def _rate_notes(metrics: SplitMetrics) -> list[str]:
    return [
        _standard_error(metrics["positive_rate_error"]),
        f"{formats.count(metrics['positives'])} positives",
    ]


def _standard_error(error: float) -> str:
    return f"SE\u00a0{error:.5f}"  # no line break before the number


def _threshold_note(key: str) -> Callable[[SplitMetrics], list[str]]:
    return lambda metrics: [f"at score {metrics[key]:.3g}"]


NOTES: dict[str, Callable[[SplitMetrics], list[str]]] = {
    "auc": _auc_notes,
    "gauc": _gauc_notes,
    "ks": _threshold_note("ks_threshold"),
    "log_loss": _loss_notes,
    "calibration": _calibration_notes,
    "positive_rate": _rate_notes,
    "precision": _threshold_note("threshold"),
    "recall": _threshold_note("threshold"),
    "f1": _threshold_note("threshold"),
    "best_f1": _threshold_note("best_f1_threshold"),
}
"""Key of a metric -> notes below its number; other metrics have no notes."""


def metric_groups(splits: Mapping[str, SplitMetrics]) -> list[Group]:
    """Return every metric that any split has, in groups; a split without it has `-` and the reason."""
    groups = []
    for question in Question:
        lines = [
            Line(metric.label, metric.meaning, [_cell(metric, metrics) for metrics in splits.values()])
            for metric in CATALOG
            if metric.question == question and any(metric.key in metrics for metrics in splits.values())
        ]
        if lines:
            groups.append(Group(question, lines))
    return groups


def _cell(metric: Metric, metrics: SplitMetrics) -> Cell:
    if metric.key not in metrics:
        return Cell("-", [])
    if metrics[metric.key] is None:
        return Cell("-", [metrics["reasons"][metric.key]])
    notes = NOTES.get(metric.key)
    return Cell(metric.text(metrics[metric.key]), notes(metrics) if notes else [])
