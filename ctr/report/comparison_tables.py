"""The tables of a comparison, for the terminal, Markdown and the page alike; and its conclusions in sentences."""

from collections.abc import Callable, Iterable
from typing import Any

from ctr.metrics.catalog import entry, paired_metrics, shown_in
from ctr.metrics.metric import Metric, Place
from ctr.report import formats
from ctr.report.interval_notes import described
from ctr.report.text_table import TextTable
from ctr.schema.comparison import (
    Comparison,
    DifferenceToBaseline,
    Estimate,
    StudyRecord,
    VariantResult,
    Verdict,
)

ABSENT = "-"
WORDS = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.BETTER_FOR_TESTED_SEEDS: "better*",
    Verdict.WORSE_FOR_TESTED_SEEDS: "worse*",
    Verdict.IDENTICAL: "the same",
    Verdict.INCONCLUSIVE: "not shown",
    Verdict.INCOMPLETE: "not judged",
    Verdict.NOT_COMPARABLE: "unfair",
}
"""Verdicts in the words of tables."""
HOW_TO_READ = (
    "An interval of a difference covers training again with other seeds and other rows to evaluate on, at once; the "
    "training data and the tuned settings stay as they are. Better and worse need p below 0.05 after Holm's correction "
    "for all comparisons of a metric; intervals are not corrected. A * marks what every single seed shows beyond the "
    "chance of rows (corrected too), where seeds are too few, or differ too much, to speak of others."
)
NO_DIFFERENCE: Estimate = {"value": None, "low": None, "high": None, "p_value": None, "reason": None}
ROWS = "Rows are taken as independent, and those of one user are not."
CLOCKS = "Times are of this machine with other runs beside: only large differences mean something."


def ranked(found: Comparison) -> list[VariantResult]:
    """The cells, best mean AUC first; those that lack runs or are unfair last."""

    def place(cell: VariantResult) -> tuple[bool, float]:
        return not _is_whole(cell), -_mean_of(cell, "auc")

    return sorted(found["variants"], key=place)


def best_of(found: Comparison) -> VariantResult | None:
    """The cell with the highest mean AUC of those that lack nothing; None: no cell has one."""
    return next((cell for cell in ranked(found) if _is_whole(cell) and cell["metrics"]["auc"]), None)


def _mean_of(cell: VariantResult, metric: str) -> float:
    """Return the mean of a metric over seeds; -1 without one."""
    one = cell["metrics"][metric]
    return -1.0 if one is None or one["value"] is None else one["value"]


def _is_whole(cell: VariantResult) -> bool:
    return not cell["lacking"] and not (cell["difference"] and cell["difference"]["start"]["violations"])


def how_to_read(found: Comparison) -> list[str]:
    """Return what an interval covers, and what it takes as independent."""
    units = [_unit(cell["difference"]) for cell in found["variants"] if cell["difference"] is not None]
    return [HOW_TO_READ, *dict.fromkeys(text for unit in units for text in unit)]


def _unit(difference: DifferenceToBaseline) -> list[str]:
    if difference["interval_unit"] == "cluster":
        told = described(str(difference["cluster_column"]), difference["clusters"], difference["effective_clusters"])
        return [f"Intervals of differences are {told}."]
    reasons = difference.get("no_clusters", [])
    return [f"{ROWS} Not clustered: {'; '.join(reasons)}." if reasons else ROWS]


def leaderboard(found: Comparison) -> TextTable:
    """Every cell with its metrics and its difference to the baseline."""
    study = found["study"]
    rows = [
        [*_names(cell), mean(cell, "auc") + _of_some(cell, study), mean(cell, "log_loss"), *_difference(cell)]
        for cell in ranked(found)
    ]
    header = [*study["axes"], "AUC", "log loss", "difference", "95 % interval", "verdict"]
    title = f"{study['evaluated']}, mean of {_seeds(len(study['seeds']))}; differences in AUC to {study['baseline']}"
    return TextTable(title, header, rows, texts=len(study["axes"]))


def costs(found: Comparison) -> TextTable:
    """What each cell takes: tables, state, time."""
    rows = [
        [
            *_names(cell),
            _or_absent(cell["row_sparsity"], formats.percent),
            *(_or_absent(cell[key], formats.megabytes) for key in ("nonzero_table_bytes", "state_bytes")),
            _or_absent(cell["clock"]["rows_per_second"], formats.count),
            _or_absent(cell["clock"]["seconds"], formats.duration),
        ]
        for cell in ranked(found)
    ]
    header = [*found["study"]["axes"], "zero rows", "serve MB", "state MB", "rows/s", "training"]
    return TextTable("cost, mean over seeds", header, rows, [CLOCKS], texts=len(found["study"]["axes"]))


def to_target(found: Comparison) -> TextTable:
    """Steps, rows and time until validation reaches an AUC; of the seeds that do."""
    target, axes = found["study"]["target_auc"], list(found["study"]["axes"])
    rows = []
    for cell in ranked(found):
        reached = cell["to_target"]
        if reached is not None:
            counts = [_or_absent(reached[name], formats.count) for name in ("steps", "rows")]
            time = _or_absent(cell["clock"]["seconds_to_target"], formats.duration)
            rows.append([*_names(cell), f"{reached['reached']} of {reached['of']}", *counts, time])
    title = f"until validation reaches an AUC of {formats.metric(target)}"
    notes = ["Steps, rows and time are means over the seeds that do.", CLOCKS] if rows else []
    return TextTable(title, [*axes, "seeds that do", "steps", "rows", "training"], rows, notes, texts=len(axes))


def metrics(found: Comparison) -> TextTable:
    """Means over seeds with their intervals, and how far scores moved from the baseline's."""
    axes = list(found["study"]["axes"])
    shown = [
        metric for metric in shown_in(Place.COMPARISON) if any(_over_seeds(cell, metric) for cell in found["variants"])
    ]
    rows = []
    for cell in ranked(found):
        values = [(metric, _over_seeds(cell, metric)) for metric in shown]
        cells = [
            text
            for metric, one in values
            for text in (metric.text(None if one is None else one["value"]), interval(one))
        ]
        shift = cell["difference"] and cell["difference"]["psi"]
        rows.append([*_names(cell), *cells, formats.psi(shift)])
    header = [text for metric in shown for text in (metric.label, "95 % interval")]
    notes = [
        "Intervals are Student's over seeds, on the log-odds of AUC and GAUC and on the logarithm of log loss and "
        "calibration. PSI compares the scores with the baseline's, on the same rows."
    ]
    return TextTable("metrics, mean over seeds", [*axes, *header, "score PSI"], rows, notes, texts=len(axes))


def differences(found: Comparison) -> TextTable:
    """Every difference: over seeds alone, and over seeds and rows at once."""
    axes = list(found["study"]["axes"])
    rows = []
    for cell in ranked(found):
        for key in paired_metrics():
            if cell["difference"] is None:
                continue
            one = cell["difference"]["metrics"][key]
            over, both = one["over_seeds"], one["over_both"]
            rows.append(
                [
                    *_names(cell),
                    entry(key).label,
                    signed(both["value"]),
                    interval(over, signed=True),
                    interval(both, signed=True),
                    formats.p_value(both["p_value"]),
                    formats.p_value(one["p_adjusted"]),
                    _word(one["verdict"]),
                ]
            )
    header = ["metric", "difference", "over seeds", "over seeds and rows", "p", "p adjusted", "verdict"]
    title = f"differences to {found['study']['baseline']}, paired by seed"
    return TextTable(title, [*axes, *header], rows, [*how_to_read(found), *_reasons(found)], texts=len(axes) + 1)


def by_seed(found: Comparison) -> TextTable:
    """Every reported training, with the interval of its difference on other rows."""
    axes = list(found["study"]["axes"])
    rows = []
    for cell in ranked(found):
        paired = [] if cell["difference"] is None else cell["difference"]["metrics"]["auc"]["by_seed"]
        of_seed: dict[int, Estimate] = {one["seed"]: one for one in paired}
        for one in cell["seeds"]:
            difference = of_seed.get(one["seed"], NO_DIFFERENCE)
            rows.append(
                [
                    *_names(cell),
                    str(one["seed"]),
                    formats.metric(one["valid_auc"]),
                    formats.metric(one["auc"]),
                    formats.metric(one["log_loss"]),
                    signed(difference["value"]),
                    interval(difference, signed=True),
                    formats.p_value(difference["p_value"]),
                    str(one["epochs"]),
                ]
            )
    header = ["seed", "valid AUC", "AUC", "log loss", "difference in AUC", "95 % of other rows", "p", "epochs"]
    return TextTable("seed by seed", [*axes, *header], rows, texts=len(axes))


def trials(found: Comparison) -> TextTable:
    """What was tried, and what validation said of it; the chosen one is marked."""
    axes = list(found["study"]["axes"])
    keys = list(dict.fromkeys(key for cell in found["variants"] for one in cell["trials"] for key in one["values"]))
    rows = []
    for cell in ranked(found):
        for one in cell["trials"]:
            values = [f"{one['values'][key]:g}" if key in one["values"] else ABSENT for key in keys]
            told = one["reason"] or formats.metric(one["auc"])
            rows.append([*_names(cell), str(one["trial"]), *values, told, "chosen" if one["chosen"] else ""])
    outermost = [f"{cell['name']} ({', '.join(cell['outermost'])})" for cell in ranked(found) if cell["outermost"]]
    beyond = "The best is the least or the most that was tried, so a better one may lie beyond"
    edges = [f"{beyond}: {', '.join(outermost)}."] if outermost else []
    return TextTable("trials, by validation", [*axes, "trial", *keys, "valid AUC", ""], rows, edges, texts=len(axes))


def failures(found: Comparison) -> TextTable:
    """Trainings without a report."""
    rows = [[one["run"], one["reason"]] for cell in found["variants"] for one in cell["failures"]]
    return TextTable("failed runs", ["run", "reason"], rows, texts=2)


def shared(found: Comparison) -> TextTable:
    """What the trainings of one seed began with in common."""
    return TextTable("what the runs of a seed share", [], [], list(_shared(found)))


def lowest_loss(found: Comparison) -> VariantResult | None:
    """Return the cell with the lowest mean log loss of those that lack nothing; None: no cell has one."""
    having = [cell for cell in ranked(found) if _is_whole(cell) and cell["metrics"]["log_loss"]]
    return min(having, key=lambda cell: _mean_of(cell, "log_loss"), default=None)


def _shared(found: Comparison) -> Iterable[str]:
    for cell in found["variants"]:
        if cell["difference"] is None:
            continue
        start, name = cell["difference"]["start"], cell["name"]
        if start["violations"]:
            yield from start["violations"]
        elif not start["shared"] and not start["differing"]:
            yield f"{name}: no run to compare."
        elif start["equal"]:
            yield f"{name}: the same initial weights and the same batches in the same order (SHA-256)."
        else:
            common = ", ".join(start["shared"]) or "nothing"
            yield f"{name}: shares {common}; differs in {', '.join(start['differing']) or 'nothing'}."


def _reasons(found: Comparison) -> list[str]:
    return [
        f"{cell['name']}: no difference: {reason}"
        for cell in found["variants"]
        if cell["difference"] is not None
        for reason in cell["difference"]["reasons"]
    ]


def _word(verdict: Verdict | None) -> str:
    """Return a verdict as tables show it."""
    return ABSENT if verdict is None else WORDS[verdict]


def _names(cell: VariantResult) -> list[str]:
    return list(cell["options"].values())


def _over_seeds(cell: VariantResult, metric: Metric) -> Estimate | None:
    """Return the mean of a metric with its interval; None where a run lacks it, or the comparison did."""
    return cell["metrics"].get(metric.key)


def mean(cell: VariantResult, metric: str) -> str:
    """Return the mean of a metric over seeds, as text."""
    one = cell["metrics"].get(metric)
    return entry(metric).text(None if one is None else one["value"])


def _difference(cell: VariantResult) -> list[str]:
    if cell["difference"] is None:
        return [ABSENT, ABSENT, "baseline"]
    one = cell["difference"]["metrics"]["auc"]
    verdict = _word(one["verdict"])
    return [signed(one["over_both"]["value"]), interval(one["over_both"], signed=True, digits=4), verdict]


def interval(one: Estimate | None, signed: bool = False, digits: int = 5) -> str:
    """Return both ends, as text."""
    if one is None or one["low"] is None:
        return ABSENT
    return " to ".join(f"{one[end]:{'+' if signed else ''}.{digits}f}" for end in ("low", "high"))


def signed(value: float | None) -> str:
    """Return a difference, as text."""
    return ABSENT if value is None else f"{value:+.5f}" if value else formats.metric(value)


def _of_some(cell: VariantResult, study: StudyRecord) -> str:
    """How many of the seeds a mean is of, where it is not of all."""
    some, whole = len(cell["seeds"]), len(study["seeds"])
    return f" ({some} of {whole})" if some and some < whole else ""


def _or_absent(value: Any, shown: Callable[[Any], str]) -> str:
    return ABSENT if value is None else shown(value)


def _seeds(count: int) -> str:
    return f"{count} seed{'s' if count > 1 else ''}"
