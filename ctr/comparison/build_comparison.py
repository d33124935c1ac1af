"""Build comparison.json: metrics of each variant over seeds, and its differences from the baseline."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ctr.comparison.baseline_diff import assign_verdicts, compare_with_baseline, missing_runs, to_estimate
from ctr.comparison.results import Curve, Result, VariantRuns
from ctr.comparison.search_ranges import is_extreme
from ctr.comparison.study import Study
from ctr.metrics import MONITORS, metric_over_seeds
from ctr.metrics.catalog import paired_metrics, shown_in
from ctr.metrics.metric import Metric, Place
from ctr.runs.environment import environment
from ctr.schema.comparison import (
    Clock,
    Comparison,
    Estimate,
    LearningCurve,
    SeedResult,
    ToTarget,
    Trained,
    Trial,
    VariantResult,
)
from ctr.schema.report import VERSION, RunReport


def best_trial(trials: Sequence[Result]) -> Result | None:
    """Return the best trial by the monitor on the valid split, the first of equal trials; None if all failed."""

    def goodness(result: Result) -> float:
        assert result.report is not None
        stopping = result.run.experiment.training.early_stopping
        monitor = MONITORS["auc" if stopping is None else stopping.metric]
        value = monitor.value(result.report["metrics"]["valid"])
        return -math.inf if value is None else monitor.sign * value

    return max((result for result in trials if result.report is not None), key=goodness, default=None)


def build_comparison(study: Study, variants: Sequence[VariantRuns]) -> Comparison:
    """Return the content of comparison.json.

    Args:
        study: study that was run.
        variants: runs of all variants, the baseline first.
    """
    baseline = variants[0]
    target = study.target_auc or _reached_by_all(baseline.finished)
    results = [_variant_result(runs, target) for runs in variants]
    differences = [compare_with_baseline(baseline, runs) for runs in variants[1:]]
    for key in paired_metrics():
        assign_verdicts(differences, key)
    for result, difference in zip(results[1:], differences, strict=True):
        result["difference"] = difference
    tuning = study.tuning
    return {
        "version": VERSION,
        "study": {
            "name": study.name,
            "axes": {axis: list(options) for axis, options in study.axes.items()},
            "classical_models": list(study.classical_models),
            "baseline": baseline.variant.name,
            "seeds": study.seeds,
            "tuning": None
            if tuning is None
            else {"trials": tuning.trials, "seed": tuning.seed, "stop_losers": tuning.stop_losers},
            "target_auc": target,
            "evaluated": next((result.evaluated for runs in variants for result in runs.finished), None),
        },
        "variants": results,
        "environment": environment(),
    }


def _variant_result(runs: VariantRuns, target: float | None) -> VariantResult:
    """Return the entry of a variant, without its difference from the baseline."""
    return {
        "name": runs.variant.name,
        "options": runs.variant.options,
        "classical_model": runs.variant.classical_model,
        "tuned": None if runs.best_trial is None else runs.best_trial.run.sampled,
        "outermost": _extreme_settings(runs),
        "trials": [_trial(result, result is runs.best_trial) for result in runs.trials],
        "failures": [
            {
                "run": result.run.label,
                "trial": result.run.trial,
                "seed": result.run.seed,
                "code": result.failure.code,
                "reason": result.failure.reason,
            }
            for result in (*runs.trials, *runs.seeds)
            if result.failure is not None
        ],
        "metrics": {metric.key: _over_seeds(runs.finished, metric) for metric in shown_in(Place.COMPARISON)},
        "lacking": missing_runs(runs),
        "difference": None,
        **(_trained(runs, target) if runs.variant.classical_model is None else _fitted(runs)),
    }


def _trained(runs: VariantRuns, target: float | None) -> Trained:
    """Return what a variant has because its runs train steps: learning curves, tables, and the cost of the target."""
    reports = [result.run_report for result in runs.finished]
    tables = [report["tables"] for report in reports]
    curves = [result.curve() for result in runs.finished]
    return {
        "seeds": [_seed_result(result, curve) for result, curve in zip(runs.finished, curves, strict=True)],
        "to_target": _to_target(curves, target),
        "row_sparsity": _mean(report["row_sparsity"] for report in reports),
        "table_bytes": _mean(sum(table["weight_bytes"] for table in of_run) for of_run in tables),
        "nonzero_table_bytes": _mean(sum(table["nonzero_weight_bytes"] for table in of_run) for of_run in tables),
        "state_bytes": _mean(sum(report["state_bytes"].values()) for report in reports),
        "clock": {**_clock(reports, curves, target), "trial_seconds_saved": _seconds_saved(runs.trials)},
    }


def _fitted(runs: VariantRuns) -> Trained:
    """Return the same keys of a classical model, which has no steps, tables or optimizer state."""
    results = runs.finished
    seconds = [result.classical_report["seconds"]["train"] for result in results]
    return {
        "seeds": [_fit_result(result) for result in results],
        "to_target": None,
        "row_sparsity": None,
        "table_bytes": None,
        "nonzero_table_bytes": None,
        "state_bytes": None,
        "clock": {
            "seconds": _mean(seconds),
            "rows_per_second": None,
            "seconds_to_target": None,
            "curves": [[] for _ in results],
            "fits": seconds,
        },
    }


def _trial(result: Result, is_best: bool) -> Trial:
    """Return the entry of a trial. It has validation metrics only: trials must not be selected by test data."""
    valid = result.report["metrics"]["valid"] if result.report else {}
    ended = result.ended
    assert result.run.trial is not None
    return {
        "trial": result.run.trial,
        "values": result.run.sampled,
        "auc": valid.get("auc") if ended is None else ended.auc,
        "log_loss": valid.get("log_loss") if ended is None else ended.log_loss,
        "reason": None if result.failure is None else result.failure.reason,
        "chosen": is_best,
        "ended": None if ended is None else ended.ending,
    }


def _seed_result(result: Result, curve: Curve) -> SeedResult:
    training = result.run_report["training"]
    return {
        **_seed_metrics(result),
        **{name: training[name] for name in ("epochs", "steps", "rows", "stopped_early")},
        "curve": {"rows": curve.rows, "auc": curve.auc, "log_loss": curve.log_loss},
    }


def _fit_result(result: Result) -> SeedResult:
    """Return the entry of a seed of a classical model."""
    fit = result.classical_report["fit"]
    unknown = dict.fromkeys(("epochs", "steps", "stopped_early"))
    curve: LearningCurve = {"rows": [], "auc": [], "log_loss": []}
    return {**_seed_metrics(result), **unknown, "rows": fit["examples"], "curve": curve, "fit": fit}


def _seed_metrics(result: Result) -> dict[str, Any]:
    assert result.report is not None
    return {
        "seed": result.run.seed,
        **{metric.key: result.metrics.get(metric.key) for metric in shown_in(Place.COMPARISON)},
        "auc_interval": result.metrics.get("auc_interval"),
        "valid_auc": result.report["metrics"].get("valid", {}).get("auc"),
    }


def _over_seeds(results: Sequence[Result], metric: Metric) -> Estimate | None:
    """Return the mean of a metric with its CI; None if a run lacks the metric."""
    values = [value for result in results if (value := result.metrics.get(metric.key)) is not None]
    return to_estimate(metric_over_seeds(values, metric.over_seeds)) if values and len(values) == len(results) else None


def _extreme_settings(runs: VariantRuns) -> list[str]:
    """Return the settings whose value in the best trial is the minimum or maximum of all sampled values."""
    if runs.best_trial is None:
        return []
    trials = [trial.run.sampled for trial in runs.trials]
    best = runs.best_trial.run.sampled
    return [key for key, value in best.items() if is_extreme(value, [sampled[key] for sampled in trials])]


def _reached_by_all(results: Sequence[Result]) -> float | None:
    """Return the highest validation AUC that every run reaches; None if a run has no AUC."""
    reached = [result.curve().best_auc for result in results]
    known = [auc for auc in reached if auc is not None]
    return min(known) if known and len(known) == len(reached) else None


def _to_target(curves: Sequence[Curve], target: float | None) -> ToTarget | None:
    """Count the runs that reach the target AUC, and average the steps and examples that they need."""
    if target is None or not curves:
        return None
    reached = [(curve, index) for curve in curves if (index := curve.first_above(target)) is not None]
    return {
        "reached": len(reached),
        "of": len(curves),
        "steps": _mean(curve.steps[index] for curve, index in reached),
        "rows": _mean(curve.rows[index] for curve, index in reached),
    }


def _clock(reports: Sequence[RunReport], curves: Sequence[Curve], target: float | None) -> Clock:
    """Return the durations, which differ between repetitions of a comparison."""
    reached = [(curve, curve.first_above(target)) for curve in curves] if target is not None else []
    return {
        "seconds": _mean(report["seconds"]["train"] for report in reports),
        "rows_per_second": _mean(report["training"]["rows"] / report["seconds"]["train"] for report in reports),
        "seconds_to_target": _mean(curve.seconds[index] for curve, index in reached if index is not None),
        "curves": [curve.seconds for curve in curves],
    }


def _seconds_saved(trials: Sequence[Result]) -> float:
    """Return how much longer the trials that ended early would have trained at most, at the speed of the others."""
    reports = [result.run_report for result in trials if result.report is not None]
    per_epoch = _mean(report["seconds"]["train"] / report["training"]["epochs"] for report in reports) or 0.0
    ended = [result.ended for result in trials if result.ended is not None and not result.run.saved.is_finished]
    return per_epoch * sum(trial.ending["last_epoch"] - trial.ending["epochs"] for trial in ended)


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else None
