"""Restore a run at a checkpoint, to continue it: an interrupted run, or a finished one that trains on."""

from rich.console import Console

from ctr.config.experiment import Experiment
from ctr.console import PLAIN, warn
from ctr.runs.run import Run
from ctr.runs.run_evaluations import evaluations_in
from ctr.training.checkpoint import Position, delete_later, restore
from ctr.training.continuation import differences, has_steps_left, lines_at, reopened
from models import CTRModel


def restore_run(
    run: Run,
    experiment: Experiment,
    model: CTRModel,
    saved: Position,
    steps_per_epoch: int,
    is_validated: bool,
    console: Console,
) -> Position:
    """Restore model and run folder at a checkpoint, and print what the result then depends on.

    A finished run stays finished until everything that can fail has passed. Then it becomes an unfinished run, and its
    report, scores and evaluations are deleted. A kill after that leaves a run that can be resumed.

    Args:
        run: run to continue.
        experiment: experiment of the current config.
        model: compiled model that gets the values of the checkpoint.
        saved: position of the checkpoint.
        steps_per_epoch: number of batches per epoch.
        is_validated: True if there is validation data.
        console: the console that prints the messages.

    Returns:
        The position from which training continues.

    Raises:
        ConfigError: the checkpoint belongs to a different model.
        OSError: a file cannot be read, written or deleted.
    """
    checkpoints = run.folder / "checkpoints"
    restore(checkpoints, saved, model)
    position = reopened(saved, experiment, steps_per_epoch)
    lines = lines_at(checkpoints / saved.name, position)
    position.sizes = {file: len(text.encode()) for file, text in lines.items()}
    trains = has_steps_left(position, experiment, steps_per_epoch)
    if trains:
        _print_removed(run, experiment, console)
        for difference in differences(run.experiment(), experiment, position, is_validated):
            warn(console, difference)
    console.print(f"resuming from step {position.step:,}", **PLAIN)
    if run.is_finished:
        run.delete_replaced()  # else a failure from here on would restore it
    run.rewind_to(experiment, lines, keep_evaluations=not trains)
    delete_later(checkpoints, saved)
    return position


def _print_removed(run: Run, experiment: Experiment, console: Console) -> None:
    """Print what is removed from a finished run before it trains on; nothing for an interrupted run."""
    names = ", ".join(path.name for path in evaluations_in(run.folder))
    removed = ["report and scores"] if run.is_finished else []
    removed += [f"evaluations ({names})"] if names else []
    if removed:
        epochs = experiment.training.epochs
        console.print(f"training on to {epochs} epochs: removing {', '.join(removed)} of the weights so far", **PLAIN)
