"""Whether the score and the features are distributed as in the training data."""

from collections.abc import Mapping
from typing import Any

from ctr.checks.significance import (
    largest_psi,
)
from ctr.checks.statements import NAMED, Statements
from ctr.metrics.psi import MODERATE_ABOVE


def score_shift(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Statements:
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


def feature_shifts(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Statements:
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


def _undated(over_time: Mapping[str, Any], said: list[str], main: str) -> Statements:
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
