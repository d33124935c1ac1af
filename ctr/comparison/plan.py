"""Planned runs of a comparison: written before the first run starts, and the same after every restart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ctr.comparison.search_ranges import Sampled, sample
from ctr.comparison.study import Study, Variant
from ctr.config.config_diff import bullet_list, diff_experiments
from ctr.config.earlier_versions import translate_trials
from ctr.config.experiment import Experiment, load_saved_experiment
from ctr.errors import ConfigError
from ctr.runs.checksums import check_file, read_sums, rewriting
from ctr.runs.files import read_json, write_json, write_text
from ctr.runs.run import CONFIG, Run
from ctr.runs.run_data import CONTENTS, changed_contents, changed_files
from ctr.training.data import empty_encoder, open_splits
from features import RowGroup

TRIALS = "trials.json"
STUDY = "study.yaml"
UNSEAL = "Delete it: the same `ctr compare` command writes it again."
RESTORE = "\nRestore them, or start over with --overwrite or another --out."


@dataclass(frozen=True)
class PlannedRun:
    """A run of a comparison, trained or not.

    Attributes:
        variant: variant that the run belongs to.
        trial: number of the trial, from 1; None for a reported run.
        sampled: dotted key -> sampled value.
        seed: seed of the run.
        experiment: experiment of the run.
        folder: run folder.
    """

    variant: Variant
    trial: int | None
    sampled: Sampled
    seed: int
    experiment: Experiment
    folder: Path

    @cached_property
    def saved(self) -> Run:
        """Run in the folder; files are checked when they are read."""
        mend = f"Restore it from a backup, or delete {self.folder}: the same `ctr compare` command trains it again."
        return Run(self.folder, mend)

    @property
    def label(self) -> str:
        """Name of the run in messages."""
        return f"{self.variant.name}, {f'seed {self.seed}' if self.trial is None else f'trial {self.trial}'}"


def planned_trials(study: Study, variants: list[Variant], folder: Path) -> list[PlannedRun]:
    """Return the trials of all variants, ordered by trial number; empty if the study has no tuning.

    Trials in `trials.json` are reused, and further trials are sampled after them.

    Raises:
        ConfigError: a setting is invalid, or the file is damaged.
    """
    if study.tuning is None:
        return []
    count, seed = study.tuning.trials, study.tuning.seed
    written = _written_trials(folder)
    runs = []
    for variant in [variant for variant in variants if variant.classical_model is None]:
        old = written.get(variant.name, {})
        is_same = old.get("ranges") == _ranges(variant) and old.get("seed") == seed
        known = old["trials"] if is_same else []
        trials = [*known, *sample(variant.ranges, count, seed)[len(known) :]]
        for number, sampled in enumerate(trials[:count], start=1):
            run = folder / "runs" / variant.name / f"trial-{number}"
            runs.append(PlannedRun(variant, number, sampled, seed, variant.experiment(sampled, seed), run))
    return sorted(runs, key=lambda run: run.trial or 0)


def planned_seeds(
    study: Study, best: dict[str, PlannedRun | None], variants: list[Variant], folder: Path
) -> list[PlannedRun]:
    """Return the reported runs: one per variant and seed, with the sampled values of the best trial.

    Args:
        study: study with the seeds.
        best: name of a variant -> its best trial; None if all trials failed, then the variant has no runs.
        variants: variants to train. A variant that is missing from `best` is trained with its settings as given.
        folder: folder of the comparison.
    """
    runs = []
    for seed in study.seeds:
        for variant in variants:
            tuned_as = variant.tuned_as or variant.name
            trial = best.get(tuned_as)
            if tuned_as in best and trial is None:
                continue
            sampled = trial.sampled if trial else {}
            # more trials may have another best trial
            prefix = f"trial-{trial.trial}-" if trial and variant.depends_on(sampled) else ""
            kind = "runs" if variant.classical_model is None else "classical"
            run = folder / kind / variant.name / f"{prefix}seed-{seed}"
            runs.append(PlannedRun(variant, None, sampled, seed, variant.experiment(sampled, seed), run))
    return runs


def check_same_settings(runs: Sequence[PlannedRun]) -> None:
    """Check that existing runs have the planned settings.

    Raises:
        ConfigError: a setting differs.
    """
    for run in _existing_runs(runs):
        saved = load_saved_experiment(run.saved.file(CONFIG)) if run.variant.classical_model else run.saved.experiment()
        changed = diff_experiments(saved, run.experiment, run.variant.reads, exclude=("name",))
        if changed:
            title = f"{run.folder}: cannot reuse this run with different settings:"
            raise ConfigError(bullet_list(title, changed) + RESTORE)


def check_same_data(runs: Sequence[PlannedRun], notify: Callable[[str], None]) -> None:
    """Check that existing runs were trained on the current data.

    For an unfinished run only the list of files is checked here; `--resume` checks what the run had read.

    Args:
        runs: planned runs.
        notify: function that is called with a message if data is read again.

    Raises:
        ConfigError: the data differs.
        DataError: a file does not exist.
    """
    opened: dict[str, dict[str, list[RowGroup]]] = {}
    for run in _existing_runs(runs):
        key = f"{run.seed} {run.experiment.data.model_dump_json()}"
        if key not in opened:
            opened[key] = open_splits(run.experiment)
        splits, saved = opened[key], run.saved
        differences = changed_files(splits, saved)
        if not differences and saved.is_finished:
            columns = empty_encoder(run.experiment).input_columns
            differences = changed_contents(splits, saved, saved.file(CONTENTS), columns, notify)
        if differences:
            title = f"{run.folder}: cannot reuse this run with different data:"
            raise ConfigError(bullet_list(title, differences) + RESTORE)


def _existing_runs(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    return [run for run in runs if run.saved.exists]


def write_plan(study: Study, trials: list[PlannedRun], folder: Path) -> None:
    """Write `study.yaml` with the base experiment included, and `trials.json` with search ranges and samples."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    variants = {run.variant.name: run.variant for run in trials}
    sampled = {name: [run.sampled for run in trials if run.variant.name == name] for name in variants}
    with rewriting(folder, (STUDY, TRIALS), UNSEAL):
        write_text(folder / STUDY, text)
        if trials:
            written = {
                name: {"seed": trials[0].seed, "ranges": _ranges(variant), "trials": sampled[name]}
                for name, variant in variants.items()
            }
            write_json(folder / TRIALS, written)


def _written_trials(folder: Path) -> dict[str, Any]:
    """Return the content of trials.json; empty if the file does not exist.

    Raises:
        ConfigError: the file is damaged.
    """
    path, sums = folder / TRIALS, read_sums(folder, UNSEAL) or {}
    if not path.is_file():
        return {}
    if TRIALS in sums:
        check_file(folder, TRIALS, sums, "Restore it from a backup, or compare again with --overwrite.")
    return translate_trials(read_json(path))


def _ranges(variant: Variant) -> dict[str, Any]:
    return {key: search_range.model_dump(mode="json") for key, search_range in variant.ranges.items()}
