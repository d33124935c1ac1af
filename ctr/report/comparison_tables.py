"""The tables of a comparison, for the terminal, Markdown and the page alike; and its conclusions in sentences."""

from collections.abc import Callable, Iterable
from typing import Any

from ctr.report import formats
from ctr.report.section import Section

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
    "training data and the tuned settings stay as they are. Rows are taken as independent, and those of one user are "
    "not. Better and worse need p below 0.05 after Holm's correction for all comparisons of a metric; intervals are "
    "not corrected. A * marks what every single seed shows beyond the chance of rows (DeLong, corrected too), where "
    "seeds are too few, or differ too much, to speak of others."
)
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


def leaderboard(found: Found) -> Section:
    """Every cell with its metrics and its difference to the baseline."""
    study = found["study"]
    rows = [
        [*_names(cell), _value(cell, "auc") + _of_some(cell, study), _value(cell, "log_loss"), *_difference(cell)]
        for cell in ranked(found)
    ]
    header = [*study["axes"], "AUC", "log loss", "difference", "95 % interval", "verdict"]
    title = f"{study['evaluated']}, mean of {_seeds(len(study['seeds']))}; differences in AUC to {study['baseline']}"
    return Section(title, header, rows, texts=len(study["axes"]))


def costs(found: Found) -> Section:
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
    return Section("cost, mean over seeds", header, rows, [CLOCKS], texts=len(found["study"]["axes"]))


def to_target(found: Found) -> Section:
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
    return Section(title, [*axes, "seeds that do", "steps", "rows", "training"], rows, notes, texts=len(axes))


def metrics(found: Found) -> Section:
    """Means over seeds with their intervals, and how far scores moved from the baseline's."""
    axes = list(found["study"]["axes"])
    has_gauc = any(cell["metrics"]["gauc"] for cell in found["cells"])
    names = {
        "auc": "AUC",
        "log_loss": "log loss",
        "calibration": "calibration",
        **({"gauc": "GAUC"} if has_gauc else {}),
    }
    rows = []
    for cell in ranked(found):
        cells = [text for name in names for text in (_value(cell, name), _interval(cell["metrics"][name]))]
        shift = cell["difference"] and cell["difference"]["psi"]
        rows.append([*_names(cell), *cells, formats.psi(shift)])
    header = [text for name in names.values() for text in (name, "95 % interval")]
    notes = ["Intervals are Student's over seeds. PSI compares the scores with the baseline's, on the same rows."]
    return Section("metrics, mean over seeds", [*axes, *header, "score PSI"], rows, notes, texts=len(axes))


def differences(found: Found) -> Section:
    """Every difference: over seeds alone, and over seeds and rows at once."""
    axes = list(found["study"]["axes"])
    rows = []
    for cell in ranked(found):
        for metric, name in (("auc", "AUC"), ("log_loss", "log loss")):
            if cell["difference"] is None:
                continue
            one = cell["difference"]["metrics"][metric]
            over, both = one["over_seeds"], one["over_both"]
            rows.append(
                [
                    *_names(cell),
                    name,
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
    return Section(title, [*axes, *header], rows, [HOW_TO_READ, *_reasons(found)], texts=len(axes) + 1)


def by_seed(found: Found) -> Section:
    """Every reported training, with DeLong's interval of its difference."""
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
    header = ["seed", "valid AUC", "AUC", "log loss", "difference in AUC", "DeLong's 95 %", "p", "epochs"]
    return Section("seed by seed", [*axes, *header], rows, texts=len(axes))


def trials(found: Found) -> Section:
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
    return Section("trials, by validation", [*axes, "trial", *keys, "valid AUC", ""], rows, edges, texts=len(axes))


def failures(found: Found) -> Section:
    """Trainings without a report."""
    rows = [[one["run"], one["reason"]] for cell in found["cells"] for one in cell["failures"]]
    return Section("failed runs", ["run", "reason"], rows, texts=2)


def shared(found: Found) -> Section:
    """What the trainings of one seed began with in common."""
    return Section("what the runs of a seed share", [], [], list(_shared(found)))


def sentences(found: Found) -> list[str]:
    """What the numbers say, and no more."""
    study = found["study"]
    cells, best = ranked(found), best_of(found)
    told = []
    if best is not None:
        whose = " (the baseline)" if best["difference"] is None else ""
        told.append(f"{best['name']} has the highest mean {study['evaluated']} AUC, {_value(best, 'auc')}{whose}.")
    told += [_sentence(cell, study["baseline"]) for cell in cells if cell["difference"] is not None]
    if len(study["seeds"]) == 1:
        told.append("There is one seed: differences speak of these trained models, not of training them again.")
    if any(cell["difference"] and not cell["difference"]["same_rows"] for cell in cells):
        told.append(
            "Each seed divides the data anew, so seeds share rows and are not independent: no verdict without a *."
        )
    if study["evaluated"] != "test":
        told.append(f"There is no test set: these are rows of {study['evaluated']}, which also chose what is compared.")
    return told


def _sentence(cell: dict[str, Any], baseline: str) -> str:
    one = cell["difference"]["metrics"]["auc"]
    both, verdict = one["over_both"], one["verdict"]
    if verdict == "incomplete":
        return f"{cell['name']} is not judged. {'; '.join(cell['difference']['lacking'])}."
    if verdict == "unfair":
        return f"{cell['name']} cannot be compared with {baseline}: {cell['difference']['start']['violations'][0]}."
    if both["value"] is None:
        reasons = "; ".join(cell["difference"]["reasons"]) or both["reason"]
        return f"{cell['name']} cannot be compared with {baseline}: {reasons}."
    if verdict == "same":
        return f"{cell['name']} and {baseline}: no difference, every row has the same score."
    size, count = f"{abs(both['value']):.5f}", len(one["by_seed"])
    if verdict in ("better each time", "worse each time"):
        values = ", ".join(_signed(seed["value"]) for seed in one["by_seed"])
        with_seeds = f"each of the {count} seeds" if count > 1 else "the one seed"
        return (
            f"{cell['name']} is {verdict.split()[0]} than {baseline} with {with_seeds}, beyond the chance of rows (AUC "
            f"{values}); that it would be with other seeds is not shown."
        )
    if both["low"] is None:
        return f"{cell['name']}: AUC {_signed(both['value'])} beside {baseline}; no interval: {both['reason']}."
    where = f"{_interval(both, signed=True)}, adjusted p {formats.p_value(one['p_adjusted'])}"
    if verdict == "not shown":
        widest = max(abs(both["low"]), abs(both["high"]))
        return (
            f"{cell['name']}: no difference to {baseline} is shown, {_signed(both['value'])} ({where}); one of up to "
            f"{widest:.5f} is not ruled out."
        )
    return f"{cell['name']} is {verdict} than {baseline} by {size} AUC ({where})."


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


def _value(cell: dict[str, Any], metric: str) -> str:
    one = cell["metrics"][metric]
    return formats.metric(one and one["value"])


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
