"""What must be as it was for a run to go on as if it had never stopped: its settings, its data, its encoder."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ctr.config.config_diff import bullet_list, diff_experiments
from ctr.config.experiment import Experiment, load_saved_experiment
from ctr.errors import CodeRefused, ConfigError, Damaged
from ctr.runs.checksums import write_checksums
from ctr.runs.environment import environment
from ctr.runs.files import remove
from ctr.runs.run import Run
from ctr.runs.run_data import CONTENTS, PUT_BACK, changed_contents, changed_files
from ctr.training.checkpoint import Position, fingerprint, newest, part_fingerprints
from features import DataError, Encoder, RowGroup, Settings
from models import CTRModel

MAY_CHANGE = (
    "name",
    "training.epochs",
    "training.early_stopping.patience",
    "training.checkpoint.*",
    "training.warm_start.run",  # it has given what it had to give
    "report.*",
)
KEPT_UNLESS_SET = (("training", "threads"), ("features", "unseen"), ("initializer", "head_bias"))
"""Settings of an experiment's parts whose default may be another than when a run began."""


@dataclass(frozen=True)
class Unfinished:
    """What a run goes on from."""

    position: Position
    encoder: Encoder | None
    """None: it is damaged, and fitting makes the same again."""


def find_unfinished(
    run: Run, sets: dict[str, list[RowGroup]], columns: Iterable[str], warn: Callable[[str], None]
) -> Unfinished | None:
    """The last good checkpoint of a run, on the data that it began with; None if there is none.

    Args:
        run: that exists.
        sets: as `open_sets` gives them.
        columns: those that the run reads of all rows.
        warn: told what is damaged, and which versions are others.

    Raises:
        ConfigError, DataError: the data is other data; or what cannot be made again is damaged.
    """
    _refuse(changed_files(sets, run), run)
    checkpoints = run.folder / "checkpoints"
    run.warm_start()  # an error if it is damaged
    position = newest(checkpoints, warn)
    if position is None:
        if run.was_finished:  # its report and evaluations would be lost
            raise ConfigError(
                f"{run.folder}: was finished, and has no checkpoint that could be measured again. Restore its "
                f"checkpoints from a backup, or train it again with --overwrite or another --run."
            )
        return None
    contents = checkpoints / position.name / CONTENTS
    if contents.is_file():
        _refuse(changed_contents(sets, run, contents, columns, warn), run)
    else:
        warn(f"an earlier version made {position.name}, so files are compared with the run's by size and footer only")
    try:
        if changed := _changed_versions(run):
            warn(f"the run may not end as it would have with the versions that it began with: {changed}")
    except (OSError, ConfigError, KeyError, TypeError) as error:
        warn(f"the versions that the run began with are lost, those of now take their place: {_fault(error)}")
        run.replace("environment.json", environment())
    return Unfinished(position, _same_encoder(run, warn))


def check_device(run: Run, device: str, warn: Callable[[str], None]) -> None:
    """Warn if a run began on another kind of device, whose sums round otherwise."""
    begun = run.read_json("environment.json").get("device", device)  # unknown to an earlier version
    if begun != device:
        warn(f"the run began on the {begun} and goes on on the {device}, so it may not end as it would have")


def check_initial_weights(run: Run, model: CTRModel, position: Position, warn: Callable[[str], None]) -> None:
    """Check that initial_weights.json is what was written, or write it again.

    Args:
        run: the run to resume.
        model: the model with its initial weights.
        position: the position to resume from.
        warn: called with a sentence if the file is damaged.

    Raises:
        Damaged: it is, and the run began with other weights, such as those of another run.
    """
    try:
        run.file("initial_weights.json")
    except Damaged as error:
        if fingerprint(model) != position.initial_weights:
            raise
        warn(f"initial_weights.json is written again: {error.what}")
        run.replace("initial_weights.json", part_fingerprints(model))


def resumed(experiment: Experiment, run: Run) -> Experiment:
    """Return the experiment with the run's value of each setting whose default may have changed since it began.

    The default of `training.threads` is a function of the machine; `features.unseen` and `model.initializer.head_bias`
    are newer than version 0.4.0. What the config sets itself is kept.

    Args:
        experiment: the experiment that the config describes here.
        run: the run to resume.

    Raises:
        ConfigError: a setting that decides training differs from the run's; every such setting with both values. Or the
            file of a class of the user's own has changed.
    """
    config = run.file("config.yaml")
    try:
        begun = load_saved_experiment(config)
    except CodeRefused:
        raise
    except ConfigError as error:
        raise ConfigError(f"{error}\nthe run's own config is damaged: {PUT_BACK.format('it')}") from error
    run.check_code(begun)
    experiment = experiment.model_copy(
        update={part: _kept(getattr(experiment, part), getattr(begun, part), name) for part, name in KEPT_UNLESS_SET}
    )
    if changed := diff_experiments(begun, experiment, but=MAY_CHANGE):
        raise ConfigError(
            bullet_list(f"{run.folder}: these settings decide the training, so they cannot change within it:", changed)
            + f"\n{PUT_BACK.format('them')}"
        )
    return experiment


def _kept(here: Settings, begun: Settings, name: str) -> Settings:
    """Settings with the value that another one has for a name, unless they set it themselves."""
    return here if name in here.model_fields_set else here.model_copy(update={name: getattr(begun, name)})


def _refuse(differences: list[str], run: Run) -> None:
    """Raise DataError if there are any."""
    if differences:
        raise DataError(
            bullet_list(f"{run.folder}: began with other data:", differences) + f"\n{PUT_BACK.format('the data')}"
        )


def save_encoder(encoder: Encoder, run: Run) -> None:
    """Write `encoder/`, sealed, in place of what may be there."""
    folder = run.folder / "encoder"
    remove(folder)
    encoder.save(folder)
    write_checksums(folder)


def load_encoder(run: Run) -> Encoder:
    """What `save_encoder` wrote.

    Raises:
        ConfigError, DataError, OSError: it is damaged.
    """
    return Encoder.load(run.part("encoder"))


def _same_encoder(run: Run, warn: Callable[[str], None]) -> Encoder | None:
    try:
        return load_encoder(run)
    except (OSError, ConfigError, DataError) as error:
        warn(f"the features are fitted again: {_fault(error)}")
        return None


def _fault(error: Exception) -> str:
    """Return what is wrong, without what to do where it is done here."""
    return error.what if isinstance(error, Damaged) else str(error)


def _changed_versions(run: Run) -> str:
    """The packages of which another version runs now, in words; empty if there is none."""
    found = [run.read_json("environment.json"), environment()]
    before, now = ({"python": one["python"], **one["packages"]} for one in found)
    return ", ".join(f"{name} {before.get(name)}, now {now[name]}" for name in now if before.get(name) != now[name])
