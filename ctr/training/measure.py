"""Scores, metrics and distributions of every split of a trained model, written to its run folder."""

from typing import Any

from ctr.config.experiment import Experiment
from ctr.evaluation.build_report import TRAIN, build_report
from ctr.evaluation.report_columns import ReportColumns
from ctr.evaluation.scoring import BatchScorer
from ctr.evaluation.split_metrics import build_reference, evaluate_split
from ctr.evaluation.writer import ScoreWriter
from ctr.runs.run import Run
from ctr.schema.report import Measured
from ctr.training.data import PreparedData
from features import count_rows, draw_sample


def measure_splits(
    experiment: Experiment, prepared: PreparedData, scorer: BatchScorer, run: Run
) -> tuple[Measured, dict[str, Any]]:
    """Score every split with a trained model, and write `reference/` and `scores/` of its run folder.

    Args:
        experiment: experiment of the run.
        prepared: its checked splits and fitted features.
        scorer: scorer of the trained model.
        run: run folder.

    Returns:
        The measured part of report.json, and the contents of curves.json.
    """
    data, psi = experiment.data, experiment.report.psi
    all_groups = [group for groups in prepared.splits.values() for group in groups]
    report_columns = ReportColumns.of(experiment, prepared.encoder, all_groups, data.negative_sampling_rate)
    # a fixed sample of the training data is the reference of PSI, and the data of train metrics
    columns = list(dict.fromkeys([*prepared.encoder.input_columns, *report_columns.columns]))
    sample = draw_sample(prepared.splits[TRAIN], columns, experiment.seed)
    scored = [scorer.score_table(table, "sample of the training data") for table in sample]
    train_rows = count_rows(prepared.splits[TRAIN])
    tally, reference = build_reference(scored, report_columns, psi.bins, train_rows, experiment.seed)
    reference.save(run.folder / "reference")
    tallies = {TRAIN: tally}
    for name in [name for name in prepared.splits if name != TRAIN]:
        writer = ScoreWriter(run.folder / "scores" / f"{name}.parquet", report_columns.weighted, prepared.passthrough)
        tallies[name] = evaluate_split(scorer, prepared.splits[name], reference, report_columns, writer)
    main = next(name for name in ("test", "valid", TRAIN) if name in tallies)
    report, curves = build_report(tallies, main, reference, psi.major_above)
    return report, {"run": experiment.name, **curves}
