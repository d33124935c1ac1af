"""The runs of a comparison: written down before the first one, the same however often it is begun."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ctr.comparison.search_ranges import Sampled, draw
from ctr.comparison.study import Study, Variant
from ctr.config.config_diff import bullet_list, diff_experiments
from ctr.config.earlier_versions import translate_trials
from ctr.config.experiment import Experiment
from ctr.errors import ConfigError
from ctr.runs.checksums import check_file, read_sums, rewriting
from ctr.runs.files import read_json, write_json, write_text
from ctr.runs.run import Run
from ctr.runs.run_data import CONTENTS, changed_contents, changed_files
from ctr.training.data import empty_encoder, open_sets
from features import RowGroup

TRIALS = "trials.json"
STUDY = "study.yaml"
UNSEAL = "Delete it: the same `ctr compare` command writes it again."
PUT_BACK = "\nput them back, or compare anew with --overwrite or another --out"


@dataclass(frozen=True)
class PlannedRun:
    """One training.

    Attributes:
        cell: what it is a training of.
        trial: its number, from 1; None: one of those that are reported.
        drawn: dotted key -> value, of the ranges.
        seed: of the training.
        experiment: all of it.
        folder: of the run.
    """

    cell: Variant
    trial: int | None
    drawn: Sampled
    seed: int
    experiment: Experiment
    folder: Path

    @cached_property
    def saved(self) -> Run:
        """Its folder, read checked."""
        mend = f"Restore it from a backup, or delete {self.folder}: the same `ctr compare` command trains it again."
        return Run(self.folder, mend)

    @property
    def label(self) -> str:
        """What it is called in the terminal."""
        return f"{self.cell.name}, {f'seed {self.seed}' if self.trial is None else f'trial {self.trial}'}"


def planned_trials(study: Study, cells: list[Variant], folder: Path) -> list[PlannedRun]:
    """The trials of every cell, first all first ones, then all second ones; none where nothing is tuned.

    Those that `trials.json` has are taken from there, more are drawn behind them.

    Raises:
        ConfigError: a setting is wrong, or the file is damaged.
    """
    if study.tuning is None:
        return []
    seed = study.tuning.seed
    written = _written_trials(folder)
    runs = []
    for cell in cells:
        before = written.get(cell.name, {})
        is_same = before.get("ranges") == _ranges(cell) and before.get("seed") == seed
        known = before["trials"] if is_same else []
        drawn = [*known, *draw(cell.ranges, study.tuning.trials, seed)[len(known) :]]
        for k, values in enumerate(drawn[: study.tuning.trials]):
            where = folder / "runs" / cell.name / f"trial-{k + 1}"
            runs.append(PlannedRun(cell, k + 1, values, seed, cell.experiment(values, seed), where))
    return sorted(runs, key=lambda run: run.trial or 0)


def planned_seeds(
    study: Study, chosen: dict[str, PlannedRun | None], cells: list[Variant], folder: Path
) -> list[PlannedRun]:
    """The trainings that are reported: of every cell one a seed, with what its best trial drew.

    Args:
        study: for its seeds.
        chosen: cell -> its best trial; None: it has none, as all of them failed.
        cells: to train; of those without a trial the settings are as they stand.
        folder: of the comparison.
    """
    runs = []
    for seed in study.seeds:
        for cell in cells:
            trial = chosen.get(cell.name)
            if cell.name in chosen and trial is None:
                continue
            drawn = trial.drawn if trial else {}
            of_trial = f"trial-{trial.trial}-" if trial else ""  # another one may be the best of more trials
            where = folder / "runs" / cell.name / f"{of_trial}seed-{seed}"
            runs.append(PlannedRun(cell, None, drawn, seed, cell.experiment(drawn, seed), where))
    return runs


def check_as_before(runs: Sequence[PlannedRun]) -> None:
    """See that runs which are there already are those that are planned.

    Raises:
        ConfigError: a setting differs.
    """
    for run in _existing(runs):
        changed = diff_experiments(run.saved.experiment(), run.experiment, but=("name",))
        if changed:
            raise ConfigError(bullet_list(f"{run.folder}: was made with other settings:", changed) + PUT_BACK)


def check_data_as_before(runs: Sequence[PlannedRun], tell: Callable[[str], None]) -> None:
    """See that runs which are there already were trained on the data that there is now.

    A run that is not finished is left to its `--resume`, which checks what it read until then.

    Args:
        runs: planned ones.
        tell: called with a sentence if data is read again.

    Raises:
        ConfigError: they were not.
        DataError: there are no such files.
    """
    opened: dict[str, dict[str, list[RowGroup]]] = {}
    for run in _existing(runs):
        key = f"{run.seed} {run.experiment.data.model_dump_json()}"
        if key not in opened:
            opened[key] = open_sets(run.experiment)
        sets, there = opened[key], run.saved
        differences = changed_files(sets, there)
        if not differences and there.is_finished:
            columns = empty_encoder(run.experiment).input_columns
            differences = changed_contents(sets, there, there.file(CONTENTS), columns, tell)
        if differences:
            title = f"{run.folder}: was trained on other data than there is now:"
            raise ConfigError(bullet_list(title, differences) + PUT_BACK)


def _existing(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    return [run for run in runs if run.saved.exists]


def write_plan(study: Study, trials: list[PlannedRun], folder: Path) -> None:
    """`study.yaml`: the study, its base experiment written out; `trials.json`: what each trial drew, and from what."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    cells = {run.cell.name: run.cell for run in trials}
    drawn = {name: [run.drawn for run in trials if run.cell.name == name] for name in cells}
    with rewriting(folder, (STUDY, TRIALS), UNSEAL):
        write_text(folder / STUDY, text)
        if trials:
            written = {
                name: {"seed": trials[0].seed, "ranges": _ranges(cell), "trials": drawn[name]}
                for name, cell in cells.items()
            }
            write_json(folder / TRIALS, written)


def _written_trials(folder: Path) -> dict[str, Any]:
    """Return the mapping in trials.json, which is empty if the file does not exist.

    Raises:
        ConfigError: it is damaged.
    """
    path, sums = folder / TRIALS, read_sums(folder, UNSEAL) or {}
    if not path.is_file():
        return {}
    if TRIALS in sums:
        check_file(folder, TRIALS, sums, "Restore it from a backup, or compare again with --overwrite.")
    return translate_trials(read_json(path))


def _ranges(cell: Variant) -> dict[str, Any]:
    return {key: one.model_dump(mode="json") for key, one in cell.ranges.items()}
