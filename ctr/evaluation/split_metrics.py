"""All that is counted of a set while it is scored once, row group by row group."""

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from ctr.evaluation.curves import score_edges
from ctr.evaluation.duplicates import Repeats, TrainingHashes, row_hashes
from ctr.evaluation.histograms import FEATURE, SCORE, Binning, Codes, Histograms
from ctr.evaluation.overfitting import class_scores
from ctr.evaluation.reference import Reference
from ctr.evaluation.report_columns import GROUP, SLICE, ReportColumns, slice_values
from ctr.evaluation.score_by_bin import ScoreByBin
from ctr.evaluation.scoring import Scored, Scorer, sampling_weights
from ctr.evaluation.timeline import Timeline
from ctr.evaluation.unknown_ids import UnknownIds
from ctr.evaluation.worst_rows import WorstRows
from ctr.evaluation.writer import ScoreWriter
from ctr.metrics import BinaryMetrics
from ctr.metrics.counts import sigmoid
from ctr.metrics.periods import periods_of
from features import Batch, RowGroup, Values, decoded, filtered, values_of_column

FREQUENCY = "frequency/"


def metrics_of(parts: Iterable[Scored], weighted: bool, negative_sampling_rate: float | None) -> BinaryMetrics:
    """The metrics of scored rows; negatives count 1/r where the set was sampled at rate r."""
    metrics = BinaryMetrics()
    for part in parts:
        metrics.add(part.logit, part.batch["label"], row_weights(part.batch, weighted, negative_sampling_rate))
    return metrics


def row_weights(batch: Batch, weighted: bool, negative_sampling_rate: float | None) -> np.ndarray | None:
    """Weights of rows in metrics, float64 [rows]; None where all are 1."""
    if not weighted and negative_sampling_rate is None:
        return None
    return batch["weight"].astype(np.float64) * sampling_weights(batch["label"], negative_sampling_rate)


class SplitAccumulator:
    """The states of one set, or of a range of its row groups: what each of its chunks adds to.

    Two states of ranges that follow each other merge by `merge`, so that several processes can share a set. Counts are
    exact then. Float sums equal those of one process to rounding, and to the bit where each range is one chunk.

    Args:
        binning: of the training data.
        observed: what to look at beside the score.
        training_rows: sample of the training rows, to count copies of them; None: they are not counted.
    """

    def __init__(self, binning: Binning, observed: ReportColumns, training_rows: TrainingHashes | None = None) -> None:
        self.binning, self.observed, self.training_rows = binning, observed, training_rows
        self.slices = observed.slices(binning)
        self.metrics = BinaryMetrics(exact_rows=observed.report.max_exact_rows)
        self.histograms, self.joint, self.timeline = Histograms(binning), ScoreByBin(binning), Timeline(binning)
        self.worst = WorstRows(observed.report.worst_rows)
        self.unknown_ids = UnknownIds(observed.unknown_ids.columns)
        self.rows, self.score_sum, self.is_labelled = 0, 0.0, False
        self.repeats = Repeats(0, np.zeros(0 if training_rows is None else len(training_rows.hashes), np.int64))

    @property
    def is_reference(self) -> bool:
        """Whether it is of the training data's own sample."""
        return self.training_rows is None

    def add(self, part: Scored, codes: Mapping[str, Codes], counted: np.ndarray) -> None:
        """Count scored rows.

        Args:
            part: the rows.
            codes: the bins of their values.
            counted: bool [rows], those that distributions count; metrics count all.
        """
        observed = self.observed
        label = part.batch.get("label")
        self.is_labelled = label is not None
        self.rows, self.score_sum = self.rows + len(part.logit), self.score_sum + float(sigmoid(part.logit).sum())
        self.unknown_ids.add(part.batch)
        weight = counted.astype(np.float64)
        if label is not None and observed.negative_sampling_rate is not None:
            weight *= sampling_weights(label, observed.negative_sampling_rate)
        self.histograms.add(codes, weight)
        self.joint.add(codes, weight, label)
        time = observed.time
        if time is not None:
            dated = periods_of(part.table.column(time.column), time.by, time.time_zone, time.time_unit)
            self.timeline.add(codes, weight, dated)
        if label is None:
            return
        weights = row_weights(part.batch, observed.weighted, observed.negative_sampling_rate)
        self.metrics.add(part.logit, label, weights, self._groups(part, codes))
        self.worst.add(part.table, part.logit, label)
        if self.training_rows is not None:
            self.repeats = self.repeats.merge(self.training_rows.find(row_hashes(part.batch, observed.never_trained)))

    def merge(self, other: "SplitAccumulator") -> "SplitAccumulator":
        """Return the state of both ranges together; the other's row groups are those that follow in the set."""
        merged = SplitAccumulator(self.binning, self.observed, self.training_rows)
        merged.rows, merged.score_sum = self.rows + other.rows, self.score_sum + other.score_sum
        merged.is_labelled = self.is_labelled or other.is_labelled
        merged.metrics = self.metrics.merge(other.metrics)
        merged.histograms = self.histograms.merge(other.histograms)
        merged.joint = self.joint.merge(other.joint)
        merged.timeline = self.timeline.merge(other.timeline)
        merged.worst = self.worst.merge(other.worst)
        merged.unknown_ids = self.unknown_ids.merge(other.unknown_ids)
        merged.repeats = self.repeats.merge(other.repeats)
        return merged

    def _groups(self, part: Scored, codes: Mapping[str, Codes]) -> dict[str, pa.Array]:
        """The group of each row in every grouping that metrics are computed by."""
        observed = self.observed
        groups = {name: pa.array(codes[name].bins) for name in self.slices.values()}
        groups |= {FREQUENCY + name: pa.array(bucket) for name, bucket in observed.frequencies(part.batch).items()}
        if observed.report.group is not None:
            ids = values_of_column(part.table.column(observed.report.group))
            assert isinstance(ids, pa.Array)
            groups[GROUP] = decoded(ids)
        return groups


def values_of_part(part: Scored, slice_columns: list[str]) -> dict[str, Values]:
    """What has bins: the score as a logit, every feature, and the columns that only slices name."""
    values: dict[str, Values] = {SCORE: pa.array(part.logit.astype(np.float64))}
    values |= {FEATURE + name: found for name, found in part.values.items()}
    for name in slice_columns:
        found = slice_values(part.table.column(name))
        assert found is not None
        values[SLICE + name] = found
    return values


def build_reference(
    scored: list[Scored], observed: ReportColumns, bins: int, total: int, seed: int
) -> tuple[SplitAccumulator, Reference]:
    """Fit bins on a sample of the training data, count it in them, and make of it what later sets are compared with.

    A random half fixes the bins and the other is counted: in the rows that chose them, the most frequent of many values
    look more frequent than they are, and none is ever new.

    Args:
        scored: the sample, a chunk for each row group of the training data: the halves depend on its place.
        observed: what to look at beside the score.
        bins: of each distribution.
        total: rows of the whole training data.
        seed: of the halves.
    """
    found = [values_of_part(part, observed.slice_columns) for part in scored]
    halves = [np.random.default_rng([seed, 5, k]).random(len(part.logit)) < 0.5 for k, part in enumerate(scored)]
    fixing = [
        {name: filtered(one, ~half) for name, one in values.items()} for values, half in zip(found, halves, strict=True)
    ]
    binning = Binning.fitted({name: [values[name] for values in fixing] for name in found[0]}, bins)
    tally = SplitAccumulator(binning, observed)
    for part, values, half in zip(scored, found, halves, strict=True):
        tally.add(part, binning.assign(values), half)
    hashes = [row_hashes(part.batch, observed.never_trained) for part in scored]
    rows = TrainingHashes.of(hashes, halves, total, observed.negative_sampling_rate)
    edges = score_edges(np.concatenate([part.logit for part in scored]))
    periods = tally.timeline.training_periods(tally.histograms, observed.report.psi.major_above)
    metrics, scores = tally.metrics.result(cluster=observed.cluster), class_scores(tally.metrics.counts())
    return tally, Reference(tally.histograms, tally.joint, rows, edges, metrics, periods, scores)


def evaluate_split(
    scorer: Scorer, row_groups: list[RowGroup], reference: Reference, observed: ReportColumns, scores: ScoreWriter
) -> SplitAccumulator:
    """Score a set once: write its scores, and count all that its report says. Without labels it has no metrics.

    Args:
        scorer: the trained model.
        row_groups: the set, or a range of its row groups, whose state merges with those of the other ranges.
        reference: of the training data.
        observed: what to look at beside the score.
        scores: where the scores go.
    """
    binning = reference.histograms.binning
    tally = SplitAccumulator(binning, observed, reference.rows)
    with scores:
        for part in scorer.score(row_groups, [*scores.kept.names, *observed.columns]):
            scores.write(part)
            codes = binning.assign(values_of_part(part, observed.slice_columns))
            tally.add(part, codes, np.ones(len(part.logit), bool))
    return tally
