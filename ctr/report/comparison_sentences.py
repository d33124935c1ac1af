"""What the numbers of a comparison say, in sentences."""

from ctr.metrics.catalog import entry, paired_metrics
from ctr.report import formats
from ctr.report.comparison_tables import best_of, interval, lowest_loss, mean, ranked, signed
from ctr.schema.comparison import Comparison, DifferenceToBaseline, MetricDifference, VariantResult, Verdict

SENTENCE_WORDS = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.BETTER_FOR_TESTED_SEEDS: "better",
    Verdict.WORSE_FOR_TESTED_SEEDS: "worse",
    Verdict.INCONCLUSIVE: "no difference is shown",
}
"""Verdicts of which a sentence gives the numbers, in its words."""


def sentences(found: Comparison) -> list[str]:
    """What the numbers say, and no more."""
    study = found["study"]
    told = _best(found)
    told += [
        _sentence(cell["name"], cell["difference"], study["baseline"])
        for cell in ranked(found)
        if cell["difference"] is not None
    ]
    if len(study["seeds"]) == 1:
        told.append("There is one seed: differences speak of these trained models, not of training them again.")
    if any(cell["difference"] and not cell["difference"]["same_rows"] for cell in found["variants"]):
        told.append(
            "Each seed divides the data anew, so seeds share rows and are not independent: no verdict without a *."
        )
    if study["evaluated"] != "test":
        told.append(f"There is no test set: these are rows of {study['evaluated']}, which also chose what is compared.")
    return told


def _best(found: Comparison) -> list[str]:
    """Return which cells are best by each metric, with the other metric of each."""
    best, lowest, evaluated = best_of(found), lowest_loss(found), found["study"]["evaluated"]
    if best is None:
        return []
    highest = f"{_whose(best)} has the highest mean {evaluated} AUC, {mean(best, 'auc')}"
    if lowest is None:
        return [f"{highest}."]
    if lowest is best:
        return [f"{highest}, and the lowest mean log loss, {mean(best, 'log_loss')}."]
    return [
        f"{highest}; its mean log loss is {mean(best, 'log_loss')}.",
        f"{_whose(lowest)} has the lowest mean {evaluated} log loss, {mean(lowest, 'log_loss')}; its mean AUC is "
        f"{mean(lowest, 'auc')}.",
    ]


def _whose(cell: VariantResult) -> str:
    return cell["name"] + (" (the baseline)" if cell["difference"] is None else "")


def _sentence(name: str, difference: DifferenceToBaseline, baseline: str) -> str:
    """Say what a cell differs by from the baseline: the verdicts of all metrics, then their numbers."""
    by_metric = {key: difference["metrics"][key] for key in paired_metrics()}
    verdict = by_metric["auc"]["verdict"]
    if verdict == Verdict.INCOMPLETE:
        return f"{name} is not judged. {'; '.join(difference['lacking'])}."
    if verdict == Verdict.NOT_COMPARABLE:
        return f"{name} cannot be compared with {baseline}: {difference['start']['violations'][0]}."
    if all(one["over_both"]["value"] is None for one in by_metric.values()):
        reasons = "; ".join(difference["reasons"]) or by_metric["auc"]["over_both"]["reason"]
        return f"{name} cannot be compared with {baseline}: {reasons}."
    if verdict == Verdict.IDENTICAL:
        return f"{name} and {baseline}: no difference, every row has the same score."
    metrics_by_verdict: dict[tuple[str, str], list[str]] = {}
    for key, one in by_metric.items():
        metrics_by_verdict.setdefault(_verdict(one), []).append(entry(key).label)
    judged = ", ".join(
        f"{word} in {' and '.join(names)}{by_seed}" for (word, by_seed), names in metrics_by_verdict.items()
    )
    numbers = " ".join(_numbers(entry(key).label, one) for key, one in by_metric.items())
    return f"{name} against {baseline}: {judged}. {numbers}"


def _verdict(one: MetricDifference) -> tuple[str, str]:
    """Return the verdict of a difference in words, and what follows the metric's name."""
    if one["over_both"]["value"] is None:
        return "no difference is known", ""
    count, verdict = len(one["by_seed"]), one["verdict"]
    assert verdict is not None
    seeds = f"each of the {count} seeds" if count > 1 else "the one seed"
    return SENTENCE_WORDS[verdict], f" with {seeds}" if verdict.is_of_tested_seeds else ""


def _numbers(name: str, one: MetricDifference) -> str:
    """Return the size of a difference, and how sure it is, as a sentence."""
    both, verdict, told = one["over_both"], one["verdict"], name[0].upper() + name[1:]
    if both["value"] is None:
        return f"{told}: {both['reason']}."
    if verdict is not None and verdict.is_of_tested_seeds:
        values = ", ".join(signed(seed["value"]) for seed in one["by_seed"])
        return f"{told} {values}, beyond the chance of rows; that it would be so with other seeds is not shown."
    if both["low"] is None or both["high"] is None:
        return f"{told} {signed(both['value'])}; no interval: {both['reason']}."
    where = f"{interval(both, signed=True)}, adjusted p {formats.p_value(one['p_adjusted'])}"
    if verdict == Verdict.INCONCLUSIVE:
        widest = max(abs(both["low"]), abs(both["high"]))
        return f"{told} {signed(both['value'])} ({where}); one of up to {widest:.5f} is not ruled out."
    return f"{told} {signed(both['value'])} ({where})."
