"""`ctr inspect`: all that is wrong with a training and can be known before it, not only the first of it."""

import math
from pathlib import Path

from rich.console import Console

from ctr.checks.finding import Finding
from ctr.config.data import SkipBadRows
from ctr.config.experiment import Experiment
from ctr.preflight.data_checks import check_bad_rows, check_data, check_order
from ctr.preflight.inspection import Inspection
from ctr.preflight.profile import profile_sets
from ctr.preflight.resources import estimate_resources, findings_of
from ctr.preflight.schemas import check_schemas
from ctr.preflight.show import print_inspection
from ctr.runs.machine import own_memory
from ctr.runs.run import Run
from ctr.schema.levels import Level
from ctr.training.data import PreparedData, empty_encoder, open_sets, prepare_sets
from ctr.training.devices import set_threads
from ctr.training.plan import ModelPlan, plan_model
from ctr.training.warm_start import open_parent
from features import DataError, Encoder, RowGroup

ANY_SHARE = SkipBadRows(skip=math.nextafter(1, 0))


def inspect(experiment: Experiment, folder: str | Path, console: Console | None = None) -> Inspection:
    """Find out what a training of `experiment` would meet; writes nothing.

    The data is read as a training reads it before its first step, and then once more, row group by row group, for what
    it holds. Bad rows are counted and left out, whatever `data.bad_rows` says.

    Args:
        experiment: what would be trained.
        folder: of the run.
        console: where the tables go; None: nowhere.
    """
    found = Inspection()
    run = Run(folder)
    plan = _look_at_config(found, experiment, run)
    _look_at_data(found, experiment, run, plan)
    if plan is not None:
        with found.stage("device"):
            if found.prepared is not None:
                plan = plan.completed(found.prepared.encoder)
            found.needs = estimate_resources(plan, found.prepared, found.own_memory)
            found.findings += findings_of(found.needs, Path(folder))
    found.findings.sort(key=lambda finding: finding.level.rank)
    if console is not None:
        print_inspection(found, experiment, console)
    return found


def _look_at_config(found: Inspection, experiment: Experiment, run: Run) -> ModelPlan | None:
    """Look at folder, model and optimizers; return the plan of the model, as far as the config says."""
    with found.stage("run folder"):
        run.check_free(overwrite=True)
        if run.exists:
            told = f"run folder: {run.folder} already holds a run: `ctr train` needs --resume or --overwrite"
            found.findings.append(Finding(Level.WARNING, "run folder", told))
    with found.stage("model", "features, model and optimizers fit each other"):
        set_threads(experiment.training.threads)
        return plan_model(experiment, empty_encoder(experiment))
    return None


def _look_at_data(found: Inspection, experiment: Experiment, run: Run, plan: ModelPlan | None) -> None:
    with found.stage("data"):
        found.sets = open_sets(experiment)
    if found.sets is None:
        return
    with found.stage("schema"):
        schemas = check_schemas(experiment, empty_encoder(experiment), found.sets)
        found.findings += schemas
        if any(finding.level == Level.ERROR for finding in schemas):
            return
    known = None
    with found.stage("warm start"):
        parent = open_parent(plan, run) if plan is not None else None
        known = parent.encoder if parent else None
    with found.stage("data"):
        before = own_memory()
        found.prepared, own = _prepared(experiment, found.sets, known), own_memory()
        found.own_memory = own if own.peak > before.peak else own._replace(peak=own.now)
        found.findings += check_bad_rows(experiment.data, found.prepared.bad_rows)
        found.profiles, copies = profile_sets(experiment, found.prepared)
        found.findings += check_data(experiment.data, experiment.features, found.profiles, copies)
        found.findings.append(check_order(experiment.data, found.prepared.sets["train"]))


def _prepared(experiment: Experiment, sets: dict[str, list[RowGroup]], known: Encoder | None) -> PreparedData:
    """The data without its bad rows, however many; what else is wrong with it is said as `ctr train` says it."""
    data = experiment.data.model_copy(update={"bad_rows": ANY_SHARE})
    try:
        return prepare_sets(experiment.model_copy(update={"data": data}), sets, known=known)
    except DataError:
        prepare_sets(experiment, sets, known=known)
        raise
