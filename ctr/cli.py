"""The commands. Exit codes: 0 done, 1 a bug, 2 the user's mistake, 3 training diverged, 75 interrupted: `--resume`."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console
from typer.core import TyperCommand

app = typer.Typer(
    help="Train click-through-rate models from Parquet, and report how well they rank and whether they will hold.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Config: TypeAlias = Annotated[Path, typer.Argument(help="The experiment, a YAML file.")]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as training.epochs=3. VALUE is YAML."),
]

Callbacks: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--callback",
        metavar="MODULE:NAME",
        help="Add what this class or function makes of a run's folder, a tf_keras callback.",
    ),
]

Trusted: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="PACKAGE",
        help="Import classes of this package of yours, if a config or a run folder names them. Repeatable.",
    ),
]


class _Command(TyperCommand):
    """A command that answers an option of an earlier version with its new name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Check the options, then parse them."""
        known = {option for parameter in self.params for option in parameter.opts}
        for name in (argument.partition("=")[0] for argument in args):
            if name.startswith("--") and name not in (*known, "--help"):
                _refuse_renamed(name, known)
        return super().parse_args(ctx, args)


def _refuse_renamed(name: str, known: set[str]) -> None:
    """End the command with the new name of an option, if it has one."""
    with _command():
        from ctr.errors import ConfigError
        from features.settings import RENAMED

        new = _option(RENAMED.get(name.removeprefix("--").replace("-", "_"), ""))
        if new in known:
            raise ConfigError(f"unknown option {name}: renamed to {new} in 0.5.0")


@app.command(cls=_Command)
def train(
    config: Config,
    run: Annotated[Path | None, typer.Option(help="The run's folder. Default: runs/<name>.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that is there, as if it had never stopped.")
    ] = False,
    warm_start: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Begin with the weights of a trained run; its vocabularies grow."),
    ] = None,
    callbacks: Callbacks = None,
    trusted: Trusted = None,
    settings: Overrides = None,
) -> None:
    """Train, keep the best checkpoint, report AUC and PSI."""
    with _command(trusted) as console:
        with _silent_stderr():
            from ctr.config.experiment import load_experiment
            from ctr.jobs import train as train_job
            from ctr.training.callbacks import load_callbacks, resolve_factories
        chosen = [] if warm_start is None else [f"training.warm_start.run={json.dumps(str(warm_start))}"]
        experiment = load_experiment(config, [*(settings or []), *chosen])
        folder = run or Path("runs") / experiment.name
        resolve_factories(callbacks or [])  # so that a wrong name ends the command before any work
        train_job.train(experiment, folder, overwrite, resume, lambda: load_callbacks(callbacks or [], folder), console)


@app.command(cls=_Command)
def inspect(
    config: Config,
    run: Annotated[Path | None, typer.Option(help="The folder that the run would have. Default: runs/<name>.")] = None,
    trusted: Trusted = None,
    settings: Overrides = None,
) -> None:
    """Show what the data holds and a training needs, and all that would go wrong; 2 if it could not succeed."""
    with _command(trusted) as console:
        with _silent_stderr():
            from ctr.config.experiment import load_experiment
            from ctr.jobs.inspect import inspect as look
        experiment = load_experiment(config, settings)
        if look(experiment, run or Path("runs") / experiment.name, console).worst == "error":
            raise typer.Exit(2)


@app.command(cls=_Command)
def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a trained run.")],
    data: Annotated[str, typer.Argument(help="Parquet: a file, a glob or a folder.")],
    out: Annotated[Path | None, typer.Option(help="Default: RUN/evaluations/<stem of DATA>.")] = None,
    negatives_sampled: Annotated[
        bool, typer.Option("--negatives-sampled", help="DATA's negatives were sampled as the training data's.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    trusted: Trusted = None,
) -> None:
    """Score Parquet with a trained run, report AUC and PSI; of data without a label, scores and PSI."""
    with _command(trusted) as console:
        with _silent_stderr():
            from ctr.jobs import evaluate as evaluate_job
        evaluate_job.evaluate(run, data, out, negatives_sampled, overwrite, console)


@app.command(cls=_Command)
def compare(
    config: Annotated[Path, typer.Argument(help="The study, a YAML file.")],
    out: Annotated[Path | None, typer.Option(help="The comparison's folder. Default: comparisons/<name>.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the comparison that is there.")] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Runs at once. Default: as many as there are CPUs for; one on a GPU.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(min=0.1, metavar="GIB", help="That all runs may take. Default: what is free.")
    ] = None,
    callbacks: Callbacks = None,
    trusted: Trusted = None,
    settings: Overrides = None,
) -> None:
    """Train an experiment under several choices, such as optimizers: which is better, and is it more than luck."""
    with _command(trusted) as console:
        with _silent_stderr():
            from ctr.comparison.study import load_study
            from ctr.jobs import compare as compare_job
        study = load_study(config, settings)
        folder = out or Path("comparisons") / study.name
        compare_job.compare(study, folder, overwrite, processes, memory, callbacks or [], console)


@app.command(cls=_Command)
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="RUN/diverged/step-N.parquet, left by `ctr train`.")],
    trusted: Trusted = None,
) -> None:
    """Do the step again at which a training diverged: the norms of every table and layer, and where it began."""
    with _command(trusted) as console:
        with _silent_stderr():
            from ctr.jobs.replay import replay as do_again
        do_again(file, console)


@app.command(cls=_Command)
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of trained runs, evaluations or comparisons.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.md", help="Markdown for a pull request: the runs side by side, or of one its report.md."
        ),
    ] = None,
) -> None:
    """Show the report of runs and evaluations, several side by side; write report.html and report.md of each again."""
    with _command() as console:
        from ctr.jobs import report as report_job

        report_job.report(runs, out, console)


@app.command(cls=_Command)
def psi(
    reference: Annotated[str, typer.Argument(help="Parquet: a file, a glob or a folder.")],
    current: Annotated[str, typer.Argument(help="Parquet that is compared with it.")],
    columns: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="What to compare. Default: the columns that both have.")
    ] = None,
    categorical: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Columns whose numbers are categories.")
    ] = None,
    numeric: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Columns whose integers are numbers, even if few are different."),
    ] = None,
    bins: Annotated[
        int | None, typer.Option(help="Bins of a number; values of a category with a bin of their own. Default: 10.")
    ] = None,
    major_above: Annotated[
        float | None, typer.Option(help="The PSI above which a column is unstable. Default: 0.2.")
    ] = None,
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="For PSI over time: CURRENT's time.")] = None,
    by: Annotated[str | None, typer.Option(metavar="PERIOD", help="hour, day (default), week or month.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="Of the calendar of --by. Default: UTC.")] = None,
    time_unit: Annotated[str | None, typer.Option(help="s, ms, us or ns: what integers of --time count.")] = None,
    cast: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=TYPE",
            help="Read a column as text, hex, integer, number or timestamp:FORMAT, as `data.cast` does. Repeatable.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, .md and .json. Default: none.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the report that is there.")] = False,
) -> None:
    """PSI of every column of two Parquet data sets, without a model."""
    with _command() as console:
        from pydantic import ValidationError

        from ctr.config.messages import explain
        from ctr.errors import ConfigError
        from ctr.jobs.psi import DriftSettings, compare_data

        casts = [_named_cast(option) for option in cast or []]
        if repeated := [name for name, times in Counter(name for name, _ in casts).items() if times > 1]:
            raise ConfigError(f"--cast: column {repeated[0]!r} has two casts. Give it one.")
        named = {"columns": columns, "categorical": categorical, "numeric": numeric}
        periods = _given({"by": by, "time_zone": time_zone, "time_unit": time_unit})
        if time is None and periods:
            raise ConfigError(f"{_option(next(iter(periods)))} needs --time")
        try:
            settings = DriftSettings.model_validate(
                {
                    **{name: _listed(names) for name, names in _given(named).items()},
                    "cast": dict(casts),
                    "psi": _given({"bins": bins, "major_above": major_above}),
                    "time": None if time is None else {"column": time, **periods},
                }
            )
        except ValidationError as error:
            raise ConfigError(explain(error, lambda path: _option(str(path[0 if "cast" in path else -1])))) from error
        compare_data(reference, current, settings, out, overwrite, console)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that are not left to their defaults."""
    return {name: value for name, value in options.items() if value is not None}


def _option(name: str) -> str:
    """What the command line calls an argument."""
    return f"--{name.replace('_', '-')}"


def _named_cast(option: str) -> tuple[str, Any]:
    """The column of a --cast, and its type as `data.cast` has it.

    >>> _named_cast("user=hex"), _named_cast("at=timestamp:%Y-%m-%d")
    (('user', 'hex'), ('at', {'timestamp': '%Y-%m-%d'}))
    """
    from ctr.errors import ConfigError

    column, equals, type_ = option.partition("=")
    if not (column and equals):
        raise ConfigError(f"--cast {option!r}: expected COLUMN=TYPE, such as user=hex")
    kind, colon, format_ = type_.partition(":")
    if "timestamp" in kind and not (kind == "timestamp" and format_):
        raise ConfigError(f"--cast {option!r}: expected COLUMN=timestamp:FORMAT, such as ts=timestamp:%Y-%m-%d")
    return column, {kind: format_} if colon else type_


def _listed(names: str) -> tuple[str, ...]:
    """The names of an option, which commas divide."""
    return tuple(name.strip() for name in names.split(",") if name.strip())


@contextmanager
def _command(trusted: list[str] | None = None) -> Iterator[Console]:
    """Trust packages, then give the console of a command, which ends with the exit codes of `ctr.jobs.exit_codes`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from ctr.config.user_code import trust
    from ctr.jobs.exit_codes import exit_codes

    with exit_codes() as console:
        trust(*(trusted or []))
        yield console


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """TensorFlow's C++ writes notes while it is imported, before any setting can stop it."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


if __name__ == "__main__":
    app()
