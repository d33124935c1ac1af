"""Differences of each variant from the baseline, and their verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ctr.comparison.fairness import fairness
from ctr.comparison.results import Result, VariantRuns
from ctr.evaluation.paired_scores import NoClusters, NotPaired, SavedScores
from ctr.metrics import (
    Difference,
    QuantileBins,
    RowDifferences,
    Undefined,
    difference_over_both,
    holm,
    mean_over_seeds,
    psi,
)
from ctr.metrics.catalog import entry, paired_metrics
from ctr.schema.comparison import DifferenceToBaseline, Estimate, Independence, MetricDifference, Verdict

SIGNIFICANT = 0.05  # adjusted p below which a difference is significant
PSI_BINS = 10


def compare_with_baseline(baseline: VariantRuns, candidate: VariantRuns) -> DifferenceToBaseline:
    """Return the differences of a variant from the baseline, paired by seed, with PSI of scores and start of runs.

    The scores of two runs are read at a time. Each pair and metric keeps about 20 bytes per example, and each pair
    4 bytes more if examples are clustered.
    """
    baseline_of = {result.run.seed: result for result in baseline.finished}
    pairs = [(result, baseline_of[result.run.seed]) for result in candidate.finished if result.run.seed in baseline_of]
    by_metric: dict[str, dict[int, RowDifferences]] = {key: {} for key in paired_metrics()}
    psi_values: list[float] = []
    reasons: list[str] = []
    unpaired: list[str] = []
    no_clusters: list[str] = []
    first: SavedScores | None = None
    same_rows = same_scores = True
    for result, base_result in pairs:
        seed = result.run.seed
        try:
            scores, base = _scores(result), _scores(base_result)
            scores.check_same_rows(base)
        except NotPaired as reason:
            unpaired.append(f"seed {seed}: {reason}")
            continue
        clusters = None
        try:
            clusters = scores.clusters(base)
        except NoClusters as reason:
            no_clusters.append(f"seed {seed}: {reason}")
        for key, row_differences in paired_metrics().items():
            try:
                pair = (scores.logit, base.logit, base.label, base.row_weights, clusters)
                by_metric[key][seed] = row_differences(*pair)
            except Undefined as reason:
                reasons.append(f"seed {seed}: difference in {entry(key).label} is undefined: {reason}")
        first = first or base
        same_rows = same_rows and _are_same_rows(first, base)
        psi_values.append(_psi(base, scores))
        same_scores = same_scores and np.array_equal(scores.logit, base.logit)
    if no_clusters:  # a seed has no clusters, and all seeds must use the same unit
        by_metric = {
            metric: {seed: replace(rows, clusters=None) for seed, rows in by_seed.items()}
            for metric, by_seed in by_metric.items()
        }
    return {
        **_interval_unit(by_metric, first, no_clusters),
        "metrics": {metric: _difference(by_seed, same_rows) for metric, by_seed in by_metric.items()},
        "psi": sum(psi_values) / len(psi_values) if psi_values else None,
        "reasons": reasons,
        "same_rows": same_rows,
        "same_scores": same_scores and bool(psi_values),
        "lacking": [*missing_runs(baseline), *missing_runs(candidate), *unpaired],
        "start": fairness(pairs),
    }


def to_estimate(difference: Difference) -> Estimate:
    """Convert a number with its CI to the form of comparison.json."""
    return {
        "value": difference.value,
        "low": difference.low,
        "high": difference.high,
        "p_value": difference.p_value,
        "reason": difference.reason,
    }


def _interval_unit(
    by_metric: Mapping[str, Mapping[int, RowDifferences]], first: SavedScores | None, no_clusters: list[str]
) -> Independence:
    """Return the units that CIs treat as independent: examples, or clusters by the values of a column."""
    clusters = next((rows.clusters for by_seed in by_metric.values() for rows in by_seed.values()), None)
    if first is None or clusters is None:
        return {"interval_unit": "row", "no_clusters": no_clusters} if no_clusters else {"interval_unit": "row"}
    return {
        "interval_unit": "cluster",
        "cluster_column": first.cluster_column,
        "clusters": clusters.count,
        "effective_clusters": clusters.effective_count,
    }


def missing_runs(runs: VariantRuns) -> list[str]:
    """Return the missing runs of a variant, in sentences; a variant with missing runs gets no verdict.

    A variant that fails with one seed cannot be judged by its other seeds. A variant that lost trials had a smaller
    tuning budget.
    """
    name = runs.variant.name
    lost = [str(result.run.trial) for result in runs.trials if result.failure and not result.failure.is_final]
    failed = [str(result.run.seed) for result in runs.seeds if result.report is None]
    missing = []
    if lost:
        missing.append(f"{name}: trial {', '.join(lost)} did not finish (run the same command to retry)")
    if not runs.seeds:
        baseline = runs.variant.tuned_as
        missing.append(f"{name}: every trial {f'of {baseline} ' if baseline else ''}failed")
    elif failed:
        missing.append(f"{name}: no finished run with seed {', '.join(failed)}")
    return missing


def _psi(base: SavedScores, scores: SavedScores) -> float:
    """Return the PSI of scores against the baseline's scores of the same examples, in the baseline's deciles."""
    bins, rows = QuantileBins.fitted(base.logit, PSI_BINS), len(base.logit)
    expected, actual = (bins.count(side.logit, side.row_weights) for side in (base, scores))
    return psi(expected * (rows / expected.sum()), actual * (rows / actual.sum()))


def _difference(by_seed: Mapping[int, RowDifferences], same_rows: bool) -> MetricDifference:
    """Return the difference by seed, over seeds, and over seeds and examples together; the last decides verdicts."""
    differences = list(by_seed.values())
    if not differences:
        unknown = to_estimate(Difference(None, reason="no seed has a value for both variants"))
        return {"by_seed": [], "over_seeds": unknown, "over_both": unknown}
    over_seeds = mean_over_seeds([rows.value for rows in differences]).within(differences[0].bound)
    return {
        "by_seed": [{"seed": seed, **to_estimate(rows.difference())} for seed, rows in by_seed.items()],
        "over_seeds": to_estimate(over_seeds),
        # if seeds have different examples, as in random splits, per-example parts cannot be averaged over seeds
        "over_both": to_estimate(difference_over_both(differences) if same_rows else over_seeds),
    }


def assign_verdicts(differences: Sequence[DifferenceToBaseline], metric: str) -> None:
    """Adjust the p-values of a metric for multiple comparisons, and set the `Verdict` of each difference."""
    of_metric = [difference["metrics"][metric] for difference in differences]
    adjusted = holm([record["over_both"]["p_value"] for record in of_metric])
    by_seed = iter(holm([seed["p_value"] for record in of_metric for seed in record["by_seed"]]))
    for difference, record, p in zip(differences, of_metric, adjusted, strict=True):
        record["p_adjusted"] = p
        seed_p_values = [next(by_seed) for _ in record["by_seed"]]
        if difference["start"]["violations"]:
            record["verdict"] = Verdict.NOT_COMPARABLE
        elif difference["lacking"]:
            record["verdict"] = Verdict.INCOMPLETE
        elif difference["same_scores"]:
            record["verdict"] = Verdict.IDENTICAL
        else:
            # examples of random splits overlap between seeds, so Student's interval over seeds is too narrow
            deciding_p = p if len(seed_p_values) > 1 and difference["same_rows"] else None
            record["verdict"] = _verdict(record, deciding_p, seed_p_values, entry(metric).better.sign)


def _verdict(
    difference: MetricDifference, p: float | None, seed_p_values: Sequence[float | None], better: int
) -> Verdict | None:
    """Return the verdict on a difference; None if the difference is unknown.

    Args:
        difference: difference of a metric.
        p: adjusted p over seeds and examples; None if it cannot decide.
        seed_p_values: adjusted p of each seed.
        better: sign of a better difference.
    """
    value = difference["over_both"]["value"]
    if value is None:
        return None
    is_better = value * better > 0
    if p is not None and p < SIGNIFICANT:
        return Verdict.BETTER if is_better else Verdict.WORSE
    values = [seed["value"] or 0.0 for seed in difference["by_seed"]]
    agree = all(value * values[0] > 0 for value in values)
    is_significant = all(seed_p is not None and seed_p < SIGNIFICANT for seed_p in seed_p_values)
    if not (agree and is_significant):
        return Verdict.INCONCLUSIVE
    return Verdict.BETTER_FOR_TESTED_SEEDS if is_better else Verdict.WORSE_FOR_TESTED_SEEDS


def _scores(result: Result) -> SavedScores:
    assert result.report is not None
    return SavedScores.load(result.run.saved, result.evaluated, result.report)


def _are_same_rows(base: SavedScores, candidate: SavedScores) -> bool:
    try:
        candidate.check_same_rows(base)
    except NotPaired:
        return False
    return True
