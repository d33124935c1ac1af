"""What report.json says of scored sets, and what curves.json draws of them: pure functions of the sets' states."""

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
    """Return what a report says of some splits against the training data, and what its plots are drawn from.

    Args:
        tallies: by split; `train` is that of the reference, and may be absent.
        main: the split that the checks are about.
        reference: of the training data.
        major_above: the PSI above which drift is major.
    """
    others = {name: tally for name, tally in tallies.items() if not tally.is_reference}
    compared = {name: reference.histograms.compare(tally.histograms, major_above) for name, tally in others.items()}
    labelled = {name: tally for name, tally in others.items() if tally.is_labelled}
    metrics = {name: metrics_of_set(tally) for name, tally in tallies.items()}
    psi: ScoreDrift = {
        "score": {name: found[SCORE] for name, found in compared.items()},
        "features": {name: by_feature(found) for name, found in compared.items()},
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
            "reason": "it is overfitting: the scores of unseen rows differ from the first",
        }
    measured: Measured = {
        "version": VERSION,
        "main_split": main,
        "metrics": metrics,
        "negative_sampling_rate": {name: tally.observed.negative_sampling_rate for name, tally in tallies.items()},
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
    """Return what plots are drawn from."""
    histograms = {name: tally.histograms for name, tally in tallies.items() if not tally.is_reference}
    counts = {name: tally.metrics.counts() for name, tally in tallies.items() if tally.is_labelled}
    date_parts = [FEATURE + name for name in next(iter(tallies.values())).observed.date_parts]
    described = reference.histograms.describe(histograms, date_parts)
    return {
        "psi": {"moderate_above": MODERATE_ABOVE, "unstable_above": major_above},
        **build_curves(counts),
        "score_distribution": {
            "edges": reference.score_edges,
            "sets": {name: score_shares(one, reference.score_edges) for name, one in counts.items()},
        },
        "bins": {SCORE: described[SCORE], "features": by_feature(described)},
        "worst_rows": {
            name: tally.worst.result()
            for name, tally in tallies.items()
            if tally.is_labelled and not tally.is_reference
        },
    }


def _leakage(tally: SplitAccumulator, reference: Reference) -> Leakage:
    return {
        "duplicates": reference.rows.share(tally.repeats, tally.observed.negative_sampling_rate),
        "single_feature_auc": reference.joint.single_feature_auc(tally.joint),
    }


def _overfitting(
    main: str,
    others: Mapping[str, SplitAccumulator],
    psi: ScoreDrift,
    metrics: SplitMetrics,
    reference: Reference,
    major_above: float,
) -> dict[str, Overfitting]:
    """Return the main split -> why the drift of its score is overfitting; nothing where it is not."""
    histograms = others[main].histograms
    unseen = {
        name: (psi["score"][name], tally.histograms.compare(histograms, major_above)[SCORE])
        for name, tally in others.items()
        if name != main
    }
    found = find_overfitting(
        psi["score"][main],
        psi["drivers"][main],
        metrics,
        reference.metrics,
        class_scores(others[main].metrics.counts()),
        reference.class_scores,
        unseen,
    )
    return {main: found} if found else {}


def metrics_of_set(tally: SplitAccumulator) -> SplitMetrics:
    """The metrics of a set; without labels, the mean score alone.

    Where a group is declared, GAUC is among them, and intervals and errors take groups as independent, not rows.
    """
    if not tally.is_labelled:
        unknown = ("auc", "log_loss", "positive_rate")
        reasons = dict.fromkeys(unknown, "the data has no label")
        mean = tally.score_sum / tally.rows
        return {"rows": tally.rows, **dict.fromkeys(unknown), "mean_score": mean, "reasons": reasons}
    found = tally.metrics.result(tally.observed.report.threshold, tally.observed.cluster)
    if tally.observed.report.group is None:
        return found
    try:
        of_groups = gauc(tally.metrics.by_group(GROUP))
    except Undefined as reason:
        of_groups = {
            "gauc": None,
            "mean_group_auc": None,
            "reasons": dict.fromkeys(("gauc", "mean_group_auc"), str(reason)),
        }
    reasons = {**found.pop("reasons", {}), **of_groups.pop("reasons", {})}
    named = {"cluster_column": tally.observed.report.group, "gauc_group": tally.observed.report.group}
    return {**found, **named, **of_groups, **({"reasons": reasons} if reasons else {})}


def _drivers(reference: Reference, tally: SplitAccumulator, score: PSIResult) -> list[Driver]:
    """The features that drive the score's shift; none where chance alone could have moved it so far."""
    if score["psi"] is None or score["psi"] <= score["noise"]:
        return []
    before, after = reference.histograms.counts[SCORE], tally.histograms.counts[SCORE]
    return reference.joint.drivers(tally.joint, before, after)


def _calendar(reference: Reference, tally: SplitAccumulator) -> list[str]:
    """Return the parts of a time, and the crosses of these, of which a set does not hold all values."""
    return [
        name
        for name, parts in tally.observed.calendar.items()
        if any(lacks_values(reference.histograms, tally.histograms, FEATURE + part) for part in parts)
    ]


def _over_time(tallies: list[SplitAccumulator], reference: Reference, major_above: float) -> OverTime | None:
    """PSI of every period of all sets together; None without a time column, or within one period."""
    time = tallies[0].observed.time
    if time is None:
        return None
    whole = Timeline(reference.histograms.binning)
    for tally in tallies:
        whole = whole.merge(tally.timeline)
    made = tallies[0].observed.calendar
    calendar = {FEATURE + name: [FEATURE + part for part in parts] for name, parts in made.items()}
    found = whole.compare(reference.histograms, major_above, reference.periods, calendar)
    return None if found is None else found.over_time(time.column, time.by)


def _slices(tally: SplitAccumulator, reference: Reference, major_above: float) -> dict[str, list[SliceMetrics]]:
    """Name -> metrics of each of its slices, and how far its scores have moved from the same slice in training."""
    found: dict[str, list[SliceMetrics]] = {}
    for name, column in tally.slices.items():
        labels = reference.histograms.binning.labels(column)
        before, after = reference.joint.scores[column], tally.joint.scores[column]
        rows_before = reference.histograms.rows * before.sum(axis=1) / max(before.sum(), 1)
        rows_after = tally.histograms.rows * after.sum(axis=1) / max(after.sum(), 1)
        found[name] = [
            {
                "value": labels[code],
                **metrics,
                "psi": compare(before[code], after[code], rows_before[code], rows_after[code], major_above),
            }
            for code, metrics in _by_group(tally, column)
        ]
    return found


def _by_frequency(tally: SplitAccumulator) -> dict[str, list[BandMetrics]]:
    """Feature -> metrics by how often the training data has a row's value, the rarest first."""
    return {
        name: [{"seen": BANDS[code], **metrics} for code, metrics in _by_group(tally, FREQUENCY + name)]
        for name in tally.observed.frequencies.features
    }


def _by_group(tally: SplitAccumulator, name: str) -> Iterator[tuple[int, GroupMetrics]]:
    """The metrics of each group, by its code; those that it has not are None. Nothing where groups are not held."""
    try:
        groups = tally.metrics.by_group(name)
    except Undefined:
        return
    errors = groups.auc_standard_error
    for place, code in enumerate(groups.values.to_pylist()):
        weight, label, score = (float(sums[place]) for sums in (groups.weight, groups.label, groups.score))
        yield (
            code,
            {
                "rows": int(groups.rows[place]),
                "auc": _number(groups.auc[place]),
                "auc_standard_error": _number(errors[place]),
                "log_loss": float(groups.loss[place]) / weight if weight else None,
                "positive_rate": label / weight if weight else None,
                "mean_score": score / weight if weight else None,
                "calibration": score / label if label else None,
                "calibration_error": score / label * float(groups.variance[place]) ** 0.5 / label if label else None,
                "calibration_z": _number(groups.calibration_z[place]),
            },
        )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
