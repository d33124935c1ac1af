"""What jobs say in the terminal."""

import math
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctr.console import PLAIN
from ctr.report import show_report, write_html
from ctr.schema.report import Report
from features import BadRows
from models import ComponentCost, CTRModel


def print_results(report: Report, folder: Path, console: Console) -> None:
    """The last thing that a job does: whatever happens here, its results are in the folder."""
    show_report(report, console)
    console.print(f"report: {write_html(folder)}", **PLAIN)


def print_bad_rows(bad_rows: dict[str, BadRows], console: Console) -> None:
    """One line, where rows were left out: how many of each set, and why."""
    left_out = [
        f"{name} {bad.rows:,} ({', '.join(f'{reason}: {count:,}' for reason, count in bad.reasons.items())})"
        for name, bad in bad_rows.items()
    ]
    if left_out:
        console.print(f"bad rows left out: {', '.join(left_out)}", **PLAIN)


def print_warm_start(warm_start: dict[str, Any] | None, console: Console) -> None:
    """One line: what another run gave, as warm_start.json says; nothing where there was none."""
    if warm_start is not None:
        carried, new = (sum(rows[kind] for rows in warm_start["tables"].values()) for kind in ("carried", "new"))
        state = (
            "the optimizers' state with them"
            if warm_start["optimizer_state"] == "keep"
            else "the optimizers begin anew"
        )
        console.print(
            f"begins with the weights of {warm_start['run']} at step {warm_start['step']}: {carried:,} rows carried, "
            f"{new:,} new, {state}",
            **PLAIN,
        )


def print_variables(model: CTRModel, console: Console) -> None:
    """Each fused table and each tower with its optimizer, and the bytes of weights and state."""
    table = Table(box=None, pad_edge=False)
    for column in ("variables of", "weights", "optimizer", "pattern", "MB", "state MB"):
        table.add_column(column, justify="left" if column in ("variables of", "optimizer", "pattern") else "right")
    listed = model.optimizer.owned(model.trainable_variables)
    for (_, names, pattern, optimizer), same in groupby(listed, lambda o: (o.kind, o.names, o.pattern, o.optimizer)):
        members = list(same)
        weights = sum(math.prod(owned.shape) for owned in members)
        state = sum(owned.state_bytes for owned in members)
        sizes = (f"{weights * 4 / 1e6:.2f}", f"{state / 1e6:.2f}")
        table.add_row(escape(", ".join(names)), f"{weights:,}", optimizer, escape(pattern), *sizes)
    console.print(table)


def print_cost(parts: list[ComponentCost], console: Console) -> None:
    """Parameters of each part of the model and floating-point operations of a row, and those of the whole."""
    table = Table(box=None, pad_edge=False)
    for column in ("part", "parameters", "operations a row"):
        table.add_column(column, justify="left" if column == "part" else "right")
    total = ComponentCost("all", sum(part.parameters for part in parts), sum(part.flops for part in parts))
    for name, parameters, flops in (*parts, total):
        table.add_row(escape(name), f"{parameters:,}", f"{flops:,}")
    console.print(table)
