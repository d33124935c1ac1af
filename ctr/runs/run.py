"""The run folder: its files, checked reads, and writes that leave no partial file behind."""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctr.config.earlier_versions import translate_warm_start
from ctr.errors import ConfigError, Damaged
from ctr.runs.checksums import FILE as CHECKSUMS
from ctr.runs.checksums import check_file, read_sums, rewriting, sums_of, verify_checksums, write_checksums, write_sums
from ctr.runs.files import check_writable, read_json, remove, write_json, write_text
from ctr.runs.folders import REPORT
from ctr.runs.run_evaluations import remove_evaluations
from ctr.schema.codec import read_report
from ctr.schema.report import ClassicalReport, EvaluationReport, Report, RunReport

if TYPE_CHECKING:
    from ctr.config.experiment import Experiment  # imports TensorFlow

CONFIG = "config.yaml"
CODE = "code.json"
LINES = ("metrics.jsonl", "timing.jsonl")
BEGUN_WITH = (CONFIG, CODE, "data.json", "environment.json", "initial_weights.json", "warm_start.json")
PAGES = ("report.html", "report.md")
MEASURED = ("reference", "scores", "contents.parquet", "curves.json", REPORT)
SEALED = (*BEGUN_WITH, *LINES, "encoder", "checkpoints", *MEASURED)
UNRECOVERABLE = (CONFIG, CODE, "data.json", "initial_weights.json", "warm_start.json")  # --resume cannot rewrite them
MAX_RUNS = 3  # in an error
NOT_A_RUN = {
    "classical": "a classical model of a study: not a run, because the fitted model is not saved. Choose a run.",
    "evaluation": "an evaluation, not a run. Choose the run that was evaluated.",
    "psi": "a report of `ctr psi`, not a run. Choose the folder of a run.",
}
"""Kind of a report -> what its folder is, and what to do."""
CAN_BE_LINKS = ("checkpoints", "evaluations")  # to a larger disk


class Run:
    """Folder of one run.

    config.yaml       resolved config               checkpoints/      best and last, with optimizer state
    encoder/          fitted features               reference/        distributions that later data is compared with
    metrics.jsonl     metrics, one object per line  timing.jsonl      durations, one object per line
    scores/           one Parquet file per split    report.json       metrics and PSI of each split
    environment.json  versions and git commit       curves.json       data of the plots in report.html
    data.json         files and rows of each split  report.html       report; report.md is its summary
    contents.parquet  hashes of the columns read    initial_weights.json  SHA-256 of each table and weight
    warm_start.json   weights from another run, if any
    code.json         SHA-256 of the files of user classes, if any
    evaluations/      evaluations of other datasets diverged/         step at which training diverged, for `ctr replay`
    checksums.json    SHA-256 of all but the last two and report.*ml; the run is finished once it lists report.json

    An evaluation, or a report of `ctr psi`, is read as a run without the other files.

    Args:
        folder: an existing or a new folder.
        remedy: advice if a file is damaged, for the message; None chooses advice for a run or an evaluation.
    """

    def __init__(self, folder: str | Path, remedy: str | None = None) -> None:
        path = Path(os.path.normpath(folder))
        self.folder = path.resolve() if path.is_symlink() else path  # so that siblings are on the same disk
        self._remedy = remedy
        self._checked: dict[str, str] = {}

    @property
    def exists(self) -> bool:
        """True if the folder holds a run."""
        return (self.folder / CONFIG).is_file()

    @property
    def has_report(self) -> bool:
        """True if there is a report.json, of a run, an evaluation or `ctr psi`, finished or not."""
        return (self.folder / REPORT).is_file()

    @property
    def is_finished(self) -> bool:
        """True if report.json exists and checksums.json, the last file that a run writes, lists it.

        Raises:
            Damaged: checksums.json is damaged.
        """
        return self.has_report and REPORT in (self._sums() or {})

    def file(self, name: str) -> Path:
        """Return the path of a file after its bytes are checked.

        A file that checksums.json does not list is not checked until the run is finished.

        Args:
            name: path of the file in the folder.

        Raises:
            Damaged: the file or checksums.json is not what was written.
        """
        sums = self._sums() or {}
        if name in sums or REPORT in sums:
            if name not in sums or self._checked.get(name) != sums[name]:
                check_file(self.folder, name, sums, self.remedy(name))
            self._checked[name] = sums[name]
        return self.folder / name

    def part(self, name: str) -> Path:
        """Return the path of a folder with its own checksums, such as `encoder`, after its files are checked.

        Raises:
            Damaged: a file is not what was written.
        """
        self.file(f"{name}/{CHECKSUMS}")
        verify_checksums(self.folder / name, self.remedy(name))
        return self.folder / name

    def read_json(self, name: str) -> dict[str, Any]:
        """Return the value of a JSON file.

        Raises:
            ConfigError: the file is damaged.
        """
        return read_json(self.file(name))

    def read_text(self, name: str) -> str:
        """Return the text of a file.

        Raises:
            ConfigError: the file is damaged.
        """
        return self.file(name).read_text(encoding="utf-8")

    def experiment(self, overrides: list[str] | None = None) -> "Experiment":
        """Return the experiment of config.yaml.

        Args:
            overrides: `KEY=VALUE`, as in `load_experiment`.

        Raises:
            ConfigError: the file is missing or damaged, or it names user classes that are not trusted or have changed.
        """
        from ctr.config.experiment import load_saved_experiment

        experiment = load_saved_experiment(self.file(CONFIG), overrides)
        self.check_code(experiment)
        return experiment

    def check_code(self, experiment: "Experiment") -> None:
        """Check that the files of user classes are unchanged since the run started.

        Raises:
            ConfigError: a file has changed, so this code did not produce the weights and scores of the run.
        """
        code = experiment.user_code
        if code and not (self.folder / CODE).is_file():
            raise Damaged(f"{self.folder}: {CODE} is missing.", self.remedy(CODE))
        recorded = self.read_json(CODE) if code else {}
        if changed := [name for name in code if code[name] != recorded.get(name)]:
            remedy = self._remedy or "Restore the file, or start a new run with --run or --overwrite."
            raise ConfigError(f"{self.folder}: the file of {changed[0]} has changed since the run started. {remedy}")

    def report(self) -> Report:
        """Return the contents of report.json.

        Raises:
            ConfigError: the report is missing or damaged, or the run is not finished.
        """
        if not self.is_finished:
            raise ConfigError(f"{self.folder}: {self._why_no_report()}")
        return read_report(self.folder / REPORT, self.read_json(REPORT))

    def scored_report(self) -> RunReport | EvaluationReport | ClassicalReport:
        """Return the report of a run, an evaluation or a classical model.

        Raises:
            ConfigError: as in `report`, or it is a report of `ctr psi`.
        """
        report = self.report()
        if report["kind"] == "psi":
            raise ConfigError(f"{self.folder}: a report of `ctr psi`. Use the folder of a run or an evaluation.")
        return report

    def run_report(self) -> RunReport:
        """Return the report of a run.

        Raises:
            ConfigError: as in `report`, or it is not the report of a run.
        """
        report = self.report()
        if report["kind"] != "run":
            raise ConfigError(f"{self.folder}: {NOT_A_RUN[report['kind']]}")
        return report

    def classical_report(self) -> ClassicalReport:
        """Return the report of a classical model.

        Raises:
            ConfigError: as in `report`, or it is another report.
        """
        report = self.report()
        if report["kind"] != "classical":
            raise ConfigError(f"{self.folder}: not a classical model. {self.remedy(REPORT)}")
        return report

    def _why_no_report(self) -> str:
        """Return why there is no report, and what to do."""
        if self.has_report and self._sums() is None:
            reason = f"no {CHECKSUMS}: it was deleted, or an earlier version made the folder."
            advice = f"Run `{self.resume_command}` to evaluate the run again."
            return f"{reason} {advice if self.exists else 'Make the folder again with --overwrite.'}"
        if self.exists:
            return f"unfinished run. Use `{self.resume_command}` to continue it, or --overwrite to start over."
        if self.folder.is_file():
            return f"a file, expected a folder. Use {self.folder.parent}."
        if below := sorted(path for path in self.folder.glob("[!.]*") if Run(path).has_report or Run(path).exists):
            more = f" or one of {len(below) - MAX_RUNS} more" if len(below) > MAX_RUNS else ""
            return f"no run in this folder, but below it. Choose {', '.join(map(str, below[:MAX_RUNS]))}{more}."
        return "no run in this folder. Train one with `ctr train`, or choose another folder."

    def warm_start(self) -> dict[str, Any] | None:
        """Return the contents of warm_start.json; None without a warm start."""
        name = "warm_start.json"
        if not (self.folder / name).is_file() and name not in (self._sums() or {}):
            return None
        return translate_warm_start(self.read_json(name))

    def remedy(self, name: str) -> str:
        """Return what to do if a file is damaged."""
        if self._remedy is not None:
            return self._remedy
        if not self.exists:
            return "Restore it, or make the folder again with --overwrite."
        can_be_measured = self.has_report and self._has_checkpoint
        if name != CHECKSUMS and (name in UNRECOVERABLE or not can_be_measured):
            return "Restore it, or start a new run with --run or --overwrite."
        deleted = "it" if name == CHECKSUMS else REPORT
        return f"Restore it, or delete {deleted} and run `{self.resume_command}`, or --overwrite."

    @property
    def resume_command(self) -> str:
        """Command that resumes the run, whatever the name of its experiment."""
        return f"ctr train CONFIG --run {shlex.quote(str(self.folder))} --resume"

    def _sums(self) -> dict[str, str] | None:
        """Return the entries of checksums.json; None if it is missing."""
        return read_sums(self.folder, self.remedy(CHECKSUMS))

    def check_free(self, overwrite: bool) -> None:
        """Raise ConfigError unless a new run can be written here."""
        if self.exists and not overwrite:
            choices = ["overwrite"] if self.is_finished else ["resume", "overwrite"]
            options, arguments = (" or ".join(form.format(one) for one in choices) for form in ("--{}", "{}=True"))
            advice = f"Choose another run folder, or add {options} (in Python {arguments})."
            raise ConfigError(f"{self.folder}: already holds a run. {advice}")
        if not self.exists and self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ConfigError(f"{self.folder}: exists and is not a run. Choose another run folder.")
        check_writable(self.folder)

    def create(self, experiment: "Experiment", metadata: dict[str, dict[str, Any] | None]) -> None:
        """Create the folder atomically, with config.yaml, code.json and `<name>.json` for each value that is not None.

        An existing run is moved aside until `delete_replaced` deletes it or `restore_replaced` restores it. A run that
        a killed run has moved aside stays there.

        Args:
            experiment: the experiment of the run.
            metadata: name of a JSON file -> its value.
        """
        partial = self._sibling("partial")
        remove(partial)
        partial.mkdir(parents=True)
        for name, values in metadata.items():
            if values is not None:
                write_json(partial / f"{name}.json", values)
        if experiment.user_code:
            write_json(partial / CODE, experiment.user_code)
        (partial / CONFIG).write_text(experiment.to_yaml(), encoding="utf-8")
        write_checksums(partial)
        if self._sibling("replaced").exists() and not self.may_be_finished:
            self.delete()
        elif self.exists and not (self.may_be_finished or self._has_checkpoint):
            self.delete()  # nothing worth restoring
        elif self.exists:
            self.delete_replaced()
            os.replace(self.folder, self._sibling("replaced"))
        os.replace(partial, self.folder)

    def rewind_to(self, experiment: "Experiment", lines: Mapping[str, str], keep_evaluations: bool) -> None:
        """Restore the state of an unfinished run at a checkpoint, whether it is unfinished now or not.

        Report and scores are deleted.

        Args:
            experiment: the new content of config.yaml.
            lines: name of a log -> its text up to the checkpoint.
            keep_evaluations: True if the weights do not change any more, so that evaluations of them stay valid.
        """
        sums = self._sums() or {}
        begun = {name: sums[name] for name in BEGUN_WITH if name in sums and name != CONFIG}
        write_sums(self.folder, begun)  # a kill from here on leaves an unfinished run without a wrong SHA-256
        for path in self.folder.iterdir():
            if path.is_symlink() and path.name not in CAN_BE_LINKS:
                path.unlink()  # else later writes would follow the link
        for name in (*PAGES, *reversed(MEASURED)):
            remove(self.folder / name)
        if not keep_evaluations:
            remove_evaluations(self.folder)
        write_text(self.folder / CONFIG, experiment.to_yaml())
        write_sums(self.folder, sums_of(self.folder, BEGUN_WITH) | begun)
        for file, text in lines.items():
            write_text(self.folder / file, text)

    def replace(self, name: str, value: Any) -> None:
        """Rewrite a JSON file of an unfinished run."""
        with rewriting(self.folder, [name]):
            write_json(self.folder / name, value)

    def seal(self) -> None:
        """List every file in checksums.json, which marks the run as finished.

        Files from the start of the run keep their SHA-256 of then, so that later damage is not sealed.
        """
        begun = self._sums() or {}
        write_sums(self.folder, sums_of(self.folder, SEALED) | begun)

    def delete(self) -> None:
        """Delete this run."""
        remove(self.folder)

    def delete_replaced(self) -> None:
        """Delete the run that this one replaces."""
        remove(self._sibling("replaced"))

    def restore_replaced(self, suffix: str) -> Path | None:
        """Restore the replaced run; keep this failed run if it has a checkpoint or a step that diverged.

        Returns:
            The folder of the failed run, see `failed_run_folder`; None if it had nothing to keep and was deleted.
        """
        remove(self._sibling("partial"))
        if self.may_be_finished:  # the run to be replaced is still here: this one was not created
            return None
        failed_folder = (
            self.failed_run_folder(suffix) if self._has_checkpoint or (self.folder / "diverged").is_dir() else None
        )
        if failed_folder is None:
            self.delete()
        elif failed_folder != self.folder:
            os.replace(self.folder, failed_folder)
        if self._sibling("replaced").exists():
            os.replace(self._sibling("replaced"), self.folder)
        return failed_folder

    def failed_run_folder(self, suffix: str) -> Path:
        """Return the folder for a failed run: its own, or `<name>.<suffix>` if it was to replace another run."""
        if not self._sibling("replaced").exists():
            return self.folder
        names = (f"{self.folder.name}.{suffix}{number}" for number in ("", *(f"-{k}" for k in range(2, 1000))))
        return next(path for path in map(self.folder.with_name, names) if not path.exists())

    @property
    def may_be_finished(self) -> bool:
        """True if report.json exists and checksums.json does not omit it: a run to restore."""
        return self.has_report and self.was_finished

    @property
    def was_finished(self) -> bool:
        """True if checksums.json lists a report, even a deleted one; without checksums.json, if report.json exists."""
        try:
            sums = read_sums(self.folder)
        except Damaged:
            sums = None
        return self.has_report if sums is None else REPORT in sums

    @property
    def _has_checkpoint(self) -> bool:
        return any(self.folder.glob("checkpoints/step-*"))

    def _sibling(self, purpose: str) -> Path:
        return self.folder.with_name(f".{self.folder.name}.{purpose}")

    def append(self, file: str, line: dict[str, Any]) -> int:
        """Append a line to `metrics.jsonl` or `timing.jsonl`; return the new size of the file in bytes."""
        with (self.folder / file).open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
            return out.tell()
