"""The run folder: what is in it, reading it checked, and writing it so that nothing half-written is left behind."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctr.config.earlier_versions import translate_warm_start
from ctr.errors import ConfigError, Damaged
from ctr.runs.checksums import FILE as CHECKSUMS
from ctr.runs.checksums import check_file, read_sums, rewriting, sums_of, verify_checksums, write_checksums, write_sums
from ctr.runs.files import check_writable, read_json, remove, write_json, write_text
from ctr.runs.folders import REPORT
from ctr.schema.codec import read_report
from ctr.schema.report import EvaluationReport, Report, RunReport

if TYPE_CHECKING:
    from ctr.config.experiment import Experiment  # it knows every model and optimizer, so it imports TensorFlow

CONFIG = "config.yaml"
CODE = "code.json"
LINES = ("metrics.jsonl", "timing.jsonl")
BEGUN_WITH = (CONFIG, CODE, "data.json", "environment.json", "initial_weights.json", "warm_start.json")
MEASURED = ("reference", "scores", "contents.parquet", "curves.json", REPORT)
SEALED = (*BEGUN_WITH, *LINES, "encoder", "checkpoints", *MEASURED)
ONLY_HERE = (CONFIG, CODE, "data.json", "initial_weights.json", "warm_start.json")  # resuming need not make them again
MAY_LIE_ELSEWHERE = ("checkpoints", "evaluations")  # on a larger disk, by a link


class Run:
    """One run's folder.

    config.yaml       the resolved config           checkpoints/      the best and the last, with optimizer state
    encoder/          the fitted features           reference/        what later data is compared with
    metrics.jsonl     one object a line, no clocks  timing.jsonl      clock readings
    scores/           one Parquet file per set      report.json       metrics and PSI of each set
    environment.json  versions and git commit       curves.json       what report.html draws
    data.json         files and rows of each set    report.html       all of it; report.md its gist
    contents.parquet  hashes of all that was read   initial_weights.json  SHA-256 of each table and weight
    warm_start.json   what another run gave, if any
    code.json         SHA-256 of the files of the user's own classes, if any
    evaluations/      of other data, one each       diverged/         the step at which training ended, for `ctr replay`
    checksums.json    SHA-256 of these but the last two and report.*ml; a run is finished once it lists report.json

    An evaluation and what `ctr psi` writes are read as a run that lacks the rest.

    Args:
        folder: where it is, or is to be.
        mend: what to do where a file is damaged, for the message; None: what helps a run, or else an evaluation.
    """

    def __init__(self, folder: str | Path, mend: str | None = None) -> None:
        path = Path(os.path.normpath(folder))
        self.folder = path.resolve() if path.is_symlink() else path  # what is written beside it is on the same disk
        self._mend_by = mend
        self._checked: dict[str, str] = {}

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return (self.folder / CONFIG).is_file()

    @property
    def is_finished(self) -> bool:
        """True once checksums.json, the last file that a run writes, lists the report; false if that was deleted since.

        Raises:
            Damaged: checksums.json, which says so, is damaged.
        """
        return (self.folder / REPORT).is_file() and REPORT in (self._sums() or {})

    def file(self, name: str) -> Path:
        """Return the path of a file, once its bytes are known to be those that were written.

        What a run does not list is taken as it is until the run is finished: it is written by then, or an earlier
        version made the run.

        Args:
            name: its path in the folder.

        Raises:
            Damaged: they are not, or checksums.json is damaged.
        """
        sums = self._sums() or {}
        if name in sums or REPORT in sums:
            if name not in sums or self._checked.get(name) != sums[name]:
                check_file(self.folder, name, sums, self.mend(name))
            self._checked[name] = sums[name]
        return self.folder / name

    def part(self, name: str) -> Path:
        """Return the path of a folder that is sealed itself, such as `encoder`, once it is known to be whole.

        Raises:
            Damaged: it is not.
        """
        self.file(f"{name}/{CHECKSUMS}")
        verify_checksums(self.folder / name, self.mend(name))
        return self.folder / name

    def read_json(self, name: str) -> dict[str, Any]:
        """Return what a JSON file holds.

        Raises:
            ConfigError: it is damaged.
        """
        return read_json(self.file(name))

    def read_text(self, name: str) -> str:
        """Return what a text file holds.

        Raises:
            ConfigError: it is damaged.
        """
        return self.file(name).read_text(encoding="utf-8")

    def experiment(self, overrides: list[str] | None = None) -> "Experiment":
        """Return the experiment of config.yaml.

        Args:
            overrides: `KEY=VALUE`, as those of `load_experiment`.

        Raises:
            ConfigError: it is missing or damaged, or names classes that are not trusted, or not those of the run.
        """
        from ctr.config.experiment import load_saved_experiment

        experiment = load_saved_experiment(self.file(CONFIG), overrides)
        self.check_code(experiment)
        return experiment

    def check_code(self, experiment: "Experiment") -> None:
        """Check that the user's own classes are those that the run began with.

        Raises:
            ConfigError: the file of one has changed since: weights and scores of the run are not of this code.
        """
        code = experiment.user_code
        if code and not (self.folder / CODE).is_file():
            raise Damaged(f"{self.folder / CODE} is missing.", self.mend(CODE))
        begun = self.read_json(CODE) if code else {}
        if changed := [name for name in code if code[name] != begun.get(name)]:
            mend = self._mend_by or "Restore the file, or train again with --overwrite or another --run."
            raise ConfigError(
                f"{self.folder}: the file of {changed[0]} has changed since the run began with it. {mend}"
            )

    def report(self) -> Report:
        """Return what report.json says.

        Raises:
            ConfigError: there is none, the folder is not sealed, or it is damaged.
        """
        if not self.is_finished:
            raise ConfigError(f"{self.folder}: {self._lack()}")
        return read_report(self.folder / REPORT, self.read_json(REPORT))

    def scored_report(self) -> RunReport | EvaluationReport:
        """Return what report.json says of a run or an evaluation.

        Raises:
            ConfigError: as `report`, or it is of `ctr psi`.
        """
        report = self.report()
        if report["kind"] == "psi":
            raise ConfigError(f"{self.folder}: holds a report of `ctr psi`, expected a run or an evaluation")
        return report

    def run_report(self) -> RunReport:
        """Return what report.json says of a run.

        Raises:
            ConfigError: as `report`, or it is not of a run.
        """
        report = self.report()
        if report["kind"] != "run":
            raise ConfigError(f"{self.folder}: holds no run. Choose the folder of one")
        return report

    def _lack(self) -> str:
        """Say why there is no report to show, and what to do."""
        if (self.folder / REPORT).is_file() and self._sums() is None:
            what = f"has no {CHECKSUMS}: an earlier version made the folder, or the file was deleted."
            again = "`ctr train CONFIG --resume` measures the run again and seals it."
            return f"{what} {again if self.exists else 'Make the folder again with --overwrite.'}"
        if self.exists:
            return "an unfinished run; go on with `ctr train CONFIG --resume`, or train it again with --overwrite"
        return "no run here; train one with `ctr train`"

    def warm_start(self) -> dict[str, Any] | None:
        """What another run gave to begin with; None: nothing."""
        name = "warm_start.json"
        if not (self.folder / name).is_file() and name not in (self._sums() or {}):
            return None
        return translate_warm_start(self.read_json(name))

    def mend(self, name: str) -> str:
        """Say what to do where a file is damaged."""
        if self._mend_by is not None:
            return self._mend_by
        if not self.exists:
            return "Restore it from a backup, or make the folder again with --overwrite."
        can_be_measured = (self.folder / REPORT).is_file() and self._has_checkpoint
        if name != CHECKSUMS and (name in ONLY_HERE or not can_be_measured):
            return "Restore it from a backup, or train again with --overwrite or another --run."
        deleted = "it" if name == CHECKSUMS else REPORT
        again = f"delete {deleted} and run `ctr train CONFIG --resume`, which makes it again"
        return f"Restore it from a backup, {again}, or train again with --overwrite."

    def _sums(self) -> dict[str, str] | None:
        """Return what checksums.json lists; None if there is none."""
        return read_sums(self.folder, self.mend(CHECKSUMS))

    def check_free(self, overwrite: bool) -> None:
        """Raise ConfigError unless a new run may go here."""
        if self.exists and not overwrite:
            other = "--overwrite it" if self.is_finished else "--resume or --overwrite it"
            raise ConfigError(f"{self.folder} already holds a run: choose another folder with --run, or {other}")
        if not self.exists and self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ConfigError(f"{self.folder} exists and is not a run: choose another folder with --run")
        check_writable(self.folder)

    def create(self, experiment: "Experiment", described: dict[str, dict[str, Any] | None]) -> None:
        """Make the folder anew, with config.yaml, code.json and `<name>.json` for each of `described` that is not None.

        It is there whole or not at all.

        A run that stood there is kept aside until `delete_replaced` deletes it or `restore_replaced` puts it back; one
        that a killed run has kept aside stays there.
        """
        partial = self._beside("partial")
        remove(partial)
        partial.mkdir(parents=True)
        for name, values in described.items():
            if values is not None:
                write_json(partial / f"{name}.json", values)
        if experiment.user_code:
            write_json(partial / CODE, experiment.user_code)
        (partial / CONFIG).write_text(experiment.to_yaml(), encoding="utf-8")
        write_checksums(partial)
        if self._beside("replaced").exists() and not self.may_be_finished:
            self.delete()
        elif self.exists and not (self.may_be_finished or self._has_checkpoint):
            self.delete()  # nothing that could be put back
        elif self.exists:
            self.delete_replaced()
            os.replace(self.folder, self._beside("replaced"))
        os.replace(partial, self.folder)

    def rewind_to(self, experiment: "Experiment", checkpoint: Path) -> None:
        """Make an unfinished run what it was at a checkpoint.

        Args:
            experiment: becomes config.yaml.
            checkpoint: its folder, which has the lines until then.
        """
        for path in self.folder.iterdir():
            if path.is_symlink() and path.name not in MAY_LIE_ELSEWHERE:
                path.unlink()  # or what follows would be written to where it leads
        sums = self._sums() or {}
        begun = {name: sums[name] for name in BEGUN_WITH if name in sums and name != CONFIG}
        write_sums(self.folder, begun)  # a kill from here on leaves an unfinished run without a wrong SHA-256
        write_text(self.folder / CONFIG, experiment.to_yaml())
        write_sums(self.folder, sums_of(self.folder, BEGUN_WITH) | begun)
        for file in LINES:
            write_text(self.folder / file, (checkpoint / file).read_text(encoding="utf-8"))
        for measured in ("reference", "scores"):  # by a run that was killed while it measured
            remove(self.folder / measured)

    def replace(self, name: str, value: Any) -> None:
        """Write a JSON file of an unfinished run again."""
        with rewriting(self.folder, [name]):
            write_json(self.folder / name, value)

    def seal(self) -> None:
        """List every file in checksums.json, by which the run is finished.

        What it began with keeps the SHA-256 of then: damage since is not to be sealed.
        """
        begun = self._sums() or {}
        write_sums(self.folder, sums_of(self.folder, SEALED) | begun)

    def delete(self) -> None:
        """Delete this run."""
        remove(self.folder)

    def delete_replaced(self) -> None:
        """Delete the run that this one replaces."""
        remove(self._beside("replaced"))

    def restore_replaced(self, suffix: str) -> Path | None:
        """Put back the run that this one was to replace; keep this one if it has a checkpoint or a step that diverged.

        Returns where it is kept, as `failed_run_folder` says; None if there is nothing to keep, and it is deleted.
        """
        remove(self._beside("partial"))
        if self.may_be_finished:  # it is the one that was to be replaced: this one was not even made
            return None
        kept = self.failed_run_folder(suffix) if self._has_checkpoint or (self.folder / "diverged").is_dir() else None
        if kept is None:
            self.delete()
        elif kept != self.folder:
            os.replace(self.folder, kept)
        if self._beside("replaced").exists():
            os.replace(self._beside("replaced"), self.folder)
        return kept

    def failed_run_folder(self, suffix: str) -> Path:
        """Where a failed run is kept: its folder, or `<name>.<suffix>` if it replaces another, which is put back."""
        if not self._beside("replaced").exists():
            return self.folder
        names = (f"{self.folder.name}.{suffix}{number}" for number in ("", *(f"-{k}" for k in range(2, 1000))))
        return next(path for path in map(self.folder.with_name, names) if not path.exists())

    @property
    def may_be_finished(self) -> bool:
        """True if there is a report, unless checksums.json does not list it: a run that should be put back."""
        return (self.folder / REPORT).is_file() and self.was_finished

    @property
    def was_finished(self) -> bool:
        """True if checksums.json lists a report, which may be deleted since; or, without it, if there is a report."""
        try:
            sums = read_sums(self.folder)
        except Damaged:
            sums = None
        return (self.folder / REPORT).is_file() if sums is None else REPORT in sums

    @property
    def _has_checkpoint(self) -> bool:
        return any(self.folder.glob("checkpoints/step-*"))

    def _beside(self, purpose: str) -> Path:
        return self.folder.with_name(f".{self.folder.name}.{purpose}")

    def append(self, file: str, line: dict[str, Any]) -> int:
        """Add a line to `metrics.jsonl` or `timing.jsonl`; returns the bytes that the file now has."""
        with (self.folder / file).open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
            return out.tell()
