"""A finished run, opened to score data: its experiment, encoder, reference distributions and model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from ctr.config.experiment import Experiment
from ctr.errors import ConfigError
from ctr.evaluation.reference import Reference
from ctr.evaluation.scoring import Scorer
from ctr.runs.run import Run
from ctr.schema.report import RunReport
from ctr.training.checkpoint import load_best
from ctr.training.data import check_types, good_rows
from ctr.training.plan import plan_model
from ctr.training.resume import load_encoder
from features import BadRows, DataError, Encoder, RowGroup, check_agreement, check_columns, open_data
from models import CTRModel

Paths: TypeAlias = str | Path | Sequence[str | Path]
"""A Parquet file, glob or folder, or several of them."""


@dataclass(frozen=True)
class OpenedRun:
    """Finished run with all that scoring needs; everything but the model is read and checked."""

    run: Run
    """Folder of the run."""
    report: RunReport
    """Contents of report.json."""
    experiment: Experiment
    """Experiment of the run, as it was trained."""
    encoder: Encoder
    """Encoder fitted on the training data."""
    reference: Reference
    """Distributions of the training data."""

    @cached_property
    def model(self) -> CTRModel:
        """Model with the best weights, built at the first access; on a GPU only if there is one.

        Raises:
            ConfigError: the checkpoint is damaged or of another training, or memory is too small for the weights.
        """
        training = self.experiment.training.model_copy(update={"device": "auto"})
        experiment = self.experiment.model_copy(update={"training": training})
        model = plan_model(experiment, self.encoder).build()
        load_best(self.run, model)
        self.check_unchanged()
        return model

    def check_unchanged(self) -> None:
        """Check that the folder still holds the run that was opened.

        Raises:
            ConfigError: the run was replaced or has trained on, so weights and reference might not belong together.
        """
        run = Run(self.run.folder)
        if not run.is_finished or run.run_report()["fingerprints"] != self.report["fingerprints"]:
            raise ConfigError(f"{run.folder}: the run was trained meanwhile. Try again when it is finished.")

    @cached_property
    def unlabelled(self) -> Encoder:
        """Encoder for data without label and weight."""
        return replace(self.encoder, columns=None)

    def scorer(self, encoder: Encoder) -> Scorer:
        """Return the scorer of the model, whose scores are corrected for negative sampling.

        Args:
            encoder: `encoder` or `unlabelled`. Each has one scorer, so that its graph is traced once.
        """
        is_labelled = encoder.columns is not None
        if is_labelled not in self._scorers:
            rate = self.experiment.data.trained_negatives
            self._scorers[is_labelled] = Scorer(self.model, encoder, self.experiment.training.batch_size, rate)
        return self._scorers[is_labelled]

    def open_data(self, data: Paths) -> list[RowGroup]:
        """List the row groups of a dataset, with the casts of the run.

        Raises:
            DataError: there is no path, or a file cannot be read.
        """
        text = [name for name, meaning in self.encoder.statistics.meanings.items() if meaning == "text"]
        return open_data(data, text=text, casts=self.experiment.data.cast)

    def to_evaluate(self, name: str, row_groups: list[RowGroup], keep: Sequence[str] = ()) -> "Dataset":
        """Check that a dataset has the columns of features and report, and leave out invalid rows if the run does.

        Args:
            name: name of the dataset.
            row_groups: the dataset.
            keep: pass-through columns that it must have, too.

        Raises:
            ConfigError, DataError: a column is missing or has another type, or there are too many invalid rows.
        """
        encoder = self.encoder if _has_values(row_groups, self.experiment.data.label) else self.unlabelled
        check_types(row_groups, self.experiment, encoder, keep)
        return self._checked(name, row_groups, encoder)

    def to_score(self, name: str, row_groups: list[RowGroup]) -> "Dataset":
        """Check that a dataset has the columns of the features, and leave out invalid rows if the run does.

        Args:
            name: name of the dataset.
            row_groups: the dataset.

        Raises:
            DataError: as `to_evaluate`.
        """
        check_columns(row_groups, self.unlabelled.input_columns, self.unlabelled.check)
        return self._checked(name, row_groups, self.unlabelled)

    def _checked(self, name: str, row_groups: list[RowGroup], encoder: Encoder) -> "Dataset":
        data = self.experiment.data
        numbers = encoder.features.number_columns.union([data.label, data.weight or data.label])
        check_agreement(row_groups, encoder.input_columns, numbers, encoder.statistics.meanings)
        return Dataset(name, *good_rows(name, row_groups, encoder, data), encoder)

    @cached_property
    def _scorers(self) -> dict[bool, Scorer]:
        return {}


@dataclass(frozen=True)
class Dataset:
    """Data to evaluate with a run, after its columns are checked."""

    name: str
    """Name of the dataset in a report."""
    row_groups: list[RowGroup]
    """Row groups without invalid rows, if the run leaves these out."""
    bad_rows: BadRows
    """Invalid rows that were left out."""
    encoder: Encoder
    """Encoder of the run; without label and weight if no row has a label."""

    @property
    def is_labelled(self) -> bool:
        """True if a row of the data has a label."""
        return self.encoder.columns is not None


def _has_values(row_groups: list[RowGroup], column: str) -> bool:
    """Return True if a file has the column, and a row of it a value. Reading ends at the first row group with one."""
    with_column = [group for group in row_groups if column in group.file.schema.names]
    return any(group.read([column])[column].null_count < group.rows for group in with_column)


@contextmanager
def fixed_settings(is_frame: bool = False) -> Iterator[None]:
    """Give each error about data the advice for data of a trained run, whose settings cannot change.

    Args:
        is_frame: True if the data is a pandas DataFrame.
    """
    try:
        yield
    except DataError as error:
        if error.advice is None:
            raise
        raise error.with_fixed_settings(is_frame) from error


def open_run(folder: str | Path) -> OpenedRun:
    """Read and check a finished run.

    Args:
        folder: run folder.

    Raises:
        ConfigError: there is no finished run, a file is damaged, or the run names code that is not trusted.
        DataError: the encoder is damaged.
    """
    run = Run(folder)
    report = run.run_report()
    reference = Reference.load(run)
    return OpenedRun(run, report, run.experiment(), load_encoder(run), reference)
