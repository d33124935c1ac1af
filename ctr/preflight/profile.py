"""Profiles of the splits, each counted in one pass in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ctr.config.experiment import Experiment
from ctr.evaluation.duplicates import HashSample, NeverTrained, TrainingHashes, row_hashes
from ctr.evaluation.input_profile import InputProfile
from ctr.evaluation.report_columns import report_columns
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
    innermost,
    is_bytes,
    is_uuid,
    read_ahead,
    read_tables,
    values_of_column,
)

HASHED_ROWS = 1_000_000  # about so many training examples are hashed, 8 bytes each


class Chunk(NamedTuple):
    """Row group that was read."""

    group: RowGroup
    values: dict[str, Values]
    """Name -> values of each input that a profile counts."""
    batch: Batch


@dataclass
class SplitProfile:
    """Profile of a split without its invalid rows, or of a range of its row groups. `merge` merges two profiles."""

    files: set[str] = field(default_factory=set)
    """Paths of the files."""
    rows: int = 0
    positives: int = 0
    inputs: dict[str, InputProfile] = field(default_factory=dict)
    """Name -> profile of features, label, weight, pass-through columns and columns of the report."""

    def add(self, chunk: Chunk, encoder: Encoder) -> None:
        """Count the rows of a row group."""
        self.files.add(chunk.group.file.path)
        self.rows += chunk.group.rows
        self.positives += int(chunk.batch["label"].sum())
        columns = {category["name"]: category["column"] for category in encoder.layout["categories"]}
        for name, values in chunk.values.items():
            profile = self.inputs.setdefault(name, InputProfile())
            profile.add(values)
            if name in encoder.features.columns and encoder.can_be_unknown(name):
                is_sequence = isinstance(values, Ragged)
                ids = chunk.batch[f"sequences/{name}"] if is_sequence else chunk.batch["ids"][:, columns[name]]
                profile.unknown = (profile.unknown or 0) + int((ids == OUT_OF_VOCABULARY).sum())

    def merge(self, other: "SplitProfile") -> "SplitProfile":
        """Return the profile of both together."""
        names = dict.fromkeys([*self.inputs, *other.inputs])
        empty = InputProfile()
        inputs = {name: self.inputs.get(name, empty).merge(other.inputs.get(name, empty)) for name in names}
        files, rows, positives = self.files | other.files, self.rows + other.rows, self.positives + other.positives
        return SplitProfile(files, rows, positives, inputs)

    @property
    def positive_rate(self) -> float:
        """Fraction of rows with label 1."""
        return self.positives / self.rows


def profile_splits(
    experiment: Experiment, prepared: PreparedData
) -> tuple[dict[str, SplitProfile], dict[str, Duplicates]]:
    """Read every row of every split once, the training data first.

    Returns:
        The profile of each split, and for each split except train the share of duplicates of training examples.
    """
    encoder = prepared.encoder
    other_columns = [*prepared.passthrough.names, *report_columns(experiment)]
    other_columns = [name for name in dict.fromkeys(other_columns) if name not in encoder.features.of_columns]
    rate, total = experiment.data.negative_sampling_rate, count_rows(prepared.splits["train"])
    never_trained = NeverTrained.of(encoder)
    profiles = {name: SplitProfile() for name in prepared.splits}
    sample = HashSample(experiment.seed, HASHED_ROWS / total)
    for index, chunk in enumerate(_chunks(prepared.splits["train"], encoder, other_columns)):
        profiles["train"].add(chunk, encoder)
        sample.add(row_hashes(chunk.batch, never_trained), index)
    training = TrainingHashes.of(sample.hashes, sample.halves, total, rate)
    copies = {}
    for name in [name for name in profiles if name != "train"]:
        repeats = training.find(np.empty(0, np.uint64))
        for chunk in _chunks(prepared.splits[name], encoder, other_columns):
            profiles[name].add(chunk, encoder)
            repeats = repeats.merge(training.find(row_hashes(chunk.batch, never_trained)))
        copies[name] = training.copied_fraction(repeats, rate)
    return profiles, copies


def _chunks(groups: list[RowGroup], encoder: Encoder, columns: list[str]) -> Iterator[Chunk]:
    for group, table, values, batch in read_ahead(_encoded(groups, encoder, columns), depth=1):
        yield Chunk(group, {**values, **_other_values(encoder, table, batch, columns, str(group))}, batch)


def _encoded(
    groups: list[RowGroup], encoder: Encoder, columns: list[str]
) -> Iterator[tuple[RowGroup, pa.Table, dict[str, Values], Batch]]:
    for group, table in read_tables(groups, [*encoder.input_columns, *columns]):
        values = encoder.values(table, str(group))
        yield group, table, values, encoder.encode(table, values, str(group))


def _other_values(encoder: Encoder, table: pa.Table, batch: Batch, columns: list[str], where: str) -> dict[str, Values]:
    """Return the values of label, weight and other columns that are not features; none without an order."""
    assert encoder.columns is not None
    inputs: dict[str, Values] = {encoder.columns.label: pa.array(batch["label"].astype(np.int8))}
    if encoder.columns.weight is not None:
        inputs[encoder.columns.weight] = pa.array(batch["weight"])
    for name in [name for name in columns if name not in inputs]:
        column, inner = table.column(name), innermost(table.column(name).type)
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            inputs[name] = as_microseconds(column.combine_chunks(), f"{where}: {name!r}")
            continue
        if is_bytes(inner) or is_uuid(inner):
            column = cast_column(column, "hex", f"{where}: {name!r}")
        if (values := values_of_column(column)) is not None:
            inputs[name] = values
    return inputs
