"""Each cell beside the baseline: differences of what is reported, and the verdict that they back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ctr.comparison.fairness import fairness
from ctr.comparison.results import CellResults, Result
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

SIGNIFICANT = 0.05  # an adjusted p below it is more than chance
PSI_BINS = 10


def compare_with_baseline(baseline: CellResults, other: CellResults) -> DifferenceToBaseline:
    """Differences to the baseline in what is reported, paired by seed; PSI of the scores; what both began with.

    Reads the scores of two runs at a time; of each pair and metric about 20 bytes a row are kept, and of each pair
    4 more where rows come in clusters.
    """
    by_seed = {result.run.seed: result for result in baseline.finished}
    pairs = [(result, by_seed[result.run.seed]) for result in other.finished if result.run.seed in by_seed]
    rows: dict[str, dict[int, RowDifferences]] = {key: {} for key in paired_metrics()}
    shifts: list[float] = []
    reasons: list[str] = []
    unpaired: list[str] = []
    no_clusters: list[str] = []
    first: SavedScores | None = None
    same_rows = alike = True
    for own, base in pairs:
        seed = own.run.seed
        try:
            scores, before = _scores(own), _scores(base)
            scores.check_same_rows(before)
        except NotPaired as reason:
            unpaired.append(f"seed {seed}: {reason}")
            continue
        clusters = None
        try:
            clusters = scores.clusters(before)
        except NoClusters as reason:
            no_clusters.append(f"seed {seed}: {reason}")
        for key, row_differences in paired_metrics().items():
            try:
                pair = (scores.logit, before.logit, before.label, before.row_weights, clusters)
                rows[key][seed] = row_differences(*pair)
            except Undefined as reason:
                reasons.append(f"seed {seed}: no difference in {key}: {reason}")
        first = first or before
        same_rows = same_rows and _are_same_rows(first, before)
        shifts.append(_shift(before, scores))
        alike = alike and np.array_equal(scores.logit, before.logit)
    if no_clusters:  # one of the seeds has none, and all are to be of one kind
        rows = {metric: {seed: replace(one, clusters=None) for seed, one in of.items()} for metric, of in rows.items()}
    return {
        **_interval_unit(rows, first, no_clusters),
        "metrics": {metric: _difference(found, same_rows) for metric, found in rows.items()},
        "psi": sum(shifts) / len(shifts) if shifts else None,
        "reasons": reasons,
        "same_rows": same_rows,
        "same_scores": alike and bool(shifts),
        "lacking": [*missing_runs(baseline), *missing_runs(other), *unpaired],
        "start": fairness(pairs),
    }


def estimate_of(difference: Difference) -> Estimate:
    """Return what comparison.json says of a number with its interval."""
    return {
        "value": difference.value,
        "low": difference.low,
        "high": difference.high,
        "p_value": difference.p_value,
        "reason": difference.reason,
    }


def _interval_unit(
    rows: Mapping[str, Mapping[int, RowDifferences]], first: SavedScores | None, no_clusters: list[str]
) -> Independence:
    """Return what the differences take as independent, rows or the values of a column."""
    clusters = next((one.clusters for of in rows.values() for one in of.values()), None)
    if first is None or clusters is None:
        return {"interval_unit": "row", "no_clusters": no_clusters} if no_clusters else {"interval_unit": "row"}
    return {
        "interval_unit": "cluster",
        "cluster_column": first.cluster_column,
        "clusters": clusters.count,
        "effective_clusters": clusters.effective_count,
    }


def missing_runs(cell: CellResults) -> list[str]:
    """Why a cell cannot be judged, in words: runs that it lacks.

    A choice that fails with one seed is not better for the others, and one whose trials were lost had fewer of them.
    """
    name = cell.cell.name
    lost = [one.run.trial for one in cell.trials if one.failure is not None and not one.failure.is_final]
    failed = [one.run.seed for one in cell.seeds if one.report is None]
    told = [f"{name}: trial {', '.join(map(str, lost))} was not made; the same command tries again"] if lost else []
    if not cell.seeds:
        return [*told, f"{name}: every trial failed"]
    return [*told, f"{name}: no run with seed {', '.join(map(str, failed))}"] if failed else told


def _shift(before: SavedScores, scores: SavedScores) -> float:
    """PSI of scores beside others of the same rows, in ten bins that are equally full in those."""
    bins, rows = QuantileBins.fitted(before.logit, PSI_BINS), len(before.logit)
    expected, actual = (bins.count(one.logit, one.row_weights) for one in (before, scores))
    return psi(expected * (rows / expected.sum()), actual * (rows / actual.sum()))


def _difference(by_seed: Mapping[int, RowDifferences], same_rows: bool) -> MetricDifference:
    """A difference by seed, over seeds, and over seeds and rows at once; the last decides."""
    found = list(by_seed.values())
    if not found:
        nothing = estimate_of(Difference(None, reason="no seed has both"))
        return {"by_seed": [], "over_seeds": nothing, "over_both": nothing}
    over_seeds = mean_over_seeds([one.value for one in found]).within(found[0].bound)
    return {
        "by_seed": [{"seed": seed, **estimate_of(one.difference())} for seed, one in by_seed.items()],
        "over_seeds": estimate_of(over_seeds),
        # where each seed has rows of its own, as by a random split, no row has a part in the mean of all
        "over_both": estimate_of(difference_over_both(found) if same_rows else over_seeds),
    }


def assign_verdicts(differences: Sequence[DifferenceToBaseline], metric: str) -> None:
    """Adjust p of a metric for so many comparisons, and give each a `Verdict`."""
    found = [one["metrics"][metric] for one in differences]
    adjusted = holm([one["over_both"]["p_value"] for one in found])
    by_seed = iter(holm([seed["p_value"] for one in found for seed in one["by_seed"]]))
    for difference, one, p in zip(differences, found, adjusted, strict=True):
        one["p_adjusted"] = p
        of_seeds = [next(by_seed) for _ in one["by_seed"]]
        if difference["start"]["violations"]:
            one["verdict"] = Verdict.NOT_COMPARABLE
        elif difference["lacking"]:
            one["verdict"] = Verdict.INCOMPLETE
        else:
            # of random splits the seeds' rows overlap, and Student's interval is too narrow for that
            decides = p if len(of_seeds) > 1 and difference["same_rows"] else None
            is_same = difference["same_scores"]
            one["verdict"] = (
                Verdict.IDENTICAL if is_same else _verdict(one, decides, of_seeds, entry(metric).better.sign)
            )


def _verdict(one: MetricDifference, p: float | None, of_seeds: Sequence[float | None], better: int) -> Verdict | None:
    """Return the verdict on a difference.

    Args:
        one: the difference.
        p: its adjusted p; None: it does not decide.
        of_seeds: adjusted p of each seed.
        better: the sign of a better one.
    """
    value = one["over_both"]["value"]
    if value is None:
        return None
    is_better = value * better > 0
    if p is not None and p < SIGNIFICANT:
        return Verdict.BETTER if is_better else Verdict.WORSE
    values = [seed["value"] or 0.0 for seed in one["by_seed"]]
    agree = all(value * values[0] > 0 for value in values)
    beyond_rows = all(seed is not None and seed < SIGNIFICANT for seed in of_seeds)
    if not (agree and beyond_rows):
        return Verdict.INCONCLUSIVE
    return Verdict.BETTER_FOR_TESTED_SEEDS if is_better else Verdict.WORSE_FOR_TESTED_SEEDS


def _scores(result: Result) -> SavedScores:
    assert result.report is not None
    return SavedScores.load(result.run.saved, result.evaluated, result.report)


def _are_same_rows(one: SavedScores, other: SavedScores) -> bool:
    try:
        other.check_same_rows(one)
    except NotPaired:
        return False
    return True
