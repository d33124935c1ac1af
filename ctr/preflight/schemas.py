"""The schema of every file against the first: all that is wrong with them, not only the first of it."""

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


def check_schemas(experiment: Experiment, encoder: Encoder, sets: dict[str, list[RowGroup]]) -> list[Finding]:
    """Errors of files that lack a column or hold another thing in it, warnings of types that differ but agree.

    Args:
        experiment: says which columns are used.
        encoder: of its features, fitted or not.
        sets: opened.
    """
    first_groups = list({group.file.path: group for groups in sets.values() for group in groups}.values())
    numbers = experiment.features.number_columns.union(encoder.columns.names if encoder.columns else [])
    mistakes, right = [], []  # files that have all columns, in types that fit
    for group in first_groups:
        try:
            check_types([group], experiment, encoder)
            right.append(group)
            check_agreement([right[0], group], encoder.input_columns, numbers)
        except (DataError, ConfigError) as error:
            mistakes.append(Finding(Level.ERROR, "schema", f"schema: {error}"))
    if len(mistakes) > NAMED:
        rest = f"schema: {len(mistakes) - NAMED} more files have such mistakes"
        mistakes = [*mistakes[:NAMED], Finding(Level.ERROR, "schema", rest)]
    used = [*encoder.input_columns, *experiment.data.keep, *report_columns(experiment)]
    found = mistakes or [Finding(Level.WARNING, "schema", told) for told in _differences(first_groups, used)]
    ok = f"schema: {len(first_groups)} file(s), the columns in use have one type in all"
    return found or [Finding(Level.OK, "schema", ok)]


def _differences(row_groups: list[RowGroup], columns: list[str]) -> Iterator[str]:
    """A sentence for each column and type that files have in place of the first file's."""
    first, *others = files_of(row_groups)
    for name in dict.fromkeys(columns):
        expected = first.schema.field(name).type
        types = Counter(file.schema.field(name).type for file in others)
        for type_ in [type_ for type_ in types if type_ != expected]:
            where = next(file.path for file in others if file.schema.field(name).type == type_)
            yield (
                f"schema: column {name!r} is {type_name(type_)} in {types[type_]} of {len(others) + 1} files, "
                f"such as {where}, but {type_name(expected)} in {first.path}; both are read as the same"
            )
