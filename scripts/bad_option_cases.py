"""Options that do not go with the other arguments or the data, and what each must be answered with."""

from pathlib import Path

import pyarrow as pa
from breakable_experiment import (
    COMPARE,
    EVALUATE,
    PART,
    TRAIN,
    command,
    has_one,
    holds,
    rewrite,
    rewrite_all,
    study,
    table,
)

STUDY_OPTIONS = [
    study(
        "a limit of memory below every run of a study",
        {},
        "--memory: the smallest run needs up to",
        "102.4 MiB",
        line=f"{COMPARE} --memory 0.1",
    ),
    command(
        "an experiment given to ctr compare",
        "compare config.yaml",
        "config.yaml: an experiment, expected a study. Use `ctr train config.yaml`.",
    ),
]
TRAINED_RUNS = [
    command(
        "evaluating ids that are floats",
        EVALUATE,
        "'user'",
        "Convert it to integers in the data.",
        damage=lambda: rewrite(holds("user", 1.0)),
    ),
    command(
        "evaluating a label that is neither 0 nor 1",
        EVALUATE,
        "'clicked' is 2 (1 such rows)",
        "Correct the rows.",
        damage=lambda: rewrite(has_one("clicked", 2)),
    ),
    command(
        "evaluating an id above the limit of a run",
        EVALUATE,
        "'user'",
        "Correct the rows, or train another run with a larger `identity`.",
        damage=lambda: rewrite(has_one("user", 8)),
    ),
    command(
        "evaluating a column of another type",
        EVALUATE,
        "'item'",
        "Convert the column to that type.",
        damage=lambda: rewrite_all(holds("item", 1, pa.int64())),
    ),
]
"""Data that does not suit a trained run, whose config does not change."""
OTHER = Path("other.parquet")
PSI_OPTIONS = [
    command("psi that overwrites no folder", "psi clicks clicks --overwrite", "--overwrite", "Add --out FOLDER."),
    command(
        "psi by day of integers",
        "psi clicks clicks --time user --by day",
        "--by: column 'user' of",
        "Add --time-unit if they count from 1970",
    ),
    command(
        "psi over time with the unit of timestamps",
        "psi clicks clicks --time ts --time-unit s",
        "--time-unit: column 'ts' of",
        "Remove the option.",
    ),
    command(
        "psi of columns that differ in type",
        f"psi clicks {OTHER}",
        "Add --cast user=text --cast price=number.",
        damage=lambda: table({"user": ["1", "2"], "price": ["1.5", "2.5"]})(OTHER),
    ),
]
"""Options of `ctr psi` that do not go together, and those that its errors name."""
CONFIG_FILES = [
    command("init with a file", "init clicks --out shop.yaml", "--out: `ctr init` prints", "> config.yaml"),
    command("train with --out", "train config.yaml --out runs/new", "--out: unknown option. Use --run"),
    command("compare with --run", "compare study.yaml --run runs/new", "--run: unknown option. Use --out"),
    command("a Parquet file given as a config", f"inspect {PART}", f"{PART}: a Parquet file", "`ctr init"),
    command("a run given as a config", "inspect runs/tiny", "runs/tiny: a folder", "Use runs/tiny/config.yaml."),
    command(
        "a key of another type of feature",
        f"{TRAIN} --set features.columns.price.vocabulary={{min_count:2}}",
        "'vocabulary' is not a key of type numeric, but of categorical, ",
        "Remove it, or change the `type`.",
    ),
]
"""Files that are not a config, and settings of other types."""
