"""Monitors: the number of a validation that selects the best weights and ends training."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ctr.metrics.catalog import entry


@dataclass(frozen=True)
class Monitor:
    """A metric, or a sum of metrics with signs.

    Attributes:
        key: name in a config, such as `auc - log_loss`.
        terms: key of each metric -> its sign, 1 or -1.

    >>> monitor = MONITORS["auc - log_loss"]
    >>> monitor.label, monitor.sign, round(monitor.value({"auc": 0.8, "log_loss": 0.5}), 3)
    ('AUC - log loss', 1, 0.3)
    >>> MONITORS["log_loss"].sign
    -1
    """

    key: str
    terms: Mapping[str, int]

    @property
    def sign(self) -> int:
        """1 if higher is better, -1 if lower is better."""
        first, sign = next(iter(self.terms.items()))
        return sign * entry(first).better.sign

    @property
    def label(self) -> str:
        """Name in tables and on pages."""
        label = self.key
        for key in self.terms:
            label = label.replace(key, entry(key).label)
        return label

    def value(self, metrics: Mapping[str, Any]) -> float | None:
        """Return the monitor of a split; None if a metric is undefined."""
        values = [metrics[key] for key in self.terms]
        if None in values:
            return None
        return float(sum(sign * value for sign, value in zip(self.terms.values(), values, strict=True)))

    def value_of_line(self, line: Mapping[str, Any]) -> float | None:
        """Return the monitor of a validation's line in metrics.jsonl, where the log loss is called `loss`."""
        return self.value({**line, "log_loss": line["loss"]})

    def text(self, value: float | None) -> str:
        """Return a value as tables show it; `-` for None."""
        return entry(next(iter(self.terms))).text(value)


MONITORS: Mapping[str, Monitor] = MappingProxyType(
    {
        monitor.key: monitor
        for monitor in (
            Monitor("auc", {"auc": 1}),
            Monitor("log_loss", {"log_loss": 1}),
            Monitor("auc - log_loss", {"auc": 1, "log_loss": -1}),
            Monitor("auc + gauc", {"auc": 1, "gauc": 1}),
        )
    }
)
"""Name in a config -> monitor."""
