"""What a careful analyst would look at before signing a report, each a plain sentence."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from ctr.checks.significance import (
    COPIED_MARGIN,
    ERRORS,
    MIN_ROWS,
    Z95,
    Interval,
    Outcome,
    auc_error,
    auc_fall,
    is_ranked_alike,
    is_ranked_worse,
    is_told,
    judge,
    judge_calibration,
    judge_excess,
    largest_psi,
    ratio_interval,
    too_few,
)
from ctr.metrics.frequency_bands import LABELS
from ctr.metrics.psi import MODERATE_ABOVE

Level = Literal["warning", "note", "ok"]
NAMED = 5
COLD = LABELS[1:3]
TRAIN = "train"
NEAR_CHANCE, TOO_GOOD = 0.55, 0.99  # an AUC
MAX_FALL = 0.05  # of the AUC since training, as a share of it


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
    low, high = interval or (0.0, 1.0)
    told = f"AUC of {auc:.4f} ({f'95% CI {low:.4f} to {high:.4f}' if interval else 'without a 95% CI'})"
    if auc > TOO_GOOD and is_told(metrics):
        yield "warning", main, f"An {told} is suspiciously good: look for a feature that knows the label."
    elif high < 0.5:
        yield (
            "warning",
            main,
            f"An {told} ranks the wrong way round, beyond chance: are the labels swapped, or is the model hardly "
            f"trained?",
        )
    elif high <= NEAR_CHANCE and low <= 0.5:
        yield "warning", main, f"The {told} cannot be told from chance."
    elif high <= NEAR_CHANCE:
        yield "warning", main, f"The {told} is hardly better than chance."
    elif low >= NEAR_CHANCE and high <= TOO_GOOD:
        yield "ok", main, f"The {told} is neither near chance nor suspiciously good."
    else:
        could_be = "near chance" if low < NEAR_CHANCE else "suspiciously good"
        yield "note", main, f"The {told} could be {could_be}: {_few(metrics)} to say."


def _few(metrics: Mapping[str, Any]) -> str:
    """`43 positives are too few`, or of negatives where these are fewer."""
    positives = metrics["positives"]
    rate = metrics["label_rate"]
    if rate <= 0.5:
        return f"{positives:,.0f} positives are too few"
    return f"{positives * (1 - rate) / rate:,.0f} negatives are too few"


def _overfitting(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    metrics = report["metrics"][main]
    auc, before, interval = metrics["auc"], training["auc"], metrics.get("auc_interval")
    if main not in report["psi"]["score"] or auc is None or not before or interval is None or auc < 0.5:
        return
    fall = auc_fall(auc, interval, before, training.get("auc_interval"))
    change = _percents(-fall.share, (-fall.interval[1], -fall.interval[0]))
    told = f"AUC {before:.4f} in training, {auc:.4f} in {main} ({change})"
    if fall.share > MAX_FALL and fall.errors > ERRORS:
        yield (
            "warning",
            main,
            f"Overfitting: {told}. Penalize more, stop earlier, or see whether the data is alike.",
        )
    elif fall.interval[1] <= MAX_FALL:
        yield "ok", main, f"No overfitting beyond {100 * MAX_FALL:.0f}%: {told}."
    else:
        yield "note", main, f"Cannot say whether the model overfits: {told}; {_few(metrics)}."


def _single_features(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    for name, leakage in report["leakage"].items():
        metrics = report["metrics"][name]
        if not is_told(metrics):
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
            error = auc_error(known[best], metrics)
            told = f"the best alone, {best}, has an AUC of {known[best]:.4f} (± {error:.4f})"
            if known[best] + Z95 * error <= 0.95:
                yield "ok", name, f"No single feature gives the label away: {told}."
            else:
                yield "note", name, f"Cannot say whether a feature gives the label away: {told}; {_few(metrics)}."


def _repeated_rows(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    for name, leakage in report["leakage"].items():
        repeated, rows = leakage["rows_in_training"], report["metrics"][name]["rows"]
        if repeated["is_suspect"]:
            known = repeated["identified_rows"]
            rest = f" The other {rows - known:,} have a value out of vocabulary." if rows > known else ""
            yield (
                "warning",
                name,
                f"Leak? About {100 * repeated['share']:.1f}% (± {100 * repeated['error']:.1f}%) of the {known:,} rows "
                f"of {name} that can be identified are in the training data too, with label and features, beyond those "
                f"that repeat by themselves.{rest}",
            )
        elif name == main and rows >= MIN_ROWS:
            yield _without_copies(repeated, name)


def _without_copies(repeated: Mapping[str, Any], name: str) -> tuple[Level, str, str]:
    """The sentence on rows that were not found to be copied."""
    if repeated["share"] is None:
        return (
            "note",
            name,
            f"Cannot say whether rows of {name} were copied from the training data: {repeated['reason']}.",
        )
    of_rows = f"of the {repeated['identified_rows']:,} rows that can be identified"
    at_most = f"at most {100 * repeated['upper']:.2f}% (95% CI) {of_rows}"
    if repeated["upper"] <= COPIED_MARGIN:
        return "ok", name, f"No sign that rows of {name} were copied from the training data: {at_most}."
    if repeated["upper"] >= 1:
        at_most = f"any share {of_rows} is possible"
    return "note", name, f"Too few rows to say whether some of {name} were copied from the training data: {at_most}."


def _label_rate(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    metrics, before = report["metrics"][main], training["label_rate"]
    rate = metrics["label_rate"]
    if main not in report["psi"]["score"] or not before or rate is None:
        return
    by_chance = max(metrics["label_rate_error"], math.sqrt(before * (1 - before) / metrics["rows"]))
    of_training = training["label_rate_error"]
    interval: Interval = (-1.0, math.inf)
    if rate:
        of_ratio = math.hypot(of_training / before, metrics["label_rate_error"] / rate)
        interval = ratio_interval(rate / before, of_ratio * rate / before)
    told = f"{before:.4f} in training, {rate:.4f} in {main} ({_percents(rate / before - 1, interval)}; "
    told += f"{_positives(training)} and {_positives(metrics)} positives)"
    error = math.hypot(of_training, by_chance)  # 0 where all rows of both are positive
    outcome = judge(rate / before - 1, (rate - before) / error if error else 0.0, interval, 0.1)
    said: dict[Outcome, tuple[Level, str, str]] = {
        "off": ("warning", main, f"The label rate changed: {told}."),
        "holds": ("ok", main, f"The label rate holds: {told}."),
        "too few": ("note", main, f"{too_few(metrics)} to say whether the label rate holds: {told}."),
    }
    yield said[outcome]


def _positives(metrics: Mapping[str, Any]) -> str:
    """Their count; of a run of an earlier version it is unknown."""
    return f"{metrics['positives']:,.0f}" if "positives" in metrics else "?"


def _percents(change: float, interval: Interval) -> str:
    """Return `+46.3%, 95% CI -3.0% to +120.7%`; without the interval if it is infinite."""
    told = f"{100 * change:+.1f}%"
    if not math.isfinite(interval[1]):
        return told
    return f"{told}, 95% CI {100 * interval[0]:+.1f}% to {100 * interval[1]:+.1f}%"


def _calibration(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    if main != TRAIN:
        yield from _training_calibration(training)
    metrics = report["metrics"][main]
    if metrics.get("calibration_z") is None:
        return
    judged = judge_calibration(metrics)
    if judged is None:  # no positives
        told = f"the mean score is {metrics['mean_score']:.4f}, and none of {metrics['rows']:,} rows is positive"
        is_off = abs(metrics["calibration_z"]) > ERRORS
    else:
        told = _expected(metrics, judged[1])
        is_off = judged[0] == "off"
    if is_off:
        yield "warning", main, f"Miscalibrated: {told}. Calibrate the scores before you use them as probabilities."
        return
    off = [
        place
        for place, one in enumerate(report["deciles"][main], 1)
        if one["calibration_z"] is not None
        and abs(one["calibration_z"]) > ERRORS
        and abs((one["calibration"] or math.inf) - 1) > 0.1
    ]
    listed = f"decile{'s' * (len(off) > 1)} {', '.join(map(str, off))} of ten from the highest score down"
    if judged is not None and judged[0] == "holds":
        if off:
            yield "note", main, f"Calibrated as a whole ({told}), but off by over 10% in {listed}."
        else:
            yield "ok", main, f"Calibrated as a whole: {told}."
        return
    yield "note", main, f"{too_few(metrics)} to say whether the scores are calibrated: {told}."
    if off:
        yield "note", main, f"Miscalibrated by over 10% in {listed}."


def _training_calibration(training: Mapping[str, Any]) -> Found:
    """A warning where the scores of the training data itself are off: then no other data is at fault."""
    judged = judge_calibration(training)
    if judged is not None and judged[0] == "off":
        yield (
            "warning",
            TRAIN,
            f"Miscalibrated on the training data itself: {_expected(training, judged[1])}. Train longer, or choose the "
            f"checkpoint by log loss (training.early_stopping.metric).",
        )


def _expected(metrics: Mapping[str, Any], interval: Interval) -> str:
    """`the scores expect 10.0% more positives than there are (95% CI +7.1% to +13.0%, 4,000 positives)`."""
    ratio = metrics["calibration"]
    low, high = (100 * end for end in interval)
    return (
        f"the scores expect {100 * abs(ratio - 1):.1f}% {'more' if ratio > 1 else 'fewer'} positives than there are "
        f"(95% CI {low:+.1f}% to {high:+.1f}%, {_positives(metrics)} positives)"
    )


def _constant(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    metrics = report["metrics"][main]
    outcome = judge_excess(metrics)
    if outcome is None:
        return
    excess, error, loss = metrics["log_loss_excess"], metrics["log_loss_excess_error"], metrics["log_loss"]
    side = "above" if excess > 0 else "below"
    told = f"{abs(excess):.5f} (± {error:.5f}) {side} the {loss - excess:.5f} of a constant, the label rate"
    counted = f"{_positives(metrics)} positives"
    said: dict[Outcome, tuple[Level, str, str]] = {
        "off": (
            "warning",
            main,
            f"Worse than a constant: the log loss of {loss:.5f} is {told}. Do not use the scores as probabilities.",
        ),
        "holds": ("ok", main, f"Better than a constant: the log loss of {loss:.5f} is {told}."),
        "too few": (
            "note",
            main,
            f"Too close to say whether the scores beat a constant: the log loss of {loss:.5f} is {told} ({counted}).",
        ),
    }
    yield said[outcome]


def _score_shift(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    score = report["psi"]["score"].get(main)
    if score is None or score["psi"] is None:
        return
    told = f"PSI {score['psi']:.4f}, {score['psi_corrected']:.4f} without what chance adds"
    drivers = [one for one in report["psi"]["drivers"][main] if one["explained"] > 0.1][:3]
    because = ", ".join(f"{one['feature']} ({100 * one['explained']:.0f} % of it)" for one in drivers)
    driven = f" What drives it: {because}." if because else ""
    overfitting = report["psi"].get("overfitting", {}).get(main)
    if overfitting:
        yield "warning" if score["verdict"] == "unstable" else "note", main, _not_drift(overfitting, told, main)
    elif score["verdict"] == "unstable":
        yield "warning", main, f"The score has moved away from training's: {told}.{driven}"
    elif score["verdict"] == "moderate":
        yield "note", main, f"The score has moved somewhat: {told}.{driven}"
    elif score["verdict"] == "insufficient_data":
        yield "note", main, f"Too few rows to say whether the score has moved: {told}."
    elif largest_psi(score) > MODERATE_ABOVE:
        yield (
            "note",
            main,
            f"Too few rows to say whether the score's distribution holds: {told}, but the 95% CI reaches "
            f"{largest_psi(score):.4f}.",
        )
    else:
        yield "ok", main, f"The score's distribution holds: {told}."


def _not_drift(overfitting: Mapping[str, Any], told: str, main: str) -> str:
    between = "".join(
        f" The score of {name} differs as much (PSI {alone:.4f}), and that of {main} does not differ from it (PSI "
        f"{against:.4f})."
        for name, (alone, against) in overfitting["between"].items()
    )
    (positives_before, positives), (negatives_before, negatives) = overfitting["positives"], overfitting["negatives"]
    return (
        f"Overfitting, not drift: the score differs from training's ({told}), but no feature's own shift explains over "
        f"{100 * max(overfitting['explained'], 0):.1f}% of it.{between} Positives score {positives:.4f} on average, in "
        f"training {positives_before:.4f}; negatives {negatives:.4f}, in training {negatives_before:.4f}."
    )


def _feature_shifts(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    features = report["psi"]["features"].get(main, {})
    over_time = (report["psi"]["over_time"] or {}).get("features", {})
    calendar = set(report["psi"].get("calendar", {}).get(main, ()))
    judged = [name for name in features if name not in calendar]
    judged.sort(key=lambda name: -(features[name]["psi"] or 0))
    moved = [name for name in judged if features[name]["verdict"] == "unstable"]
    for name in moved[:NAMED]:
        told = f"{name} has moved away from the training data: PSI {features[name]['psi']:.4f}"
        since, reason = (over_time.get(name, {}).get(key) for key in ("since", "reason"))
        but = f" But {reason}." if reason else ""
        yield "warning", main, f"{told}, since {since}." if since else f"{told}.{but}"
    if len(moved) > NAMED:
        yield "warning", main, f"{len(moved) - NAMED} more features have moved."
    elsewhere = [name for name, one in over_time.items() if one["since"] and name not in moved]
    for name in elsewhere[:NAMED]:
        yield "note", main, f"{name} is unstable at the end of the data, since {over_time[name]['since']}."
    somewhat = [name for name in judged if features[name]["verdict"] == "moderate"]
    if somewhat:
        listed = ", ".join(f"{name} ({features[name]['psi']:.4f})" for name in somewhat[:NAMED])
        rest = f" and {len(somewhat) - NAMED} more" if len(somewhat) > NAMED else ""
        yield "note", main, f"Moved somewhat, by PSI: {listed}{rest}."
    by_nature = [
        name for name in features if name in calendar and features[name]["verdict"] in ("unstable", "moderate")
    ]
    if by_nature:
        listed = ", ".join(f"{name} (PSI {features[name]['psi']:.4f})" for name in by_nature)
        yield "note", main, f"No drift, but a part of the time of which {main} does not hold all values: {listed}."
    yield from _undated(report["psi"]["over_time"] or {}, [*moved, *by_nature], main)
    unknown = sum(
        features[name]["verdict"] == "insufficient_data" or _could_have_moved(features[name]) for name in judged
    )
    if unknown:
        yield "note", main, f"Too few rows to say whether {_features(unknown)} moved."
    if len(judged) > unknown and not moved and not elsewhere and not somewhat:
        yield "ok", main, f"None of {_features(len(judged) - unknown)} has moved away from the training data."


def _undated(over_time: Mapping[str, Any], said: list[str], main: str) -> Found:
    """Notes on features that are unstable in a period without any drift: why, or that the period is partial."""
    features = {name: one for name, one in over_time.get("features", {}).items() if name not in said}
    unstable = {name: one for name, one in features.items() if "unstable" in one.get("verdict", ())}
    for reason in dict.fromkeys(one["reason"] for one in unstable.values() if "reason" in one):
        names = [name for name, one in unstable.items() if one.get("reason") == reason]
        yield "note", main, f"PSI over time is no sign of drift for {_cut_short(names)}: {reason}."
    for period in over_time.get("partial", ()):
        place = over_time["periods"].index(period)
        names = [name for name, one in unstable.items() if "reason" not in one and one["verdict"][place] == "unstable"]
        if names and place:
            yield (
                "note",
                main,
                f"{period} is a partial period, so its PSI is no sign of drift: {_cut_short(names)}.",
            )


def _cut_short(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest


def _could_have_moved(psi: Mapping[str, Any]) -> bool:
    """Return True for a stable PSI whose 95% CI reaches beyond what is stable."""
    return psi["verdict"] == "stable" and largest_psi(psi) > MODERATE_ABOVE


def _features(count: int) -> str:
    return f"{count} feature{'s' if count > 1 else ''}"


def _cold_ids(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Found:
    overall = report["metrics"][main]["auc"]
    if overall is None:
        return
    rows = report["metrics"][main]["rows"]
    buckets = [
        (feature, one)
        for feature, of_feature in report["frequency"].get(main, {}).items()
        for one in of_feature
        if one["seen"] in COLD and is_told(one)
    ]
    found = [(overall - one["auc"], feature, one) for feature, one in buckets if is_ranked_worse(one, overall, 0.02)]
    for _, feature, one in sorted(found, key=lambda item: -item[0])[:NAMED]:
        yield (
            "note",
            main,
            f"Cold ids: where {feature} is {_seen(one['seen'])} (as in {100 * one['rows'] / rows:.1f} % of rows), the "
            f"AUC is {one['auc']:.4f}, of all rows {overall:.4f}.",
        )
    if found or not buckets:
        return
    alike = sum(is_ranked_alike(one, overall, 0.02) for _, one in buckets)
    if alike == len(buckets):
        yield "ok", main, "Rows with rare ids are ranked about as well as all rows: no AUC is 0.02 lower."
    else:
        lowest = min(one["auc"] - Z95 * one["auc_standard_error"] for _, one in buckets)
        yield (
            "note",
            main,
            f"Too few rows with rare ids to say whether they are ranked as well as all rows (AUC {overall:.4f}): the "
            f"95% CI of {len(buckets) - alike} of {len(buckets)} groups reaches below {overall - 0.02:.4f}, down to "
            f"{lowest:.4f}.",
        )


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
    weak, off, looked, clear = [], [], 0, 0
    for name, slices in report["slices"].get(main, {}).items():
        for one in slices:
            if not is_told(one):
                continue
            looked += 1
            clear += is_ranked_alike(one, overall["auc"], 0.05) and _is_calibrated(one, 0.2)
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
    if weak or off or not looked:
        return
    has = "has" if looked - clear == 1 else "have"
    unclear = f"{looked - clear} of {_slice_count(looked)} {has} too few rows to say"
    if clear:
        rest = "" if clear == looked else f"; {unclear}"
        yield "ok", main, f"None of {_slice_count(clear)} is ranked or calibrated far worse than the whole{rest}."
    else:
        yield "note", main, f"Cannot say whether a slice is ranked or calibrated far worse than the whole: {unclear}."


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


CHECKS: tuple[Callable[[Mapping[str, Any], Mapping[str, Any], str], Found], ...] = (
    _ranking,
    _overfitting,
    _single_features,
    _repeated_rows,
    _label_rate,
    _calibration,
    _constant,
    _score_shift,
    _feature_shifts,
    _cold_ids,
    _slices,
)
