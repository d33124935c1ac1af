"""Checks for drift of the score and of features."""

from ctr.checks.significance import largest_psi
from ctr.checks.statements import NAMED, Statements, drifted_features
from ctr.metrics.psi import MODERATE_ABOVE, Drift, PSIResult
from ctr.schema.drift import Overfitting, OverTime
from ctr.schema.levels import Level
from ctr.schema.report import Measured
from ctr.schema.split_metrics import SplitMetrics


def score_drift(report: Measured, training: SplitMetrics, main: str) -> Statements:
    """Check the PSI of the score against the training data; name features that explain it, or probable overfitting."""
    score = report["psi"]["score"].get(main)
    if score is None or score["psi"] is None:
        return
    numbers = f"PSI {score['psi']:.4f}, {score['psi_corrected']:.4f} corrected for chance"
    drivers = [driver for driver in report["psi"]["drivers"][main] if driver["explained"] > 0.1][:3]
    explained = ", ".join(f"{driver['feature']} ({100 * driver['explained']:.0f}% of it)" for driver in drivers)
    cause = f" It is explained by drift of {explained}." if explained else ""
    overfitting = report["psi"]["overfitting"].get(main)
    if overfitting:
        yield (
            Level.WARNING if score["drift"] == Drift.MAJOR else Level.NOTE,
            main,
            _not_drift(overfitting, numbers, main),
        )
    elif score["drift"] == Drift.MAJOR:
        yield Level.WARNING, main, f"score: major drift against the training data ({numbers}).{cause}"
    elif score["drift"] == Drift.MODERATE:
        yield Level.NOTE, main, f"score: moderate drift against the training data ({numbers}).{cause}"
    elif score["drift"] == Drift.TOO_LITTLE_DATA:
        yield Level.NOTE, main, f"score: too little data to tell whether it has drifted ({numbers})."
    elif largest_psi(score) > MODERATE_ABOVE:
        yield (
            Level.NOTE,
            main,
            f"score: too little data to tell whether it has drifted ({numbers}); the 95% CI reaches "
            f"{largest_psi(score):.4f}.",
        )
    else:
        yield Level.OK, main, f"score: stable against the training data ({numbers})."


def _not_drift(overfitting: Overfitting, numbers: str, main: str) -> str:
    between = "".join(
        f" The score of {name} differs as much (PSI {alone:.4f}), and {main} does not differ from {name} (PSI "
        f"{against:.4f})."
        for name, (alone, against) in overfitting["between"].items()
    )
    (trained_positives, positives), (trained_negatives, negatives) = overfitting["positives"], overfitting["negatives"]
    return (
        f"Probably overfitting, not drift: the score differs from the training data ({numbers}), but the drift of no "
        f"feature explains more than {100 * max(overfitting['explained'], 0):.1f}% of it.{between} The mean score of "
        f"positives is {positives:.4f}, {trained_positives:.4f} in training; of negatives {negatives:.4f}, "
        f"{trained_negatives:.4f} in training."
    )


def feature_drift(report: Measured, training: SplitMetrics, main: str) -> Statements:
    """Check the PSI of features against the training data and, if the data has times, by period."""
    features = report["psi"]["features"].get(main, {})
    over_time = report["psi"]["over_time"]
    by_period = over_time["features"] if over_time is not None else {}
    calendar = set(report["psi"]["calendar"].get(main, ()))
    judged = [name for name in features if name not in calendar]
    judged.sort(key=lambda name: -(features[name]["psi"] or 0))
    major = drifted_features(report, main)
    for name in major[:NAMED]:
        timed = by_period.get(name)
        since, reason = (None, None) if timed is None else (timed["since"], timed.get("reason"))
        start = f" since {since}" if since else ""
        doubt = f" But {reason}." if reason and not since else ""
        psi = f"PSI {features[name]['psi']:.2f} against the training data"
        yield Level.WARNING, main, f"{name}: major drift{start} ({psi}).{doubt}"
    if len(major) > NAMED:
        yield Level.WARNING, main, f"{len(major) - NAMED} more features have major drift."
    at_the_end = [name for name, timed in by_period.items() if timed["since"] and name not in major]
    for name in at_the_end[:NAMED]:
        yield Level.NOTE, main, f"{name}: major drift at the end of the data, since {by_period[name]['since']}."
    moderate = [name for name in judged if features[name]["drift"] == Drift.MODERATE]
    if moderate:
        names = ", ".join(f"{name} (PSI {features[name]['psi']:.2f})" for name in moderate[:NAMED])
        rest = f" and {len(moderate) - NAMED} more" if len(moderate) > NAMED else ""
        yield Level.NOTE, main, f"Moderate drift against the training data: {names}{rest}."
    date_parts = [name for name in features if name in calendar and features[name]["drift"].has_drifted]
    if date_parts:
        names = ", ".join(f"{name} (PSI {features[name]['psi']:.2f})" for name in date_parts)
        yield Level.NOTE, main, f"Not drift: {main} does not cover all values of the date parts {names}."
    if over_time is not None:
        yield from _undated(over_time, [*major, *date_parts], main)
    unknown = sum(
        features[name]["drift"] == Drift.TOO_LITTLE_DATA or _could_have_drifted(features[name]) for name in judged
    )
    if unknown:
        yield Level.NOTE, main, f"Too little data to tell whether {_features(unknown)} drifted."
    if len(judged) > unknown and not major and not at_the_end and not moderate:
        stable = len(judged) - unknown
        yield Level.OK, main, f"{_features(stable)} {'is' if stable == 1 else 'are'} stable against the training data."


def _undated(over_time: OverTime, reported: list[str], main: str) -> Statements:
    """Yield notes on features with a high PSI in a period that is not drift: the reason, or that it is partial."""
    features = {name: timed for name, timed in over_time["features"].items() if name not in reported}
    high = {name: timed for name, timed in features.items() if Drift.MAJOR in timed["drift"]}
    for reason in dict.fromkeys(timed["reason"] for timed in high.values() if "reason" in timed):
        names = [name for name, timed in high.items() if timed.get("reason") == reason]
        yield Level.NOTE, main, f"PSI over time does not indicate drift of {_cut_short(names)}: {reason}."
    for period in over_time["partial"]:
        index = over_time["periods"].index(period)
        names = [name for name, timed in high.items() if "reason" not in timed and timed["drift"][index] == Drift.MAJOR]
        if names and index:
            yield (
                Level.NOTE,
                main,
                f"{period} is a partial period, so its high PSI does not indicate drift of {_cut_short(names)}.",
            )


def _cut_short(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest


def _could_have_drifted(psi: PSIResult) -> bool:
    """Return True for a stable PSI whose 95% CI includes drift."""
    return psi["drift"] == Drift.STABLE and largest_psi(psi) > MODERATE_ABOVE


def _features(count: int) -> str:
    return f"{count} feature{'s' if count > 1 else ''}"
