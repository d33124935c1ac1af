"""What `ctr inspect` shows in the terminal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctr.config.experiment import Experiment
from ctr.preflight.inspection import Inspection
from ctr.preflight.profile import InputProfile, SetProfile
from ctr.preflight.resources import ResourceEstimate, size
from ctr.schema.levels import Level
from features import RowGroup, files_of, type_name

STYLES = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.NOTE: "cyan", Level.OK: "green"}
LONGEST = 20  # characters of a value that are shown


def print_inspection(found: Inspection, experiment: Experiment, console: Console) -> None:
    """Sets, their columns, tables, and the findings, worst first."""
    if found.profiles is not None and found.sets is not None:
        _show_sets(found.profiles, console)
        _show_inputs(found.profiles, _described(experiment, found.sets), console)
    if found.needs is not None:
        _show_tables(found.needs, console)
    for level, _, sentence in found.findings:
        console.print(f"[{STYLES[level]}]{level:7}[/] {escape(sentence)}", highlight=False, soft_wrap=True)


def _show_sets(profiles: Mapping[str, SetProfile], console: Console) -> None:
    table = _table("set", "files", "rows", "label rate", text=1)
    for name, one in profiles.items():
        table.add_row(name, f"{len(one.files):,}", f"{one.rows:,}", f"{one.positive_rate:.4f}")
    console.print(table)


def _show_inputs(profiles: Mapping[str, SetProfile], described: Mapping[str, str], console: Console) -> None:
    """A row for each input and set."""
    table = _table("input", "type", "set", "null %", "distinct", "unknown %", "range", text=3)
    for name in profiles["train"].inputs:
        first = (escape(name), escape(described.get(name, "")))
        for place, (set_name, profile) in enumerate(profiles.items()):
            seen = profile.inputs[name]
            unknown = "" if seen.unknown_share is None else f"{100 * seen.unknown_share:.2f}"
            distinct = f"{'' if seen.distinct.is_exact else '~'}{seen.different:,}"
            named = first if place == 0 else ("", "")
            table.add_row(*named, set_name, f"{100 * seen.null_share:.2f}", distinct, unknown, escape(_range(seen)))
    console.print(table)


def _show_tables(needs: ResourceEstimate, console: Console) -> None:
    table = _table("table", "optimizer", "rows", "dim", "weights", "state", text=2)
    for one in needs.plan.tables:
        table.add_row(
            escape(one.name), one.optimizer, f"{one.rows:,}", str(one.dim), size(one.weights), size(one.state)
        )
    console.print(table)


def _table(*columns: str, text: int) -> Table:
    """An empty table; all columns but the first `text` are numbers."""
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < text else "right")
    return table


def _described(experiment: Experiment, sets: Mapping[str, list[RowGroup]]) -> dict[str, str]:
    """Name of an input -> its type in the first file, or what it is made of."""
    schema = files_of(sets["train"])[0].schema
    described = {field.name: type_name(field.type) for field in schema}
    for name, feature in experiment.features.columns.items():
        types = [type_name(schema.field(column).type) for column in feature.columns]
        described[name] = " x ".join([*types, *feature.parts])
    return described


def _range(seen: InputProfile) -> str:
    return "" if seen.low is None else f"{_value(seen.low)} .. {_value(seen.high)}"


def _value(value: Any) -> str:
    """A value in few characters.

    >>> _value(0.123456), _value("a value that is far too long"), _value(12)
    ('0.1235', 'a value that is far ...', '12')
    """
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, "s")).replace("T", " ")
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
