"""The tables of a comparison, for the terminal, Markdown and the page alike; and its conclusions in sentences."""

from collections.abc import Callable, Iterable
from typing import Any

from ctr.metrics.catalog import entry, paired_metrics, shown_in
from ctr.metrics.metric import Metric, Place
from ctr.report import formats
from ctr.report.interval_notes import described
from ctr.report.text_table import TextTable

ABSENT = "-"
WORDS = {
    "better": "better",
    "worse": "worse",
    "better each time": "better*",
    "worse each time": "worse*",
    "same": "the same",
    "not shown": "not shown",
    "incomplete": "not judged",
    "unfair": "unfair",
}
HOW_TO_READ = (
    "An interval of a difference covers training again with other seeds and other rows to evaluate on, at once; the "
    "training data and the tuned settings stay as they are. Better and worse need p below 0.05 after Holm's correction "
    "for all comparisons of a metric; intervals are not corrected. A * marks what every single seed shows beyond the "
    "chance of rows (corrected too), where seeds are too few, or differ too much, to speak of others."
)
ROWS = "Rows are taken as independent, and those of one user are not."
CLOCKS = "Times are of this machine with other runs beside: only large differences mean something."

Found = dict[str, Any]
"""What comparison.json says."""


def ranked(found: Found) -> list[dict[str, Any]]:
    """The cells, best mean AUC first; those that lack runs or are unfair last."""

    def place(cell: dict[str, Any]) -> tuple[bool, float]:
        return not _is_whole(cell), -((cell["metrics"]["auc"] or {}).get("value") or -1.0)

    return sorted(found["cells"], key=place)


def best_of(found: Found) -> dict[str, Any] | None:
    """The cell with the highest mean AUC of those that lack nothing; None: no cell has one."""
    return next((cell for cell in ranked(found) if _is_whole(cell) and cell["metrics"]["auc"]), None)


def _is_whole(cell: dict[str, Any]) -> bool:
    return not cell["lacking"] and not (cell["difference"] and cell["difference"]["start"]["violations"])


def how_to_read(found: Found) -> list[str]:
    """Return what an interval covers, and what it takes as independent."""
    units = [_unit(cell["difference"]) for cell in found["cells"] if cell["difference"] is not None]
    return [HOW_TO_READ, *dict.fromkeys(text for unit in units for text in unit)]


def _unit(difference: dict[str, Any]) -> list[str]:
    if difference.get("interval_unit") == "cluster":
        told = described(difference["cluster_column"], difference["clusters"], difference["effective_clusters"])
        return [f"Intervals of differences are {told}."]
    reasons = difference.get("no_clusters", [])
    return [f"{ROWS} Not clustered: {'; '.join(reasons)}." if reasons else ROWS]


def leaderboard(found: Found) -> TextTable:
    """Every cell with its metrics and its difference to the baseline."""
    study = found["study"]
    rows = [
        [*_names(cell), _value(cell, "auc") + _of_some(cell, study), _value(cell, "log_loss"), *_difference(cell)]
        for cell in ranked(found)
    ]
    header = [*study["axes"], "AUC", "log loss", "difference", "95 % interval", "verdict"]
    title = f"{study['evaluated']}, mean of {_seeds(len(study['seeds']))}; differences in AUC to {study['baseline']}"
    return TextTable(title, header, rows, texts=len(study["axes"]))


def costs(found: Found) -> TextTable:
    """What each cell takes: tables, state, time."""
    rows = [
        [
            *_names(cell),
            _or_absent(cell["zero_share"], formats.percent),
            *(_or_absent(cell[key], formats.megabytes) for key in ("nonzero_table_bytes", "state_bytes")),
            _or_absent(cell["clock"]["rows_per_second"], formats.count),
            _or_absent(cell["clock"]["seconds"], formats.duration),
        ]
        for cell in ranked(found)
    ]
    header = [*found["study"]["axes"], "zero rows", "serve MB", "state MB", "rows/s", "training"]
    return TextTable("cost, mean over seeds", header, rows, [CLOCKS], texts=len(found["study"]["axes"]))


def to_target(found: Found) -> TextTable:
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


def metrics(found: Found) -> TextTable:
    """Means over seeds with their intervals, and how far scores moved from the baseline's."""
    axes = list(found["study"]["axes"])
    shown = [
        metric for metric in shown_in(Place.COMPARISON) if any(_over_seeds(cell, metric) for cell in found["cells"])
    ]
    rows = []
    for cell in ranked(found):
        values = [(metric, _over_seeds(cell, metric)) for metric in shown]
        cells = [
            text
            for metric, one in values
            for text in (metric.text(None if one is None else one["value"]), _interval(one))
        ]
        shift = cell["difference"] and cell["difference"]["psi"]
        rows.append([*_names(cell), *cells, formats.psi(shift)])
    header = [text for metric in shown for text in (metric.label, "95 % interval")]
    notes = [
        "Intervals are Student's over seeds, on the log-odds of AUC and GAUC and on the logarithm of log loss and "
        "calibration. PSI compares the scores with the baseline's, on the same rows."
    ]
    return TextTable("metrics, mean over seeds", [*axes, *header, "score PSI"], rows, notes, texts=len(axes))


def differences(found: Found) -> TextTable:
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
                    _signed(both["value"]),
                    _interval(over, signed=True),
                    _interval(both, signed=True),
                    formats.p_value(both["p_value"]),
                    formats.p_value(one["p_adjusted"]),
                    WORDS[one["verdict"]] if one["verdict"] else ABSENT,
                ]
            )
    header = ["metric", "difference", "over seeds", "over seeds and rows", "p", "p adjusted", "verdict"]
    title = f"differences to {found['study']['baseline']}, paired by seed"
    return TextTable(title, [*axes, *header], rows, [*how_to_read(found), *_reasons(found)], texts=len(axes) + 1)


def by_seed(found: Found) -> TextTable:
    """Every reported training, with the interval of its difference on other rows."""
    axes = list(found["study"]["axes"])
    rows = []
    for cell in ranked(found):
        paired = {} if cell["difference"] is None else cell["difference"]["metrics"]["auc"]["by_seed"]
        of_seed = {one["seed"]: one for one in paired}
        for one in cell["seeds"]:
            difference = of_seed.get(one["seed"], {"value": None, "low": None, "p_value": None})
            rows.append(
                [
                    *_names(cell),
                    str(one["seed"]),
                    formats.metric(one["valid_auc"]),
                    formats.metric(one["auc"]),
                    formats.metric(one["log_loss"]),
                    _signed(difference["value"]),
                    _interval(difference, signed=True),
                    formats.p_value(difference["p_value"]),
                    str(one["epochs"]),
                ]
            )
    header = ["seed", "valid AUC", "AUC", "log loss", "difference in AUC", "95 % of other rows", "p", "epochs"]
    return TextTable("seed by seed", [*axes, *header], rows, texts=len(axes))


def trials(found: Found) -> TextTable:
    """What was tried, and what validation said of it; the chosen one is marked."""
    axes = list(found["study"]["axes"])
    keys = list(dict.fromkeys(key for cell in found["cells"] for one in cell["trials"] for key in one["values"]))
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


def failures(found: Found) -> TextTable:
    """Trainings without a report."""
    rows = [[one["run"], one["reason"]] for cell in found["cells"] for one in cell["failures"]]
    return TextTable("failed runs", ["run", "reason"], rows, texts=2)


def shared(found: Found) -> TextTable:
    """What the trainings of one seed began with in common."""
    return TextTable("what the runs of a seed share", [], [], list(_shared(found)))


def sentences(found: Found) -> list[str]:
    """What the numbers say, and no more."""
    study = found["study"]
    told = _best(found)
    told += [_sentence(cell, study["baseline"]) for cell in ranked(found) if cell["difference"] is not None]
    if len(study["seeds"]) == 1:
        told.append("There is one seed: differences speak of these trained models, not of training them again.")
    if any(cell["difference"] and not cell["difference"]["same_rows"] for cell in found["cells"]):
        told.append(
            "Each seed divides the data anew, so seeds share rows and are not independent: no verdict without a *."
        )
    if study["evaluated"] != "test":
        told.append(f"There is no test set: these are rows of {study['evaluated']}, which also chose what is compared.")
    return told


def lowest_loss(found: Found) -> dict[str, Any] | None:
    """Return the cell with the lowest mean log loss of those that lack nothing; None: no cell has one."""
    having = [cell for cell in ranked(found) if _is_whole(cell) and cell["metrics"]["log_loss"]]
    return min(having, key=lambda cell: cell["metrics"]["log_loss"]["value"], default=None)


def _best(found: Found) -> list[str]:
    """Return which cells are best by each metric, with the other metric of each."""
    best, lowest, evaluated = best_of(found), lowest_loss(found), found["study"]["evaluated"]
    if best is None:
        return []
    highest = f"{_whose(best)} has the highest mean {evaluated} AUC, {_value(best, 'auc')}"
    if lowest is None:
        return [f"{highest}."]
    if lowest is best:
        return [f"{highest}, and the lowest mean log loss, {_value(best, 'log_loss')}."]
    return [
        f"{highest}; its mean log loss is {_value(best, 'log_loss')}.",
        f"{_whose(lowest)} has the lowest mean {evaluated} log loss, {_value(lowest, 'log_loss')}; its mean AUC is "
        f"{_value(lowest, 'auc')}.",
    ]


def _whose(cell: dict[str, Any]) -> str:
    return cell["name"] + (" (the baseline)" if cell["difference"] is None else "")


def _sentence(cell: dict[str, Any], baseline: str) -> str:
    """Say what a cell differs by from the baseline: the verdicts of all metrics, then their numbers."""
    name, difference = cell["name"], cell["difference"]
    by_metric = {key: difference["metrics"][key] for key in paired_metrics()}
    verdict = by_metric["auc"]["verdict"]
    if verdict == "incomplete":
        return f"{name} is not judged. {'; '.join(difference['lacking'])}."
    if verdict == "unfair":
        return f"{name} cannot be compared with {baseline}: {difference['start']['violations'][0]}."
    if all(one["over_both"]["value"] is None for one in by_metric.values()):
        reasons = "; ".join(difference["reasons"]) or by_metric["auc"]["over_both"]["reason"]
        return f"{name} cannot be compared with {baseline}: {reasons}."
    if verdict == "same":
        return f"{name} and {baseline}: no difference, every row has the same score."
    metrics_by_verdict: dict[tuple[str, str], list[str]] = {}
    for key, one in by_metric.items():
        metrics_by_verdict.setdefault(_verdict(one), []).append(entry(key).label)
    judged = ", ".join(
        f"{word} in {' and '.join(names)}{by_seed}" for (word, by_seed), names in metrics_by_verdict.items()
    )
    numbers = " ".join(_numbers(entry(key).label, one) for key, one in by_metric.items())
    return f"{name} against {baseline}: {judged}. {numbers}"


def _verdict(one: dict[str, Any]) -> tuple[str, str]:
    """Return the verdict of a difference in words, and what follows the metric's name."""
    if one["over_both"]["value"] is None:
        return "no difference is known", ""
    count, verdict = len(one["by_seed"]), str(one["verdict"])
    if verdict in ("better each time", "worse each time"):
        return verdict.split()[0], f" with {f'each of the {count} seeds' if count > 1 else 'the one seed'}"
    return ("no difference is shown" if verdict == "not shown" else verdict), ""


def _numbers(name: str, one: dict[str, Any]) -> str:
    """Return the size of a difference, and how sure it is, as a sentence."""
    both, verdict, told = one["over_both"], one["verdict"], name[0].upper() + name[1:]
    if both["value"] is None:
        return f"{told}: {both['reason']}."
    if verdict in ("better each time", "worse each time"):
        values = ", ".join(_signed(seed["value"]) for seed in one["by_seed"])
        return f"{told} {values}, beyond the chance of rows; that it would be so with other seeds is not shown."
    if both["low"] is None:
        return f"{told} {_signed(both['value'])}; no interval: {both['reason']}."
    where = f"{_interval(both, signed=True)}, adjusted p {formats.p_value(one['p_adjusted'])}"
    if verdict == "not shown":
        widest = max(abs(both["low"]), abs(both["high"]))
        return f"{told} {_signed(both['value'])} ({where}); one of up to {widest:.5f} is not ruled out."
    return f"{told} {_signed(both['value'])} ({where})."


def _shared(found: Found) -> Iterable[str]:
    for cell in found["cells"]:
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


def _reasons(found: Found) -> list[str]:
    return [
        f"{cell['name']}: no difference: {reason}"
        for cell in found["cells"]
        if cell["difference"] is not None
        for reason in cell["difference"]["reasons"]
    ]


def _names(cell: dict[str, Any]) -> list[str]:
    return list(cell["choices"].values())


def _over_seeds(cell: dict[str, Any], metric: Metric) -> dict[str, Any] | None:
    """Return the mean of a metric with its interval; None where a run lacks it, or the comparison did."""
    return cell["metrics"].get(metric.key)


def _value(cell: dict[str, Any], metric: str) -> str:
    one = cell["metrics"].get(metric)
    return entry(metric).text(None if one is None else one["value"])


def _difference(cell: dict[str, Any]) -> list[str]:
    if cell["difference"] is None:
        return [ABSENT, ABSENT, "baseline"]
    one = cell["difference"]["metrics"]["auc"]
    verdict = WORDS[one["verdict"]] if one["verdict"] else ABSENT
    return [_signed(one["over_both"]["value"]), _interval(one["over_both"], signed=True, digits=4), verdict]


def _interval(one: dict[str, Any] | None, signed: bool = False, digits: int = 5) -> str:
    if one is None or one["low"] is None:
        return ABSENT
    return " to ".join(f"{one[end]:{'+' if signed else ''}.{digits}f}" for end in ("low", "high"))


def _signed(value: float | None) -> str:
    return ABSENT if value is None else f"{value:+.5f}" if value else formats.metric(value)


def _of_some(cell: dict[str, Any], study: dict[str, Any]) -> str:
    """How many of the seeds a mean is of, where it is not of all."""
    some, whole = len(cell["seeds"]), len(study["seeds"])
    return f" ({some} of {whole})" if some and some < whole else ""


def _or_absent(value: Any, shown: Callable[[Any], str]) -> str:
    return ABSENT if value is None else shown(value)


def _seeds(count: int) -> str:
    return f"{count} seed{'s' if count > 1 else ''}"
