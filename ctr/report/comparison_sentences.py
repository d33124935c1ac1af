"""Conclusions of a comparison, in sentences."""

from ctr.metrics.catalog import entry, paired_metrics
from ctr.report import formats
from ctr.report.classical import examples
from ctr.report.comparison_tables import WORDS, best_of, interval, lowest_loss, mean, ranked, signed
from ctr.report.ended_trials import ended_sentence
from ctr.schema.comparison import Comparison, DifferenceToBaseline, MetricDifference, VariantResult, Verdict

ONE_SEED = "Only one seed was run, so differences hold for these trained models, not for training with other seeds."
RANDOM_SPLITS = (
    "Each seed splits the data differently, so seeds share examples and are not independent. Verdicts are limited to "
    "the tested seeds."
)
UNKNOWN = "difference is unknown"


def sentences(comparison: Comparison) -> list[str]:
    """Return the conclusions: the best variants, a verdict for each variant, and limits of the study."""
    study = comparison["study"]
    texts = _best(comparison)
    texts += [
        _sentence(variant["name"], variant["difference"], study["baseline"])
        for variant in ranked(comparison)
        if variant["difference"] is not None
    ]
    if (ended := ended_sentence(comparison)) is not None:
        texts.append(ended)
    texts += _classical_models(comparison)
    if len(study["seeds"]) == 1:
        texts.append(ONE_SEED)
    differences = [variant["difference"] for variant in comparison["variants"]]
    if any(difference and not difference["same_rows"] for difference in differences):
        texts.append(RANDOM_SPLITS)
    if (split := study["evaluated"]) != "test":
        texts.append(
            f"There is no test split. Metrics are from the {split} split, which also selected the models that are "
            f"compared."
        )
    return texts


def _best(comparison: Comparison) -> list[str]:
    """Name the best variant by AUC and the best by log loss, each with its other metric."""
    best, lowest, evaluated = best_of(comparison), lowest_loss(comparison), comparison["study"]["evaluated"]
    if best is None:
        return []
    highest = f"{_name(best)} has the highest mean {evaluated} AUC, {mean(best, 'auc')}"
    if lowest is None:
        return [f"{highest}."]
    if lowest is best:
        return [f"{highest}, and the lowest mean log loss, {mean(best, 'log_loss')}."]
    return [
        f"{highest}; its mean log loss is {mean(best, 'log_loss')}.",
        f"{_name(lowest)} has the lowest mean {evaluated} log loss, {mean(lowest, 'log_loss')}; its mean AUC is "
        f"{mean(lowest, 'auc')}.",
    ]


def _classical_models(comparison: Comparison) -> list[str]:
    """Say that the settings of classical models are fixed, and which models were fitted on a sample."""
    names = comparison["study"].get("classical_models", [])
    fits = [result["fit"] for variant in comparison["variants"] for result in variant["seeds"] if "fit" in result]
    if not names or not fits:
        return []
    is_selected = any(fit["valid_examples"] for fit in fits)
    fixed = "fixed settings except one, which validation selects" if is_selected else "fixed settings"
    have, they = ("have", "they") if len(names) > 1 else ("has", "it")
    texts = [f"{' and '.join(names)} {have} {fixed}, and no trials. Tuned, {they} could score higher."]
    sampled = dict.fromkeys(fit["model"] for fit in fits if fit["examples"] < fit["total_examples"])
    for name in sampled:
        fit = next(fit for fit in fits if fit["model"] == name)
        texts.append(f"{name} was fitted on {examples(fit)}, the other variants on all of them.")
    return texts


def _name(variant: VariantResult) -> str:
    return variant["name"] + (" (the baseline)" if variant["difference"] is None else "")


def _sentence(name: str, difference: DifferenceToBaseline, baseline: str) -> str:
    """Compare a variant with the baseline: the conclusion for every metric, then the numbers."""
    by_metric = {key: difference["metrics"][key] for key in paired_metrics()}
    verdict = by_metric["auc"]["verdict"]
    if verdict == Verdict.INCOMPLETE:
        return f"{name} has no verdict, because runs are missing: {'; '.join(difference['lacking'])}."
    if verdict == Verdict.NOT_COMPARABLE:
        return f"{name} is not comparable with {baseline}: {difference['start']['violations'][0]}."
    if all(of_metric["over_both"]["value"] is None for of_metric in by_metric.values()):
        reasons = "; ".join(difference["reasons"]) or by_metric["auc"]["over_both"]["reason"]
        return f"{name} is not comparable with {baseline}: {reasons}."
    if verdict == Verdict.IDENTICAL:
        return f"{name} is identical to {baseline}: every example has the same score."
    labels_of: dict[str, list[str]] = {}
    for key, of_metric in by_metric.items():
        labels_of.setdefault(_verdict(of_metric), []).append(entry(key).label)
    is_one_direction = len({verdict.split()[0] for verdict in labels_of}) == 1
    conclusion = (", and is " if is_one_direction else ", but is ").join(
        _clause(verdict, labels, baseline if index == 0 else None)
        for index, (verdict, labels) in enumerate(labels_of.items())
    )
    evidence = " ".join(_evidence(entry(key).label, of_metric) for key, of_metric in by_metric.items())
    return f"{name} is {conclusion}. {evidence}"


def _verdict(difference: MetricDifference) -> str:
    if difference["over_both"]["value"] is None:
        return UNKNOWN
    assert difference["verdict"] is not None
    return WORDS[difference["verdict"]]


def _clause(verdict: str, labels: list[str], baseline: str | None) -> str:
    """Return the verdict on some metrics, to follow "is".

    >>> _clause("worse (tested seeds only)", ["AUC", "log loss"], "adagrad")
    'worse than adagrad in AUC and log loss (tested seeds only)'
    >>> _clause("inconclusive", ["AUC", "log loss"], "adagrad")
    'not significantly different from adagrad in AUC or log loss'
    >>> _clause("better", ["log loss"], None)
    'better in log loss'
    """
    if verdict == WORDS[Verdict.INCONCLUSIVE]:
        return f"not significantly different{f' from {baseline}' if baseline else ''} in {' or '.join(labels)}"
    if verdict == UNKNOWN:
        return f"not comparable{f' with {baseline}' if baseline else ''} in {' or '.join(labels)}"
    word, limit, _ = verdict.partition(" (tested seeds only)")
    return f"{word}{f' than {baseline}' if baseline else ''} in {' and '.join(labels)}{limit}"


def _evidence(label: str, difference: MetricDifference) -> str:
    """Return the size of a difference and its uncertainty, in sentences."""
    over_both, verdict = difference["over_both"], difference["verdict"]
    if over_both["value"] is None:
        return f"Δ{label} is unavailable: {over_both['reason']}."
    if verdict is not None and verdict.is_of_tested_seeds:
        values = [signed(seed["value"]) for seed in difference["by_seed"]]
        if len(values) == 1:
            significant = f"Δ{label} {values[0]} is significant with the one tested seed"
        else:
            significant = f"Δ{label} by seed is {', '.join(values)}, each significant"
        return f"{significant} (adjusted p < 0.05), but other seeds could give a different result."
    if over_both["low"] is None or over_both["high"] is None:
        return f"Δ{label} {signed(over_both['value'])} has no CI: {over_both['reason']}."
    p = formats.p_value(difference["p_adjusted"])
    numbers = f"95% CI {interval(over_both, signed=True)}, adjusted p {p if p[0] == '<' else f'= {p}'}"
    if verdict == Verdict.INCONCLUSIVE:
        largest = max(abs(over_both["low"]), abs(over_both["high"]))
        limit = f" The true difference could be as large as {largest:.5f}."
    else:
        limit = ""
    return f"Δ{label} {signed(over_both['value'])} ({numbers}).{limit}"
