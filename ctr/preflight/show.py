"""Terminal output of `ctr inspect`."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctr.config.experiment import Experiment
from ctr.console import PLAIN
from ctr.evaluation.input_profile import InputProfile
from ctr.preflight.inspection import Inspection
from ctr.preflight.profile import SplitProfile
from ctr.preflight.resources import ResourceEstimate, size
from ctr.schema.levels import Level
from features import GAP, RowGroup, count_rows, files_of, type_name

MAX_TABLES, MAX_INPUTS = 10, 20
"""Lines of the lists of tables and of inputs before they are folded; a list is folded if that hides over two."""
STYLES = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.NOTE: "cyan", Level.OK: "green"}
LONGEST = 20  # characters of a printed value


def print_inspection(inspection: Inspection, experiment: Experiment, console: Console, show_all: bool = False) -> None:
    """Print the findings, worst first, then the splits, their inputs and the embedding tables.

    Args:
        inspection: the results.
        experiment: the inspected experiment.
        console: the terminal.
        show_all: list every input and table; False folds long lists.
    """
    console.print(_summary(inspection), **PLAIN)
    for level, _, sentence in inspection.findings:
        indented = escape(sentence).replace("\n", f"\n{'':8}")
        console.print(f"[{STYLES[level]}]{level:7}[/] {indented}", highlight=False, soft_wrap=True)
    if inspection.profiles is not None and inspection.splits is not None:
        console.print()
        _print_splits(inspection.profiles, inspection.splits.get(GAP, []), console)
        console.print()
        _print_inputs(inspection.profiles, _types_of(experiment, inspection.splits), console, show_all)
    if inspection.estimate is not None:
        console.print()
        _print_tables(inspection.estimate, console, show_all)


def _summary(inspection: Inspection) -> str:
    """Return `1 error, 2 warnings, 8 checks passed`."""
    counts = Counter(finding.level for finding in inspection.findings)
    levels = [level for level in (Level.ERROR, Level.WARNING, Level.NOTE) if counts[level]]
    problems = [f"{counts[level]} {level}{'s' * (counts[level] > 1)}" for level in levels]
    return ", ".join([*problems, f"{counts[Level.OK]} check{'s' * (counts[Level.OK] != 1)} passed"])


def _print_splits(profiles: Mapping[str, SplitProfile], gap: list[RowGroup], console: Console) -> None:
    table = _table("split", "files", "rows", "positive rate", text=1)
    for name, profile in profiles.items():
        table.add_row(name, f"{len(profile.files):,}", f"{profile.rows:,}", f"{profile.positive_rate:.4f}")
    if gap:
        table.add_row(GAP, f"{len(files_of(gap)):,}", f"{count_rows(gap):,}")
    console.print(table)


def _print_inputs(
    profiles: Mapping[str, SplitProfile], types: Mapping[str, str], console: Console, show_all: bool
) -> None:
    """Print a line for each feature or column in each split."""
    table = _table("feature or column", "type", "split", "null %", "distinct", "unknown %", "range", text=3)
    names = list(profiles["train"].inputs)
    visible = names if show_all else names[: _visible(len(names), MAX_INPUTS)]
    for name in visible:
        name_and_type = (escape(name), escape(types.get(name, "")))
        for index, (split, profile) in enumerate(profiles.items()):
            input_ = profile.inputs[name]
            unknown = "" if input_.unknown_share is None else f"{100 * input_.unknown_share:.2f}"
            distinct = f"{'' if input_.distinct.is_exact else '~'}{input_.different:,}"
            cells = (f"{100 * input_.null_share:.2f}", distinct, unknown, escape(_range(input_)))
            table.add_row(*(name_and_type if index == 0 else ("", "")), split, *cells)
    console.print(table)
    if len(names) > len(visible):
        console.print(f"and {len(names) - len(visible):,} more features and columns; --all lists them", **PLAIN)


def _print_tables(estimate: ResourceEstimate, console: Console, show_all: bool) -> None:
    """Print a line for each embedding table; of many only the largest, and a line for the others together."""
    table = _table("embedding table", "optimizer", "rows", "dim", "weights", "optimizer state", text=2)
    tables = list(estimate.plan.tables)
    if not show_all and _visible(len(tables), MAX_TABLES) < len(tables):
        tables.sort(key=lambda plan: -(plan.weights + plan.state))
    visible = tables if show_all else tables[: _visible(len(tables), MAX_TABLES)]
    for plan in visible:
        sizes = (size(plan.weights), size(plan.state))
        table.add_row(escape(plan.name), plan.optimizer, f"{plan.rows:,}", str(plan.dim), *sizes)
    console.print(table)
    if folded := tables[len(visible) :]:
        weights, state = (sum(getattr(plan, name) for plan in folded) for name in ("weights", "state"))
        console.print(
            f"and {len(folded):,} smaller tables with {size(weights)} of weights and {size(state)} of optimizer state; "
            f"--all lists them",
            **PLAIN,
        )


def _visible(count: int, maximum: int) -> int:
    """Return how many lines of a list to print: all, unless that would be over two more than `maximum`.

    >>> _visible(12, 10), _visible(13, 10)
    (12, 10)
    """
    return count if count <= maximum + 2 else maximum


def _table(*columns: str, text: int) -> Table:
    """Return an empty table; all columns except the first `text` are numbers."""
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < text else "right")
    return table


def _types_of(experiment: Experiment, splits: Mapping[str, list[RowGroup]]) -> dict[str, str]:
    """Return input -> its type in the first file, or the features that it is made of."""
    schema = files_of(splits["train"])[0].schema
    types = {field.name: type_name(field.type) for field in schema}
    for name, feature in experiment.features.columns.items():
        column_types = [type_name(schema.field(column).type) for column in feature.columns]
        types[name] = " x ".join([*column_types, *feature.parts])
    return types


def _range(profile: InputProfile) -> str:
    return "" if profile.low is None else f"{_value(profile.low)} .. {_value(profile.high)}"


def _value(value: Any) -> str:
    """Return a value in few characters.

    >>> _value(0.123456), _value("a value that is far too long"), _value(12)
    ('0.1235', 'a value that is far ...', '12')
    """
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, "s")).replace("T", " ")
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
