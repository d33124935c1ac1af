"""The metrics of every set side by side: what each is called, what it means, and what belongs beside its number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ctr.report import formats

Metrics = dict[str, Any]  # of one set, as in report.json


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
    """Metrics that answer one question."""

    title: str
    lines: list[Line]


@dataclass(frozen=True)
class _Metric:
    key: str
    name: str
    meaning: str
    notes: Callable[[Metrics], list[str]] = lambda metrics: []


def _auc_notes(metrics: Metrics) -> list[str]:
    interval = metrics["auc_interval"]
    notes = [formats.interval(interval) if interval else f"no interval: {metrics['reasons']['auc_interval']}"]
    if "auc_error" in metrics:
        notes.append(f"binned, so exact to ± {metrics['auc_error']:.1g}")
    return notes


def _gauc_notes(metrics: Metrics) -> list[str]:
    groups = metrics["gauc_groups"]
    return [
        f"{formats.count(groups)} group{'s' if groups != 1 else ''} by {metrics['gauc_group']}",
        f"{formats.percent(metrics['gauc_rows'])} of rows",
    ]


def _loss_notes(metrics: Metrics) -> list[str]:
    error = metrics.get("log_loss_error")  # an earlier version had none, as of the others
    notes = [f"± {formats.metric(error)}"] if error is not None else []
    excess, error = metrics.get("log_loss_excess"), metrics.get("log_loss_excess_error")
    if excess is not None and error is not None:
        notes.append(f"{excess:+.5f} ± {error:.5f} against the label rate")
    return notes


def _calibration_notes(metrics: Metrics) -> list[str]:
    error = metrics.get("calibration_error")  # an earlier version had none
    return [
        *([f"± {formats.metric(error)}"] if error is not None else []),
        f"z {formats.signed(metrics['calibration_z'])}",
    ]


def _rate_notes(metrics: Metrics) -> list[str]:
    counted = [f"{formats.count(metrics['positives'])} positives"] if "positives" in metrics else []
    return [f"± {formats.metric(metrics['label_rate_error'])}", *counted]


def _at(threshold: str) -> Callable[[Metrics], list[str]]:
    return lambda metrics: [f"at {metrics[threshold]:.3g}"]


METRICS: dict[str, list[_Metric]] = {
    "Ranking": [
        _Metric(
            "auc",
            "AUC",
            "how often a row with label 1 scores higher than one with label 0: 0.5 is chance, 1 is perfect; "
            "with its 95 % interval",
            _auc_notes,
        ),
        _Metric(
            "gauc",
            "GAUC",
            "the AUC within each group, such as a user, the mean weighted by rows; groups of one class are left out",
            _gauc_notes,
        ),
        _Metric("mean_group_auc", "mean group AUC", "the same, every group counted once"),
        _Metric(
            "average_precision", "average precision", "the mean precision over all recalls; chance: the label rate"
        ),
        _Metric("ks", "KS", "the widest gap between the classes' shares above one score", _at("ks_threshold")),
    ],
    "Probabilities": [
        _Metric(
            "log_loss",
            "log loss",
            "in nats, lower is better, with its standard error; compares sets of the same label rate only; with its "
            "difference from that of the label rate alone",
            _loss_notes,
        ),
        _Metric(
            "normalized_entropy", "normalized entropy", "log loss over that of the label rate alone; below 1 is a gain"
        ),
        _Metric("brier", "Brier score", "the mean squared error of the scores; lower is better"),
        _Metric(
            "calibration",
            "calibration",
            "sum of scores over sum of labels, with its standard error; a z beyond ± 4 is more than chance",
            _calibration_notes,
        ),
        _Metric(
            "expected_calibration_error",
            "expected calibration error",
            "how far mean score and label rate lie apart, the mean over deciles of the score",
        ),
        _Metric(
            "label_rate",
            "label rate",
            "the share of rows with label 1, with its standard error",
            _rate_notes,
        ),
        _Metric("mean_score", "mean score", "where far from the label rate, calibrate the scores before use"),
    ],
    "Decisions": [
        _Metric(
            "precision",
            "precision",
            "of rows that score at least the threshold, the share with label 1",
            _at("threshold"),
        ),
        _Metric("recall", "recall", "of rows with label 1, the share that scores at least so", _at("threshold")),
        _Metric("f1", "F1", "the harmonic mean of both", _at("threshold")),
        _Metric(
            "best_f1", "best F1", "the highest that a threshold gives on these very rows", _at("best_f1_threshold")
        ),
    ],
}


def metric_groups(sets: dict[str, Metrics]) -> list[Group]:
    """Every metric that any set has, in groups; what a set lacks is `-`, with the reason."""
    groups = []
    for title, metrics in METRICS.items():
        lines = [
            Line(metric.name, metric.meaning, [_cell(metric, found) for found in sets.values()])
            for metric in metrics
            if any(metric.key in found for found in sets.values())
        ]
        if lines:
            groups.append(Group(title, lines))
    return groups


def _cell(metric: _Metric, found: Metrics) -> Cell:
    if metric.key not in found:
        return Cell("-", [])
    if found[metric.key] is None:
        return Cell("-", [found["reasons"][metric.key]])
    return Cell(formats.metric(found[metric.key]), metric.notes(found))
