"""Options that do not go with the other arguments or the data, and what each must be answered with."""

import pyarrow as pa
from breakable_experiment import COMPARE, EVALUATE, command, has_one, holds, rewrite, rewrite_all, study

STUDY_OPTIONS = [
    study(
        "a limit of memory below every run of a study",
        {},
        "--memory: the smallest run needs up to",
        "102.4 MiB",
        line=f"{COMPARE} --memory 0.1",
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
