"""`ctr inspect`: list every problem of a run that can be known before training."""

import math
from pathlib import Path

from rich.console import Console

from ctr.checks.finding import Finding
from ctr.config.data import SkipBadRows
from ctr.config.experiment import Experiment
from ctr.preflight.data_checks import check_bad_rows, check_data, check_negatives, check_order
from ctr.preflight.inspection import Inspection
from ctr.preflight.profile import profile_splits
from ctr.preflight.resources import estimate_resources, findings_of
from ctr.preflight.schemas import check_schemas
from ctr.preflight.show import print_inspection
from ctr.runs.machine import own_memory
from ctr.runs.run import Run
from ctr.schema.levels import Level
from ctr.training.data import PreparedData, empty_encoder, open_splits, prepare_splits
from ctr.training.devices import set_threads
from ctr.training.plan import ModelPlan, plan_model
from ctr.training.warm_start import open_parent
from features import GAP, DataError, Encoder, RowGroup

ANY_FRACTION = SkipBadRows(skip=math.nextafter(1, 0))


def inspect(
    experiment: Experiment, folder: str | Path, console: Console | None = None, show_all: bool = False
) -> Inspection:
    """Check everything that a run of `experiment` needs before its first step; write nothing.

    The data is read as `ctr train` reads it before its first step, and once more, one row group at a time, for its
    profile. Invalid rows are counted and left out, whatever `data.bad_rows` is.

    Args:
        experiment: the experiment to check.
        folder: the run folder that training would write.
        console: the console that prints the results; None prints nothing.
        show_all: list every input and embedding table; False folds long lists.
    """
    inspection = Inspection()
    run = Run(folder)
    plan = _inspect_config(inspection, experiment, run)
    _inspect_data(inspection, experiment, run, plan)
    if plan is not None:
        with inspection.stage("device"):
            if inspection.prepared is not None:
                plan = plan.completed(inspection.prepared.encoder)
            inspection.estimate = estimate_resources(plan, inspection.prepared, inspection.own_memory)
            inspection.findings += findings_of(inspection.estimate, Path(folder))
    inspection.findings.sort(key=lambda finding: finding.level.rank)
    if console is not None:
        print_inspection(inspection, experiment, console, show_all)
    return inspection


def _inspect_config(inspection: Inspection, experiment: Experiment, run: Run) -> ModelPlan | None:
    """Check folder, model and optimizers; return the plan of the model, as far as the config determines it."""
    with inspection.stage("run folder"):
        run.check_free(overwrite=True)
        if run.exists:
            message = f"run folder: {run.folder} already holds a run. Use `ctr train` with --resume or --overwrite."
            inspection.findings.append(Finding(Level.WARNING, "run folder", message))
    with inspection.stage("model", "features, model and optimizers fit each other"):
        set_threads(experiment.training.threads)
        return plan_model(experiment, empty_encoder(experiment))
    return None


def _inspect_data(inspection: Inspection, experiment: Experiment, run: Run, plan: ModelPlan | None) -> None:
    with inspection.stage("data"):
        inspection.splits = open_splits(experiment)
    if inspection.splits is None:
        return
    with inspection.stage("schema"):
        read = {name: groups for name, groups in inspection.splits.items() if name != GAP}
        schemas = check_schemas(experiment, empty_encoder(experiment), read)
        inspection.findings += schemas
        if any(finding.level == Level.ERROR for finding in schemas):
            return
    known = None
    with inspection.stage("warm start"):
        parent = open_parent(plan, run) if plan is not None else None
        known = parent.encoder if parent else None
    with inspection.stage("data"):
        memory_before = own_memory()
        inspection.prepared, memory = _prepare(experiment, inspection.splits, known), own_memory()
        inspection.own_memory = memory if memory.peak > memory_before.peak else memory._replace(peak=memory.current)
        inspection.findings += check_bad_rows(experiment.data, inspection.prepared.bad_rows)
        inspection.profiles, copies = profile_splits(experiment, inspection.prepared)
        inspection.findings += check_data(experiment.data, experiment.features, inspection.profiles, copies)
        negatives = inspection.prepared.negatives
        inspection.findings.append(check_order(experiment.data, inspection.prepared.splits["train"], negatives))
        inspection.findings += check_negatives(negatives)


def _prepare(experiment: Experiment, splits: dict[str, list[RowGroup]], known: Encoder | None) -> PreparedData:
    """Return the data without its invalid rows, however many; other problems are errors as in `ctr train`."""
    data = experiment.data.model_copy(update={"bad_rows": ANY_FRACTION})
    try:
        return prepare_splits(experiment.model_copy(update={"data": data}), splits, known=known)
    except DataError:
        prepare_splits(experiment, splits, known=known)
        raise
