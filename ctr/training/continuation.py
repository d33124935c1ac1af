"""More training for a run that has ended, and what its result then depends on."""

from dataclasses import replace
from pathlib import Path

from ctr.config.config_diff import bullet_list, diff_experiments
from ctr.config.experiment import Experiment
from ctr.errors import ConfigError
from ctr.runs.run import LINES, Run
from ctr.schema.report import Training as Trained
from ctr.training.build import rates_of_whole_training
from ctr.training.checkpoint import Position


def asks_for_more(experiment: Experiment, run: Run) -> bool:
    """Return True if the settings ask a finished run to train on.

    More epochs than the run was to train ask for it. So does a higher patience after an early stop.

    Args:
        experiment: experiment of the current config.
        run: finished run.

    Raises:
        ConfigError: the settings ask for fewer epochs than the run has trained, or the report is damaged.
    """
    now, before = experiment.training, run.experiment().training
    trained: Trained = run.run_report()["training"]
    if now.epochs < min(before.epochs, trained["epochs"]):
        raise ConfigError(
            f"training.epochs: {now.epochs}, but {run.folder} has trained {trained['epochs']}. Set at least "
            f"{trained['epochs']}, or train a shorter run with --run or --overwrite."
        )
    is_more_patient = trained["stopped_early"] and now.patience > before.patience
    return now.epochs > trained["epochs"] and (now.epochs > before.epochs or is_more_patient)


def without_effect(experiment: Experiment, run: Run) -> str | None:
    """Return a sentence on the settings that differ from those of a finished run that is not trained on; None if equal.

    Args:
        experiment: experiment of the current config.
        run: finished run.
    """
    differing = diff_experiments(run.experiment(), experiment, exclude=("training.warm_start.run",))
    if not differing:
        return None
    title = f"{run.folder} is finished, so these settings have no effect:"
    how = "To use them, train on with more training.epochs, or train again with another --run or with --overwrite."
    return f"{bullet_list(title, differing)}\n{how}"


def check_patience(experiment: Experiment, position: Position, run: Run) -> None:
    """Check that early stopping has not ended a finished run: it would have ended a longer run at the same step.

    Raises:
        ConfigError: early stopping has ended it.
    """
    if position.is_out_of_patience(experiment.training):
        raise ConfigError(
            f"training.early_stopping.patience: {experiment.training.patience}, but {run.folder} was stopped early: "
            f"validations without improvement: {position.misses}. Set a patience above {position.misses} to train on."
        )


def has_steps_left(position: Position, experiment: Experiment, steps_per_epoch: int) -> bool:
    """Return True if a run at a position has steps left to train.

    Args:
        position: position of a checkpoint.
        experiment: experiment of the current config.
        steps_per_epoch: number of batches per epoch.
    """
    if position.is_out_of_patience(experiment.training):
        return False
    epochs = position.epoch + (position.batch == steps_per_epoch)
    return 0 < position.batch < steps_per_epoch or epochs < experiment.training.epochs


def reopened(position: Position, experiment: Experiment, steps_per_epoch: int) -> Position:
    """Return the position from which training continues.

    An early stop within an epoch ends that epoch. If there is more to train, the rest of it comes first.

    Args:
        position: position of a checkpoint.
        experiment: experiment of the current config.
        steps_per_epoch: number of batches per epoch.
    """
    batch = position.step - (position.epoch - 1) * steps_per_epoch
    is_cut = not position.batch and 0 < batch < steps_per_epoch
    if not is_cut or not has_steps_left(position, experiment, steps_per_epoch):
        return position
    return replace(position, epoch=position.epoch - 1, batch=batch)


def lines_at(checkpoint: Path, position: Position) -> dict[str, str]:
    """Return file -> text of metrics.jsonl and timing.jsonl up to a position, as a checkpoint holds them.

    Args:
        checkpoint: folder of the checkpoint.
        position: its position, or that of `reopened`, which leaves out the end of the epoch.
    """
    texts = {file: (checkpoint / file).read_text(encoding="utf-8") for file in LINES}
    return {file: "".join(_without_open_epoch(text, position)) for file, text in texts.items()}


def _without_open_epoch(text: str, position: Position) -> list[str]:
    """Return the lines without that of the end of the epoch that the position is in."""
    end = f'{{"kind": "train", "epoch": {position.epoch + 1}, "step": {position.step}, '
    return [line for line in text.splitlines(keepends=True) if not (position.batch and line.startswith(end))]


def differences(saved: Experiment, experiment: Experiment, position: Position, is_validated: bool) -> list[str]:
    """Return sentences on what makes the result differ from that of a run that had its settings from the start.

    Args:
        saved: experiment in the run folder.
        experiment: experiment of the current config.
        position: position from which training continues, with steps left.
        is_validated: True if there is validation data.
    """
    now, before = experiment.training.epochs, saved.training.epochs
    sentences = []
    if now != before and (rates := rates_of_whole_training(experiment)):
        sentences.append(
            f"{', '.join(rates)}: the schedule spans all of training. From here on it follows {now} epochs instead of "
            f"{before}, so the result differs from that of a run of {now} epochs"
        )
    if now <= position.epoch:
        sentences.append(f"training.epochs is {now}, but the run is in epoch {position.epoch + 1}, which it completes")
    elif is_validated and position.validated_at == position.step and not _is_due(position, experiment):
        sentences.append(
            f"the run was validated at step {position.step:,} because training ended there. This validation counts for "
            f"{_effects(experiment)}, so the result can differ from that of a run of {now} epochs"
        )
    return sentences


def _is_due(position: Position, experiment: Experiment) -> bool:
    """Return True if `training.validate_every` asks for a validation at a position."""
    every = experiment.training.validate_every
    if every.steps:
        return position.step % every.steps == 0
    return not position.batch and position.epoch % (every.epochs or 1) == 0


def _effects(experiment: Experiment) -> str:
    """Return what a validation has an effect on."""
    settings = experiment.training
    effects = ["the best checkpoint"]
    effects += ["early stopping"] if settings.early_stopping is not None else []
    effects += ["reduce_lr_on_plateau"] if settings.reduce_lr_on_plateau is not None else []
    *first, last = effects
    return f"{', '.join(first)} and {last}" if first else last
