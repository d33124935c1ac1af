"""The plots of report.html: how training went, and how well the scores rank and predict."""

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
    """Loss, and AUC if validation has it, by step; nothing where there is one point only."""
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
        axes.set(xlabel="step", title="Loss, mean of each epoch in training")
        axes.legend()

    return svg("loss", draw)


def _auc_plot(history: History) -> Markup:
    def draw(axes: Axes) -> None:
        _by_step(axes, [line for line in history.valid if line["auc"] is not None], "auc", color=BLUE)
        _mark_best(axes, history, "auc")
        axes.set(xlabel="step", title="Validation AUC")

    return svg("auc", draw)


def ranking_plots(curves: dict[str, Any], metrics: dict[str, Any], main: str) -> list[Markup]:
    """ROC and precision by recall of every set that has both classes, and KS of `main` if it has them."""
    if not curves["roc"]:
        return []
    plots = [_roc_plot(curves["roc"], metrics), _precision_plot(curves["precision_recall"], metrics)]
    if main in curves["ks"]:
        plots.append(_ks_plot(curves["ks"][main], metrics[main], main, curves["score_distribution"]["edges"]))
    return plots


def _roc_plot(sets: dict[str, Any], metrics: dict[str, Any]) -> Markup:
    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7)
        lines = _each(axes, sets, "false_positive_rate", "true_positive_rate")
        axes.set(xlabel="share of label 0 above the threshold", ylabel="share of label 1 above it", title="ROC and AUC")
        axes.legend(lines, _labels(sets, metrics, "auc"), loc="lower right")

    return svg("roc", draw)


def _precision_plot(sets: dict[str, Any], metrics: dict[str, Any]) -> Markup:
    def draw(axes: Axes) -> None:
        lines = _each(axes, sets, "recall", "precision")
        # the first few rows from the top say little, but may reach 1: they are not what the scale is for
        settled = [
            y
            for points in sets.values()
            for x, y in zip(points["recall"], points["precision"], strict=True)
            if x > 0.02
        ]
        axes.set(xlim=(0, 1), ylim=(0, min(1.15 * max(settled, default=1.0), 1.05)))
        axes.set(xlabel="recall", ylabel="precision", title="Precision by recall, and average precision")
        axes.legend(lines, _labels(sets, metrics, "average_precision"))

    return svg("precision", draw)


def _ks_plot(points: dict[str, list[float]], metrics: dict[str, Any], main: str, edges: list[float]) -> Markup:
    def draw(axes: Axes) -> None:
        for name, label, color in (("negatives", "label 0", ORANGE), ("positives", "label 1", BLUE)):
            axes.plot(points["logit"], points[name], color=color, label=label, drawstyle="steps-pre")
        gap = np.subtract(points["positives"], points["negatives"])
        widest = int(np.argmax(np.abs(gap)))
        logit = points["logit"][widest]
        ends = [points[name][widest] for name in ("negatives", "positives")]
        axes.plot([logit, logit], ends, color=INK, linewidth=1, marker="_", markersize=6)
        _score_axis(axes, edges)
        axes.set(ylabel="share of the class that scores so or higher")
        found = f"{formats.metric(metrics['ks'])} at the score {metrics['ks_threshold']:.3g}"
        axes.set_title(f"KS of {printable(main)}: {found}")
        axes.legend()

    return svg("ks", draw)


def score_plots(curves: dict[str, Any]) -> list[Markup]:
    """Scores of both classes, one plot a set, all on one scale."""
    edges, sets = curves["score_distribution"]["edges"], curves["score_distribution"]["sets"]
    width = edges[1] - edges[0] if len(edges) > 1 else 1.0
    closed = np.array([edges[0] - width, *edges, edges[-1] + width])
    top = 1.08 * max((max(shares) for classes in sets.values() for shares in classes.values()), default=1.0)

    def draw(name: str, classes: dict[str, list[float]], axes: Axes) -> None:
        for which, label, color in (("negatives", "label 0", ORANGE), ("positives", "label 1", BLUE)):
            if which in classes:
                axes.stairs(classes[which], closed, fill=True, facecolor=color, alpha=0.25)
                axes.stairs(classes[which], closed, edgecolor=color, linewidth=1.4, label=label)
        _score_axis(axes, edges)
        axes.set(ylabel="share of the class", ylim=(0, top), xlim=(closed[0] - width, closed[-1] + width))
        axes.set_title(f"Scores of {printable(name)}")
        if classes:
            axes.legend()

    return [svg(f"score{place}", partial(draw, name, classes)) for place, (name, classes) in enumerate(sets.items())]


def decile_plots(deciles: dict[str, list[Decile]], main: str) -> list[Markup]:
    """Label rate by mean score of the ten deciles of each set, and the lift of those of `main`."""
    sets = {name: found for name, found in deciles.items() if any(one["positive_rate"] for one in found)}
    if main not in sets:
        return []
    return [_reliability_plot(sets, main), _lift_plot(sets, main)]


def _reliability_plot(sets: dict[str, list[Decile]], main: str) -> Markup:
    values = [
        one[key] for found in sets.values() for one in found for key in ("mean_score", "positive_rate") if one[key]
    ]
    low, high = min(values) / 1.5, max(values) * 1.3
    ticks = np.unique([float(f"{tick:.1g}") for tick in np.geomspace(min(values), max(values), 6)])

    def draw(axes: Axes) -> None:
        axes.plot([low, high], [low, high], color=MUTED, linewidth=0.7)
        lines = []
        for name, found in sets.items():
            scores = np.array([one["mean_score"] for one in found])
            rates = np.array([one["positive_rate"] for one in found])
            if name == main:
                errors = 2 * np.array([one["positive_rate_error"] for one in found])
                axes.errorbar(scores, np.maximum(rates, low), errors, fmt="none", ecolor=style_of(name)["color"])
            # a rate of 0 has no place on a scale of ratios: it lies on the lower edge
            lines += axes.plot(
                np.maximum(scores, low), np.maximum(rates, low), marker="o", markersize=3, **style_of(name)
            )
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_ticks([], minor=True)
        axes.set(xlabel="mean score of the decile", ylabel="label rate", title="Reliability")
        axes.legend(lines, [printable(name) for name in sets], loc="upper left")

    return svg("reliability", draw)


def _lift_plot(sets: dict[str, list[Decile]], main: str) -> Markup:
    places = np.arange(1, 11)

    def draw(axes: Axes) -> None:
        handles: list[Any] = [axes.bar(places, _lifts(sets[main]), color=BLUE, width=0.7, alpha=0.75)]
        others = [name for name in sets if name != main]
        for name in others:
            style = {**style_of(name), "linestyle": "none"}
            handles += axes.plot(places, _lifts(sets[name]), marker="_", markersize=13, markeredgewidth=1.8, **style)
        axes.axhline(1, color=MUTED, linewidth=0.8)
        axes.set_xticks(places)
        axes.grid(visible=False, axis="x")
        axes.set(xlabel="decile, from the highest score", ylabel="label rate / that of all rows", title="Lift")
        axes.legend(handles, [printable(name) for name in [main, *others]])

    return svg("lift", draw)


def _lifts(deciles: list[Decile]) -> list[float]:
    return [one["lift"] or 0.0 for one in deciles]


def _each(axes: Axes, sets: dict[str, Any], x: str, y: str) -> list[Any]:
    """The line of each set."""
    return [line for name, points in sets.items() for line in axes.plot(points[x], points[y], **style_of(name))]


def _labels(sets: Iterable[str], metrics: dict[str, Any], metric: str) -> list[str]:
    """A legend's texts: by itself it would leave out names that begin with _."""
    return [f"{printable(name)} {formats.metric(metrics[name][metric])}" for name in sets]


def _score_axis(axes: Axes, edges: list[float]) -> None:
    """Log-odds along x, named by the probabilities that they are."""
    ticks = np.linspace(edges[0], edges[-1], 5) if len(edges) > 1 else np.array(edges)
    axes.set_xticks(ticks, [_probability(tick) for tick in ticks])
    if len(edges) > 1:
        margin = (edges[-1] - edges[0]) / 20
        axes.set_xlim(edges[0] - margin, edges[-1] + margin)
    axes.set(xlabel="score, in steps of log-odds")


def _probability(logit: float) -> str:
    """A score as an axis shows it; one close to 1 by what it lacks."""
    score, lack = sigmoid(np.array([logit, -logit]))
    return f"{score:.2g}" if lack > 0.005 else f"1 - {lack:.1g}"


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
