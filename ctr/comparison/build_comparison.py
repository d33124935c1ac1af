"""From finished trainings to comparison.json: each cell's metrics over seeds, and its differences to the baseline."""

import math
from collections.abc import Iterable, Sequence

from ctr.comparison.baseline_diff import assign_verdicts, compare_with_baseline, estimate_of, missing_runs
from ctr.comparison.results import CellResults, Curve, Result
from ctr.comparison.search_ranges import is_outermost
from ctr.comparison.study import Study
from ctr.metrics import metric_over_seeds
from ctr.metrics.catalog import entry, paired_metrics, shown_in
from ctr.metrics.metric import Metric, Place
from ctr.runs.environment import environment
from ctr.schema.comparison import Clock, Comparison, Estimate, SeedResult, ToTarget, Trial, VariantResult
from ctr.schema.report import VERSION, RunReport


def best_trial(trials: Sequence[Result]) -> Result | None:
    """The trial whose validation was best by the metric that steers training, the first of equals; None: all failed."""

    def goodness(result: Result) -> float:
        assert result.report is not None
        stopping = result.run.experiment.training.early_stopping
        metric = entry("auc" if stopping is None else stopping.metric)
        value = result.report["metrics"]["valid"][metric.key]
        return -math.inf if value is None else metric.better.sign * value

    return max((result for result in trials if result.report is not None), key=goodness, default=None)


def build_comparison(study: Study, cells: Sequence[CellResults]) -> Comparison:
    """Return what comparison.json says.

    Args:
        study: what was compared.
        cells: the baseline first.
    """
    baseline = cells[0]
    target = study.target_auc or _reached_by_all(baseline.finished)
    found = [_described(cell, target) for cell in cells]
    differences = [compare_with_baseline(baseline, cell) for cell in cells[1:]]
    for key in paired_metrics():
        assign_verdicts(differences, key)
    for one, difference in zip(found[1:], differences, strict=True):
        one["difference"] = difference
    tuning = study.tuning
    return {
        "version": VERSION,
        "study": {
            "name": study.name,
            "axes": {axis: list(choices) for axis, choices in study.axes.items()},
            "baseline": baseline.cell.name,
            "seeds": study.seeds,
            "tuning": None if tuning is None else {"trials": tuning.trials, "seed": tuning.seed},
            "target_auc": target,
            "evaluated": next((result.evaluated for cell in cells for result in cell.finished), None),
        },
        "variants": found,
        "environment": environment(),
    }


def _described(cell: CellResults, target: float | None) -> VariantResult:
    """What is said of a cell by itself."""
    reports = [result.report for result in cell.finished if result.report is not None]
    tables = [report["tables"] for report in reports]
    curves = [result.curve() for result in cell.finished]
    return {
        "name": cell.cell.name,
        "options": cell.cell.choices,
        "tuned": None if cell.chosen is None else cell.chosen.run.drawn,
        "outermost": _outermost(cell),
        "trials": [_of_trial(result, result is cell.chosen) for result in cell.trials],
        "failures": [
            {
                "run": one.run.label,
                "trial": one.run.trial,
                "seed": one.run.seed,
                "code": one.failure.code,
                "reason": one.failure.reason,
            }
            for one in (*cell.trials, *cell.seeds)
            if one.failure is not None
        ],
        "seeds": [
            {"seed": result.run.seed, **_of_seed(result, curve)}
            for result, curve in zip(cell.finished, curves, strict=True)
        ],
        "metrics": {metric.key: _over_seeds(cell.finished, metric) for metric in shown_in(Place.COMPARISON)},
        "to_target": _to_target(curves, target),
        "row_sparsity": _mean(report["row_sparsity"] for report in reports),
        "table_bytes": _mean(sum(table["weight_bytes"] for table in one) for one in tables),
        "nonzero_table_bytes": _mean(sum(table["nonzero_weight_bytes"] for table in one) for one in tables),
        "state_bytes": _mean(sum(report["state_bytes"].values()) for report in reports),
        "lacking": missing_runs(cell),
        "difference": None,
        "clock": _clock(reports, curves, target),
    }


def _of_trial(result: Result, is_chosen: bool) -> Trial:
    """Of validation only: test data is looked at with the chosen one."""
    valid = result.report["metrics"]["valid"] if result.report else {}
    assert result.run.trial is not None
    return {
        "trial": result.run.trial,
        "values": result.run.drawn,
        "auc": valid.get("auc"),
        "log_loss": valid.get("log_loss"),
        "reason": None if result.failure is None else result.failure.reason,
        "chosen": is_chosen,
    }


def _of_seed(result: Result, curve: Curve) -> SeedResult:
    assert result.report is not None
    training = result.report["training"]
    return {
        **{metric.key: result.metrics.get(metric.key) for metric in shown_in(Place.COMPARISON)},
        "auc_interval": result.metrics.get("auc_interval"),
        "valid_auc": result.report["metrics"].get("valid", {}).get("auc"),
        **{name: training[name] for name in ("epochs", "steps", "rows", "stopped_early")},
        "curve": {"rows": curve.rows, "auc": curve.auc, "log_loss": curve.log_loss},
    }


def _over_seeds(results: Sequence[Result], metric: Metric) -> Estimate | None:
    """Mean and interval of a metric; None where no training has it, or one lacks it."""
    values = [value for result in results if (value := result.metrics.get(metric.key)) is not None]
    return estimate_of(metric_over_seeds(values, metric.over_seeds)) if values and len(values) == len(results) else None


def _outermost(cell: CellResults) -> list[str]:
    """The ranges whose best value is the least or the most of those tried."""
    if cell.chosen is None:
        return []
    tried = [trial.run.drawn for trial in cell.trials]
    return [key for key, value in cell.chosen.run.drawn.items() if is_outermost(value, [one[key] for one in tried])]


def _reached_by_all(results: Sequence[Result]) -> float | None:
    """The highest validation AUC that every training reaches."""
    reached = [result.curve().best_auc for result in results]
    known = [auc for auc in reached if auc is not None]
    return min(known) if known and len(known) == len(reached) else None


def _to_target(curves: Sequence[Curve], target: float | None) -> ToTarget | None:
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


def _clock(reports: Sequence[RunReport], curves: Sequence[Curve], target: float | None) -> Clock:
    """Readings of clocks, which no two comparisons share."""
    at = [(curve, curve.first_above(target)) for curve in curves] if target is not None else []
    return {
        "seconds": _mean(report["seconds"]["train"] for report in reports),
        "rows_per_second": _mean(report["training"]["rows"] / report["seconds"]["train"] for report in reports),
        "seconds_to_target": _mean(curve.seconds[place] for curve, place in at if place is not None),
        "curves": [curve.seconds for curve in curves],
    }


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None
