"""The plots of a comparison: differences, learning curves, sparsity, cost, sensitivity, and a map of two axes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ctr.report.comparison_tables import ranked
from ctr.report.svg import BLUE, INK, MUTED, ORANGE, printable, style_of_series, svg
from ctr.schema.comparison import Comparison, Trial, VariantResult

MOST_LINES = 10  # of a plot of curves; the best ones


def comparison_plots(found: Comparison) -> dict[str, Markup]:
    """Name -> plot, of those that have something to show."""
    drawn = {
        "differences": _differences(found),
        "learning-by-rows": _learning(found, "rows", "rows seen, in millions"),
        "learning-by-time": _learning(found, "seconds", "seconds of training"),
        "sparsity": _scatter(
            found, "row_sparsity", lambda cell: cell["row_sparsity"], "share of zero rows", "AUC against sparsity"
        ),
        "cost": _scatter(
            found, "seconds", lambda cell: cell["clock"]["seconds"], "seconds of training", "AUC against cost"
        ),
        "map": _map(found),
        **_sensitivities(found),
    }
    return {name: plot for name, plot in drawn.items() if plot is not None}


def _differences(found: Comparison) -> Markup | None:
    """Each cell's difference to the baseline with its interval, the best on top."""
    compared = [(cell["name"], cell["difference"]) for cell in ranked(found)]
    differences = [(name, one["metrics"]["auc"]) for name, one in compared if one is not None]
    cells = [(name, one) for name, one in differences if one["over_both"]["value"] is not None]
    if not cells:
        return None

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=0.8)
        for place, (_, difference) in enumerate(reversed(cells)):
            both, verdict = difference["over_both"], difference["verdict"]
            value, low, high = both["value"], both["low"], both["high"]
            if low is not None and high is not None:
                is_shown = verdict is not None and verdict.is_significant
                axes.plot([low, high], [place, place], color=BLUE if is_shown else MUTED)
            if value is not None:
                axes.plot([value], [place], marker="o", markersize=4, color=INK, linestyle="none")
        axes.set_yticks(range(len(cells)), [printable(name) for name, _ in reversed(cells)])
        axes.margins(y=0.15)
        axes.set(xlabel=f"difference in {found['study']['evaluated']} AUC, 95 % interval")
        axes.set_title(f"Differences to {printable(found['study']['baseline'])}")

    return svg("differences", draw)


def _learning(found: Comparison, along: str, label: str) -> Markup | None:
    """Validation AUC of the best cells, a line a seed, the first one strong."""
    cells = [cell for cell in ranked(found) if cell["seeds"]][:MOST_LINES]
    curves = [
        (place, cell["name"] if k == 0 else None, x, y)
        for place, cell in enumerate(cells)
        for k, (one, seconds) in enumerate(zip(cell["seeds"], cell["clock"]["curves"], strict=True))
        for x, y in [_points(one, seconds, along)]
        if len(x) > 1
    ]
    if not curves:
        return None
    tops = [max(y) for _, _, _, y in curves]

    def draw(axes: Axes) -> None:
        for place, name, x, y in curves:
            strength: dict[str, Any] = {"linewidth": 1.6} if name else {"linewidth": 0.7, "alpha": 0.5}
            axes.plot(x, y, label=name and printable(name), **strength, **style_of_series(place))
        axes.set_ylim(bottom=min(tops) - 0.6 * (max(tops) - min(tops)) - 0.005)
        axes.set(xlabel=label, title="Validation AUC")
        axes.legend(fontsize=7.5)

    return svg(f"learning-{along}", draw)


def _points(one: dict[str, Any], seconds: list[float], along: str) -> tuple[list[float], list[float]]:
    x = seconds if along == "seconds" else [rows / 1e6 for rows in one["curve"]["rows"]]
    known = [(at, auc) for at, auc in zip(x, one["curve"]["auc"], strict=True) if auc is not None]
    return [at for at, _ in known], [auc for _, auc in known]


def _scatter(
    found: Comparison, key: str, cost_of: Callable[[VariantResult], float | None], label: str, title: str
) -> Markup | None:
    """Mean AUC of each cell by what it costs; nothing where it costs all the same."""
    cells = [
        (cell["name"], x, mean["value"])
        for cell in ranked(found)
        for x, mean in [(cost_of(cell), cell["metrics"]["auc"])]
        if mean is not None and mean["value"] is not None and x is not None
    ]
    if len({x for _, x, _ in cells}) < 2:
        return None

    def draw(axes: Axes) -> None:
        for place, (name, x, auc) in enumerate(cells):
            axes.plot(
                [x], [auc], marker="o", linestyle="none", label=printable(name), color=style_of_series(place)["color"]
            )
        axes.margins(0.12)
        axes.set(xlabel=label, ylabel=f"{found['study']['evaluated']} AUC", title=title)
        axes.legend(fontsize=7.5, ncols=1 + len(cells) // 8)

    return svg(f"scatter-{key}", draw)


def _map(found: Comparison) -> Markup | None:
    """Mean AUC of every pair of choices, where there are two axes."""
    axes_of = found["study"]["axes"]
    if len(axes_of) != 2 or min(len(choices) for choices in axes_of.values()) < 2:
        return None
    (down, downs), (across, acrosses) = axes_of.items()
    means = {tuple(cell["options"].values()): cell["metrics"]["auc"] for cell in found["variants"]}
    auc = {options: None if mean is None else mean["value"] for options, mean in means.items()}
    grid = np.array([[np.nan if auc[i, j] is None else auc[i, j] for j in acrosses] for i in downs], np.float64)
    if np.isnan(grid).all():
        return None

    def draw(axes: Axes) -> None:
        # shades of one colour, as the page's colours are not known here
        low, high = np.nanmin(grid), np.nanmax(grid)
        for (i, j), value in np.ndenumerate(grid):
            shade = 0.0 if np.isnan(value) else 0.1 + 0.5 * (value - low) / ((high - low) or 1.0)
            axes.fill_between([j - 0.48, j + 0.48], i - 0.47, i + 0.47, color=BLUE, alpha=shade, linewidth=0)
            axes.text(j, i, "failed" if np.isnan(value) else f"{value:.5f}", ha="center", va="center", fontsize=8)
        axes.set_xticks(range(len(acrosses)), [printable(name) for name in acrosses])
        axes.set_yticks(range(len(downs)), [printable(name) for name in downs])
        axes.grid(visible=False)
        axes.set(xlim=(-0.5, len(acrosses) - 0.5), ylim=(len(downs) - 0.5, -0.5))
        axes.set(xlabel=printable(across), ylabel=printable(down), title=f"Mean {found['study']['evaluated']} AUC")
        axes.tick_params(axis="x", labelrotation=20 if len(acrosses) > 4 else 0)

    return svg("map", draw)


def _sensitivities(found: Comparison) -> dict[str, Markup]:
    """Of each range that was tuned, validation AUC by the value: how much hangs on it."""
    keys = dict.fromkeys(key for cell in found["variants"] for one in cell["trials"] for key in one["values"])
    return {f"sensitivity-{place}": _sensitivity(found, key, place) for place, key in enumerate(keys, start=1)}


def _sensitivity(found: Comparison, key: str, place: int) -> Markup:
    tuned = [cell for cell in ranked(found) if cell["trials"] and key in cell["trials"][0]["values"]][:MOST_LINES]
    values = [one["values"][key] for cell in tuned for one in cell["trials"]]
    worked = [_worked(cell["trials"], key) for cell in tuned]

    def draw(axes: Axes) -> None:
        for at, (cell, points) in enumerate(zip(tuned, worked, strict=True)):
            style = style_of_series(at)
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3.5, label=printable(cell["name"]), **style)
        aucs = [auc for points in worked for _, auc in points]
        failed = [one["values"][key] for cell in tuned for one in cell["trials"] if one["auc"] is None]
        if failed and aucs:
            axes.plot(failed, [min(aucs)] * len(failed), marker="x", color=ORANGE, linestyle="none", label="failed")
        if min(values) > 0 and max(values) > 5 * min(values):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.set(xlabel=printable(key), ylabel="valid AUC", title="Sensitivity")
        axes.legend(fontsize=7.5)

    return svg(f"sensitivity-{place}", draw)


def _worked(trials: Sequence[Trial], key: str) -> list[tuple[float, float]]:
    """Value and AUC of the trials that have one, in order of the value."""
    return sorted((one["values"][key], one["auc"]) for one in trials if one["auc"] is not None)
