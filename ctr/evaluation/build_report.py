"""Build report.json and curves.json from the states of scored splits, with pure functions."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ctr.checks.evaluated import check
from ctr.evaluation.curves import build_curves, score_shares
from ctr.evaluation.histograms import FEATURE, SCORE, by_feature
from ctr.evaluation.overfitting import class_scores, find_overfitting
from ctr.evaluation.reference import Reference
from ctr.evaluation.report_columns import GROUP
from ctr.evaluation.split_metrics import FREQUENCY, SplitAccumulator
from ctr.evaluation.timeline import Timeline, lacks_values
from ctr.metrics import Undefined, compare, gauc
from ctr.metrics.frequency_bands import BANDS
from ctr.metrics.psi import MODERATE_ABOVE, PSIResult
from ctr.schema.drift import Driver, Overfitting, OverTime, ScoreDrift
from ctr.schema.report import VERSION, BandMetrics, GroupMetrics, Leakage, Measured, SliceMetrics
from ctr.schema.split_metrics import SplitMetrics

TRAIN = "train"


def build_report(
    tallies: Mapping[str, SplitAccumulator], main: str, reference: Reference, major_above: float
) -> tuple[Measured, dict[str, Any]]:
    """Return the measured part of a report on some splits, and the data of its plots.

    Args:
        tallies: states by split; `train` is the state of the reference, and can be absent.
        main: name of the split that the checks are about.
        reference: reference distributions of the training data.
        major_above: PSI above which drift is major.
    """
    others = {name: tally for name, tally in tallies.items() if not tally.is_reference}
    compared = {name: reference.histograms.compare(tally.histograms, major_above) for name, tally in others.items()}
    labelled = {name: tally for name, tally in others.items() if tally.is_labelled}
    metrics = {name: metrics_of_split(tally) for name, tally in tallies.items()}
    psi: ScoreDrift = {
        "score": {name: results[SCORE] for name, results in compared.items()},
        "features": {name: by_feature(results) for name, results in compared.items()},
        "drivers": {name: _drivers(reference, tally, compared[name][SCORE]) for name, tally in others.items()},
        "over_time": _over_time(list(tallies.values()), reference, major_above),
        "calendar": {name: _calendar(reference, tally) for name, tally in others.items()},
        "overfitting": {},
    }
    if main in labelled:
        psi["overfitting"] = _overfitting(main, others, psi, metrics[main], reference, major_above)
    over_time = psi["over_time"]
    if psi["overfitting"] and over_time is not None and over_time["score"] is not None:
        over_time["score"] |= {
            "since": None,
            "reason": "it is overfitting: the scores of unseen examples differ from the first period on",
        }
    measured: Measured = {
        "version": VERSION,
        "main_split": main,
        "metrics": metrics,
        "negative_sampling_rate": {
            name: tally.report_columns.negative_sampling_rate for name, tally in tallies.items()
        },
        "deciles": {name: tally.metrics.deciles() for name, tally in tallies.items() if tally.is_labelled},
        "psi": psi,
        "slices": {name: _slices(tally, reference, major_above) for name, tally in labelled.items()},
        "frequency": {name: _by_frequency(tally) for name, tally in labelled.items()},
        "unknown_ids": {name: tally.unknown_ids.result() for name, tally in others.items()},
        "leakage": {name: _leakage(tally, reference) for name, tally in labelled.items()},
        "checks": [],
    }
    measured["checks"] = check(measured, reference.metrics)
    return measured, _curves(tallies, reference, major_above)


def _curves(tallies: Mapping[str, SplitAccumulator], reference: Reference, major_above: float) -> dict[str, Any]:
    """Return the data of the plots."""
    histograms = {name: tally.histograms for name, tally in tallies.items() if not tally.is_reference}
    counts = {name: tally.metrics.counts() for name, tally in tallies.items() if tally.is_labelled}
    date_parts = [FEATURE + name for name in next(iter(tallies.values())).report_columns.date_parts]
    descriptions = reference.histograms.describe(histograms, date_parts)
    return {
        "psi": {"moderate_above": MODERATE_ABOVE, "unstable_above": major_above},
        **build_curves(counts),
        "score_distribution": {
            "edges": reference.score_edges,
            "sets": {name: score_shares(split, reference.score_edges) for name, split in counts.items()},
        },
        "bins": {SCORE: descriptions[SCORE], "features": by_feature(descriptions)},
        "worst_rows": {
            name: tally.worst.result()
            for name, tally in tallies.items()
            if tally.is_labelled and not tally.is_reference
        },
    }


def _leakage(tally: SplitAccumulator, reference: Reference) -> Leakage:
    return {
        "duplicates": reference.rows.copied_fraction(tally.repeats, tally.report_columns.negative_sampling_rate),
        "single_feature_auc": reference.score_by_bin.single_feature_auc(tally.score_by_bin),
    }


def _overfitting(
    main: str,
    others: Mapping[str, SplitAccumulator],
    psi: ScoreDrift,
    metrics: SplitMetrics,
    reference: Reference,
    major_above: float,
) -> dict[str, Overfitting]:
    """Return main split -> evidence that the drift of its score is overfitting; empty if it is not."""
    histograms = others[main].histograms
    unseen = {
        name: (psi["score"][name], tally.histograms.compare(histograms, major_above)[SCORE])
        for name, tally in others.items()
        if name != main
    }
    overfitting = find_overfitting(
        psi["score"][main],
        psi["drivers"][main],
        metrics,
        reference.metrics,
        class_scores(others[main].metrics.counts()),
        reference.class_scores,
        unseen,
    )
    return {main: overfitting} if overfitting else {}


def metrics_of_split(tally: SplitAccumulator) -> SplitMetrics:
    """Return the metrics of a split; without labels, only the mean score.

    If `report.group` is set, they include GAUC, and intervals and errors are clustered by group.
    """
    if not tally.is_labelled:
        unknown = ("auc", "log_loss", "positive_rate")
        reasons = dict.fromkeys(unknown, "the data has no label")
        mean = tally.score_sum / tally.rows
        return {"rows": tally.rows, **dict.fromkeys(unknown), "mean_score": mean, "reasons": reasons}
    metrics = tally.metrics.result(tally.report_columns.report.threshold, tally.report_columns.cluster)
    if tally.report_columns.report.group is None:
        return metrics
    try:
        group_metrics = gauc(tally.metrics.by_group(GROUP))
    except Undefined as reason:
        group_metrics = {
            "gauc": None,
            "mean_group_auc": None,
            "reasons": dict.fromkeys(("gauc", "mean_group_auc"), str(reason)),
        }
    reasons = {**metrics.pop("reasons", {}), **group_metrics.pop("reasons", {})}
    columns = {"cluster_column": tally.report_columns.report.group, "gauc_group": tally.report_columns.report.group}
    return {**metrics, **columns, **group_metrics, **({"reasons": reasons} if reasons else {})}


def _drivers(reference: Reference, tally: SplitAccumulator, score: PSIResult) -> list[Driver]:
    """Return the features that drive the drift of the score; empty if PSI is within its noise floor."""
    if score["psi"] is None or score["psi"] <= score["noise"]:
        return []
    return reference.score_by_bin.drivers(
        tally.score_by_bin, reference.histograms.counts[SCORE], tally.histograms.counts[SCORE]
    )


def _calendar(reference: Reference, tally: SplitAccumulator) -> list[str]:
    """Return the date parts, and crosses of them, of which the split or the training data lacks values."""
    return [
        name
        for name, parts in tally.report_columns.calendar.items()
        if any(lacks_values(reference.histograms, tally.histograms, FEATURE + part) for part in parts)
    ]


def _over_time(tallies: list[SplitAccumulator], reference: Reference, major_above: float) -> OverTime | None:
    """Return PSI of every period of all splits together; None without a time column, or within one period."""
    time = tallies[0].report_columns.time
    if time is None:
        return None
    timeline = Timeline(reference.histograms.binning)
    for tally in tallies:
        timeline = timeline.merge(tally.timeline)
    by_name = tallies[0].report_columns.calendar
    calendar = {FEATURE + name: [FEATURE + part for part in parts] for name, parts in by_name.items()}
    periods = timeline.compare(reference.histograms, major_above, reference.periods, calendar)
    return None if periods is None else periods.over_time(time.column, time.by)


def _slices(tally: SplitAccumulator, reference: Reference, major_above: float) -> dict[str, list[SliceMetrics]]:
    """Return name -> metrics of each slice, with PSI of its scores against the same slice of the training data."""
    slices: dict[str, list[SliceMetrics]] = {}
    for name, column in tally.slices.items():
        labels = reference.histograms.binning.labels(column)
        expected, current = reference.score_by_bin.scores[column], tally.score_by_bin.scores[column]
        expected_rows = reference.histograms.rows * expected.sum(axis=1) / max(expected.sum(), 1)
        current_rows = tally.histograms.rows * current.sum(axis=1) / max(current.sum(), 1)
        slices[name] = [
            {
                "value": labels[code],
                **metrics,
                "psi": compare(expected[code], current[code], expected_rows[code], current_rows[code], major_above),
            }
            for code, metrics in _by_group(tally, column)
        ]
    return slices


def _by_frequency(tally: SplitAccumulator) -> dict[str, list[BandMetrics]]:
    """Return feature -> metrics by how often the training data has the id of an example, the rarest first."""
    return {
        name: [{"seen": BANDS[code], **metrics} for code, metrics in _by_group(tally, FREQUENCY + name)]
        for name in tally.report_columns.frequencies.features
    }


def _by_group(tally: SplitAccumulator, name: str) -> Iterator[tuple[int, GroupMetrics]]:
    """Yield code and metrics of each group, undefined metrics as None; nothing if groups were not held."""
    try:
        groups = tally.metrics.by_group(name)
    except Undefined:
        return
    errors = groups.auc_standard_error
    for index, code in enumerate(groups.values.to_pylist()):
        weight, label, score = (float(sums[index]) for sums in (groups.weight, groups.label, groups.score))
        yield (
            code,
            {
                "rows": int(groups.rows[index]),
                "auc": _number(groups.auc[index]),
                "auc_standard_error": _number(errors[index]),
                "log_loss": float(groups.loss[index]) / weight if weight else None,
                "positive_rate": label / weight if weight else None,
                "mean_score": score / weight if weight else None,
                "calibration": score / label if label else None,
                "calibration_error": score / label * float(groups.variance[index]) ** 0.5 / label if label else None,
                "calibration_z": _number(groups.calibration_z[index]),
            },
        )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
