"""The data of an experiment: sets opened and checked, features fitted."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from ctr.config.data import Data
from ctr.config.experiment import Experiment
from ctr.config.training import Training
from ctr.errors import ConfigError
from ctr.evaluation.report_columns import check_report, report_columns
from ctr.schema.report import BadRows as BadRowsRecord
from features import (
    BadRows,
    Columns,
    DataError,
    Encoder,
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
    """What training needs of the data."""

    sets: dict[str, list[RowGroup]]  # train, and valid and test where there are such
    encoder: Encoder
    kept: pa.Schema
    """The columns that are copied into the scores (`score_columns`), in types that hold those of every file."""
    bad_rows: dict[str, BadRows]
    """What was left out of the sets that had bad rows."""
    row_bytes: int
    """Bytes of memory that a row of the training data takes before it is encoded, about."""


def empty_encoder(experiment: Experiment) -> Encoder:
    """Return an encoder whose tables are as small as they can be: no vocabulary has a value, no bucket an edge."""
    columns = Columns(experiment.data.label, experiment.data.weight)
    return Encoder(experiment.features, columns, Statistics.of_no_data(experiment.features))


def prepare(experiment: Experiment) -> PreparedData:
    """Open and check every set, then fit the features on the training data.

    Raises:
        ConfigError: settings that contradict each other.
        DataError: data that cannot be used.
    """
    return prepare_sets(experiment, open_sets(experiment))


def open_sets(experiment: Experiment) -> dict[str, list[RowGroup]]:
    """The row groups of train, and of valid and test where there are such, read no further than dividing them needs.

    Raises:
        ConfigError: settings that contradict each other.
        DataError: files that cannot be read or divided.
    """
    data = experiment.data
    score_columns(experiment)
    if leak := [name for name, feature in experiment.features.of_columns.items() if data.label in feature.columns]:
        raise ConfigError(f"features.columns.{leak[0]}: reads the label, {data.label!r}")
    sets = _divided(data, experiment.seed)
    check_known([group for groups in sets.values() for group in groups], data.cast, "data.cast")
    return sets


def prepare_sets(
    experiment: Experiment,
    sets: dict[str, list[RowGroup]],
    encoder: Encoder | None = None,
    known: Encoder | None = None,
) -> PreparedData:
    """Check every set, then fit the features on the training data.

    The sets are divided before, and bad rows left out of each here, so that none of the others changes sets.

    Args:
        experiment: what to prepare for.
        sets: as `open_sets` gives them.
        encoder: that was fitted on the same data before; None: fit one.
        known: the encoder of the data that came before, which is fitted beyond; None: none.

    Raises:
        ConfigError: no batch can be filled.
        DataError: data that cannot be used.
    """
    data, sets = experiment.data, dict(sets)
    columns = Columns(data.label, data.weight)
    unfitted = Encoder(experiment.features, columns)
    everything = [group for row_groups in sets.values() for group in row_groups]
    check_types(everything, experiment, unfitted)
    numbers = experiment.features.number_columns.union(columns.names)
    check_agreement(everything, unfitted.input_columns, numbers)
    beside = [name for name in report_columns(experiment) if name not in unfitted.input_columns]
    check_agreement(everything, beside, ())
    kept = unified_schema(everything, score_columns(experiment))
    bad_rows = {}
    sets["train"], bad_rows["train"] = good_rows("train", sets["train"], unfitted, data)
    _check_some_batch(experiment.training, count_rows(sets["train"]))
    if encoder is None:
        encoder = fit_encoder(experiment.features, columns, sets["train"], experiment.seed, known)
    stopping = experiment.training.early_stopping
    for name in [name for name in ("valid", "test") if name in sets]:
        sets[name], bad_rows[name] = good_rows(name, sets[name], encoder, data)
        steers_by_auc = name == "valid" and (stopping is None or stopping.metric == "auc")
        _check_rows(name, sets[name], encoder, columns, steers_by_auc)
    bad_rows = {name: bad for name, bad in bad_rows.items() if bad.rows}
    return PreparedData(sets, encoder, kept, bad_rows, _row_bytes(sets["train"][0], encoder.input_columns))


def score_columns(experiment: Experiment) -> list[str]:
    """Return the columns that are copied into the scores: `data.keep`, and `report.group`, by which they are compared.

    Raises:
        ConfigError: one has the name of a column that scores have anyway.
    """
    keep, group = experiment.data.keep, experiment.report.group
    for key, names in (("data.keep", keep), ("report.group", [group] if group is not None else [])):
        if taken := set(names) & set(RESERVED):
            raise ConfigError(f"{key}: {sorted(taken)[0]!r} is a column of the scores already; rename it in the data")
    return [*keep, *([group] if group is not None and group not in keep else [])]


def _row_bytes(group: RowGroup, columns: list[str]) -> int:
    return -(-group.read(columns).nbytes // group.rows)


def _check_some_batch(training: Training, rows: int) -> None:
    if training.last_batch == "drop" and rows < training.batch_size:
        raise ConfigError(
            f"training.batch_size: {training.batch_size} rows with `last_batch: drop`, but the training data has only "
            f"{rows}"
        )


def bad_rows_records(bad_rows: Mapping[str, BadRows]) -> dict[str, BadRowsRecord]:
    """Return what a report says of the invalid rows of each split."""
    return {name: {"rows": bad.rows, "share": bad.share, "reasons": bad.reasons} for name, bad in bad_rows.items()}


def good_rows(name: str, row_groups: list[RowGroup], encoder: Encoder, data: Data) -> tuple[list[RowGroup], BadRows]:
    """A set without the rows that `data.bad_rows` leaves out, and those; all of it where they are an error.

    The error is raised where a bad row is met.

    Raises:
        DataError: the set has more bad rows than may be left out.
    """
    if data.bad_rows == "error":
        return row_groups, BadRows()
    return leave_out_bad_rows(name, row_groups, encoder, data.bad_rows.skip)


def check_types(row_groups: list[RowGroup], experiment: Experiment, encoder: Encoder) -> None:
    """See that every file has the columns that a config names, and that they hold what they are for.

    Raises:
        ConfigError, DataError: what is wrong, and in which file.
    """

    def check(schema: pa.Schema, where: str) -> None:
        encoder.check(schema, where)
        check_report(experiment, schema, where)

    check_columns(row_groups, [*encoder.input_columns, *experiment.data.keep], check)


def _check_rows(name: str, row_groups: list[RowGroup], encoder: Encoder, columns: Columns, steers_by_auc: bool) -> None:
    """Encode every row once before training: a bad value of the test set should not surface after hours.

    Raises:
        DataError: a bad value; validation data without a weight above 0, or of one class only where AUC steers.
    """
    positives = rows = 0
    for group, table in read_tables(row_groups, encoder.input_columns):
        batch = encoder(table, str(group))
        counted = batch["label"][batch["weight"] > 0]
        positives, rows = positives + int(counted.sum()), rows + len(counted)
    if name == "valid" and rows == 0:
        raise DataError(f"valid: all weights of {columns.weight!r} are 0; there is nothing to validate on")
    if steers_by_auc and positives in (0, rows):
        raise DataError(
            f"{name}: all {rows} labels of {columns.label!r} are {int(positives > 0)}, so there is no AUC to "
            f"steer by; choose other data, or `early_stopping: {{metric: log_loss}}`"
        )


def _divided(data: Data, seed: int) -> dict[str, list[RowGroup]]:
    if data.path is not None:
        assert data.split is not None
        row_groups = open_data(data.path, data.root, casts=data.cast)
        if data.split.column is not None:
            check_columns(row_groups, [data.split.column], lambda schema, where: None)
        sets = split_data(row_groups, data.split, seed)
    else:
        assert data.train is not None
        sets = {"train": open_data(data.train, data.root, casts=data.cast)}
        values = {key: value for file in files_of(sets["train"]) for key, value in file.folder_values.items()}
        text = [key for key, value in values.items() if is_text(value.type)]
        others = {"valid": data.valid, "test": data.test}
        sets |= {name: open_data(path, data.root, text, data.cast) for name, path in others.items() if path is not None}
        _check_apart(sets)
    return {name: row_groups for name, row_groups in sets.items() if row_groups}


def _check_apart(sets: dict[str, list[RowGroup]]) -> None:
    """Raise DataError if a file is in two sets, which would make a metric a lie."""
    owner: dict[str, str] = {}
    for name, row_groups in sets.items():
        for file in files_of(row_groups):
            if file.place in owner and {owner[file.place], name} != {"valid", "test"}:
                raise DataError(f"{file.path}: is in {owner[file.place]} and in {name}")
            owner.setdefault(file.place, name)
