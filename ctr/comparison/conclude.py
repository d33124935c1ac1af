"""From finished trainings to comparison.json: each cell's metrics over seeds, and its differences to the baseline."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ctr.comparison.fairness import fairness
from ctr.comparison.ranges import is_outermost
from ctr.comparison.results import Curve, Result
from ctr.comparison.study import Cell, Study
from ctr.metrics import (
    Difference,
    QuantileBins,
    RowDifferences,
    Undefined,
    auc_row_differences,
    difference_over_both,
    holm,
    log_loss_row_differences,
    mean_over_seeds,
    psi,
)
from ctr.report.paired_scores import NotPaired, SavedScores
from ctr.report.tables import zero_share

SIGNIFICANT = 0.05  # an adjusted p below it is more than chance
METRICS: dict[str, tuple[Callable[..., RowDifferences], int]] = {
    "auc": (auc_row_differences, 1),
    "log_loss": (log_loss_row_differences, -1),
}
"""Metric -> its differences, and the sign of a better one."""
OVER_SEEDS = ("auc", "log_loss", "calibration", "gauc")
PSI_BINS = 10


@dataclass(frozen=True)
class CellResults:
    """How all trainings of a cell ended."""

    cell: Cell
    trials: list[Result]
    chosen: Result | None
    """The best trial; None: nothing was tuned, or all failed."""
    seeds: list[Result]

    @property
    def finished(self) -> list[Result]:
        """Of the reported trainings those with a report."""
        return [result for result in self.seeds if result.report is not None]


def best_trial(trials: Sequence[Result]) -> Result | None:
    """The trial whose validation was best by the metric that steers training, the first of equals; None: all failed."""

    def goodness(result: Result) -> float:
        assert result.report is not None
        stopping = result.run.experiment.training.early_stopping
        metric = "auc" if stopping is None else stopping.metric
        return METRICS[metric][1] * result.report["metrics"]["valid"][metric]

    return max((result for result in trials if result.report is not None), key=goodness, default=None)


def conclude(study: Study, cells: Sequence[CellResults]) -> dict[str, Any]:
    """What comparison.json says, the baseline first; clock readings are under `clock` alone.

    Args:
        study: what was compared.
        cells: the baseline first.
    """
    baseline = cells[0]
    target = study.target_auc or _reached_by_all(baseline.finished)
    found = [_described(cell, target) for cell in cells]
    differences = [_differences(baseline, cell) for cell in cells[1:]]
    for metric, (_, better) in METRICS.items():
        _judge([one["metrics"][metric] for one in differences], better)
    for difference in differences:
        if (reason := _not_to_be_judged(difference)) is not None:
            for one in difference["metrics"].values():
                one["verdict"] = reason
    for one, difference in zip(found[1:], differences, strict=True):
        one["difference"] = difference
    return {
        "study": {
            "name": study.name,
            "axes": {axis: list(choices) for axis, choices in study.axes.items()},
            "baseline": baseline.cell.name,
            "seeds": study.seeds,
            "tuning": study.tuning and study.tuning.model_dump(mode="json"),
            "target_auc": target,
            "evaluated": next((result.evaluated for cell in cells for result in cell.finished), None),
        },
        "cells": found,
    }


def _described(cell: CellResults, target: float | None) -> dict[str, Any]:
    """What is said of a cell by itself."""
    curves = [result.curve() for result in cell.finished]
    failed = [result for result in (*cell.trials, *cell.seeds) if result.failure is not None]
    return {
        "name": cell.cell.name,
        "choices": cell.cell.choices,
        "tuned": cell.chosen and cell.chosen.run.drawn,
        "outermost": _outermost(cell),
        "trials": [_of_trial(result, result is cell.chosen) for result in cell.trials],
        "failures": [
            {"run": result.run.label, "code": result.failure.code, "reason": result.failure.reason}
            for result in failed
            if result.failure is not None
        ],
        "seeds": [
            {"seed": result.run.seed, **_of_seed(result, curve)}
            for result, curve in zip(cell.finished, curves, strict=True)
        ],
        "metrics": {name: _over_seeds(cell.finished, name) for name in OVER_SEEDS},
        "to_target": _to_target(curves, target),
        **_sizes(cell.finished),
        "difference": None,
        "clock": _clock(cell.finished, curves, target),
    }


def _of_trial(result: Result, is_chosen: bool) -> dict[str, Any]:
    """Of validation only: test data is looked at with the chosen one."""
    valid = result.report["metrics"]["valid"] if result.report else {}
    return {
        "trial": result.run.trial,
        "values": result.run.drawn,
        "auc": valid.get("auc"),
        "log_loss": valid.get("log_loss"),
        "reason": result.failure and result.failure.reason,
        "chosen": is_chosen,
    }


def _of_seed(result: Result, curve: Curve) -> dict[str, Any]:
    assert result.report is not None
    training = result.report["training"]
    return {
        **{name: result.metrics.get(name) for name in OVER_SEEDS},
        "auc_interval": result.metrics.get("auc_interval"),
        "valid_auc": curve.best_auc,
        **{name: training[name] for name in ("epochs", "steps", "rows", "stopped_early")},
        "curve": {"rows": curve.rows, "auc": curve.auc, "log_loss": curve.log_loss},
    }


def _over_seeds(results: Sequence[Result], metric: str) -> dict[str, Any] | None:
    """Mean and interval of a metric; None where no training has it, or one lacks it."""
    values = [value for result in results if (value := result.metrics.get(metric)) is not None]
    return asdict(mean_over_seeds(values)) if values and len(values) == len(results) else None


def _outermost(cell: CellResults) -> list[str]:
    """The ranges whose best value is the least or the most of those that worked."""
    if cell.chosen is None:
        return []
    tried = [trial.run.drawn for trial in cell.trials]
    return [key for key, value in cell.chosen.run.drawn.items() if is_outermost(value, [one[key] for one in tried])]


def _reached_by_all(results: Sequence[Result]) -> float | None:
    """The highest validation AUC that every training reaches."""
    reached = [result.curve().best_auc for result in results]
    known = [auc for auc in reached if auc is not None]
    return min(known) if known and len(known) == len(reached) else None


def _to_target(curves: Sequence[Curve], target: float | None) -> dict[str, Any] | None:
    """How many trainings reach the AUC, and the mean steps and rows of these until then."""
    if target is None or not curves:
        return None
    at = [(curve, place) for curve in curves if (place := curve.first_above(target)) is not None]
    return {
        "reached": len(at),
        "of": len(curves),
        "steps": _mean(curve.steps[place] for curve, place in at),
        "rows": _mean(curve.rows[place] for curve, place in at),
    }


def _clock(results: Sequence[Result], curves: Sequence[Curve], target: float | None) -> dict[str, Any]:
    """Readings of clocks, which no two comparisons share."""
    reports = [result.report for result in results if result.report is not None]
    at = [(curve, curve.first_above(target)) for curve in curves] if target is not None else []
    return {
        "seconds": _mean(report["seconds"]["train"] for report in reports),
        "rows_per_second": _mean(report["training"]["rows"] / report["seconds"]["train"] for report in reports),
        "seconds_to_target": _mean(curve.seconds[place] for curve, place in at if place is not None),
        "curves": [curve.seconds for curve in curves],
    }


def _sizes(results: Sequence[Result]) -> dict[str, Any]:
    """Tables, their zero rows and the optimizers' state: means over the trainings."""
    reports = [result.report for result in results if result.report is not None]
    tables = [report["tables"] for report in reports]
    return {
        "zero_share": _mean(zero_share(one) for one in tables),
        "table_bytes": _mean(sum(table["weight_bytes"] for table in one) for one in tables),
        "nonzero_table_bytes": _mean(sum(table["nonzero_weight_bytes"] for table in one) for one in tables),
        "state_bytes": _mean(sum(report["state_bytes"].values()) for report in reports),
    }


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None


def _differences(baseline: CellResults, other: CellResults) -> dict[str, Any]:
    """Differences to the baseline in what is reported, paired by seed; PSI of the scores; what both began with.

    Reads the scores of two trainings at a time; what is kept of each is 8 bytes a row and metric.
    """
    by_seed = {result.run.seed: result for result in baseline.finished}
    pairs = [(result, by_seed[result.run.seed]) for result in other.finished if result.run.seed in by_seed]
    rows: dict[str, list[RowDifferences]] = {metric: [] for metric in METRICS}
    shifts: list[float] = []
    reasons: list[str] = []
    first: SavedScores | None = None
    same_rows = True
    for own, base in pairs:
        try:
            scores, before = _scores(own), _scores(base)
            scores.check_same_rows(before)
            both = (scores.logit, before.logit, before.label, before.row_weights)
            found = {metric: rows_of(*both) for metric, (rows_of, _) in METRICS.items()}
        except (NotPaired, Undefined) as reason:
            reasons.append(f"seed {own.run.seed}: {reason}")
            continue
        same_rows = same_rows and (first is None or _are_same_rows(first, before))
        first = first or before
        for metric, one in found.items():
            rows[metric].append(one)
        bins = QuantileBins.fitted(before.logit, PSI_BINS)
        shifts.append(psi(bins.count(before.logit, before.row_weights), bins.count(scores.logit, scores.row_weights)))
    seeds = [own.run.seed for own, _ in pairs if not any(one.startswith(f"seed {own.run.seed}:") for one in reasons)]
    incomplete = len(pairs) < len(other.seeds) or not other.seeds
    return {
        "metrics": {metric: _difference(seeds, found, same_rows) for metric, found in rows.items()},
        "psi": _mean(shifts),
        "reasons": reasons,
        "incomplete": incomplete,
        "start": fairness(baseline.finished, other.finished),
    }


def _difference(seeds: Sequence[int], by_seed: Sequence[RowDifferences], same_rows: bool) -> dict[str, Any]:
    """A difference by seed, over seeds, and over seeds and rows at once; the last decides."""
    if not by_seed:
        nothing = asdict(Difference(None, reason="no seed has both"))
        return {"by_seed": [], "over_seeds": nothing, "over_both": nothing}
    over_seeds = mean_over_seeds([one.value for one in by_seed])
    # where each seed has rows of its own, as by a random split, they vary with the seed, and so are in its interval
    over_both = difference_over_both(by_seed) if same_rows else over_seeds
    return {
        "by_seed": [{"seed": seed, **asdict(one.difference())} for seed, one in zip(seeds, by_seed, strict=True)],
        "over_seeds": asdict(over_seeds),
        "over_both": asdict(over_both),
    }


def _judge(differences: Sequence[dict[str, Any]], better: int) -> None:
    """Adjust p for so many comparisons, and give each a verdict.

    better, worse: than the baseline, whatever the seed and the rows. better each time, worse each time: with every
    seed that was tried, whatever the rows, but the seeds are too few to tell of others. same: the scores rank alike.
    not shown: none of these.
    """
    adjusted = holm([one["over_both"]["p_value"] for one in differences])
    by_seed = iter(holm([seed["p_value"] for one in differences for seed in one["by_seed"]]))
    for one, p in zip(differences, adjusted, strict=True):
        one["p_adjusted"] = p
        of_seeds = [next(by_seed) for _ in one["by_seed"]]
        one["verdict"] = _verdict(one, p, of_seeds, better)


def _verdict(one: Mapping[str, Any], p: float | None, of_seeds: Sequence[float | None], better: int) -> str | None:
    """Of a difference with its adjusted p, and those of its seeds."""
    values = [seed["value"] for seed in one["by_seed"]]
    if not values:
        return None
    if not any(values):
        return "same"
    side = "better" if one["over_both"]["value"] * better > 0 else "worse"
    if len(values) > 1 and p is not None and p < SIGNIFICANT:
        return side
    agree = all(value * values[0] > 0 for value in values)
    beyond_rows = all(seed is not None and seed < SIGNIFICANT for seed in of_seeds)
    return f"{side} each time" if agree and beyond_rows else "not shown"


def _not_to_be_judged(difference: Mapping[str, Any]) -> str | None:
    """Why there is no verdict whatever the numbers: what fails with one seed is not better for the others."""
    if difference["start"]["violations"]:
        return "unfair"
    return "incomplete" if difference["incomplete"] else None


def _scores(result: Result) -> SavedScores:
    assert result.report is not None
    return SavedScores.load(result.run.folder, result.evaluated, result.report)


def _are_same_rows(one: SavedScores, other: SavedScores) -> bool:
    try:
        other.check_same_rows(one)
    except NotPaired:
        return False
    return True


def failures_of(cells: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every training that failed, of comparison.json's cells."""
    return [failure for cell in cells for failure in cell["failures"]]
