"""What the sets hold, counted in one stream over each, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr.config.experiment import Experiment
from ctr.evaluation.duplicates import HashSample, NeverTrained, TrainingHashes, row_hashes
from ctr.evaluation.report_columns import report_columns
from ctr.preflight.distinct import DistinctCount
from ctr.schema.report import Duplicates
from ctr.training.data import PreparedData
from features import (
    OUT_OF_VOCABULARY,
    Batch,
    Encoder,
    Ragged,
    RowGroup,
    Values,
    as_microseconds,
    cast_column,
    count_rows,
    decoded,
    innermost,
    is_bytes,
    is_uuid,
    read_ahead,
    read_tables,
    values_of_column,
)

HASHED_ROWS = 1_000_000  # of the training data, about: 8 bytes each


@dataclass
class InputProfile:
    """Counts of a feature, or of another column, in one split; a sequence counts by its values, an empty list has none.

    Two states merge by `merge`.
    """

    rows: int = 0
    nulls: int = 0
    """Rows without a value."""
    values: int = 0
    unknown: int | None = None
    """Values that share the row of unknown values; None where none can."""
    low: Any = None
    high: Any = None
    distinct: DistinctCount = field(default_factory=DistinctCount)

    def add(self, values: Values) -> None:
        """Count the values of some rows."""
        flat = values.flat if isinstance(values, Ragged) else values
        lists = values.lengths if isinstance(values, Ragged) else None
        self.rows += len(flat) if lists is None else len(lists)
        self.nulls += flat.null_count if lists is None else int((lists == 0).sum())
        self.values += len(flat) - flat.null_count
        found = decoded(pc.unique(flat)).drop_null()
        if not len(found):
            return
        self.distinct.add(found)
        low, high = map(_plain, pc.min_max(found).values())
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def merge(self, other: "InputProfile") -> "InputProfile":
        """Return the profile of both together."""
        unknown = [one.unknown for one in (self, other) if one.unknown is not None]
        lows = [one.low for one in (self, other) if one.low is not None]
        highs = [one.high for one in (self, other) if one.high is not None]
        return InputProfile(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.values + other.values,
            sum(unknown) if unknown else None,
            min(lows, default=None),
            max(highs, default=None),
            self.distinct.merge(other.distinct),
        )

    @property
    def different(self) -> int:
        """How many different values there are, about; `distinct.is_exact` says whether exactly."""
        return min(self.distinct.estimate, self.values)

    @property
    def null_share(self) -> float:
        """Of the rows."""
        return self.nulls / self.rows

    @property
    def unknown_share(self) -> float | None:
        """Fraction of the values that share the row of unknown values; None where none can, or without values."""
        return None if self.unknown is None or not self.values else self.unknown / self.values


class Chunk(NamedTuple):
    """A row group that was read."""

    group: RowGroup
    values: dict[str, Values]
    """By name, of all that a profile counts."""
    batch: Batch


@dataclass
class SetProfile:
    """A set without its bad rows, or a range of its row groups. Two states merge by `merge`."""

    files: set[str] = field(default_factory=set)
    """Their paths."""
    rows: int = 0
    positives: int = 0
    inputs: dict[str, InputProfile] = field(default_factory=dict)
    """By name: features, the label and the weight, kept columns and those of the report."""

    def add(self, chunk: Chunk, encoder: Encoder) -> None:
        """Count the rows of a row group."""
        self.files.add(chunk.group.file.path)
        self.rows += chunk.group.rows
        self.positives += int(chunk.batch["label"].sum())
        columns = {category["name"]: category["column"] for category in encoder.layout["categories"]}
        for name, values in chunk.values.items():
            seen = self.inputs.setdefault(name, InputProfile())
            seen.add(values)
            if name in encoder.features.columns and encoder.can_be_unknown(name):
                is_sequence = isinstance(values, Ragged)
                ids = chunk.batch[f"sequences/{name}"] if is_sequence else chunk.batch["ids"][:, columns[name]]
                seen.unknown = (seen.unknown or 0) + int((ids == OUT_OF_VOCABULARY).sum())

    def merge(self, other: "SetProfile") -> "SetProfile":
        """Return the profile of both together."""
        names = dict.fromkeys([*self.inputs, *other.inputs])
        nothing = InputProfile()
        inputs = {name: self.inputs.get(name, nothing).merge(other.inputs.get(name, nothing)) for name in names}
        files, rows, positives = self.files | other.files, self.rows + other.rows, self.positives + other.positives
        return SetProfile(files, rows, positives, inputs)

    @property
    def positive_rate(self) -> float:
        """The share of positives."""
        return self.positives / self.rows


def profile_sets(experiment: Experiment, prepared: PreparedData) -> tuple[dict[str, SetProfile], dict[str, Duplicates]]:
    """Read every row of every set once, the training data first.

    Returns:
        The profile of each set; and of each but the training data, the share of its rows that were copied from there.
    """
    encoder = prepared.encoder
    beside = [*prepared.kept.names, *report_columns(experiment)]
    beside = [name for name in dict.fromkeys(beside) if name not in encoder.features.of_columns]
    rate, total = experiment.data.negative_sampling_rate, count_rows(prepared.sets["train"])
    never_trained = NeverTrained.of(encoder)
    profiles = {name: SetProfile() for name in prepared.sets}
    sample = HashSample(experiment.seed, HASHED_ROWS / total)
    for place, chunk in enumerate(_chunks(prepared.sets["train"], encoder, beside)):
        profiles["train"].add(chunk, encoder)
        sample.add(row_hashes(chunk.batch, never_trained), place)
    training = TrainingHashes.of(sample.hashes, sample.halves, total, rate)
    copies = {}
    for name in [name for name in profiles if name != "train"]:
        found = training.find(np.empty(0, np.uint64))
        for chunk in _chunks(prepared.sets[name], encoder, beside):
            profiles[name].add(chunk, encoder)
            found = found.merge(training.find(row_hashes(chunk.batch, never_trained)))
        copies[name] = training.share(found, rate)
    return profiles, copies


def _chunks(groups: list[RowGroup], encoder: Encoder, beside: list[str]) -> Iterator[Chunk]:
    for group, table, values, batch in read_ahead(_encoded(groups, encoder, beside), depth=1):
        yield Chunk(group, {**values, **_values_beside(encoder, table, batch, beside, str(group))}, batch)


def _encoded(
    groups: list[RowGroup], encoder: Encoder, beside: list[str]
) -> Iterator[tuple[RowGroup, pa.Table, dict[str, Values], Batch]]:
    for group, table in read_tables(groups, [*encoder.input_columns, *beside]):
        values = encoder.values(table, str(group))
        yield group, table, values, encoder.encode(table, values, str(group))


def _values_beside(encoder: Encoder, table: pa.Table, batch: Batch, beside: list[str], where: str) -> dict[str, Values]:
    """The values of label, weight and the columns that are no features; those without an order are left out."""
    assert encoder.columns is not None
    found: dict[str, Values] = {encoder.columns.label: pa.array(batch["label"].astype(np.int8))}
    if encoder.columns.weight is not None:
        found[encoder.columns.weight] = pa.array(batch["weight"])
    for name in [name for name in beside if name not in found]:
        column, inner = table.column(name), innermost(table.column(name).type)
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            found[name] = as_microseconds(column.combine_chunks(), f"{where}: {name!r}")
            continue
        if is_bytes(inner) or is_uuid(inner):
            column = cast_column(column, "hex", f"{where}: {name!r}")
        if (values := values_of_column(column)) is not None:
            found[name] = values
    return found


def _plain(value: pa.Scalar) -> Any:
    """A value that compares with others of its column; a time as NumPy's, which has every year."""
    return np.datetime64(value.value, "us") if pa.types.is_timestamp(value.type) else value.as_py()
