"""What a careful analyst would look at before signing a report, each a plain sentence."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from ctr.evaluation.frequency import LABELS
from ctr.evaluation.significance import ERRORS, MIN_ROWS, is_ranked_worse, is_told

Level = Literal["warning", "note", "ok"]
NAMED = 5
COLD = LABELS[1:3]


class Check(NamedTuple):
    """One sentence: a `warning` to act on, a `note` to know of, or `ok`: looked at, nothing found."""

    check: str
    set: str
    level: Level
    sentence: str


def check(report: Mapping[str, Any], training: Mapping[str, Any]) -> list[dict[str, str]]:
    """All checks of the set that matters most (test, else the last there is), of leaks in every set; warnings first.

    Args:
        report: metrics, deciles, psi, slices, frequency and leakage of each set, as in report.json.
        training: the metrics of the training data's sample.

    Returns:
        `check` (its name), `set`, `level`, `sentence`.
    """
    main = list(report["metrics"])[-1]  # train, valid, test is their order
    found = [
        Check(look.__name__.removeprefix("_"), name, level, sentence)
        for look in CHECKS
        for level, name, sentence in look(report, training, main)
    ]
    levels: tuple[Level, ...] = ("warning", "note", "ok")
    return [one._asdict() for one in sorted(found, key=lambda one: levels.index(one.level))]


Found = Iterator[tuple[Level, str, str]]


def _ranking(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    metrics = report["metrics"][main]
    auc, interval = metrics["auc"], metrics.get("auc_interval")
    if auc is None:
        return
    if interval is not None and interval[1] < 0.5:
        yield (
            "warning",
            main,
            f"An AUC of {auc:.4f} ranks the wrong way round, beyond chance: are the labels swapped, or is the model "
            f"hardly trained?",
        )
    elif interval is not None and interval[0] <= 0.5:
        yield (
            "warning",
            main,
            f"The AUC of {auc:.4f} cannot be told from chance: its interval reaches down to {interval[0]:.4f}.",
        )
    elif auc < 0.55:
        yield "warning", main, f"The AUC of {auc:.4f} is hardly better than chance."
    elif auc > 0.99:
        yield "warning", main, f"An AUC of {auc:.4f} is suspiciously good: look for a feature that knows the label."
    else:
        yield "ok", main, f"The AUC of {auc:.4f} is neither near chance nor suspiciously good."


def _overfitting(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    auc, before = report["metrics"][main]["auc"], training["auc"]
    if main not in report["psi"]["score"] or auc is None or not before:
        return
    drop, interval = 1 - auc / before, report["metrics"][main]["auc_interval"]
    if auc < 0.5 or interval is None or interval[0] <= before <= interval[1]:
        if is_told(report["metrics"][main]) and auc >= 0.5:
            yield "ok", main, f"No overfitting beyond chance: AUC {before:.4f} in training, {auc:.4f} in {main}."
        return
    told = f"AUC {before:.4f} in training, {auc:.4f} in {main}"
    if drop > 0.05:
        yield (
            "warning",
            main,
            f"Overfitting: {told}, {100 * drop:.1f} % less. Penalize more, stop earlier, or see whether the data is "
            f"alike.",
        )
    else:
        yield "ok", main, f"No overfitting beyond 5 %: {told}."


def _single_features(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    for name, leakage in report["leakage"].items():
        if not is_told(report["metrics"][name]):
            continue
        known = {feature: auc for feature, auc in leakage["single_feature_auc"].items() if auc is not None}
        suspects = sorted((feature for feature, auc in known.items() if auc > 0.95), key=lambda one: -known[one])
        for feature in suspects[:NAMED]:
            yield (
                "warning",
                name,
                f"Leak? {feature} alone has an AUC of {known[feature]:.4f} in {name}. Is it known before the label?",
            )
        if name == main and known and not suspects:
            best = max(known, key=lambda feature: known[feature])
            yield (
                "ok",
                name,
                f"No single feature gives the label away: the best alone, {best}, reaches an AUC of {known[best]:.4f}.",
            )


def _repeated_rows(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    for name, leakage in report["leakage"].items():
        repeated = leakage["rows_in_training"]
        if repeated["share"] is None:
            continue
        if repeated["is_suspect"]:
            yield (
                "warning",
                name,
                f"Leak? About {100 * repeated['share']:.1f} % of the rows of {name} (± {100 * repeated['error']:.1f}) "
                f"stand in the training data too, with label and features, beyond those that repeat by themselves.",
            )
        elif name == main and report["metrics"][name]["rows"] >= MIN_ROWS:
            yield "ok", main, f"No sign that rows of {name} were copied from the training data."


def _label_rate(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    metrics, before = report["metrics"][main], training["label_rate"]
    rate = metrics["label_rate"]
    if main not in report["psi"]["score"] or not before or rate is None:
        return
    change = rate / before - 1
    by_chance = max(metrics["label_rate_error"], math.sqrt(before * (1 - before) / metrics["rows"]))
    error = math.hypot(training["label_rate_error"], by_chance)
    told = f"{before:.4f} in training, {rate:.4f} in {main} ({100 * change:+.1f} %)"
    if abs(change) > 0.1 and abs(rate - before) > ERRORS * error:
        yield "warning", main, f"The label rate changed: {told}."
    elif metrics["rows"] >= MIN_ROWS:
        yield "ok", main, f"The label rate holds: {told}."


def _calibration(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    metrics = report["metrics"][main]
    ratio, z = metrics.get("calibration"), metrics.get("calibration_z")
    if ratio is None or z is None:
        return
    side = "more" if ratio > 1 else "fewer"
    told = f"the scores expect {100 * abs(ratio - 1):.1f} % {side} labels of 1 than there are"
    off = [
        place
        for place, one in enumerate(report["deciles"][main], 1)
        if one["calibration_z"] is not None
        and abs(one["calibration_z"]) > ERRORS
        and abs((one["calibration"] or math.inf) - 1) > 0.1
    ]
    if abs(ratio - 1) > 0.05 and abs(z) > ERRORS:
        yield "warning", main, f"Miscalibrated: {told}. Calibrate before they are used as probabilities."
    elif off:
        listed = ", ".join(map(str, off))
        yield (
            "note",
            main,
            f"Calibrated as a whole ({told}), but off by over 10 % in decile{'s' * (len(off) > 1)} {listed} of ten "
            f"from the highest score down.",
        )
    else:
        yield "ok", main, f"Well calibrated: {told}."


def _score_shift(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    score = report["psi"]["score"].get(main)
    if score is None or score["psi"] is None:
        return
    told = f"PSI {score['psi']:.4f}, {score['psi_corrected']:.4f} without what chance adds"
    drivers = [one for one in report["psi"]["drivers"][main] if one["explained"] > 0.1][:3]
    because = ", ".join(f"{one['feature']} ({100 * one['explained']:.0f} % of it)" for one in drivers)
    driven = f" What drives it: {because}." if because else ""
    if score["verdict"] == "unstable":
        yield "warning", main, f"The score has moved away from training's: {told}.{driven}"
    elif score["verdict"] == "moderate":
        yield "note", main, f"The score has moved somewhat: {told}.{driven}"
    elif score["verdict"] == "insufficient_data":
        yield "note", main, f"Too few rows to say whether the score has moved: {told}."
    else:
        yield "ok", main, f"The score's distribution holds: {told}."


def _feature_shifts(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    features = report["psi"]["features"].get(main, {})
    over_time = (report["psi"]["over_time"] or {}).get("features", {})
    moved = sorted(
        (name for name, one in features.items() if one["verdict"] == "unstable"), key=lambda n: -features[n]["psi"]
    )
    for name in moved[:NAMED]:
        since = over_time.get(name, {}).get("since")
        began = f", since {since}" if since else ""
        yield "warning", main, f"{name} has moved away from the training data: PSI {features[name]['psi']:.4f}{began}."
    if len(moved) > NAMED:
        yield "warning", main, f"{len(moved) - NAMED} more features have moved."
    elsewhere = [name for name, one in over_time.items() if one["since"] and name not in moved]
    for name in elsewhere[:NAMED]:
        yield "note", main, f"{name} is unstable at the end of the data, since {over_time[name]['since']}."
    somewhat = sorted(
        (name for name, one in features.items() if one["verdict"] == "moderate"), key=lambda n: -features[n]["psi"]
    )
    if somewhat:
        listed = ", ".join(f"{name} ({features[name]['psi']:.4f})" for name in somewhat[:NAMED])
        rest = f" and {len(somewhat) - NAMED} more" if len(somewhat) > NAMED else ""
        yield "note", main, f"Moved somewhat, by PSI: {listed}{rest}."
    unknown = sum(one["verdict"] == "insufficient_data" for one in features.values())
    if unknown:
        yield "note", main, f"Too few rows to say whether {_features(unknown)} moved."
    if len(features) > unknown and not moved and not elsewhere and not somewhat:
        yield "ok", main, f"None of {_features(len(features) - unknown)} has moved away from the training data."


def _features(count: int) -> str:
    return f"{count} feature{'s' if count > 1 else ''}"


def _cold_ids(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    overall = report["metrics"][main]["auc"]
    if overall is None:
        return
    rows = report["metrics"][main]["rows"]
    looked, found = 0, []
    for feature, buckets in report["frequency"].get(main, {}).items():
        for one in buckets:
            if one["seen"] not in COLD or not is_told(one):
                continue
            looked += 1
            if is_ranked_worse(one, overall, 0.02):
                found.append((overall - one["auc"], feature, one))
    for _, feature, one in sorted(found, key=lambda item: -item[0])[:NAMED]:
        yield (
            "note",
            main,
            f"Cold ids: where {feature} is {_seen(one['seen'])} (as in {100 * one['rows'] / rows:.1f} % of rows), the "
            f"AUC is {one['auc']:.4f}, of all rows {overall:.4f}.",
        )
    if looked and not found:
        yield "ok", main, "Rows with rare ids are ranked about as well as all rows."


def _seen(label: str) -> str:
    return label if label.startswith("new") else f"seen {label} times in training"


def _slices(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    overall = report["metrics"][main]
    if "auc_error" in overall:
        yield (
            "note",
            main,
            f"{overall['rows']:,} rows are more than report.exact_rows: scores were binned, and GAUC, slices and rare "
            f"ids left out.",
        )
    if overall["auc"] is None:
        return
    weak, off, looked = [], [], 0
    for name, slices in report["slices"].get(main, {}).items():
        for one in slices:
            if not is_told(one):
                continue
            looked += 1
            if is_ranked_worse(one, overall["auc"], 0.05):
                weak.append((one["auc"], f"{name} = {one['value']} ({one['auc']:.4f})"))
            if (
                one["calibration"] is not None
                and abs(one["calibration"] - 1) > 0.2
                and abs(one["calibration_z"] or 0) > ERRORS
            ):
                off.append(
                    (-abs(one["calibration"] - 1), f"{name} = {one['value']} ({100 * (one['calibration'] - 1):+.0f} %)")
                )
    if weak:
        yield "note", main, f"Ranked far worse than all rows (AUC {overall['auc']:.4f}): {_listed(weak)}."
    if off:
        yield "note", main, f"Miscalibrated by over 20 %: {_listed(off)}."
    if looked and not weak and not off:
        yield "ok", main, f"None of {looked} slices is ranked or calibrated far worse than the whole."


def _listed(found: list[tuple[float, str]]) -> str:
    rest = len(found) - NAMED
    return ", ".join(text for _, text in sorted(found)[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


CHECKS: tuple[Callable[[Mapping[str, Any], Mapping[str, Any], str], Found], ...] = (
    _ranking,
    _overfitting,
    _single_features,
    _repeated_rows,
    _label_rate,
    _calibration,
    _score_shift,
    _feature_shifts,
    _cold_ids,
    _slices,
)
