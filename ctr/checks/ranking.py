"""Checks of the ranking, of all rows and of those with rare ids or in a slice."""

from collections.abc import Mapping
from typing import Any

from ctr.checks.significance import (
    STANDARD_ERRORS,
    auc_fall,
    has_enough_examples,
    is_ranked_alike,
    is_ranked_worse,
    lower_end,
    ratio_interval,
)
from ctr.checks.statements import NAMED, Statements, percents, too_few_of_a_class
from ctr.metrics.frequency_bands import Band
from ctr.schema.levels import Level
from ctr.schema.report import Measured
from ctr.schema.split_metrics import SplitMetrics

NEAR_CHANCE, TOO_GOOD = 0.55, 0.99  # an AUC
MAX_FALL = 0.05  # of the AUC since training, as a share of it
SEEN = {Band.NOT_IN_VOCABULARY: "new, or too rare for the vocabulary", Band.FROM_1: "seen 1 to 9 times in training"}
"""The bands of long-tail ids, in words."""


def ranking(report: Measured, training: SplitMetrics, main: str) -> Statements:
    metrics = report["metrics"][main]
    auc, interval = metrics["auc"], metrics.get("auc_interval")
    if auc is None:
        return
    low, high = interval or (0.0, 1.0)
    told = f"AUC of {auc:.4f} ({f'95% CI {low:.4f} to {high:.4f}' if interval else 'without a 95% CI'})"
    if auc > TOO_GOOD and has_enough_examples(metrics):
        yield Level.WARNING, main, f"An {told} is suspiciously good: look for a feature that knows the label."
    elif high < 0.5:
        yield (
            Level.WARNING,
            main,
            f"An {told} ranks the wrong way round, beyond chance: are the labels swapped, or is the model hardly "
            f"trained?",
        )
    elif high <= NEAR_CHANCE and low <= 0.5:
        yield Level.WARNING, main, f"The {told} cannot be told from chance."
    elif high <= NEAR_CHANCE:
        yield Level.WARNING, main, f"The {told} is hardly better than chance."
    elif low >= NEAR_CHANCE and high <= TOO_GOOD:
        yield Level.OK, main, f"The {told} is neither near chance nor suspiciously good."
    else:
        could_be = "near chance" if low < NEAR_CHANCE else "suspiciously good"
        yield Level.NOTE, main, f"The {told} could be {could_be}: {too_few_of_a_class(metrics)} to say."


def overfitting(report: Measured, training: SplitMetrics, main: str) -> Statements:
    metrics = report["metrics"][main]
    auc, before, interval = metrics["auc"], training["auc"], metrics.get("auc_interval")
    if main not in report["psi"]["score"] or auc is None or not before or interval is None or auc < 0.5:
        return
    fall = auc_fall(auc, interval, before, training.get("auc_interval"))
    change = percents(-fall.share, (-fall.interval[1], -fall.interval[0]))
    told = f"AUC {before:.4f} in training, {auc:.4f} in {main} ({change})"
    if fall.share > MAX_FALL and fall.errors > STANDARD_ERRORS:
        yield (
            Level.WARNING,
            main,
            f"Overfitting: {told}. Penalize more, stop earlier, or see whether the data is alike.",
        )
    elif fall.interval[1] <= MAX_FALL:
        yield Level.OK, main, f"No overfitting beyond {100 * MAX_FALL:.0f}%: {told}."
    else:
        yield Level.NOTE, main, f"Cannot say whether the model overfits: {told}; {too_few_of_a_class(metrics)}."


def long_tail_ids(report: Measured, training: SplitMetrics, main: str) -> Statements:
    overall = report["metrics"][main]["auc"]
    if overall is None:
        return
    rows = report["metrics"][main]["rows"]
    buckets = [
        (feature, one)
        for feature, of_feature in report["frequency"].get(main, {}).items()
        for one in of_feature
        if one["seen"] in SEEN and has_enough_examples(one)
    ]
    found = [(overall - one["auc"], feature, one) for feature, one in buckets if is_ranked_worse(one, overall, 0.02)]
    for _, feature, one in sorted(found, key=lambda item: -item[0])[:NAMED]:
        yield (
            Level.NOTE,
            main,
            f"Cold ids: where {feature} is {SEEN[one['seen']]} (as in {100 * one['rows'] / rows:.1f} % of rows), the "
            f"AUC is {one['auc']:.4f}, of all rows {overall:.4f}.",
        )
    if found or not buckets:
        return
    alike = sum(is_ranked_alike(one, overall, 0.02) for _, one in buckets)
    if alike == len(buckets):
        yield Level.OK, main, "Rows with rare ids are ranked about as well as all rows: no AUC is 0.02 lower."
    else:
        lowest = min(lower_end(one) for _, one in buckets)
        yield (
            Level.NOTE,
            main,
            f"Too few rows with rare ids to say whether they are ranked as well as all rows (AUC {overall:.4f}): the "
            f"95% CI of {len(buckets) - alike} of {len(buckets)} groups reaches below {overall - 0.02:.4f}, down to "
            f"{lowest:.4f}.",
        )


def slices(report: Measured, training: SplitMetrics, main: str) -> Statements:
    overall = report["metrics"][main]
    if "auc_error" in overall:
        yield (
            Level.NOTE,
            main,
            f"{overall['rows']:,} rows are more than report.max_exact_rows: scores were binned, and GAUC, slices and "
            f"rare ids left out.",
        )
    if overall["auc"] is None:
        return
    weak, off, looked, clear = [], [], 0, 0
    for name, slices in report["slices"].get(main, {}).items():
        for one in slices:
            if not has_enough_examples(one):
                continue
            looked += 1
            clear += is_ranked_alike(one, overall["auc"], 0.05) and _is_calibrated(one, 0.2)
            if is_ranked_worse(one, overall["auc"], 0.05):
                weak.append((one["auc"] or 0.0, f"{name} = {one['value']} ({one['auc']:.4f})"))
            if (
                one["calibration"] is not None
                and abs(one["calibration"] - 1) > 0.2
                and abs(one["calibration_z"] or 0) > STANDARD_ERRORS
            ):
                off.append(
                    (-abs(one["calibration"] - 1), f"{name} = {one['value']} ({100 * (one['calibration'] - 1):+.0f} %)")
                )
    if weak:
        yield Level.NOTE, main, f"Ranked far worse than all rows (AUC {overall['auc']:.4f}): {_listed(weak)}."
    if off:
        yield Level.NOTE, main, f"Miscalibrated by over 20 %: {_listed(off)}."
    if weak or off or not looked:
        return
    has = "has" if looked - clear == 1 else "have"
    unclear = f"{looked - clear} of {_slice_count(looked)} {has} too few rows to say"
    if clear:
        rest = "" if clear == looked else f"; {unclear}"
        yield Level.OK, main, f"None of {_slice_count(clear)} is ranked or calibrated far worse than the whole{rest}."
    else:
        yield (
            Level.NOTE,
            main,
            f"Cannot say whether a slice is ranked or calibrated far worse than the whole: {unclear}.",
        )


def _slice_count(count: int) -> str:
    return f"{count} slice{'s' if count > 1 else ''}"


def _is_calibrated(metrics: Mapping[str, Any], margin: float) -> bool:
    """Return True if the 95% CI of a slice's calibration lies within `margin` of 1."""
    ratio, error = metrics["calibration"], metrics["calibration_error"]
    if not ratio or error is None:
        return False
    low, high = ratio_interval(ratio, error)
    return -margin <= low and high <= margin


def _listed(found: list[tuple[float, str]]) -> str:
    rest = len(found) - NAMED
    return ", ".join(text for _, text in sorted(found)[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
