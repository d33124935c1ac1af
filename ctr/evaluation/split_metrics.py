"""Metrics and distributions of a split, accumulated while it is scored once, by row group."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext

import numpy as np
import pyarrow as pa

from ctr.evaluation.curves import score_edges
from ctr.evaluation.duplicates import Repeats, TrainingHashes, row_hashes
from ctr.evaluation.histograms import FEATURE, SCORE, Binning, Codes, Histograms
from ctr.evaluation.overfitting import class_scores
from ctr.evaluation.reference import Reference
from ctr.evaluation.report_columns import GROUP, SLICE, ReportColumns, slice_values
from ctr.evaluation.score_by_bin import ScoreByBin
from ctr.evaluation.scoring import BatchScorer, Scored, sampling_weights
from ctr.evaluation.timeline import Timeline
from ctr.evaluation.unknown_ids import UnknownIds
from ctr.evaluation.worst_rows import WorstRows
from ctr.evaluation.writer import ScoreWriter
from ctr.metrics import BinaryMetrics, Undefined, gauc
from ctr.metrics.counts import sigmoid
from ctr.metrics.periods import periods_of
from features import Batch, RowGroup, Values, decoded, filtered, values_of_column

FREQUENCY = "frequency/"


def metrics_of(
    chunks: Iterable[Scored], weighted: bool, negative_sampling_rate: float | None, group: str | None = None
) -> BinaryMetrics:
    """Return the metrics of scored examples.

    Args:
        chunks: scored examples with labels.
        weighted: True if examples have weights.
        negative_sampling_rate: sampling rate r of the negatives, which count 1/r; None: 1.
        group: column of the groups of `gauc_of`; None: no groups.
    """
    metrics = BinaryMetrics()
    for chunk in chunks:
        weights = row_weights(chunk.batch, weighted, negative_sampling_rate)
        groups = {} if group is None else {GROUP: group_values(chunk, group)}
        metrics.add(chunk.logit, chunk.batch["label"], weights, groups)
    return metrics


def gauc_of(metrics: BinaryMetrics) -> float | None:
    """Return the GAUC of `metrics_of` with a group; None if it is undefined."""
    try:
        value: float | None = gauc(metrics.by_group(GROUP))["gauc"]
    except Undefined:
        return None
    return value


def group_values(chunk: Scored, column: str) -> pa.Array:
    """Return the group of each example, a column of the data."""
    values = values_of_column(chunk.table.column(column))
    assert isinstance(values, pa.Array)
    return decoded(values)


def row_weights(batch: Batch, weighted: bool, negative_sampling_rate: float | None) -> np.ndarray | None:
    """Return the weights of examples in metrics, float64 [rows]; None if all are 1."""
    if not weighted and negative_sampling_rate is None:
        return None
    return batch["weight"].astype(np.float64) * sampling_weights(batch["label"], negative_sampling_rate)


class SplitAccumulator:
    """States of one split, or of a range of its row groups, to which each chunk is added.

    Two states of consecutive ranges merge by `merge`, so that several processes can share a split. Counts are then
    exact. Float sums equal those of one process up to rounding, and bit for bit if each range is one chunk.

    Args:
        binning: bins fitted on the training data.
        report_columns: columns that the report needs.
        training_rows: hashes of training examples, to count duplicates; None: duplicates are not counted.
    """

    def __init__(
        self, binning: Binning, report_columns: ReportColumns, training_rows: TrainingHashes | None = None
    ) -> None:
        self.binning, self.report_columns, self.training_rows = binning, report_columns, training_rows
        self.slices = report_columns.slices(binning)
        self.metrics = BinaryMetrics(exact_rows=report_columns.report.max_exact_rows)
        self.histograms, self.score_by_bin, self.timeline = Histograms(binning), ScoreByBin(binning), Timeline(binning)
        self.worst = WorstRows(report_columns.report.worst_rows)
        self.unknown_ids = UnknownIds(report_columns.unknown_ids.columns)
        self.rows, self.score_sum, self.is_labelled = 0, 0.0, False
        self.repeats = Repeats(0, np.zeros(0 if training_rows is None else len(training_rows.hashes), np.int64))

    @property
    def is_reference(self) -> bool:
        """True if the state is of the training data's own sample."""
        return self.training_rows is None

    def add(self, chunk: Scored, codes: Mapping[str, Codes], counted: np.ndarray) -> None:
        """Add scored examples.

        Args:
            chunk: scored examples.
            codes: bins of their values.
            counted: bool [rows], True for examples that count in distributions; all count in metrics.
        """
        report_columns = self.report_columns
        label = chunk.batch.get("label")
        self.is_labelled = label is not None
        self.rows, self.score_sum = self.rows + len(chunk.logit), self.score_sum + float(sigmoid(chunk.logit).sum())
        self.unknown_ids.add(chunk.batch)
        weight = counted.astype(np.float64)
        if label is not None and report_columns.negative_sampling_rate is not None:
            weight *= sampling_weights(label, report_columns.negative_sampling_rate)
        self.histograms.add(codes, weight)
        self.score_by_bin.add(codes, weight, label)
        time = report_columns.time
        if time is not None:
            dated = periods_of(chunk.table.column(time.column), time.by, time.time_zone, time.time_unit)
            self.timeline.add(codes, weight, dated)
        if label is None:
            return
        weights = row_weights(chunk.batch, report_columns.weighted, report_columns.negative_sampling_rate)
        self.metrics.add(chunk.logit, label, weights, self._groups(chunk, codes))
        self.worst.add(chunk.table, chunk.logit, label)
        if self.training_rows is not None:
            self.repeats = self.repeats.merge(
                self.training_rows.find(row_hashes(chunk.batch, report_columns.never_trained))
            )

    def merge(self, other: "SplitAccumulator") -> "SplitAccumulator":
        """Return the state of both ranges together; the other range is the later one in the split."""
        merged = SplitAccumulator(self.binning, self.report_columns, self.training_rows)
        merged.rows, merged.score_sum = self.rows + other.rows, self.score_sum + other.score_sum
        merged.is_labelled = self.is_labelled or other.is_labelled
        merged.metrics = self.metrics.merge(other.metrics)
        merged.histograms = self.histograms.merge(other.histograms)
        merged.score_by_bin = self.score_by_bin.merge(other.score_by_bin)
        merged.timeline = self.timeline.merge(other.timeline)
        merged.worst = self.worst.merge(other.worst)
        merged.unknown_ids = self.unknown_ids.merge(other.unknown_ids)
        merged.repeats = self.repeats.merge(other.repeats)
        return merged

    def _groups(self, chunk: Scored, codes: Mapping[str, Codes]) -> dict[str, pa.Array]:
        """Return the group of each example, for every grouping that metrics are computed by."""
        report_columns = self.report_columns
        groups = {name: pa.array(codes[name].bins) for name in self.slices.values()}
        groups |= {
            FREQUENCY + name: pa.array(bucket) for name, bucket in report_columns.frequencies(chunk.batch).items()
        }
        if report_columns.report.group is not None:
            groups[GROUP] = group_values(chunk, report_columns.report.group)
        return groups


def values_of_chunk(chunk: Scored, slice_columns: list[str]) -> dict[str, Values]:
    """Return the values of everything with bins: the score as a logit, features, and columns that only slices name."""
    values: dict[str, Values] = {SCORE: pa.array(chunk.logit.astype(np.float64))}
    values |= {FEATURE + name: column for name, column in chunk.values.items()}
    for name in slice_columns:
        column = slice_values(chunk.table.column(name))
        assert column is not None
        values[SLICE + name] = column
    return values


def build_reference(
    scored: list[Scored], report_columns: ReportColumns, bins: int, total: int, seed: int
) -> tuple[SplitAccumulator, Reference]:
    """Fit bins on a sample of the training data, and return its state and the reference for later splits.

    A random half sets the bins and the other half is counted: in the examples that set the bins, the most frequent of
    many values look more frequent than they are, and no value is ever new.

    Args:
        scored: sample, with a chunk for each row group of the training data, whose index seeds its halves.
        report_columns: columns that the report needs.
        bins: number of bins of each distribution.
        total: number of training examples.
        seed: random seed of the halves.
    """
    by_chunk = [values_of_chunk(chunk, report_columns.slice_columns) for chunk in scored]
    halves = [np.random.default_rng([seed, 5, k]).random(len(chunk.logit)) < 0.5 for k, chunk in enumerate(scored)]
    edge_values = [
        {name: filtered(column, ~half) for name, column in values.items()}
        for values, half in zip(by_chunk, halves, strict=True)
    ]
    binning = Binning.fitted({name: [values[name] for values in edge_values] for name in by_chunk[0]}, bins)
    tally = SplitAccumulator(binning, report_columns)
    for chunk, values, half in zip(scored, by_chunk, halves, strict=True):
        tally.add(chunk, binning.assign(values), half)
    hashes = [row_hashes(chunk.batch, report_columns.never_trained) for chunk in scored]
    rows = TrainingHashes.of(hashes, halves, total, report_columns.negative_sampling_rate)
    edges = score_edges(np.concatenate([chunk.logit for chunk in scored]))
    periods = tally.timeline.training_periods(tally.histograms, report_columns.report.psi.major_above)
    metrics, scores = tally.metrics.result(cluster=report_columns.cluster), class_scores(tally.metrics.counts())
    return tally, Reference(tally.histograms, tally.score_by_bin, rows, edges, metrics, periods, scores)


def evaluate_split(
    scorer: BatchScorer,
    row_groups: list[RowGroup],
    reference: Reference,
    report_columns: ReportColumns,
    scores: ScoreWriter | None,
) -> SplitAccumulator:
    """Score a split once: write its scores and return its state. Without labels it has no metrics.

    Args:
        scorer: scorer of the trained model.
        row_groups: row groups of the split, or a range of them, whose state merges with those of other ranges.
        reference: reference distributions of the training data.
        report_columns: columns that the report needs.
        scores: writer of the score file; None writes no scores.
    """
    keep = [] if scores is None else scores.passthrough.names
    binning = reference.histograms.binning
    tally = SplitAccumulator(binning, report_columns, reference.rows)
    with scores or nullcontext():
        for chunk in scorer.score(row_groups, [*keep, *report_columns.columns]):
            if scores is not None:
                scores.write(chunk)
            codes = binning.assign(values_of_chunk(chunk, report_columns.slice_columns))
            tally.add(chunk, codes, np.ones(len(chunk.logit), bool))
    return tally
