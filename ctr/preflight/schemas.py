"""Comparison of the schema of every file with the first; every problem is listed."""

from collections import Counter
from collections.abc import Iterator

from ctr.checks.finding import Finding
from ctr.config.experiment import Experiment
from ctr.errors import ConfigError
from ctr.evaluation.report_columns import report_columns
from ctr.schema.levels import Level
from ctr.training.data import check_types
from features import DataError, Encoder, RowGroup, check_agreement, files_of, type_name

NAMED = 5


def check_schemas(experiment: Experiment, encoder: Encoder, splits: dict[str, list[RowGroup]]) -> list[Finding]:
    """Return errors for files without a column or with an unsuitable type, and warnings for types that merely differ.

    Args:
        experiment: the experiment, which determines the columns in use.
        encoder: encoder of its features, fitted or not.
        splits: the opened splits.
    """
    first_groups = list({group.file.path: group for groups in splits.values() for group in groups}.values())
    numbers = experiment.features.number_columns.union(encoder.columns.names if encoder.columns else [])
    mistakes, valid = [], []  # valid: files that have all columns in suitable types
    for group in first_groups:
        try:
            check_types([group], experiment, encoder, experiment.data.keep)
            valid.append(group)
            check_agreement([valid[0], group], encoder.input_columns, numbers)
        except (DataError, ConfigError) as error:
            mistakes.append(Finding(Level.ERROR, "schema", f"schema: {error}"))
    if len(mistakes) > NAMED:
        rest = f"schema: {len(mistakes) - NAMED} more files have such errors. Correct them, too."
        mistakes = [*mistakes[:NAMED], Finding(Level.ERROR, "schema", rest)]
    used = [*encoder.input_columns, *experiment.data.keep, *report_columns(experiment)]
    findings = mistakes or [Finding(Level.WARNING, "schema", text) for text in _differences(first_groups, used)]
    files = "the only file" if len(first_groups) == 1 else f"all {len(first_groups):,} files"
    ok = f"schema: the columns in use have the same type in {files}"
    return findings or [Finding(Level.OK, "schema", ok)]


def _differences(row_groups: list[RowGroup], columns: list[str]) -> Iterator[str]:
    """Yield a sentence for each column and type that differs from the first file."""
    first, *others = files_of(row_groups)
    for name in dict.fromkeys(columns):
        expected = first.schema.field(name).type
        types = Counter(file.schema.field(name).type for file in others)
        for type_ in [type_ for type_ in types if type_ != expected]:
            where = next(file.path for file in others if file.schema.field(name).type == type_)
            yield (
                f"schema: column {name!r} is {type_name(type_)} in {types[type_]} of {len(others) + 1} files, "
                f"such as {where}, but {type_name(expected)} in {first.path}. Both are read in the same way."
            )
