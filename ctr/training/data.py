"""Data of an experiment: open and check the splits, and fit the features."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from ctr.config.data import Data
from ctr.config.experiment import Experiment
from ctr.config.feature_patterns import GLOB
from ctr.config.training import Training
from ctr.errors import ConfigError
from ctr.evaluation.report_columns import check_report, report_columns
from ctr.schema.report import BadRows as BadRowsRecord
from features import (
    GAP,
    BadRows,
    Columns,
    DataError,
    Encoder,
    NegativeSample,
    RowGroup,
    Statistics,
    check_agreement,
    check_columns,
    check_known,
    count_rows,
    files_of,
    fit_encoder,
    is_text,
    leave_out_bad_rows,
    open_data,
    read_tables,
    split_data,
    unified_schema,
)

RESERVED = ("label", "weight", "logit", "score")


@dataclass(frozen=True)
class PreparedData:
    """Checked splits and fitted features."""

    splits: dict[str, list[RowGroup]]
    """Name of a split -> row groups: train, and valid and test if the experiment has them."""
    encoder: Encoder
    """Encoder fitted on the training data."""
    passthrough: pa.Schema
    """Pass-through columns (`score_columns`), with types that fit the columns of every file."""
    bad_rows: dict[str, BadRows]
    """Name of a split -> invalid rows that were skipped, for splits that have any."""
    negatives: NegativeSample | None
    """Sample of the training data's negatives that each epoch draws; None: each epoch trains on all of them."""
    gap: list[RowGroup]
    """Rows in the gaps between splits, which are in no split."""
    row_bytes: int
    """Approximate memory of one row of the training data before encoding, in bytes."""

    @property
    def parts(self) -> dict[str, list[RowGroup]]:
        """The splits, and `gap` if it has rows."""
        return self.splits | ({GAP: self.gap} if self.gap else {})


def empty_encoder(experiment: Experiment) -> Encoder:
    """Return an encoder with the smallest possible tables: empty vocabularies and no bucket edges."""
    columns = Columns(experiment.data.label, experiment.data.weight)
    return Encoder(experiment.features, columns, Statistics.of_no_data(experiment.features))


def prepare(experiment: Experiment) -> PreparedData:
    """Open and check every split, then fit the features on the training data.

    Raises:
        ConfigError: settings contradict each other.
        DataError: the data is invalid.
    """
    return prepare_splits(experiment, open_splits(experiment))


def open_splits(experiment: Experiment) -> dict[str, list[RowGroup]]:
    """Return the row groups of each split, and of the `gap` if it has rows, reading only what splitting needs.

    Raises:
        ConfigError: settings contradict each other.
        DataError: a file cannot be read or split.
    """
    data = experiment.data
    score_columns(experiment)
    if leak := [name for name, feature in experiment.features.of_columns.items() if data.label in feature.columns]:
        raise ConfigError(f"features.columns.{leak[0]}: must not read the label column {data.label!r}. Remove it.")
    splits = _split(data, experiment.seed)
    everything = [group for groups in splits.values() for group in groups]
    check_known(everything, data.cast, "data.cast")
    _refuse_patterns(experiment, {name for file in files_of(everything) for name in file.schema.names})
    return splits


def _refuse_patterns(experiment: Experiment, columns: set[str]) -> None:
    """Raise ConfigError for a feature whose name is a pattern and no column: only config files can have patterns."""
    for name, feature in experiment.features.of_columns.items():
        if feature.columns == (name,) and GLOB.search(name) and name not in columns:
            raise ConfigError(
                f"features.columns.{name}: no column {name!r} in the data. Use `ctr.load_experiment` for a config with "
                f"patterns: it replaces them by columns."
            )


def prepare_splits(
    experiment: Experiment,
    splits: dict[str, list[RowGroup]],
    encoder: Encoder | None = None,
    known: Encoder | None = None,
) -> PreparedData:
    """Check every split, then fit the features on the training data.

    Invalid rows are skipped after splitting, so that they do not change the split of the other rows.

    Args:
        experiment: experiment with data and features.
        splits: splits returned by `open_splits`.
        encoder: encoder fitted on the same data before; None to fit a new encoder.
        known: encoder of earlier data whose vocabularies are extended; None for new vocabularies.

    Raises:
        ConfigError: the training data does not fill a batch.
        DataError: the data is invalid.
    """
    data, splits = experiment.data, dict(splits)
    gap = splits.pop(GAP, [])
    columns = Columns(data.label, data.weight)
    unfitted = Encoder(experiment.features, columns)
    everything = [group for row_groups in splits.values() for group in row_groups]
    check_types(everything, experiment, unfitted, data.keep)
    numbers = experiment.features.number_columns.union(columns.names)
    check_agreement(everything, unfitted.input_columns, numbers)
    report_only = [name for name in report_columns(experiment) if name not in unfitted.input_columns]
    check_agreement(everything, report_only, ())
    passthrough = unified_schema(everything, score_columns(experiment))
    bad_rows = {}
    splits["train"], bad_rows["train"] = good_rows("train", splits["train"], unfitted, data)
    negatives = _sample_negatives(data, columns, splits["train"], experiment.seed)
    _check_some_batch(experiment.training, count_rows(splits["train"]), negatives)
    if encoder is None:
        encoder = fit_encoder(experiment.features, columns, splits["train"], experiment.seed, known)
    stopping = experiment.training.early_stopping
    for name in [name for name in ("valid", "test") if name in splits]:
        splits[name], bad_rows[name] = good_rows(name, splits[name], encoder, data)
        monitors_auc = name == "valid" and (stopping is None or "auc" in stopping.metric)
        _check_rows(name, splits[name], encoder, columns, monitors_auc)
    bad_rows = {name: bad for name, bad in bad_rows.items() if bad.rows}
    row_bytes = _row_bytes(splits["train"][0], encoder.input_columns)
    return PreparedData(splits, encoder, passthrough, bad_rows, negatives, gap, row_bytes)


def score_columns(experiment: Experiment) -> list[str]:
    """Return the pass-through columns: `data.keep`, and `report.group`, which clusters differences between runs.

    Raises:
        ConfigError: a column has the name of a column that score files always have.
    """
    keep, group = experiment.data.keep, experiment.report.group
    for key, names in (("data.keep", keep), ("report.group", [group] if group is not None else [])):
        if reserved := set(names) & set(RESERVED):
            raise ConfigError(
                f"{key}: score files already have a column {sorted(reserved)[0]!r}. Rename it in the data."
            )
    return [*keep, *([group] if group is not None and group not in keep else [])]


def _row_bytes(group: RowGroup, columns: list[str]) -> int:
    return -(-group.read(columns).nbytes // group.rows)


def _sample_negatives(data: Data, columns: Columns, train: list[RowGroup], seed: int) -> NegativeSample | None:
    """Return the sample of negatives to train on; None for all of them.

    Raises:
        ConfigError: the sample is empty.
        DataError: a label is invalid.
    """
    if data.sample_negatives is None:
        return None
    sample = NegativeSample.of(train, columns, data.sample_negatives, seed)
    if sample.all_negatives and not sample.kept:
        raise ConfigError(
            f"data.sample_negatives: {data.sample_negatives:g} of the {sample.all_negatives:,} negatives of the "
            f"training data is less than one. Raise it."
        )
    return sample


def _check_some_batch(training: Training, rows: int, negatives: NegativeSample | None) -> None:
    if negatives is not None:
        rows = negatives.rows_per_epoch
    if training.last_batch == "drop" and rows < training.batch_size:
        where = "the training data has" if negatives is None else "an epoch with sampled negatives has"
        raise ConfigError(
            f"training.batch_size: {training.batch_size} with `last_batch: drop`, but {where} only "
            f"{rows} examples. Reduce batch_size, or use `last_batch: keep`."
        )


def bad_rows_records(bad_rows: Mapping[str, BadRows]) -> dict[str, BadRowsRecord]:
    """Return the invalid rows of each split, as report.json has them."""
    return {name: {"rows": bad.rows, "share": bad.fraction, "reasons": bad.reasons} for name, bad in bad_rows.items()}


def good_rows(name: str, row_groups: list[RowGroup], encoder: Encoder, data: Data) -> tuple[list[RowGroup], BadRows]:
    """Return a split without its invalid rows, and these rows.

    With `data.bad_rows: error` the whole split is returned, and an error is raised later when an invalid row is read.

    Raises:
        DataError: the split has more invalid rows than `data.bad_rows` allows to skip.
    """
    if data.bad_rows == "error":
        return row_groups, BadRows()
    return leave_out_bad_rows(name, row_groups, encoder, data.bad_rows.skip)


def check_types(row_groups: list[RowGroup], experiment: Experiment, encoder: Encoder, keep: Iterable[str]) -> None:
    """Check that every file has the columns that it needs, with types that suit their use.

    Args:
        row_groups: row groups of the files.
        experiment: experiment whose report needs columns.
        encoder: encoder whose features, label and weight need columns.
        keep: pass-through columns, of any type.

    Raises:
        ConfigError, DataError: a column is missing or has an unsuitable type.
    """

    def check(schema: pa.Schema, where: str) -> None:
        encoder.check(schema, where)
        check_report(experiment, schema, where)

    check_columns(row_groups, [*encoder.input_columns, *keep], check)


def _check_rows(name: str, row_groups: list[RowGroup], encoder: Encoder, columns: Columns, monitors_auc: bool) -> None:
    """Encode every row once before training, so that an invalid value of the test split does not surface after hours.

    Raises:
        DataError: a value is invalid, all validation weights are 0, or AUC is the monitor and undefined.
    """
    positives = rows = 0
    for group, table in read_tables(row_groups, encoder.input_columns):
        batch = encoder(table, str(group))
        counted = batch["label"][batch["weight"] > 0]
        positives, rows = positives + int(counted.sum()), rows + len(counted)
    if name == "valid" and rows == 0:
        raise DataError(f"valid: all weights in {columns.weight!r} are 0. Use data with a weight above 0.")
    if monitors_auc and positives in (0, rows):
        raise DataError(
            f"{name}: all {rows} labels in {columns.label!r} are {int(positives > 0)}, so the monitored AUC is "
            f"undefined. Use data with both labels, or set `early_stopping: {{metric: log_loss}}`."
        )


def _split(data: Data, seed: int) -> dict[str, list[RowGroup]]:
    """Split one path, or open one path per split and divide the training data if `data.split` says so."""
    if data.path is not None:
        splits = _divide(data, open_data(data.path, data.root, casts=data.cast), seed)
    else:
        assert data.train is not None
        train = open_data(data.train, data.root, casts=data.cast)
        values = {key: value for file in files_of(train) for key, value in file.folder_values.items()}
        text = [key for key, value in values.items() if is_text(value.type)]
        splits = {"train": train}
        others = {"valid": data.valid, "test": data.test}
        splits |= {
            name: open_data(path, data.root, text, data.cast) for name, path in others.items() if path is not None
        }
        _check_disjoint(splits)
        if data.split is not None:
            splits = {**_divide(data, train, seed), **{name: splits[name] for name in ("test",) if name in splits}}
    return {name: row_groups for name, row_groups in splits.items() if row_groups}


def _divide(data: Data, row_groups: list[RowGroup], seed: int) -> dict[str, list[RowGroup]]:
    """Divide row groups into splits by `data.split`."""
    assert data.split is not None
    if data.split.column is not None:
        check_columns(row_groups, [data.split.column], lambda schema, where: None)
    return split_data(row_groups, data.split, seed)


def _check_disjoint(splits: dict[str, list[RowGroup]]) -> None:
    """Raise DataError if a file is in two splits. Only valid and test may share a file."""
    owner: dict[str, str] = {}
    for name, row_groups in splits.items():
        for file in files_of(row_groups):
            if file.real_path in owner and {owner[file.real_path], name} != {"valid", "test"}:
                raise DataError(
                    f"{file.path}: is in both {owner[file.real_path]} and {name}. Remove it from one of them."
                )
            owner.setdefault(file.real_path, name)
