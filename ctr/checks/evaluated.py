"""What a careful analyst would look at before signing a report, each a plain sentence."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ctr.checks.calibration import calibration, constant, label_rate
from ctr.checks.drift import feature_shifts, score_shift
from ctr.checks.leaks import repeated_rows, single_features
from ctr.checks.ranking import cold_ids, overfitting, ranking, slices
from ctr.checks.statements import Level, Statements


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
        Check(look.__name__, name, level, sentence)
        for look in CHECKS
        for level, name, sentence in look(report, training, main)
    ]
    levels: tuple[Level, ...] = ("warning", "note", "ok")
    return [one._asdict() for one in sorted(found, key=lambda one: levels.index(one.level))]


CHECKS: tuple[Callable[[Mapping[str, Any], Mapping[str, Any], str], Statements], ...] = (
    ranking,
    overfitting,
    single_features,
    repeated_rows,
    label_rate,
    calibration,
    constant,
    score_shift,
    feature_shifts,
    cold_ids,
    slices,
)
