"""Tables of a comparison, for the terminal, Markdown and the HTML page."""

from collections.abc import Callable, Iterable
from typing import Any

from ctr.metrics.catalog import entry, paired_metrics, shown_in
from ctr.metrics.metric import Metric, Place
from ctr.report import formats
from ctr.report.classical import examples, selection
from ctr.report.ended_trials import trial_outcome
from ctr.report.interval_notes import cluster_note
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
    Verdict.BETTER_FOR_TESTED_SEEDS: "better (tested seeds only)",
    Verdict.WORSE_FOR_TESTED_SEEDS: "worse (tested seeds only)",
    Verdict.IDENTICAL: "identical",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.INCOMPLETE: "incomplete",
    Verdict.NOT_COMPARABLE: "not comparable",
}
"""Verdicts as tables and cards show them."""
HOW_TO_READ = (
    "The 95% CI of a difference covers variation over training seeds and over evaluated examples together. The "
    "training data and the tuned settings are held fixed.",
    "Better and worse require p < 0.05 after Holm's correction for all comparisons of a metric. The CIs are not "
    "corrected, so a CI can exclude 0 where the verdict is inconclusive.",
    "Tested seeds only: the difference has the same sign and is significant with every tested seed, also after Holm's "
    "correction. For other seeds it is not significant, or cannot be tested.",
)
NO_DIFFERENCE: Estimate = {"value": None, "low": None, "high": None, "p_value": None, "reason": None}
EXAMPLES = "The CIs treat examples as independent, but examples of the same user are not."
CLOCKS = "Times depend on this machine and on concurrent runs. Only large differences are meaningful."


def ranked(comparison: Comparison) -> list[VariantResult]:
    """Return the variants by descending mean AUC; variants that are incomplete or not comparable come last."""

    def rank(variant: VariantResult) -> tuple[bool, float]:
        return not _is_comparable(variant), -_mean_value(variant, "auc")

    return sorted(comparison["variants"], key=rank)


def best_of(comparison: Comparison) -> VariantResult | None:
    """Return the complete, comparable variant with the highest mean AUC; None if no variant has a mean AUC."""
    return next(iter(_comparable_with(comparison, "auc")), None)


def lowest_loss(comparison: Comparison) -> VariantResult | None:
    """Return the complete, comparable variant with the lowest mean log loss; None if no variant has one."""
    return min(
        _comparable_with(comparison, "log_loss"), key=lambda variant: _mean_value(variant, "log_loss"), default=None
    )


def _comparable_with(comparison: Comparison, metric: str) -> list[VariantResult]:
    """Return the complete, comparable variants that have a metric, by descending mean AUC."""
    return [variant for variant in ranked(comparison) if _is_comparable(variant) and variant["metrics"][metric]]


def _mean_value(variant: VariantResult, metric: str) -> float:
    """Return the mean of a metric over seeds; -1 if it is unknown."""
    estimate = variant["metrics"][metric]
    return -1.0 if estimate is None or estimate["value"] is None else estimate["value"]


def _is_comparable(variant: VariantResult) -> bool:
    return not variant["lacking"] and not (variant["difference"] and variant["difference"]["start"]["violations"])


def how_to_read(comparison: Comparison) -> list[str]:
    """Return notes on what the CIs cover and which units they treat as independent."""
    differences = [variant["difference"] for variant in comparison["variants"]]
    units = [_unit(difference) for difference in differences if difference is not None]
    return [*HOW_TO_READ, *dict.fromkeys(units)]


def _unit(difference: DifferenceToBaseline) -> str:
    if difference["interval_unit"] == "cluster":
        clusters = difference["clusters"], difference["effective_clusters"]
        return f"The CIs of differences are {cluster_note(str(difference['cluster_column']), *clusters)}."
    if reasons := difference.get("no_clusters", []):
        return f"{EXAMPLES} Not clustered: {'; '.join(reasons)}."
    return f"{EXAMPLES} To cluster by user, set report.group to the user column."


def count_variants(comparison: Comparison) -> str:
    """Return the number of variants and of classical models, as text."""
    classical_models = len(comparison["study"].get("classical_models", []))
    variants = len(comparison["variants"]) - classical_models
    text = f"{variants} variant{'s' if variants != 1 else ''}"
    if not classical_models:
        return text
    return f"{text} and {classical_models} classical model{'s' if classical_models != 1 else ''}"


def leaderboard(comparison: Comparison) -> TextTable:
    """Return a table of the variants with their metrics and their differences from the baseline."""
    study = comparison["study"]
    rows = [
        [
            *options_of(variant, comparison),
            mean(variant, "auc") + _seed_count(variant, study),
            mean(variant, "log_loss"),
            *_auc_difference(variant),
        ]
        for variant in ranked(comparison)
    ]
    header = [*study["axes"], "AUC", "log loss", "ΔAUC", "95% CI", "verdict"]
    seeds = len(study["seeds"])
    title = f"{study['evaluated']} split, mean over {seeds} seed{'s' if seeds > 1 else ''}; ΔAUC is the difference from"
    return TextTable(f"{title} {study['baseline']}", header, rows, texts=len(study["axes"]))


def costs(comparison: Comparison) -> TextTable:
    """Return a table of the cost of each variant: table sizes, optimizer state, speed and time."""
    rows = [
        [
            *options_of(variant, comparison),
            _or_absent(variant["row_sparsity"], formats.percent),
            *(_or_absent(variant[key], formats.megabytes) for key in ("nonzero_table_bytes", "state_bytes")),
            _or_absent(variant["clock"]["rows_per_second"], formats.count),
            _or_absent(variant["clock"]["seconds"], formats.duration),
        ]
        for variant in ranked(comparison)
    ]
    axes = list(comparison["study"]["axes"])
    header = [*axes, "row sparsity", "deployed size (MB)", "optimizer state (MB)", "examples/s", "training time"]
    return TextTable("cost, mean over seeds", header, rows, [CLOCKS], texts=len(axes))


def to_target(comparison: Comparison) -> TextTable:
    """Return a table of steps, examples and time until validation reaches the target AUC."""
    target, axes = comparison["study"]["target_auc"], list(comparison["study"]["axes"])
    rows = []
    for variant in ranked(comparison):
        reached = variant["to_target"]
        if reached is not None:
            counts = [_or_absent(reached[name], formats.count) for name in ("steps", "rows")]
            time = _or_absent(variant["clock"]["seconds_to_target"], formats.duration)
            rows.append([*options_of(variant, comparison), f"{reached['reached']} of {reached['of']}", *counts, time])
    title = f"cost of reaching a validation AUC of {formats.metric(target)}"
    notes = ["Steps, examples and time are means over the seeds that reach the target.", CLOCKS] if rows else []
    header = [*axes, "seeds that reach it", "steps", "examples", "training time"]
    return TextTable(title, header, rows, notes, texts=len(axes))


def metrics(comparison: Comparison) -> TextTable:
    """Return a table of means over seeds with their CIs, and the PSI of scores against the baseline's."""
    axes = list(comparison["study"]["axes"])
    visible = [
        metric
        for metric in shown_in(Place.COMPARISON)
        if any(_over_seeds(variant, metric) for variant in comparison["variants"])
    ]
    rows = []
    for variant in ranked(comparison):
        texts = []
        for metric in visible:
            estimate = _over_seeds(variant, metric)
            texts += [metric.text(None if estimate is None else estimate["value"]), interval(estimate)]
        drift = variant["difference"] and variant["difference"]["psi"]
        rows.append([*options_of(variant, comparison), *texts, formats.psi(drift)])
    header = [text for metric in visible for text in (metric.label, "95% CI")]
    notes = [
        "The CIs cover variation over seeds (Student's t), on the log-odds of AUC and GAUC and on the logarithm of log "
        "loss and calibration. Score PSI compares a variant's scores with the baseline's on the same examples."
    ]
    return TextTable("metrics, mean over seeds", [*axes, *header, "score PSI"], rows, notes, texts=len(axes))


def differences(comparison: Comparison) -> TextTable:
    """Return a table of all differences, with the seed CI and the seed + example CI."""
    axes = list(comparison["study"]["axes"])
    rows = []
    for variant in ranked(comparison):
        for key in paired_metrics():
            if variant["difference"] is None:
                continue
            difference = variant["difference"]["metrics"][key]
            over_both = difference["over_both"]
            rows.append(
                [
                    *options_of(variant, comparison),
                    entry(key).label,
                    signed(over_both["value"]),
                    interval(difference["over_seeds"], signed=True),
                    interval(over_both, signed=True),
                    formats.p_value(over_both["p_value"]),
                    formats.p_value(difference["p_adjusted"]),
                    _word(difference["verdict"]),
                ]
            )
    header = ["metric", "difference", "seed 95% CI", "seed + example 95% CI", "p", "adjusted p", "verdict"]
    title = f"differences from {comparison['study']['baseline']}, paired by seed"
    notes = [*how_to_read(comparison), *_reasons(comparison)]
    return TextTable(title, [*axes, *header], rows, notes, texts=len(axes) + 1)


def by_seed(comparison: Comparison) -> TextTable:
    """Return a table of the reported runs, each with the per-seed CI of its difference from the baseline."""
    axes = list(comparison["study"]["axes"])
    rows = []
    for variant in ranked(comparison):
        paired = [] if variant["difference"] is None else variant["difference"]["metrics"]["auc"]["by_seed"]
        difference_of: dict[int, Estimate] = {estimate["seed"]: estimate for estimate in paired}
        for result in variant["seeds"]:
            difference = difference_of.get(result["seed"], NO_DIFFERENCE)
            rows.append(
                [
                    *options_of(variant, comparison),
                    str(result["seed"]),
                    formats.metric(result["valid_auc"]),
                    formats.metric(result["auc"]),
                    formats.metric(result["log_loss"]),
                    signed(difference["value"]),
                    interval(difference, signed=True),
                    formats.p_value(difference["p_value"]),
                    _or_absent(result["epochs"], str),
                ]
            )
    header = ["seed", "valid AUC", "AUC", "log loss", "ΔAUC", "per-seed 95% CI", "p", "epochs"]
    title = "one run per variant and seed; ΔAUC is the difference from the baseline with the same seed"
    notes = ["Per-seed CIs and p-values cover variation over evaluated examples only. p is not corrected."]
    return TextTable(title, [*axes, *header], rows, notes if rows else [], texts=len(axes))


def trials(comparison: Comparison) -> TextTable:
    """Return a table of the trials with their sampled values and validation AUC; the best trial is marked."""
    axes = list(comparison["study"]["axes"])
    variants = ranked(comparison)
    all_trials = [trial for variant in comparison["variants"] for trial in variant["trials"]]
    keys = list(dict.fromkeys(key for trial in all_trials for key in trial["values"]))
    rows = []
    for variant in variants:
        for trial in variant["trials"]:
            values = [f"{trial['values'][key]:g}" if key in trial["values"] else ABSENT for key in keys]
            best = "yes" if trial["chosen"] else ""
            rows.append([*options_of(variant, comparison), str(trial["trial"]), *values, trial_outcome(trial), best])
    tuned = [variant for variant in variants if variant["outermost"]]
    extreme = [f"{variant['name']} ({', '.join(variant['outermost'])})" for variant in tuned]
    advice = "The best trial has the smallest or largest sampled value. Consider a wider search range for"
    notes = [f"{advice} {', '.join(extreme)}."] if extreme else []
    header = [*axes, "trial", *keys, "valid AUC", "best"]
    return TextTable("trials, measured on the valid split", header, rows, notes, texts=len(axes))


def classical(comparison: Comparison) -> TextTable:
    """Return a table of how each classical model was fitted with each seed."""
    rows = [
        [variant["name"], str(result["seed"]), f"{fit['inputs']:,}", examples(fit), selection(fit)]
        for variant in ranked(comparison)
        for result in variant["seeds"]
        if (fit := result.get("fit")) is not None
    ]
    header = ["model", "seed", "columns", "fitted on", "setting"]
    return TextTable("classical models, by scikit-learn", header, rows, texts=1)


def failures(comparison: Comparison) -> TextTable:
    """Return a table of the runs without a report."""
    rows = [[run["run"], run["reason"]] for variant in comparison["variants"] for run in variant["failures"]]
    return TextTable("failed runs", ["run", "reason"], rows, texts=2)


def shared(comparison: Comparison) -> TextTable:
    """Return a note for each variant on the initial weights and data order that it shares with the baseline."""
    return TextTable("initial weights and data order, compared by seed", [], [], list(_sharing_notes(comparison)))


def _sharing_notes(comparison: Comparison) -> Iterable[str]:
    for variant in comparison["variants"]:
        if variant["difference"] is None:
            continue
        start, name = variant["difference"]["start"], variant["name"]
        if start["violations"]:
            yield from (f"{violation}." for violation in start["violations"])
        elif variant.get("classical_model") is not None:
            yield f"{name}: a classical model on the data of the baseline. It has no initial weights and no data order."
        elif not start["shared"] and not start["differing"]:
            yield f"{name}: no pair of runs to compare."
        elif start["equal"]:
            yield f"{name}: same initial weights and same data order as the baseline (SHA-256)."
        else:
            same, different = (", ".join(start[key]) or "nothing" for key in ("shared", "differing"))
            yield f"{name}: same as the baseline: {same}. Different: {different}."


def _reasons(comparison: Comparison) -> list[str]:
    return [
        f"{variant['name']}, {reason}."
        for variant in comparison["variants"]
        if variant["difference"] is not None
        for reason in variant["difference"]["reasons"]
    ]


def _word(verdict: Verdict | None) -> str:
    """Return a verdict as tables show it."""
    return ABSENT if verdict is None else WORDS[verdict]


def options_of(variant: VariantResult, comparison: Comparison) -> list[str]:
    """Return the first cells of a row, one for each axis; a classical model has its name in the first."""
    if variant.get("classical_model") is None:
        return list(variant["options"].values())
    return [variant["name"], *[ABSENT] * (len(comparison["study"]["axes"]) - 1)]


def _over_seeds(variant: VariantResult, metric: Metric) -> Estimate | None:
    """Return the mean of a metric with its CI; None if a run or the comparison lacks the metric."""
    return variant["metrics"].get(metric.key)


def mean(variant: VariantResult, metric: str) -> str:
    """Return the mean of a metric over seeds, as text."""
    estimate = variant["metrics"].get(metric)
    return entry(metric).text(None if estimate is None else estimate["value"])


def _auc_difference(variant: VariantResult) -> list[str]:
    """Return the last cells of a leaderboard row: difference in AUC, its CI and the verdict."""
    if variant["difference"] is None:
        return [ABSENT, ABSENT, "baseline"]
    difference = variant["difference"]["metrics"]["auc"]
    over_both = difference["over_both"]
    return [signed(over_both["value"]), interval(over_both, signed=True, digits=4), _word(difference["verdict"])]


def interval(estimate: Estimate | None, signed: bool = False, digits: int = 5) -> str:
    """Return both ends of a CI, as text."""
    if estimate is None or estimate["low"] is None:
        return ABSENT
    return " to ".join(f"{estimate[end]:{'+' if signed else ''}.{digits}f}" for end in ("low", "high"))


def signed(value: float | None) -> str:
    """Return a difference, as text."""
    return ABSENT if value is None else f"{value:+.5f}" if value else formats.metric(value)


def _seed_count(variant: VariantResult, study: StudyRecord) -> str:
    """Return how many seeds a mean covers, if a seed is missing."""
    finished, total = len(variant["seeds"]), len(study["seeds"])
    return f" ({finished} of {total})" if finished and finished < total else ""


def _or_absent(value: Any, text: Callable[[Any], str]) -> str:
    return ABSENT if value is None else text(value)
