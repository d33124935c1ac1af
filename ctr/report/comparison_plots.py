"""Plots of a comparison: differences, learning curves, sparsity, cost, sensitivity, and a map of two axes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ctr.report.comparison_tables import ranked
from ctr.report.svg import BLUE, INK, MUTED, ORANGE, printable, style_of_series, svg
from ctr.schema.comparison import Comparison, Trial, VariantResult

MAX_VARIANTS = 10  # lines of a plot of curves: the best variants


def comparison_plots(comparison: Comparison) -> dict[str, Markup]:
    """Return name -> plot, without plots that have no data."""
    plots = {
        "differences": _differences(comparison),
        "learning-by-rows": _learning_plot(comparison, "rows", "training examples (millions)"),
        "learning-by-time": _learning_plot(comparison, "seconds", "training time (s)"),
        "sparsity": _scatter(
            comparison, "row_sparsity", lambda variant: variant["row_sparsity"], "row sparsity", "AUC by row sparsity"
        ),
        "cost": _scatter(
            comparison,
            "seconds",
            lambda variant: variant["clock"]["seconds"],
            "training time (s)",
            "AUC by training time",
        ),
        "map": _map(comparison),
        **_sensitivities(comparison),
    }
    return {name: plot for name, plot in plots.items() if plot is not None}


def _differences(comparison: Comparison) -> Markup | None:
    """Plot each variant's difference from the baseline with its CI, the best variant on top."""
    compared = [(variant["name"], variant["difference"]) for variant in ranked(comparison)]
    of_auc = [(name, difference["metrics"]["auc"]) for name, difference in compared if difference is not None]
    known = [(name, difference) for name, difference in of_auc if difference["over_both"]["value"] is not None]
    if not known:
        return None

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=0.8)
        for height, (_, difference) in enumerate(reversed(known)):
            over_both, verdict = difference["over_both"], difference["verdict"]
            value, low, high = over_both["value"], over_both["low"], over_both["high"]
            if low is not None and high is not None:
                is_significant = verdict is not None and verdict.is_significant
                axes.plot([low, high], [height, height], color=BLUE if is_significant else MUTED)
            if value is not None:
                axes.plot([value], [height], marker="o", markersize=4, color=INK, linestyle="none")
        axes.set_yticks(range(len(known)), [printable(name) for name, _ in reversed(known)])
        axes.margins(y=0.15)
        axes.set(xlabel=f"difference in {comparison['study']['evaluated']} AUC, 95% CI (blue: significant)")
        axes.set_title(f"Differences from {printable(comparison['study']['baseline'])}")

    return svg("differences", draw)


def _learning_plot(comparison: Comparison, along: str, label: str) -> Markup | None:
    """Plot validation AUC of the best variants, one line per seed; the first seed's line is thicker."""
    variants = [variant for variant in ranked(comparison) if variant["seeds"]][:MAX_VARIANTS]
    curves = [
        (index, variant["name"] if k == 0 else None, x, y)
        for index, variant in enumerate(variants)
        for k, (result, seconds) in enumerate(zip(variant["seeds"], variant["clock"]["curves"], strict=True))
        for x, y in [_points(result, seconds, along)]
        if len(x) > 1
    ]
    if not curves:
        return None
    tops = [max(y) for _, _, _, y in curves]

    def draw(axes: Axes) -> None:
        for index, name, x, y in curves:
            strength: dict[str, Any] = {"linewidth": 1.6} if name else {"linewidth": 0.7, "alpha": 0.5}
            axes.plot(x, y, label=name and printable(name), **strength, **style_of_series(index))
        axes.set_ylim(bottom=min(tops) - 0.6 * (max(tops) - min(tops)) - 0.005)
        axes.set(xlabel=label, title=f"Validation AUC by {label.partition(' (')[0]}")
        axes.legend(fontsize=7.5)

    return svg(f"learning-{along}", draw)


def _points(result: dict[str, Any], seconds: list[float], along: str) -> tuple[list[float], list[float]]:
    """Return the x and y values of a learning curve."""
    positions = seconds if along == "seconds" else [rows / 1e6 for rows in result["curve"]["rows"]]
    known = [(x, auc) for x, auc in zip(positions, result["curve"]["auc"], strict=True) if auc is not None]
    return [x for x, _ in known], [auc for _, auc in known]


def _scatter(
    comparison: Comparison, key: str, cost_of: Callable[[VariantResult], float | None], label: str, title: str
) -> Markup | None:
    """Plot mean AUC against a cost; None if all variants cost the same."""
    points = [
        (variant["name"], x, mean["value"])
        for variant in ranked(comparison)
        for x, mean in [(cost_of(variant), variant["metrics"]["auc"])]
        if mean is not None and mean["value"] is not None and x is not None
    ]
    if len({x for _, x, _ in points}) < 2:
        return None

    def draw(axes: Axes) -> None:
        for index, (name, x, auc) in enumerate(points):
            axes.plot(
                [x], [auc], marker="o", linestyle="none", label=printable(name), color=style_of_series(index)["color"]
            )
        axes.margins(0.12)
        axes.set(xlabel=label, ylabel=f"{comparison['study']['evaluated']} AUC", title=title)
        axes.legend(fontsize=7.5, ncols=1 + len(points) // 8)

    return svg(f"scatter-{key}", draw)


def _map(comparison: Comparison) -> Markup | None:
    """Plot mean AUC of every pair of options as a heat map, if the study has two axes."""
    axes_of = comparison["study"]["axes"]
    if len(axes_of) != 2 or min(len(options) for options in axes_of.values()) < 2:
        return None
    (down, downs), (across, acrosses) = axes_of.items()
    means = {tuple(variant["options"].values()): variant["metrics"]["auc"] for variant in comparison["variants"]}
    auc = {options: None if mean is None else mean["value"] for options, mean in means.items()}
    grid = np.array([[np.nan if auc[i, j] is None else auc[i, j] for j in acrosses] for i in downs], np.float64)
    if np.isnan(grid).all():
        return None

    def draw(axes: Axes) -> None:
        # shades of one color, because the page's colors are unknown here
        low, high = np.nanmin(grid), np.nanmax(grid)
        for (i, j), value in np.ndenumerate(grid):
            shade = 0.0 if np.isnan(value) else 0.1 + 0.5 * (value - low) / ((high - low) or 1.0)
            axes.fill_between([j - 0.48, j + 0.48], i - 0.47, i + 0.47, color=BLUE, alpha=shade, linewidth=0)
            axes.text(j, i, "failed" if np.isnan(value) else f"{value:.5f}", ha="center", va="center", fontsize=8)
        axes.set_xticks(range(len(acrosses)), [printable(name) for name in acrosses])
        axes.set_yticks(range(len(downs)), [printable(name) for name in downs])
        axes.grid(visible=False)
        axes.set(xlim=(-0.5, len(acrosses) - 0.5), ylim=(len(downs) - 0.5, -0.5))
        axes.set(xlabel=printable(across), ylabel=printable(down), title=f"Mean {comparison['study']['evaluated']} AUC")
        axes.tick_params(axis="x", labelrotation=20 if len(acrosses) > 4 else 0)

    return svg("map", draw)


def _sensitivities(comparison: Comparison) -> dict[str, Markup]:
    """Return a plot of validation AUC by sampled value for each search range."""
    trials = [trial for variant in comparison["variants"] for trial in variant["trials"]]
    keys = dict.fromkeys(key for trial in trials for key in trial["values"])
    return {f"sensitivity-{number}": _sensitivity(comparison, key, number) for number, key in enumerate(keys, start=1)}


def _sensitivity(comparison: Comparison, key: str, number: int) -> Markup:
    variants = [variant for variant in ranked(comparison) if variant["trials"]]
    tuned = [variant for variant in variants if key in variant["trials"][0]["values"]][:MAX_VARIANTS]
    values = [trial["values"][key] for variant in tuned for trial in variant["trials"]]
    points_of = [_trial_points(variant["trials"], key) for variant in tuned]

    def draw(axes: Axes) -> None:
        for index, (variant, points) in enumerate(zip(tuned, points_of, strict=True)):
            style = style_of_series(index)
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3.5, label=printable(variant["name"]), **style)
        if ended := [point for variant in tuned for point in _trial_points(variant["trials"], key, ended=True)]:
            axes.plot(*zip(*ended, strict=True), marker="v", color=ORANGE, linestyle="none", label="ended early")
        aucs = [auc for points in points_of for _, auc in points]
        failed = [trial["values"][key] for variant in tuned for trial in variant["trials"] if trial["auc"] is None]
        if failed and aucs:
            axes.plot(failed, [min(aucs)] * len(failed), marker="x", color=ORANGE, linestyle="none", label="failed")
        if min(values) > 0 and max(values) > 5 * min(values):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set(xlabel=printable(key), ylabel="valid AUC", title="Trials")
        axes.legend(fontsize=7.5)

    return svg(f"sensitivity-{number}", draw)


def _trial_points(trials: Sequence[Trial], key: str, ended: bool = False) -> list[tuple[float, float]]:
    """Return sampled value and AUC of the trials that have an AUC, ordered by value.

    Args:
        trials: trials of a variant.
        key: sampled setting.
        ended: True for the trials that ended early, False for those that trained to their end.
    """
    chosen = [trial for trial in trials if (trial.get("ended") is not None) == ended]
    return sorted((trial["values"][key], trial["auc"]) for trial in chosen if trial["auc"] is not None)
