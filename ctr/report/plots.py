"""Plots of report.html: learning curves, and how well the scores rank and predict."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ctr.metrics.counts import sigmoid
from ctr.metrics.thresholds import Decile
from ctr.report import formats
from ctr.report.history import History
from ctr.report.svg import BLUE, INK, MUTED, ORANGE, printable, style_of, svg


def learning_plots(history: History) -> list[Markup]:
    """Return the loss by step, and the AUC if validation has it; nothing if there is only one point."""
    if max(len(history.train), len(history.valid)) < 2:
        return []
    has_auc = any(line["auc"] is not None for line in history.valid)
    return [_loss_plot(history), *([_auc_plot(history)] if has_auc else [])]


def _loss_plot(history: History) -> Markup:
    curves: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
        "train": (history.train, style_of("train")),
        "validation": (history.valid, {"color": BLUE}),
    }

    def draw(axes: Axes) -> None:
        for name, (lines, style) in curves.items():
            if lines:
                _by_step(axes, lines, "loss", label=name, **style)
        _mark_best(axes, history, "loss")
        axes.set(xlabel="step", title="Loss (train: mean of each epoch)")
        axes.legend()

    return svg("loss", draw)


def _auc_plot(history: History) -> Markup:
    def draw(axes: Axes) -> None:
        _by_step(axes, [line for line in history.valid if line["auc"] is not None], "auc", color=BLUE)
        _mark_best(axes, history, "auc")
        axes.set(xlabel="step", title="Validation AUC")

    return svg("auc", draw)


def ranking_plots(curves: dict[str, Any], metrics: dict[str, Any], main: str) -> list[Markup]:
    """Return ROC and precision-recall of every split with both classes, and KS of `main` if it has both."""
    if not curves["roc"]:
        return []
    plots = [_roc_plot(curves["roc"], metrics), _precision_plot(curves["precision_recall"], metrics)]
    if main in curves["ks"]:
        plots.append(_ks_plot(curves["ks"][main], metrics[main], main, curves["score_distribution"]["edges"]))
    return plots


def _roc_plot(splits: dict[str, Any], metrics: dict[str, Any]) -> Markup:
    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7)
        lines = _each(axes, splits, "false_positive_rate", "true_positive_rate")
        axes.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC curve and AUC")
        axes.legend(lines, _labels(splits, metrics, "auc"), loc="lower right")

    return svg("roc", draw)


def _precision_plot(splits: dict[str, Any], metrics: dict[str, Any]) -> Markup:
    def draw(axes: Axes) -> None:
        lines = _each(axes, splits, "recall", "precision")
        # precision of the first few examples is noisy and can reach 1, so the scale ignores it
        settled = [
            y
            for points in splits.values()
            for x, y in zip(points["recall"], points["precision"], strict=True)
            if x > 0.02
        ]
        axes.set(xlim=(0, 1), ylim=(0, min(1.15 * max(settled, default=1.0), 1.05)))
        axes.set(xlabel="recall", ylabel="precision", title="Precision-recall curve and average precision")
        axes.legend(lines, _labels(splits, metrics, "average_precision"))

    return svg("precision", draw)


def _ks_plot(points: dict[str, list[float]], metrics: dict[str, Any], main: str, edges: list[float]) -> Markup:
    def draw(axes: Axes) -> None:
        for name, color in (("negatives", ORANGE), ("positives", BLUE)):
            axes.plot(points["logit"], points[name], color=color, label=name, drawstyle="steps-pre")
        gap = np.subtract(points["positives"], points["negatives"])
        widest = int(np.argmax(np.abs(gap)))
        logit = points["logit"][widest]
        ends = [points[name][widest] for name in ("negatives", "positives")]
        axes.plot([logit, logit], ends, color=INK, linewidth=1, marker="_", markersize=6)
        _score_axis(axes, edges)
        axes.set(ylabel="fraction of the class at or above the score")
        value = f"{formats.metric(metrics['ks'])} at score {metrics['ks_threshold']:.3g}"
        axes.set_title(f"KS of {printable(main)}: {value}")
        axes.legend()

    return svg("ks", draw)


def score_plots(curves: dict[str, Any]) -> list[Markup]:
    """Return the score distributions of both classes, one plot per split, all on one scale."""
    edges, splits = curves["score_distribution"]["edges"], curves["score_distribution"]["sets"]
    width = edges[1] - edges[0] if len(edges) > 1 else 1.0
    closed = np.array([edges[0] - width, *edges, edges[-1] + width])
    top = 1.08 * max((max(shares) for classes in splits.values() for shares in classes.values()), default=1.0)

    def draw(name: str, classes: dict[str, list[float]], axes: Axes) -> None:
        for label, color in (("negatives", ORANGE), ("positives", BLUE)):
            if label in classes:
                axes.stairs(classes[label], closed, fill=True, facecolor=color, alpha=0.25)
                axes.stairs(classes[label], closed, edgecolor=color, linewidth=1.4, label=label)
        _score_axis(axes, edges)
        axes.set(ylabel="fraction of the class", ylim=(0, top), xlim=(closed[0] - width, closed[-1] + width))
        axes.set_title(f"Score distribution of {printable(name)}")
        if classes:
            axes.legend()

    return [svg(f"score{index}", partial(draw, name, classes)) for index, (name, classes) in enumerate(splits.items())]


def decile_plots(deciles: dict[str, list[Decile]], main: str) -> list[Markup]:
    """Return positive rate by mean score of the ten deciles of each split, and the lift of the deciles of `main`."""
    splits = {name: groups for name, groups in deciles.items() if any(decile["positive_rate"] for decile in groups)}
    if main not in splits:
        return []
    return [_reliability_plot(splits, main), _lift_plot(splits, main)]


def _reliability_plot(splits: dict[str, list[Decile]], main: str) -> Markup:
    values = [
        decile[key]
        for groups in splits.values()
        for decile in groups
        for key in ("mean_score", "positive_rate")
        if decile[key]
    ]
    low, high = min(values) / 1.5, max(values) * 1.3
    ticks = np.unique([float(f"{tick:.1g}") for tick in np.geomspace(min(values), max(values), 6)])

    def draw(axes: Axes) -> None:
        axes.plot([low, high], [low, high], color=MUTED, linewidth=0.7)
        lines = []
        for name, groups in splits.items():
            scores = np.array([decile["mean_score"] for decile in groups])
            rates = np.array([decile["positive_rate"] for decile in groups])
            if name == main:
                errors = 2 * np.array([decile["positive_rate_error"] for decile in groups])
                axes.errorbar(scores, np.maximum(rates, low), errors, fmt="none", ecolor=style_of(name)["color"])
            # a logarithmic scale cannot show a rate of 0, which is drawn at the lower edge
            lines += axes.plot(
                np.maximum(scores, low), np.maximum(rates, low), marker="o", markersize=3, **style_of(name)
            )
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_ticks([], minor=True)
        axes.set(xlabel="mean score of the decile", ylabel="positive rate", title="Reliability")
        axes.legend(lines, [printable(name) for name in splits], loc="upper left")

    return svg("reliability", draw)


def _lift_plot(splits: dict[str, list[Decile]], main: str) -> Markup:
    numbers = np.arange(1, 11)

    def draw(axes: Axes) -> None:
        handles: list[Any] = [axes.bar(numbers, _lifts(splits[main]), color=BLUE, width=0.7, alpha=0.75)]
        others = [name for name in splits if name != main]
        for name in others:
            style = {**style_of(name), "linestyle": "none"}
            handles += axes.plot(numbers, _lifts(splits[name]), marker="_", markersize=13, markeredgewidth=1.8, **style)
        axes.axhline(1, color=MUTED, linewidth=0.8)
        axes.set_xticks(numbers)
        axes.grid(visible=False, axis="x")
        axes.set(xlabel="decile, from the highest score", ylabel="positive rate / overall positive rate", title="Lift")
        axes.legend(handles, [printable(name) for name in [main, *others]])

    return svg("lift", draw)


def _lifts(deciles: list[Decile]) -> list[float]:
    return [decile["lift"] or 0.0 for decile in deciles]


def _each(axes: Axes, splits: dict[str, Any], x: str, y: str) -> list[Any]:
    """Draw and return the line of each split."""
    return [line for name, points in splits.items() for line in axes.plot(points[x], points[y], **style_of(name))]


def _labels(splits: Iterable[str], metrics: dict[str, Any], metric: str) -> list[str]:
    """Return the texts of a legend, which by itself would leave out names that begin with `_`."""
    return [f"{printable(name)} {formats.metric(metrics[name][metric])}" for name in splits]


def _score_axis(axes: Axes, edges: list[float]) -> None:
    """Set up an x axis of log-odds with probabilities as labels."""
    ticks = np.linspace(edges[0], edges[-1], 5) if len(edges) > 1 else np.array(edges)
    axes.set_xticks(ticks, [_probability(tick) for tick in ticks])
    if len(edges) > 1:
        margin = (edges[-1] - edges[0]) / 20
        axes.set_xlim(edges[0] - margin, edges[-1] + margin)
    axes.set(xlabel="score (log-odds scale)")


def _probability(logit: float) -> str:
    """Return a score as an axis label; a score close to 1 as `1 - x`."""
    score, rest = sigmoid(np.array([logit, -logit]))
    return f"{score:.2g}" if rest > 0.005 else f"1 - {rest:.1g}"


def _by_step(axes: Axes, lines: list[dict[str, Any]], key: str, **style: Any) -> None:
    marker = "o" if len(lines) <= 40 else None
    axes.plot([line["step"] for line in lines], [line[key] for line in lines], marker=marker, markersize=3, **style)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _mark_best(axes: Axes, history: History, key: str) -> None:
    best = history.best
    if best is not None and best[key] is not None:
        axes.axvline(best["step"], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
        axes.plot([best["step"]], [best[key]], marker="o", markersize=7, fillstyle="none", color=INK, linestyle="none")
        axes.annotate("best", (best["step"], best[key]), xytext=(-7, 7), textcoords="offset points", ha="right")
