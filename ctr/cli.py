"""The commands of the program; `ctr.jobs.exit_codes` describes how they end."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from ctr.options import (
    ELSEWHERE,
    Bins,
    Callbacks,
    Casts,
    Categorical,
    Config,
    Current,
    DeclaredBy,
    MajorAbove,
    Memory,
    NegativesSampled,
    Numeric,
    Overrides,
    Period,
    Processes,
    ProposedModel,
    Reference,
    TimeUnit,
    TimeZone,
    Trusted,
    Version,
)
from ctr.own_packages import check_packages

QUOTE = "A dataset is one argument. Name its folder, or quote a glob, such as 'data/day-*.parquet'."

app = typer.Typer(
    help="Train click-through-rate (CTR) models on Parquet data. Every run ends with a report of ranking quality (AUC) "
    "and drift (PSI).",
    epilog="Exit codes: 0 success, 1 bug in ctr, 2 invalid input, 3 training diverged, 75 interrupted after saving a "
    "checkpoint (continue with --resume), 130 stopped with Ctrl-C.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def program(version: Version = False) -> None:
    """Take the options of the program itself, which come before a command."""


class _Command(TyperCommand):
    """Command that answers common mistakes: an option of an earlier version, --set, and a glob without quotes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Check the options, then parse them."""
        known = {option for parameter in self.params for option in parameter.opts}
        for name in (argument.partition("=")[0] for argument in args):
            if instead := ELSEWHERE.get(f"{self.name} {name}"):
                _refuse(f"{name}: {instead}")
            if name == "--set" and name not in known:
                _refuse(f"--set: `ctr {self.name}` does not read a config. Remove it; `ctr train` has this option.")
            if name.startswith("--") and name not in (*known, "--help"):
                _refuse_renamed(name, known)
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if rest:
            hint = QUOTE if self.name in ("evaluate", "psi") else f"Remove it, or see `ctr {self.name} --help`."
            _refuse(f"{rest[0]}: unexpected argument of `ctr {self.name}`. {hint}")
        return rest


def _refuse(message: str) -> None:
    """End the command with a message."""
    with _command():
        from ctr.errors import ConfigError

        raise ConfigError(message)


def _refuse_renamed(name: str, known: set[str]) -> None:
    """End the command with the new name of an option, if it has one."""
    with _command():
        from ctr.errors import ConfigError
        from features.settings import RENAMED

        new = _option(RENAMED.get(name.removeprefix("--").replace("-", "_"), ""))
        if new in known:
            raise ConfigError(f"{name}: unknown option, renamed to {new} in 0.5.0. Use {new}.")


@app.command(cls=_Command)
def init(
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA...", help="Dataset: a folder, Parquet files or globs.", show_default=False),
    ],
    label: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column with the label, 0 or 1. Default: the only column that can be it."),
    ] = None,
    model: ProposedModel = None,
) -> None:
    """Print a commented config for a dataset, to start from.

    Write it into a file: ctr init DATA > config.yaml
    """
    with _command():
        from ctr.jobs import init as init_job

        init_job.init(data, label, model)


@app.command(cls=_Command)
def train(
    config: Config,
    run: Annotated[Path | None, typer.Option(help="Run folder. Default: runs/<name of the experiment>.")] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace the run in this folder; it is restored if the new run fails. Default: an existing run is an "
            "error.",
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Resume the run in this folder: an interrupted one, or a finished one with more training.epochs. The "
            "result is identical to an uninterrupted run. Without a run in the folder, training starts from scratch. "
            "Default: an existing run is an error.",
        ),
    ] = False,
    warm_start: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Start from the weights of this finished run; its vocabularies grow by the new ids. Default: start "
            "from initial weights.",
        ),
    ] = None,
    callbacks: Callbacks = None,
    trusted: Trusted = None,
    settings: Overrides = None,
) -> None:
    """Train a model, keep the best checkpoint, and report AUC and PSI."""
    with _command(trusted) as console:
        from ctr.config.base_experiment import read_experiment
        from ctr.console import warn

        warm_start_settings = [] if warm_start is None else [f"training.warm_start.run={json.dumps(str(warm_start))}"]
        values = read_experiment(config, [*(settings or []), *warm_start_settings], partial(warn, console))
        with _silent_stderr():
            from ctr.config.experiment import check_experiment
            from ctr.jobs import train as train_job
            from ctr.training.callbacks import load_callbacks, resolve_factories
        experiment = check_experiment(values, str(config))
        folder = run or Path("runs") / experiment.name
        resolve_factories(callbacks or [])  # a wrong name ends the command before any work
        train_job.train(experiment, folder, overwrite, resume, lambda: load_callbacks(callbacks or [], folder), console)


@app.command(cls=_Command)
def inspect(
    config: Config,
    run: Annotated[
        Path | None, typer.Option(help="Run folder that training would write. Default: runs/<name of the experiment>.")
    ] = None,
    all_tables: Annotated[
        bool, typer.Option("--all", help="List every input and embedding table. Default: fold long lists.")
    ] = False,
    trusted: Trusted = None,
    settings: Overrides = None,
) -> None:
    """Check data, config, memory and disk before training, and list every problem.

    Exits with 2 if training would fail.
    """
    with _command(trusted) as console:
        from ctr.config.base_experiment import read_experiment
        from ctr.console import warn

        values = read_experiment(config, settings, partial(warn, console))
        with _silent_stderr():
            from ctr.config.experiment import check_experiment
            from ctr.jobs import inspect as inspect_job
        experiment = check_experiment(values, str(config))
        folder = run or Path("runs") / experiment.name
        if inspect_job.inspect(experiment, folder, console, all_tables).worst == "error":
            raise typer.Exit(2)


@app.command(cls=_Command)
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Dataset: a Parquet file, a glob or a folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for scores and report. Default: RUN/evaluations/<name of DATA>.")
    ] = None,
    negatives_sampled: NegativesSampled = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the evaluation in this folder. Default: an existing evaluation is an error."
        ),
    ] = False,
    trusted: Trusted = None,
) -> None:
    """Score a dataset with a trained run, and report AUC and PSI. Without labels, report PSI only."""
    with _command(trusted) as console:
        with _silent_stderr():
            from ctr.jobs import evaluate as evaluate_job
        evaluate_job.evaluate(run, data, out, negatives_sampled, overwrite, console)


@app.command(cls=_Command)
def compare(
    config: Annotated[Path, typer.Argument(metavar="STUDY", help="Study, a YAML file.")],
    out: Annotated[
        Path | None, typer.Option(help="Comparison folder. Default: comparisons/<name of the study>.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start the comparison in this folder over. Default: continue it.")
    ] = False,
    processes: Processes = None,
    memory: Memory = None,
    callbacks: Callbacks = None,
    trusted: Trusted = None,
    settings: Overrides = None,
) -> None:
    """Train variants of one experiment, tune each equally, and report which differences are significant."""
    with _command(trusted) as console:
        from ctr.comparison.study import check_variants, load_study

        study = load_study(config, settings)
        check_variants(study)
        with _silent_stderr():
            from ctr.jobs import compare as compare_job
        folder = out or Path("comparisons") / study.name
        compare_job.compare(study, folder, overwrite, processes, memory, callbacks or [], console)


@app.command(cls=_Command)
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="RUN/diverged/step-N.parquet, which `ctr train` saved.")],
    trusted: Trusted = None,
) -> None:
    """Repeat the step at which a run diverged, with the norms of every table and layer, and name where it began."""
    with _command(trusted) as console:
        with _silent_stderr():
            from ctr.jobs import replay as replay_job
        replay_job.replay(file, console)


@app.command(cls=_Command)
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs, evaluations or comparisons.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.md",
            help="Markdown file: several runs side by side, or the report.md of one. Default: no file.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file in --out. Default: an existing file is an error.")
    ] = False,
) -> None:
    """Print reports, several runs side by side, and rewrite the report.html and report.md of each folder."""
    with _command() as console:
        from ctr.jobs import report as report_job

        if len(runs) > 1:  # to list the settings that differ, configs are resolved, which imports TensorFlow
            with _silent_stderr():
                import ctr.config.experiment  # noqa: F401
        report_job.report(runs, out, console, overwrite)


@app.command(cls=_Command)
def psi(
    reference: Reference,
    current: Current,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Columns to compare. Default: all that both datasets have.")
    ] = None,
    categorical: Categorical = None,
    numeric: Numeric = None,
    config: DeclaredBy = None,
    bins: Bins = None,
    major_above: MajorAbove = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Time column of CURRENT, for PSI over time. Default: no PSI over time."),
    ] = None,
    by: Period = None,
    time_zone: TimeZone = None,
    time_unit: TimeUnit = None,
    cast: Casts = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html, report.md and report.json. Default: no files.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the report in --out. Default: an existing report is an error.")
    ] = False,
    trusted: Trusted = None,
) -> None:
    """Measure the drift (PSI) of every column between two Parquet datasets, without a model."""
    with _command(trusted) as console:
        from pydantic import ValidationError

        from ctr.config.messages import explain
        from ctr.errors import ConfigError
        from ctr.jobs.psi import DriftSettings, compare_data, declared_types, parse_casts

        if config is not None:
            with _silent_stderr():
                import ctr.config.experiment  # noqa: F401
        casts = parse_casts(cast or [])
        lists = {"columns": columns, "categorical": categorical, "numeric": numeric}
        periods = _set_options({"by": by, "time_zone": time_zone, "time_unit": time_unit})
        if overwrite and out is None:
            raise ConfigError("--overwrite: needs a folder with a report. Add --out FOLDER.")
        if time is None and periods:
            raise ConfigError(f"{_option(next(iter(periods)))}: needs a time column. Add --time COLUMN.")
        try:
            settings = DriftSettings.model_validate(
                {
                    **{name: _split_names(names) for name, names in _set_options(lists).items()},
                    "declared": {} if config is None else declared_types(config),
                    "cast": casts,
                    "psi": _set_options({"bins": bins, "major_above": major_above}),
                    "time": None if time is None else {"column": time, **periods},
                }
            )
        except ValidationError as error:
            raise ConfigError(explain(error, lambda path: _option(str(path[0 if "cast" in path else -1])))) from error
        compare_data(reference, current, settings, out, overwrite, console)


def _set_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are not left at their defaults."""
    return {name: value for name, value in options.items() if value is not None}


def _option(name: str) -> str:
    """Return the name of an option for a parameter."""
    return f"--{name.replace('_', '-')}"


def _split_names(names: str) -> tuple[str, ...]:
    """Return the names of an option, which are separated by commas."""
    return tuple(name.strip() for name in names.split(",") if name.strip())


@contextmanager
def _command(trusted: list[str] | None = None) -> Iterator[Console]:
    """Trust packages, and yield the console of a command that ends with an exit code of `ctr.jobs.exit_codes`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        check_packages()
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)  # exit_codes needs `features`
        raise SystemExit(2) from error
    from ctr.config.user_code import trust_installed
    from ctr.jobs.exit_codes import exit_codes

    with exit_codes() as console:
        trust_installed(*(trusted or []))
        yield console


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discard the notes that TensorFlow's C++ prints while it is imported, before any setting can stop them."""
    saved = os.dup(2)
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


if __name__ == "__main__":
    app()
