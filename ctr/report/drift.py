"""Distributions of the score and of features against a reference, the worst drift first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ctr.metrics.psi import Drift, PSIResult
from ctr.schema.report import DriftReport, Report, ScoredReport


@dataclass(frozen=True)
class Bin:
    """Fraction of a distribution that is in one bin, in the reference and in each split."""

    label: str
    reference: float
    splits: dict[str, float]


@dataclass(frozen=True)
class DistributionDrift:
    """Drift of the score or of a feature: PSI by split, and the bins that are not empty."""

    name: str
    psi: dict[str, PSIResult]  # by split
    bins: list[Bin]

    @property
    def level(self) -> Drift:
        """The worst level of any split."""
        return min((result["drift"] for result in self.psi.values()), key=lambda level: level.rank)

    @property
    def worst(self) -> float | None:
        """The largest PSI among the splits of the worst level."""
        values = [
            result["psi"] for result in self.psi.values() if result["drift"] == self.level and result["psi"] is not None
        ]
        return max(values, default=None)

    @property
    def peak(self) -> float:
        """The largest fraction of any bin, which scales all plots of this distribution."""
        return max((max(bin_.reference, *bin_.splits.values()) for bin_ in self.bins), default=1.0)


def score_drift(report: ScoredReport, curves: dict[str, Any]) -> DistributionDrift | None:
    """Return the drift of the score; None if no split was compared."""
    psi = report["psi"]["score"]
    return _distribution_drift("score", psi, curves["bins"]["score"]) if psi else None


def feature_drift(report: Report, curves: dict[str, Any]) -> list[DistributionDrift]:
    """Return the drift of each feature, ordered by its worst level, then by its largest PSI."""
    by_split = report["psi"]["features"]
    names = list(next(iter(by_split.values()), {}))
    drifts = [
        _distribution_drift(
            name, {split: features[name] for split, features in by_split.items()}, curves["bins"]["features"][name]
        )
        for name in names
    ]
    return sorted(drifts, key=lambda drift: (drift.level.rank, -(drift.worst or 0)))


def integer_columns(report: DriftReport) -> list[tuple[str, str, list[str]]]:
    """Return `numbers` or `categories`, the reason, and the integer columns that `ctr psi` compared so for it.

    An integer column can be either, so a report says what was chosen, and why.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name, reason in sorted(report.get("type_reasons", {}).items()):
        as_ = "numbers" if report["column_types"][name] == "numeric" else "categories"
        groups.setdefault((as_, reason), []).append(name)
    return [(*group, names) for group, names in sorted(groups.items())]


def sort_positions(drifts: list[DistributionDrift], splits: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the position of each distribution, from 0, in every order that a reader can choose.

    Args:
        drifts: distributions, the worst first.
        splits: names of the compared splits.

    Returns:
        `drift`, `name`, and `split0`, `split1`, ... (the PSI of each split, the largest first) -> name -> position.
    """
    orders = {"drift": drifts, "name": sorted(drifts, key=lambda drift: (drift.name.casefold(), drift.name))}
    for index, split in enumerate(splits):
        orders[f"split{index}"] = sorted(drifts, key=lambda drift: -_number(drift.psi[split]["psi"]))
    return {key: {drift.name: position for position, drift in enumerate(order)} for key, order in orders.items()}


def _number(psi: float | None) -> float:
    return -1.0 if psi is None else psi


def _distribution_drift(name: str, psi: dict[str, PSIResult], histogram: dict[str, Any]) -> DistributionDrift:
    bins = [
        Bin(label, histogram["reference"][k], {split: shares[k] for split, shares in histogram["sets"].items()})
        for k, label in enumerate(histogram["labels"])
    ]
    return DistributionDrift(name, psi, [bin_ for bin_ in bins if bin_.reference or any(bin_.splits.values())])
