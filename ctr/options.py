"""Arguments and options that several commands share or that are long, and the options of the program itself."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from ctr.version import VERSION


def _print_versions(is_wanted: bool) -> None:
    """Print one line of versions and end the program. TensorFlow is not imported, which takes seconds."""
    if is_wanted:
        typer.echo(f"ctr {VERSION}, Python {platform.python_version()}, TensorFlow {_installed_version('tensorflow')}")
        raise typer.Exit


def _installed_version(distribution: str) -> str:
    """Return the version of an installed distribution, or that it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(not installed)"


Version: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--version",
        "-V",
        callback=_print_versions,
        is_eager=True,
        help="Print the versions of ctr, Python and TensorFlow, and exit.",
    ),
]

Config: TypeAlias = Annotated[Path, typer.Argument(metavar="CONFIG", help="Experiment config, a YAML file.")]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set a setting, such as training.epochs=3. VALUE is YAML. Repeatable. Default: none.",
    ),
]

Callbacks: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--callback",
        metavar="MODULE:NAME",
        help="Add a tf_keras callback: a class or factory, called with the run folder. Repeatable. Default: none.",
    ),
]

Trusted: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="PACKAGE",
        help="Allow the config or run folder to import classes from this package of yours. Repeatable. "
        "Default: only code of ctr itself runs.",
    ),
]

Memory: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        metavar="GIB",
        help="Memory limit for all concurrent runs together, in GiB; a run that needs more fails. "
        "Default: free memory.",
    ),
]

NegativesSampled: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--negatives-sampled",
        help="DATA keeps only a fraction of its negatives, the run's data.negative_sampling_rate: weigh them "
        "accordingly. Default: DATA has all its negatives.",
    ),
]

Reference: TypeAlias = Annotated[
    str, typer.Argument(metavar="REFERENCE", help="Reference dataset: a Parquet file, a glob or a folder.")
]
Current: TypeAlias = Annotated[
    str, typer.Argument(metavar="CURRENT", help="Current dataset: a Parquet file, a glob or a folder.")
]

TimeUnit: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Unit of an integer --time column since 1970: s, ms, us or ns. Default: each integer is a period."
    ),
]

Casts: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN=TYPE",
        help="Read a column as text, hex, integer, number or timestamp:FORMAT, as `data.cast` does. Repeatable. "
        "Default: the type in the files.",
    ),
]

Categorical: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...",
        help="Columns whose numbers are categories. Default: integers that look like ids, or have at most --bins "
        "distinct values.",
    ),
]

Numeric: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...",
        help="Columns whose integers or booleans are numbers. Default: integers that do not look like ids.",
    ),
]

DeclaredBy: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Config or run folder whose features say which integer columns are numbers. Default: rules decide."
    ),
]

Bins: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Bins of a numeric column, or values of a categorical column that get their own bin: 2 to 100. "
        "Default: 10."
    ),
]

MajorAbove: TypeAlias = Annotated[
    float | None, typer.Option(help="PSI above which drift is major; moderate drift is above 0.1. Default: 0.2.")
]

TimeZone: TypeAlias = Annotated[
    str | None, typer.Option(help="Time zone of the hours and days of --by, such as Europe/Paris. Default: UTC.")
]

Period: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="PERIOD", help="Period of PSI over time: hour, day, week or month. Default: day."),
]

Processes: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of runs that train concurrently. Default: the available CPUs divided by training.threads; 1 "
        "on a GPU.",
    ),
]
ProposedModel: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Model: linear, wide_deep, deepfm, dcn_v2 or two_stream. Default: one for data of this size.",
    ),
]

ELSEWHERE = {
    "init --out": "`ctr init` prints the config. Write it into a file: ctr init DATA > config.yaml.",
    "train --out": "unknown option. Use --run for the folder of the run.",
    "compare --run": "unknown option. Use --out for the folder of the comparison.",
}
"""Command and an option that only other commands have -> what to do instead."""
