"""The data of an experiment: sets opened and checked, features fitted."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from ctr.experiment import ConfigError, Data, Experiment
from features import Columns, DataError, Encoder, RowGroup, check_columns, count_rows, fit, open_data, split_data

RESERVED = ("label", "weight", "logit", "score")


@dataclass(frozen=True)
class PreparedData:
    """What training needs of the data."""

    sets: dict[str, list[RowGroup]]  # train, and valid and test where there are such
    encoder: Encoder
    sample: pa.Table
    """A fixed sample of the training data: the reference of PSI, and what train metrics are computed on."""


def prepare(experiment: Experiment) -> PreparedData:
    """Open and check every set, then fit the features on the training data.

    Raises:
        ConfigError: settings that contradict each other.
        DataError: data that cannot be used.
    """
    data = experiment.data
    if taken := set(data.keep) & set(RESERVED):
        raise ConfigError(f"data.keep: {sorted(taken)[0]!r} is a column of the scores already; rename it in the data")
    columns = Columns(data.label, data.weight)
    unfitted = Encoder(experiment.features, columns, {}, {})
    sets = _open_sets(data, experiment.seed)
    for row_groups in sets.values():
        check_columns(row_groups, [*unfitted.input_columns, *data.keep], unfitted.check)
    check_classes(sets, columns, experiment)
    statistics = fit(experiment.features, columns, sets["train"], experiment.seed)
    return PreparedData(sets, Encoder.fitted(experiment.features, columns, statistics), statistics.sample)


def check_classes(sets: dict[str, list[RowGroup]], columns: Columns, experiment: Experiment) -> None:
    """Read every label before training: a bad one in the test set should not surface after hours.

    Raises:
        DataError: a bad label, or one class only in validation data where AUC steers.
    """
    for name, row_groups in sets.items():
        if name == "train":
            continue  # the fitting pass reads them
        positives = sum(int(columns.labels(group.read(columns.names), str(group)).sum()) for group in row_groups)
        stopping = experiment.training.early_stopping
        steers = name == "valid" and stopping is not None and stopping.metric == "auc"
        if steers and positives in (0, count_rows(row_groups)):
            raise DataError(
                f"validation data: all {count_rows(row_groups)} labels of {columns.label!r} are {int(positives > 0)}, "
                f"so there is no AUC to steer by; choose other data, or `early_stopping: {{metric: log_loss}}`"
            )


def _open_sets(data: Data, seed: int) -> dict[str, list[RowGroup]]:
    if data.path is not None:
        assert data.split is not None
        row_groups = open_data(data.path, data.root)
        if data.split.column is not None:
            check_columns(row_groups, [data.split.column], lambda schema, where: None)
        sets = split_data(row_groups, data.split, seed)
    else:
        paths: Iterable[tuple[str, str | list[str] | None]] = (
            ("train", data.train),
            ("valid", data.valid),
            ("test", data.test),
        )
        sets = {name: open_data(path, data.root) for name, path in paths if path is not None}
    return {name: row_groups for name, row_groups in sets.items() if row_groups}
