"""A trained run in Python: score, evaluate, read embeddings."""

import time
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from ctr.config.experiment import Experiment
from ctr.errors import ConfigError
from ctr.evaluation.report_columns import report_columns
from ctr.jobs.evaluate import check_label, check_sampling, columns_of, measure, name_of, warnings_about
from ctr.metrics.counts import sigmoid
from ctr.schema.report import EvaluationReport, RunReport
from ctr.training.devices import set_threads
from ctr.training.embedding_frame import embedding_frame
from ctr.training.opened_run import Dataset, OpenedRun, Paths, fixed_settings, open_run
from features import DataError, Encoder, RowGroup, count_rows, is_table, open_table
from models import CTRModel

Data: TypeAlias = pd.DataFrame | pa.Table | Paths
"""A table in memory, or a Parquet file, glob or folder, or a list of them."""


class TrainedRun:
    """Finished run in memory, with its best weights; `ctr.load_run` makes one.

    >>> run = ctr.load_run("runs/quickstart")  # doctest: +SKIP
    >>> run.score("data/sample/day-10.parquet").round(3)  # doctest: +SKIP
    array([0.035, 0.142, 0.175, ..., 0.172, 0.234, 0.096])

    Args:
        opened: run, opened for scoring.
    """

    def __init__(self, opened: OpenedRun) -> None:
        self._opened = opened

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self._opened.run.folder

    @property
    def config(self) -> Experiment:
        """Resolved config. `print(run.config)` shows it as YAML, and `ctr.train` trains it again."""
        return self._opened.experiment

    @property
    def report(self) -> RunReport:
        """Contents of report.json, a dictionary."""
        return self._opened.report

    @property
    def encoder(self) -> Encoder:
        """Encoder from tables to batches, fitted on the training data."""
        return self._opened.encoder

    @property
    def model(self) -> CTRModel:
        """Keras model, a `tfrs.Model` from batches to logits that are not corrected for negative sampling."""
        return self._opened.model

    def score(self, data: Data) -> np.ndarray:
        """Return the score of each example, float64 `[rows]`, in the order of the data.

        The scores are those of a score file: click probabilities, corrected for negative sampling. They are equal to
        those of `ctr evaluate` bit for bit if the data has the same row groups, and otherwise to about 1e-6. Only the
        columns of the features are read, so no label is needed. If the run skips invalid rows, their scores are NaN,
        and a warning counts them.

        Args:
            data: pandas DataFrame, pyarrow Table, another table with the Arrow stream interface such as a Polars
                DataFrame, or a Parquet file, glob or folder, or a list of them.

        Raises:
            ConfigError, DataError: the data is invalid.
        """
        opened = self._opened
        with fixed_settings(is_frame=isinstance(data, pd.DataFrame)):
            name, row_groups = self._open(data, opened.unlabelled.input_columns)
            dataset = opened.to_score(name, row_groups)
            first_rows = np.cumsum([0, *(group.rows for group in row_groups)])
            first_row = {(group.file.path, group.piece): first_rows[k] for k, group in enumerate(row_groups)}
            scores = np.full(count_rows(row_groups), np.nan)
            scored = opened.scorer(dataset.encoder).score(dataset.row_groups)
            for group, chunk in zip(dataset.row_groups, scored, strict=True):
                scores[first_row[group.file.path, group.piece] + group.positions] = sigmoid(chunk.logit)
        _warn_about_bad_rows(dataset, len(scores), "their score is NaN")
        return scores

    def evaluate(self, data: Data, negatives_sampled: bool = False) -> EvaluationReport:
        """Return the report of a dataset: metrics, checks, slices and drift, as `ctr.evaluate`. It writes nothing.

        Data without the label column gets PSI but no metrics. `report["main_split"]` is the key of the dataset in the
        report: the name of the file or folder, or `data` for a table in memory.

        Args:
            data: the same as for `score`.
            negatives_sampled: True if the negatives were sampled at the run's `negative_sampling_rate`.

        Raises:
            ConfigError, DataError: the data is invalid.
        """
        started, opened = time.perf_counter(), self._opened
        check_sampling(opened, negatives_sampled)
        split = opened.experiment.data.split
        times = [split.column] if split is not None and split.column is not None else []
        needed = [*opened.encoder.input_columns, *report_columns(opened.experiment), *times]
        with fixed_settings(is_frame=isinstance(data, pd.DataFrame)):
            name, row_groups = self._open(data, needed)
            dataset = opened.to_evaluate(name, row_groups)
            check_label(opened, dataset, negatives_sampled, name)
            report, _ = measure(opened, dataset, columns_of(opened, dataset, negatives_sampled), started)
        _warn_about_bad_rows(dataset, count_rows(row_groups), "they are left out")
        for sentence in warnings_about(report["files_of_run"]):
            warnings.warn(sentence, stacklevel=2)
        return report

    def embeddings(self, name: str) -> pd.DataFrame:
        """Return the embeddings of a feature, one row per id, including the special ids.

        | column | content |
        |---|---|
        | `kind` | `value`, or `padding`, `null` or `out of vocabulary` for the three special ids |
        | `value` | value of the data, null for special ids |
        | `count` | number of occurrences in the training data; null without a vocabulary |
        | `dim_0`, `dim_1`, ... | embedding, float32 |

        The index is the id in a batch. A bucket of a hash or a cross holds many values, so its `value` is the number
        of the bucket; for a numeric feature it is the range as text. Features that share a table have the same
        embeddings, and `count` covers all of them. A cross of width 1, and every
        feature of `linear`, has only its wide weights.

        Args:
            name: feature, or one of the model's own tables, such as `wide/item`.

        Raises:
            ConfigError: the model has no such embeddings.
        """
        return embedding_frame(self.model, self.encoder, name)

    def __repr__(self) -> str:
        config, auc = self.config, self.report["metrics"][self.report["main_split"]]["auc"]
        metric = "no AUC" if auc is None else f"{self.report['main_split']} AUC {auc:.4f}"
        return f"<TrainedRun {self.folder}: {config.model.type}, {len(config.features.columns)} features, {metric}>"

    def _open(self, data: Any, columns: Iterable[str]) -> tuple[str, list[RowGroup]]:
        """Return the name and the row groups of a dataset."""
        if is_table(data):
            return "data", open_table(data, columns, self.config.data.cast)
        for path in data if isinstance(data, list | tuple) else [data]:
            if not isinstance(path, str | Path):
                received = type(path).__name__
                raise DataError(f"data: expected a DataFrame, a Table or a path, got {received}. Pass one of these.")
        return name_of(data), self._opened.open_data(data)


def load_run(folder: str | Path) -> TrainedRun:
    """Load a finished run with its best weights, to score and evaluate data in this process.

    Checksums and trust are checked as by `ctr evaluate`. The model is on a GPU only if there is one. If TensorFlow has
    already started, it keeps its threads; otherwise it uses `training.threads` of the run.

    Args:
        folder: run folder.

    Raises:
        ConfigError: there is no finished run, a file is damaged, or the run names code that `ctr.trust` does not allow.
        DataError: the encoder is damaged.
    """
    opened = open_run(folder)
    with suppress(ConfigError):  # TensorFlow has started; another number of threads changes only how sums are rounded
        set_threads(opened.experiment.training.threads)
    run = TrainedRun(opened)
    opened.scorer(opened.unlabelled)  # builds the model and reads its weights
    return run


def _warn_about_bad_rows(dataset: Dataset, rows: int, result: str) -> None:
    """Warn of rows that a run skips; the warning points to the caller of the caller."""
    bad = dataset.bad_rows
    if bad.rows:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in bad.reasons.items())
        message = f"{dataset.name}: {bad.rows:,} of {rows:,} rows are invalid, so {result} ({reasons})"
        warnings.warn(message, stacklevel=3)
