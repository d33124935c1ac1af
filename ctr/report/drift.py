"""Distributions beside those of the training data, worst first."""

from dataclasses import dataclass
from typing import Any

from ctr.metrics.psi import Drift as Level
from ctr.metrics.psi import PSIResult
from ctr.schema.report import Report, ScoredReport


@dataclass(frozen=True)
class Bin:
    """One bin of a distribution, as shares."""

    label: str
    reference: float
    sets: dict[str, float]


@dataclass(frozen=True)
class Drift:
    """The score or a feature: its PSI in each set, and its bins that hold anything."""

    name: str
    psi: dict[str, PSIResult]  # by split
    bins: list[Bin]

    @property
    def level(self) -> Level:
        """The worst of all splits."""
        return min((one["drift"] for one in self.psi.values()), key=lambda level: level.rank)

    @property
    def worst(self) -> float | None:
        """The largest PSI among the splits of the worst level."""
        found = [one["psi"] for one in self.psi.values() if one["drift"] == self.level and one["psi"] is not None]
        return max(found, default=None)

    @property
    def peak(self) -> float:
        """The largest share of any bin: the scale of all plots of this distribution."""
        return max((max(one.reference, *one.sets.values()) for one in self.bins), default=1.0)


def score_drift(report: ScoredReport, curves: dict[str, Any]) -> Drift | None:
    """The score's; None where no set was compared."""
    psi = report["psi"]["score"]
    return _shift("score", psi, curves["bins"]["score"]) if psi else None


def feature_drift(report: Report, curves: dict[str, Any]) -> list[Drift]:
    """Those of the features, the worst level first, then the largest PSI."""
    by_set = report["psi"]["features"]
    names = list(next(iter(by_set.values()), {}))
    shifts = [
        _shift(name, {of: features[name] for of, features in by_set.items()}, curves["bins"]["features"][name])
        for name in names
    ]
    return sorted(shifts, key=lambda shift: (shift.level.rank, -(shift.worst or 0)))


def sort_places(shifts: list[Drift], sets: list[str]) -> dict[str, dict[str, int]]:
    """Where each shift stands, from 0, in every order that a reader may choose.

    Args:
        shifts: the worst first.
        sets: those that were compared.

    Returns:
        `verdict`, `name`, and `set0`, `set1`, ... for the PSI of each set, the largest first -> name -> place.
    """
    orders = {"verdict": shifts, "name": sorted(shifts, key=lambda shift: (shift.name.casefold(), shift.name))}
    for place, of in enumerate(sets):
        orders[f"set{place}"] = sorted(shifts, key=lambda shift: -_number(shift.psi[of]["psi"]))
    return {key: {shift.name: place for place, shift in enumerate(order)} for key, order in orders.items()}


def _number(psi: float | None) -> float:
    return -1.0 if psi is None else psi


def _shift(name: str, psi: dict[str, PSIResult], described: dict[str, Any]) -> Drift:
    sets = described["sets"]
    bins = [
        Bin(label, described["reference"][k], {of: shares[k] for of, shares in sets.items()})
        for k, label in enumerate(described["labels"])
    ]
    return Drift(name, psi, [one for one in bins if one.reference or any(one.sets.values())])
