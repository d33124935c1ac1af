"""Fractions of unknown ids, which share one embedding: unseen ids, and ids too rare for the vocabulary."""

from dataclasses import dataclass, field

from ctr.schema.report import UnknownIds as Record
from features import NULL, OUT_OF_VOCABULARY, Batch, Encoder


@dataclass
class UnknownIds:
    """Counts of ids of each feature whose ids can be unknown; sequences count each id, nulls are left out.

    Two states merge by `merge`.

    Args:
        columns: feature -> column of `ids`; None for a sequence.
        values: feature -> number of ids.
        unknown: feature -> number of unknown ids.
    """

    columns: dict[str, int | None]
    values: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, encoder: Encoder) -> "UnknownIds":
        """Return empty counts of an encoder's features."""
        columns = {category["name"]: category["column"] for category in encoder.layout["categories"]}
        columns |= dict.fromkeys((sequence["name"] for sequence in encoder.layout["sequences"]), None)
        return cls({name: columns[name] for name in encoder.features.columns if encoder.can_be_unknown(name)})

    def add(self, batch: Batch) -> None:
        """Count the ids of a batch."""
        for name, column in self.columns.items():
            ids = batch[f"sequences/{name}"] if column is None else batch["ids"][:, column]
            self._count(name, int((ids > NULL).sum()), int((ids == OUT_OF_VOCABULARY).sum()))

    def merge(self, other: "UnknownIds") -> "UnknownIds":
        """Return the counts of both together."""
        merged = UnknownIds(self.columns, dict(self.values), dict(self.unknown))
        for name, values in other.values.items():
            merged._count(name, values, other.unknown[name])
        return merged

    def result(self) -> dict[str, Record]:
        """Return each feature's number of `values` and the `share` of unknown ids, 0 to 1; None without values."""
        return {
            name: {"values": values, "share": self.unknown[name] / values if values else None}
            for name, values in self.values.items()
        }

    def _count(self, name: str, values: int, unknown: int) -> None:
        self.values[name] = self.values.get(name, 0) + values
        self.unknown[name] = self.unknown.get(name, 0) + unknown
