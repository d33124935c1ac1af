"""Checks of the ranking: of all examples, of examples with long-tail ids, and of slices."""

from collections.abc import Mapping
from typing import Any

from ctr.checks.significance import (
    STANDARD_ERRORS,
    auc_fall,
    has_enough_examples,
    is_ranked_similarly,
    is_ranked_worse,
    lower_end,
    ratio_interval,
)
from ctr.checks.statements import NAMED, Statements, drifted_features, percents, too_few_of_a_class
from ctr.metrics.frequency_bands import Band
from ctr.schema.levels import Level
from ctr.schema.report import Measured
from ctr.schema.split_metrics import SplitMetrics

NEAR_CHANCE, TOO_GOOD = 0.55, 0.99  # an AUC
MAX_FALL = 0.05  # of the AUC from training, as a fraction of it
SEEN = {Band.NOT_IN_VOCABULARY: "not in the vocabulary", Band.FROM_1: "seen 1 to 9 times in training"}
"""The bands of long-tail ids -> their description."""


def ranking(report: Measured, training: SplitMetrics, main: str) -> Statements:
    """Check that the AUC is neither near chance nor suspiciously high."""
    metrics = report["metrics"][main]
    auc, interval = metrics["auc"], metrics.get("auc_interval")
    if auc is None:
        return
    low, high = interval or (0.0, 1.0)
    number = f"AUC {auc:.4f} ({f'95% CI {low:.4f} to {high:.4f}' if interval else 'without a 95% CI'})"
    if auc > TOO_GOOD and has_enough_examples(metrics):
        yield Level.WARNING, main, f"{number} is suspiciously high. Look for a feature that reveals the label."
    elif high < 0.5:
        yield (
            Level.WARNING,
            main,
            f"{number} is significantly below 0.5: negatives rank above positives. Check whether the labels are "
            f"swapped, or train longer.",
        )
    elif high <= NEAR_CHANCE and low <= 0.5:
        yield Level.WARNING, main, f"{number} is not significantly different from chance."
    elif high <= NEAR_CHANCE:
        yield Level.WARNING, main, f"{number} is barely better than chance."
    elif low >= NEAR_CHANCE and high <= TOO_GOOD:
        yield Level.OK, main, f"{number} is neither near chance nor suspiciously high."
    else:
        could_be = "near chance" if low < NEAR_CHANCE else "suspiciously high"
        yield Level.NOTE, main, f"{number} could be {could_be}: {too_few_of_a_class(metrics)} to tell."


def overfitting(report: Measured, training: SplitMetrics, main: str) -> Statements:
    """Check that the AUC is at most MAX_FALL lower than in training."""
    metrics = report["metrics"][main]
    auc, trained, interval = metrics["auc"], training["auc"], metrics.get("auc_interval")
    if main not in report["psi"]["score"] or auc is None or not trained or interval is None or auc < 0.5:
        return
    fall = auc_fall(auc, interval, trained, training.get("auc_interval"))
    change = percents(-fall.fraction, (-fall.interval[1], -fall.interval[0]))
    numbers = f"AUC {trained:.4f} in training, {auc:.4f} in {main} ({change})"
    drifted = drifted_features(report, main)
    if fall.fraction > MAX_FALL and fall.errors > STANDARD_ERRORS and drifted:
        names = f"{', '.join(drifted[:NAMED])}{' and others' * (len(drifted) > NAMED)}"
        yield (
            Level.WARNING,
            main,
            f"The AUC falls from training: {numbers}. The cause can be the major drift of {names}, overfitting, or "
            f"both. Look at the drift first.",
        )
    elif fall.fraction > MAX_FALL and fall.errors > STANDARD_ERRORS:
        yield (
            Level.WARNING,
            main,
            f"Overfitting: {numbers}. Regularize more, stop earlier, or check whether the two splits differ.",
        )
    elif fall.interval[1] <= MAX_FALL:
        yield Level.OK, main, f"The AUC falls by less than {100 * MAX_FALL:.0f}% from training: {numbers}."
    else:
        yield Level.NOTE, main, f"Cannot tell whether the model overfits: {numbers}; {too_few_of_a_class(metrics)}."


def long_tail_ids(report: Measured, training: SplitMetrics, main: str) -> Statements:
    """Check that examples with long-tail ids have an AUC less than 0.02 below that of all examples."""
    overall = report["metrics"][main]["auc"]
    if overall is None:
        return
    rows = report["metrics"][main]["rows"]
    buckets = [
        (feature, bucket)
        for feature, feature_buckets in report["frequency"].get(main, {}).items()
        for bucket in feature_buckets
        if bucket["seen"] in SEEN and has_enough_examples(bucket)
    ]
    worse = [
        (overall - bucket["auc"], feature, bucket)
        for feature, bucket in buckets
        if is_ranked_worse(bucket, overall, 0.02)
    ]
    for _, feature, bucket in sorted(worse, key=lambda item: -item[0])[:NAMED]:
        yield (
            Level.NOTE,
            main,
            f"Long-tail ids: AUC {bucket['auc']:.4f} where {feature} is {SEEN[bucket['seen']]} "
            f"({100 * bucket['rows'] / rows:.1f}% of examples), {overall:.4f} overall.",
        )
    if worse or not buckets:
        return
    similar = sum(is_ranked_similarly(bucket, overall, 0.02) for _, bucket in buckets)
    if similar == len(buckets):
        yield Level.OK, main, "Long-tail ids rank about as well as all ids: no AUC is 0.02 lower."
    else:
        lowest = min(lower_end(bucket) for _, bucket in buckets)
        yield (
            Level.NOTE,
            main,
            f"Too few examples with long-tail ids to tell whether they rank as well as all (AUC {overall:.4f}): the "
            f"lower end of the 95% CI is below {overall - 0.02:.4f} in {len(buckets) - similar} of {len(buckets)} "
            f"groups (lowest {lowest:.4f}).",
        )


def slices(report: Measured, training: SplitMetrics, main: str) -> Statements:
    """Check that no slice has an AUC far below the overall AUC or is miscalibrated by more than 20%."""
    overall = report["metrics"][main]
    if "auc_error" in overall:
        yield (
            Level.NOTE,
            main,
            f"{overall['rows']:,} examples are more than report.max_exact_rows: scores were binned, without GAUC, "
            f"slices and long-tail ids.",
        )
    if overall["auc"] is None:
        return
    weak, off, judged, clear = [], [], 0, 0
    for name, slices in report["slices"].get(main, {}).items():
        for slice_ in slices:
            if not has_enough_examples(slice_):
                continue
            judged += 1
            clear += is_ranked_similarly(slice_, overall["auc"], 0.05) and _is_calibrated(slice_, 0.2)
            label, ratio = f"{name} = {slice_['value']}", slice_["calibration"]
            if is_ranked_worse(slice_, overall["auc"], 0.05):
                weak.append((slice_["auc"] or 0.0, f"{label} ({slice_['auc']:.4f})"))
            is_significant = abs(slice_["calibration_z"] or 0) > STANDARD_ERRORS
            if ratio is not None and abs(ratio - 1) > 0.2 and is_significant:
                off.append((-abs(ratio - 1), f"{label} ({100 * (ratio - 1):+.0f}%)"))
    if weak:
        yield Level.NOTE, main, f"Slices with an AUC far below the overall {overall['auc']:.4f}: {_worst(weak)}."
    if off:
        yield Level.NOTE, main, f"Slices miscalibrated by more than 20%: {_worst(off)}."
    if weak or off or not judged:
        return
    has = "has" if judged - clear == 1 else "have"
    unclear = f"{judged - clear} of {_slice_count(judged)} {has} too few examples to tell"
    if clear:
        rest = "" if clear == judged else f"; {unclear}"
        yield Level.OK, main, f"None of {_slice_count(clear)} has a far lower AUC or is miscalibrated{rest}."
    else:
        yield Level.NOTE, main, f"Cannot tell whether a slice has a far lower AUC or is miscalibrated: {unclear}."


def _slice_count(count: int) -> str:
    return f"{count} slice{'s' if count > 1 else ''}"


def _is_calibrated(metrics: Mapping[str, Any], margin: float) -> bool:
    """Return True if the 95% CI of a slice's calibration lies within `margin` of 1."""
    ratio, error = metrics["calibration"], metrics["calibration_error"]
    if not ratio or error is None:
        return False
    low, high = ratio_interval(ratio, error)
    return -margin <= low and high <= margin


def _worst(slices: list[tuple[float, str]]) -> str:
    rest = len(slices) - NAMED
    return ", ".join(text for _, text in sorted(slices)[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
