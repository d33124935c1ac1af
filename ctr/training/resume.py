"""Checks before a run is resumed: settings, data, encoder and versions must match the interrupted run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ctr.config.config_diff import bullet_list, diff_experiments
from ctr.config.experiment import Experiment, load_saved_experiment
from ctr.errors import CodeRefused, ConfigError, Damaged
from ctr.runs.checksums import write_checksums
from ctr.runs.environment import environment
from ctr.runs.files import remove
from ctr.runs.run import Run
from ctr.runs.run_data import CONTENTS, RESTORE, changed_contents, changed_files
from ctr.training.checkpoint import Position, fingerprint, newest, part_fingerprints
from features import DataError, Encoder, RowGroup, Settings
from models import CTRModel

MAY_CHANGE = (
    "name",
    "training.epochs",
    "training.early_stopping.patience",
    "training.checkpoint.*",
    "training.warm_start.run",  # used only before the first step
    "report.*",
)
KEPT_UNLESS_SET = (("training", "threads"), ("features", "unseen"), ("initializer", "head_bias"))
"""Settings, by section, whose default might have changed since a run started."""


@dataclass(frozen=True)
class Unfinished:
    """State of an unfinished run."""

    position: Position
    """Position of the last usable checkpoint."""
    encoder: Encoder | None
    """Saved encoder; None if it is damaged. Fitting it again gives an equal encoder."""


def find_unfinished(
    run: Run, splits: dict[str, list[RowGroup]], columns: Iterable[str], warn: Callable[[str], None]
) -> Unfinished | None:
    """Find the last usable checkpoint of a run and check its data; None without a usable checkpoint.

    Args:
        run: existing run.
        splits: splits returned by `open_splits`.
        columns: columns that the run reads of all rows.
        warn: function that is called with a message about damaged files and changed versions.

    Raises:
        ConfigError, DataError: the data differs, or a file that cannot be written again is damaged.
    """
    _refuse(changed_files(splits, run), run)
    checkpoints = run.folder / "checkpoints"
    run.warm_start()  # raises if the file is damaged
    position = newest(checkpoints, warn)
    if position is None:
        if run.was_finished:  # starting over would lose its report and evaluations
            raise ConfigError(
                f"{run.folder}: the finished run has no usable checkpoint to continue from. Restore its checkpoints "
                f"from a backup, or start a new run with --run or --overwrite."
            )
        return None
    contents = checkpoints / position.name / CONTENTS
    if contents.is_file():
        _refuse(changed_contents(splits, run, contents, columns, warn), run)
    else:
        warn(f"an earlier version wrote {position.name}, so data files are compared by size and footer only")
    try:
        if changed := _changed_versions(run):
            warn(f"versions have changed since the run started, so its result might differ: {changed}")
    except (OSError, ConfigError, KeyError, TypeError) as error:
        warn(f"rewriting environment.json with the current versions: {_fault(error)}")
        run.replace("environment.json", environment())
    return Unfinished(position, _saved_encoder(run, warn))


def check_device(run: Run, device: str, warn: Callable[[str], None]) -> None:
    """Warn if a run started on a different kind of device, which rounds sums differently."""
    first = run.read_json("environment.json").get("device", device)  # earlier versions did not record it
    if first != device:
        warn(f"the run started on the {first} and continues on the {device}, so its result might differ")


def check_initial_weights(run: Run, model: CTRModel, position: Position, warn: Callable[[str], None]) -> None:
    """Check initial_weights.json, and write it again if it is damaged.

    Args:
        run: run to resume.
        model: model with its initial weights.
        position: position to resume from.
        warn: function that is called with a message if the file is damaged.

    Raises:
        Damaged: the file is damaged, and the run started from different weights, such as those of a warm start.
    """
    try:
        run.file("initial_weights.json")
    except Damaged as error:
        if fingerprint(model) != position.initial_weights:
            raise
        warn(f"rewriting initial_weights.json: {error.what}")
        run.replace("initial_weights.json", part_fingerprints(model))


def resumed(experiment: Experiment, run: Run) -> Experiment:
    """Return the experiment with the run's value of each setting whose default might have changed.

    The default of `training.threads` depends on the machine; `features.unseen` and `model.initializer.head_bias`
    are newer than version 0.4.0. Settings in the config are kept.

    Args:
        experiment: experiment of the current config.
        run: run to resume.

    Raises:
        ConfigError: a setting that influences training differs from the run's, or the file of a user's class has
            changed. The message lists every setting that differs with both values.
    """
    config = run.file("config.yaml")
    try:
        saved = load_saved_experiment(config)
    except CodeRefused:
        raise
    except ConfigError as error:
        raise ConfigError(f"{error}\nThe config in the run folder is damaged. {RESTORE.format('it')}") from error
    run.check_code(saved)
    experiment = experiment.model_copy(
        update={
            section: _with_saved(getattr(experiment, section), getattr(saved, section), name)
            for section, name in KEPT_UNLESS_SET
        }
    )
    changed = diff_experiments(saved, experiment, exclude=MAY_CHANGE)
    if (stopping := saved.training.early_stopping) is not None and stopping.needs_groups:
        changed += diff_experiments(saved, experiment, include=("report.group",))
    if changed:
        title = f"{run.folder}: cannot resume with different settings:"
        raise ConfigError(f"{bullet_list(title, changed)}\n{RESTORE.format('them')}")
    return experiment


def _with_saved(settings: Settings, saved: Settings, name: str) -> Settings:
    """Return the settings with the saved value of a name, unless they set the name themselves."""
    return settings if name in settings.model_fields_set else settings.model_copy(update={name: getattr(saved, name)})


def _refuse(differences: list[str], run: Run) -> None:
    """Raise DataError if the data differs."""
    if differences:
        title = f"{run.folder}: cannot resume with different data:"
        raise DataError(f"{bullet_list(title, differences)}\n{RESTORE.format('the data')}")


def save_encoder(encoder: Encoder, run: Run) -> None:
    """Write the encoder with checksums to `encoder/`, replacing an existing one."""
    folder = run.folder / "encoder"
    remove(folder)
    encoder.save(folder)
    write_checksums(folder)


def load_encoder(run: Run) -> Encoder:
    """Load the encoder of a run.

    Raises:
        ConfigError, DataError, OSError: the encoder is damaged.
    """
    return Encoder.load(run.part("encoder"))


def _saved_encoder(run: Run, warn: Callable[[str], None]) -> Encoder | None:
    try:
        return load_encoder(run)
    except (OSError, ConfigError, DataError) as error:
        warn(f"fitting the features again: {_fault(error)}")
        return None


def _fault(error: Exception) -> str:
    """Return the cause of an error, without the advice, because the caller repairs the file."""
    return error.what if isinstance(error, Damaged) else str(error)


def _changed_versions(run: Run) -> str:
    """Return the packages whose version has changed, with both versions, as text; empty if none has."""
    environments = run.read_json("environment.json"), environment()
    old, new = ({"python": versions["python"], **versions["packages"]} for versions in environments)
    return ", ".join(f"{name} {old.get(name)}, now {new[name]}" for name in new if old.get(name) != new[name])
