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
from ctr.metrics.frequency_bands import LABELS
from ctr.metrics.psi import MODERATE_ABOVE

TRAIN = "train"


def build_report(
    tallies: Mapping[str, SplitAccumulator], reference: Reference, unstable_above: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything that is said of some sets, beside the training data.

    Args:
        tallies: by set; `train` is that of the reference, and may be absent.
        reference: of the training data.
        unstable_above: the PSI above which a shift is called unstable.

    Returns:
        report: metrics, negative_sampling_rate (None: all rows), deciles, psi (score, features, drivers, over_time),
            slices, frequency, unknown_ids, leakage, checks.
        curves: what plots are drawn of.
    """
    others = {name: tally for name, tally in tallies.items() if not tally.is_reference}
    compared = {name: reference.histograms.compare(tally.histograms, unstable_above) for name, tally in others.items()}
    psi = {name: by_feature(found) for name, found in compared.items()}
    labelled = {name: tally for name, tally in others.items() if tally.is_labelled}
    report: dict[str, Any] = {
        "metrics": {name: metrics_of_set(tally) for name, tally in tallies.items()},
        "negative_sampling_rate": {name: tally.observed.negative_sampling_rate for name, tally in tallies.items()},
        "deciles": {name: tally.metrics.deciles() for name, tally in tallies.items() if tally.is_labelled},
        "psi": {
            "score": {name: one[SCORE] for name, one in psi.items()},
            "features": {name: one["features"] for name, one in psi.items()},
            "drivers": {name: _drivers(reference, tally, psi[name][SCORE]) for name, tally in others.items()},
            "over_time": _over_time(list(tallies.values()), reference, unstable_above),
            "calendar": {name: _calendar(reference, tally) for name, tally in others.items()},
        },
        "slices": {name: _slices(tally, reference, unstable_above) for name, tally in labelled.items()},
        "frequency": {name: _by_frequency(tally) for name, tally in labelled.items()},
        "unknown_ids": {name: tally.unknown_ids.result() for name, tally in others.items()},
        "leakage": {
            name: {
                "rows_in_training": reference.rows.share(tally.repeats, tally.observed.negative_sampling_rate),
                "single_feature_auc": reference.joint.single_feature_auc(tally.joint),
            }
            for name, tally in labelled.items()
        },
    }
    report["psi"]["overfitting"] = _overfitting(others, report, reference, unstable_above)
    over_time = report["psi"]["over_time"] or {}
    if report["psi"]["overfitting"] and "score" in over_time:
        over_time[SCORE] |= {
            "since": None,
            "reason": "it is overfitting: the scores of unseen rows differ from the first",
        }
    report["checks"] = check(report, reference.metrics)
    histograms = {name: tally.histograms for name, tally in others.items()}
    counts = {name: tally.metrics.counts() for name, tally in tallies.items() if tally.is_labelled}
    curves = {
        "psi": {"moderate_above": MODERATE_ABOVE, "unstable_above": unstable_above},
        **build_curves(counts),
        "score_distribution": {
            "edges": reference.score_edges,
            "sets": {name: score_shares(one, reference.score_edges) for name, one in counts.items()},
        },
        "bins": by_feature(reference.histograms.describe(histograms)),
        "worst_rows": {name: tally.worst.result() for name, tally in labelled.items()},
    }
    return report, curves


def _overfitting(
    others: Mapping[str, SplitAccumulator], report: Mapping[str, Any], reference: Reference, unstable_above: float
) -> dict[str, dict[str, Any]]:
    """The set that matters most -> why the shift of its score is overfitting; nothing where it is not."""
    if not others or not others[list(others)[-1]].is_labelled:
        return {}
    *names, main = others
    score, histograms = report["psi"]["score"], others[main].histograms
    unseen = {name: (score[name], others[name].histograms.compare(histograms, unstable_above)[SCORE]) for name in names}
    found = find_overfitting(
        score[main],
        report["psi"]["drivers"][main],
        report["metrics"][main],
        reference.metrics,
        class_scores(others[main].metrics.counts()),
        reference.class_scores,
        unseen,
    )
    return {main: found} if found else {}


def metrics_of_set(tally: SplitAccumulator) -> dict[str, Any]:
    """The metrics of a set; without labels, the mean score alone.

    Where a group is declared, GAUC is among them, and intervals and errors take groups as independent, not rows.
    """
    if not tally.is_labelled:
        unknown = ("auc", "log_loss", "label_rate")
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


def _drivers(reference: Reference, tally: SplitAccumulator, score: Mapping[str, Any]) -> list[dict[str, Any]]:
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


def _over_time(tallies: list[SplitAccumulator], reference: Reference, unstable_above: float) -> dict[str, Any] | None:
    """PSI of every period of all sets together; None without a time column, or within one period."""
    time = tallies[0].observed.time
    if time is None:
        return None
    whole = Timeline(reference.histograms.binning)
    for tally in tallies:
        whole = whole.merge(tally.timeline)
    made = tallies[0].observed.calendar
    calendar = {FEATURE + name: [FEATURE + part for part in parts] for name, parts in made.items()}
    found = whole.compare(reference.histograms, unstable_above, reference.periods, calendar)
    if found is None:
        return None
    described = {"column": time.column, "by": time.by}
    if "reason" in found:
        return {**described, **found}
    return {
        **described,
        **{key: found[key] for key in ("periods", "rows", "undated", "partial")},
        **by_feature(found["columns"]),
    }


def _slices(tally: SplitAccumulator, reference: Reference, unstable_above: float) -> dict[str, list[dict[str, Any]]]:
    """Name -> metrics of each of its slices, and how far its scores have moved from the same slice in training."""
    found = {}
    for name, column in tally.slices.items():
        labels = reference.histograms.binning.labels(column)
        before, after = reference.joint.scores[column], tally.joint.scores[column]
        rows_before = reference.histograms.rows * before.sum(axis=1) / max(before.sum(), 1)
        rows_after = tally.histograms.rows * after.sum(axis=1) / max(after.sum(), 1)
        found[name] = [
            {
                "value": labels[code],
                **metrics,
                "psi": compare(before[code], after[code], rows_before[code], rows_after[code], unstable_above),
            }
            for code, metrics in _by_group(tally, column)
        ]
    return found


def _by_frequency(tally: SplitAccumulator) -> dict[str, list[dict[str, Any]]]:
    """Feature -> metrics by how often the training data has a row's value, the rarest first."""
    return {
        name: [{"seen": LABELS[code], **metrics} for code, metrics in _by_group(tally, FREQUENCY + name)]
        for name in tally.observed.frequencies.features
    }


def _by_group(tally: SplitAccumulator, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
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
                "label_rate": label / weight if weight else None,
                "mean_score": score / weight if weight else None,
                "calibration": score / label if label else None,
                "calibration_error": score / label * float(groups.variance[place]) ** 0.5 / label if label else None,
                "calibration_z": _number(groups.calibration_z[place]),
            },
        )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
