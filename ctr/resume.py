"""What must be as it was for a run to go on as if it had never stopped: its settings, its data, its encoder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ctr.checkpoint import Position, newest
from ctr.checksums import check_sealed, seal
from ctr.differences import changed_settings, in_lines
from ctr.errors import ConfigError
from ctr.experiment import Experiment, load_experiment
from ctr.run import Run, environment, read_json, remove, write_json
from features import DataError, Encoder, RowGroup, files_of, rows_of_files

MAY_CHANGE = (
    "name",
    "training.epochs",
    "training.early_stopping.patience",
    "training.checkpoint.*",
    "training.warm_start.run",  # it has given what it had to give
    "report.*",
)
PUT_BACK = "put {} back, or train anew with --overwrite or another --run"


@dataclass(frozen=True)
class Unfinished:
    """What a run goes on from."""

    position: Position
    encoder: Encoder | None
    """None: it is damaged, and fitting makes the same again."""


def find_unfinished(run: Run, sets: dict[str, list[RowGroup]], warn: Callable[[str], None]) -> Unfinished | None:
    """The last good checkpoint of a run, on the data that it began with; None if there is none.

    Args:
        run: that exists.
        sets: as `open_sets` gives them.
        warn: told what is damaged, and which versions are others.

    Raises:
        ConfigError, DataError: the data is other data.
    """
    _check_data(sets, run)
    position = newest(run.folder / "checkpoints", warn)
    if position is None:
        return None
    try:
        if changed := _changed_versions(run):
            warn(f"the run may not end as it would have with the versions that it began with: {changed}")
    except (OSError, ConfigError, KeyError, TypeError) as error:
        warn(f"the versions that the run began with are lost, those of now take their place: {error}")
        write_json(run.folder / "environment.json", environment())
    return Unfinished(position, _same_encoder(run, warn))


def check_device(run: Run, device: str, warn: Callable[[str], None]) -> None:
    """Warn if a run began on another kind of device, whose sums round otherwise."""
    begun = read_json(run.folder / "environment.json").get("device", device)  # unknown to an earlier version
    if begun != device:
        warn(f"the run began on the {begun} and goes on on the {device}, so it may not end as it would have")


def check_settings(experiment: Experiment, run: Run) -> None:
    """See that no setting that decides training differs from the run's.

    Raises:
        ConfigError: one does; every such setting with its value in the run and now.
    """
    try:
        begun = load_experiment(run.folder / "config.yaml")
    except ConfigError as error:
        raise ConfigError(f"{error}\nthe run's own config is damaged: {PUT_BACK.format('it')}") from error
    if changed := changed_settings(begun, experiment, but=MAY_CHANGE):
        raise ConfigError(
            in_lines(f"{run.folder}: these settings decide the training, so they cannot change within it:", changed)
            + f"\n{PUT_BACK.format('them')}"
        )


def described(sets: dict[str, list[RowGroup]]) -> dict[str, Any]:
    """data.json: for each set its files, in order, with their bytes, footer, and how many of their rows it has."""
    return {
        name: [
            {**listed, "bytes": file.version[0], "footer": file.footer}
            for file, listed in zip(files_of(row_groups), rows_of_files(row_groups), strict=True)
        ]
        for name, row_groups in sets.items()
    }


def _check_data(sets: dict[str, list[RowGroup]], run: Run) -> None:
    """Raise DataError unless the sets are those that the run began with."""
    begun = run.folder / "data.json"
    if not begun.is_file():
        raise ConfigError(f"{run.folder}: has no data.json, so an earlier version made the run; train it again")
    try:
        before, now = _by_path(read_json(begun)), _by_path(described(sets))
    except ConfigError as error:
        raise ConfigError(f"{error}; {PUT_BACK.format('it')}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{begun}: damaged, or of an earlier version: it lacks {error}; {PUT_BACK.format('it')}"
        ) from error
    differences = []
    for name in {**before, **now}:
        then, here = before.get(name, {}), now.get(name, {})
        if list(then) != list(here) and then.keys() == here.keys():
            differences.append(f"{name}: its files come in another order")
        differences += [
            f"{path}: {_said(then.get(path))} of {name} in the run, {_said(here.get(path))} now"
            for path in {**then, **here}
            if then.get(path) != here.get(path)
        ]
    if differences:
        raise DataError(
            in_lines(f"{run.folder}: began with other data:", differences) + f"\n{PUT_BACK.format('the data')}"
        )


def _by_path(listed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Set -> path -> file, of what `described` gives."""
    return {
        name: {file["path"]: {key: file[key] for key in ("rows", "bytes", "footer")} for file in files}
        for name, files in listed.items()
    }


def save_encoder(encoder: Encoder, run: Run) -> None:
    """Write `encoder/`, sealed, in place of what may be there."""
    folder = run.folder / "encoder"
    remove(folder)
    encoder.save(folder)
    seal(folder)


def load_encoder(run: Run) -> Encoder:
    """What `save_encoder` wrote.

    Raises:
        ConfigError, DataError, OSError: it is damaged.
    """
    check_sealed(run.folder / "encoder")
    return Encoder.load(run.folder / "encoder")


def _same_encoder(run: Run, warn: Callable[[str], None]) -> Encoder | None:
    try:
        return load_encoder(run)
    except (OSError, ConfigError, DataError) as error:
        warn(f"the features are fitted again: {error}")
        return None


def _changed_versions(run: Run) -> str:
    """The packages of which another version runs now, in words; empty if there is none."""
    found = [read_json(run.folder / "environment.json"), environment()]
    before, now = ({"python": one["python"], **one["packages"]} for one in found)
    return ", ".join(f"{name} {before.get(name)}, now {now[name]}" for name in now if before.get(name) != now[name])


def _said(file: dict[str, Any] | None) -> str:
    if file is None:
        return "not a file"
    return f"{file['rows']:,} rows ({file['bytes']:,} bytes, footer {file['footer'][:8]})"
