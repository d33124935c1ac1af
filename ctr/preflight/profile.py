"""What the sets hold, counted in one stream over each, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr.config.experiment import Experiment
from ctr.evaluation.duplicates import NeverTrained, TrainingHashes, row_hashes
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
    files_of,
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
    """A feature, or a column that is none, in one set; a sequence by its values, of which an empty list has none."""

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


@dataclass
class SetProfile:
    """A set without its bad rows."""

    files: int
    rows: int
    positives: int = 0
    inputs: dict[str, InputProfile] = field(default_factory=dict)
    """By name: features, the label and the weight, kept columns and those of the report."""
    repeated: Duplicates | None = None
    """The share of rows that were copied from the training data, as `TrainingHashes.share` says it."""

    @property
    def positive_rate(self) -> float:
        """The share of positives."""
        return self.positives / self.rows


def profile_sets(experiment: Experiment, prepared: PreparedData) -> dict[str, SetProfile]:
    """Read every row of every set once, the training data first."""
    encoder = prepared.encoder
    beside = [*prepared.kept.names, *report_columns(experiment)]
    beside = [name for name in dict.fromkeys(beside) if name not in encoder.features.of_columns]
    profiles = {name: SetProfile(len(files_of(groups)), count_rows(groups)) for name, groups in prepared.sets.items()}
    rate, total = experiment.data.negative_sampling_rate, profiles["train"].rows
    sample, halves = [], []
    for place, hashes in enumerate(_counted(profiles["train"], prepared.sets["train"], encoder, beside)):
        drawn = np.random.default_rng([experiment.seed, 2, place]).random(len(hashes)) < HASHED_ROWS / total
        sample.append(hashes[drawn])
        halves.append(np.random.default_rng([experiment.seed, 5, place]).random(len(sample[-1])) < 0.5)
    training = TrainingHashes.of(sample, halves, total, rate)
    for name in [name for name in profiles if name != "train"]:
        found = training.find(np.empty(0, np.uint64))
        for hashes in _counted(profiles[name], prepared.sets[name], encoder, beside):
            found = found.merge(training.find(hashes))
        profiles[name].repeated = training.share(found, rate)
    return profiles


def _counted(profile: SetProfile, groups: list[RowGroup], encoder: Encoder, beside: list[str]) -> Iterator[np.ndarray]:
    """Count a set; the hashes of its rows, row group by row group."""
    never_trained = NeverTrained.of(encoder)
    for group, table, values, batch in read_ahead(_encoded(groups, encoder, beside), depth=1):
        profile.positives += int(batch["label"].sum())
        _add(profile, encoder, {**values, **_values_beside(encoder, table, batch, beside, str(group))}, batch)
        yield row_hashes(batch, never_trained)


def _encoded(
    groups: list[RowGroup], encoder: Encoder, beside: list[str]
) -> Iterator[tuple[RowGroup, pa.Table, dict[str, Values], Batch]]:
    for group, table in read_tables(groups, [*encoder.input_columns, *beside]):
        values = encoder.values(table, str(group))
        yield group, table, values, encoder.encode(table, values, str(group))


def _add(profile: SetProfile, encoder: Encoder, values: dict[str, Values], batch: Batch) -> None:
    columns = {category["name"]: category["column"] for category in encoder.layout["categories"]}
    for name, found in values.items():
        seen = profile.inputs.setdefault(name, InputProfile())
        seen.add(found)
        if name in encoder.features.columns and encoder.can_be_unknown(name):
            ids = batch[f"sequences/{name}"] if isinstance(found, Ragged) else batch["ids"][:, columns[name]]
            seen.unknown = (seen.unknown or 0) + int((ids == OUT_OF_VOCABULARY).sum())


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
