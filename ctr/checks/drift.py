"""Checks for drift of the score and of features."""

from ctr.checks.significance import (
    largest_psi,
)
from ctr.checks.statements import NAMED, Statements
from ctr.metrics.psi import MODERATE_ABOVE, Drift, PSIResult
from ctr.schema.drift import Overfitting, OverTime
from ctr.schema.levels import Level
from ctr.schema.report import Measured
from ctr.schema.split_metrics import SplitMetrics


def score_drift(report: Measured, training: SplitMetrics, main: str) -> Statements:
    score = report["psi"]["score"].get(main)
    if score is None or score["psi"] is None:
        return
    told = f"PSI {score['psi']:.4f}, {score['psi_corrected']:.4f} without what chance adds"
    drivers = [one for one in report["psi"]["drivers"][main] if one["explained"] > 0.1][:3]
    because = ", ".join(f"{one['feature']} ({100 * one['explained']:.0f} % of it)" for one in drivers)
    driven = f" What drives it: {because}." if because else ""
    overfitting = report["psi"]["overfitting"].get(main)
    if overfitting:
        yield Level.WARNING if score["drift"] == Drift.MAJOR else Level.NOTE, main, _not_drift(overfitting, told, main)
    elif score["drift"] == Drift.MAJOR:
        yield Level.WARNING, main, f"The score has moved away from training's: {told}.{driven}"
    elif score["drift"] == Drift.MODERATE:
        yield Level.NOTE, main, f"The score has moved somewhat: {told}.{driven}"
    elif score["drift"] == Drift.TOO_LITTLE_DATA:
        yield Level.NOTE, main, f"Too few rows to say whether the score has moved: {told}."
    elif largest_psi(score) > MODERATE_ABOVE:
        yield (
            Level.NOTE,
            main,
            f"Too few rows to say whether the score's distribution holds: {told}, but the 95% CI reaches "
            f"{largest_psi(score):.4f}.",
        )
    else:
        yield Level.OK, main, f"The score's distribution holds: {told}."


def _not_drift(overfitting: Overfitting, told: str, main: str) -> str:
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


def feature_drift(report: Measured, training: SplitMetrics, main: str) -> Statements:
    features = report["psi"]["features"].get(main, {})
    over_time = report["psi"]["over_time"]
    by_period = over_time["features"] if over_time is not None else {}
    calendar = set(report["psi"]["calendar"].get(main, ()))
    judged = [name for name in features if name not in calendar]
    judged.sort(key=lambda name: -(features[name]["psi"] or 0))
    moved = [name for name in judged if features[name]["drift"] == Drift.MAJOR]
    for name in moved[:NAMED]:
        told = f"{name} has moved away from the training data: PSI {features[name]['psi']:.4f}"
        dated = by_period.get(name)
        since, reason = (None, None) if dated is None else (dated["since"], dated.get("reason"))
        but = f" But {reason}." if reason else ""
        yield Level.WARNING, main, f"{told}, since {since}." if since else f"{told}.{but}"
    if len(moved) > NAMED:
        yield Level.WARNING, main, f"{len(moved) - NAMED} more features have moved."
    elsewhere = [name for name, one in by_period.items() if one["since"] and name not in moved]
    for name in elsewhere[:NAMED]:
        yield Level.NOTE, main, f"{name} is unstable at the end of the data, since {by_period[name]['since']}."
    somewhat = [name for name in judged if features[name]["drift"] == Drift.MODERATE]
    if somewhat:
        listed = ", ".join(f"{name} ({features[name]['psi']:.4f})" for name in somewhat[:NAMED])
        rest = f" and {len(somewhat) - NAMED} more" if len(somewhat) > NAMED else ""
        yield Level.NOTE, main, f"Moved somewhat, by PSI: {listed}{rest}."
    by_nature = [name for name in features if name in calendar and features[name]["drift"].has_drifted]
    if by_nature:
        listed = ", ".join(f"{name} (PSI {features[name]['psi']:.4f})" for name in by_nature)
        yield Level.NOTE, main, f"No drift, but a part of the time of which {main} does not hold all values: {listed}."
    if over_time is not None:
        yield from _undated(over_time, [*moved, *by_nature], main)
    unknown = sum(
        features[name]["drift"] == Drift.TOO_LITTLE_DATA or _could_have_moved(features[name]) for name in judged
    )
    if unknown:
        yield Level.NOTE, main, f"Too few rows to say whether {_features(unknown)} moved."
    if len(judged) > unknown and not moved and not elsewhere and not somewhat:
        yield Level.OK, main, f"None of {_features(len(judged) - unknown)} has moved away from the training data."


def _undated(over_time: OverTime, said: list[str], main: str) -> Statements:
    """Notes on features that are unstable in a period without any drift: why, or that the period is partial."""
    features = {name: one for name, one in over_time["features"].items() if name not in said}
    unstable = {name: one for name, one in features.items() if Drift.MAJOR in one["drift"]}
    for reason in dict.fromkeys(one["reason"] for one in unstable.values() if "reason" in one):
        names = [name for name, one in unstable.items() if one.get("reason") == reason]
        yield Level.NOTE, main, f"PSI over time is no sign of drift for {_cut_short(names)}: {reason}."
    for period in over_time["partial"]:
        place = over_time["periods"].index(period)
        names = [name for name, one in unstable.items() if "reason" not in one and one["drift"][place] == Drift.MAJOR]
        if names and place:
            yield (
                Level.NOTE,
                main,
                f"{period} is a partial period, so its PSI is no sign of drift: {_cut_short(names)}.",
            )


def _cut_short(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest


def _could_have_moved(psi: PSIResult) -> bool:
    """Return True for a stable PSI whose 95% CI reaches beyond what is stable."""
    return psi["drift"] == Drift.STABLE and largest_psi(psi) > MODERATE_ABOVE


def _features(count: int) -> str:
    return f"{count} feature{'s' if count > 1 else ''}"
