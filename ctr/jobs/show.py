"""Terminal output of the commands."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctr.console import PLAIN
from ctr.report import print_report, write_html
from ctr.schema.report import Report
from features import BadRows, NegativeSample
from models import ComponentCost, CTRModel

MAX_NAMES = 6  # of tables in a line


def print_results(report: Report, folder: Path, console: Console) -> None:
    """Print a report and write its pages, the last step of a command; its results are already in the folder."""
    print_report(report, console)
    console.print(f"report: {write_html(folder)}", **PLAIN)


def print_bad_rows(bad_rows: dict[str, BadRows], console: Console) -> None:
    """Print how many invalid rows of each split were skipped, and why; nothing without invalid rows."""
    skipped = [
        f"{name} {bad.rows:,} ({', '.join(f'{reason}: {count:,}' for reason, count in bad.reasons.items())})"
        for name, bad in bad_rows.items()
    ]
    if skipped:
        console.print(f"skipping invalid rows: {', '.join(skipped)}", **PLAIN)


def print_negatives(negatives: NegativeSample | None, console: Console) -> None:
    """Print how many negatives an epoch trains on; nothing if it trains on all of them."""
    if negatives is not None:
        console.print(
            f"sampling negatives: {negatives.kept:,} of {negatives.all_negatives:,} in each epoch, which has "
            f"{negatives.rows_per_epoch:,} examples",
            **PLAIN,
        )


def print_warm_start(warm_start: dict[str, Any] | None, console: Console) -> None:
    """Print what warm_start.json holds in one line; nothing without a warm start."""
    if warm_start is not None:
        copied, new = (sum(rows[kind] for rows in warm_start["tables"].values()) for kind in ("carried", "new"))
        state = "kept" if warm_start["optimizer_state"] == "keep" else "reset"
        console.print(
            f"warm start from {warm_start['run']}, step {warm_start['step']}: {copied:,} embeddings copied, {new:,} "
            f"new; optimizer state {state}",
            **PLAIN,
        )


def print_variables(model: CTRModel, console: Console) -> None:
    """Print the tables of each fused variable, and each block, with optimizer and size of weights and state."""
    table = Table(box=None, pad_edge=False)
    for column in ("tables or block", "optimizer", "pattern", "weights", "MB", "optimizer state (MB)"):
        table.add_column(column, justify="left" if column in ("tables or block", "optimizer", "pattern") else "right")
    variables = model.optimizer.owned(model.trainable_variables)
    for (_, names, pattern, optimizer), group in groupby(
        variables, lambda o: (o.kind, o.names, o.pattern, o.optimizer)
    ):
        members = list(group)
        weights = sum(math.prod(owned.shape) for owned in members)
        state = sum(owned.state_bytes for owned in members)
        sizes = (f"{weights * 4 / 1e6:.2f}", f"{state / 1e6:.2f}")
        table.add_row(escape(_fold(names)), optimizer, escape(pattern), f"{weights:,}", *sizes)
    console.print(table)


def _fold(names: Sequence[str]) -> str:
    """Return the names of tables; of many the first three and the last, which `ctr inspect --all` lists.

    >>> _fold(["user", "item"]), _fold([f"C{k}" for k in range(1, 40)])
    ('user, item', 'C1, C2, C3 ... C39 (39 tables)')
    """
    if len(names) <= MAX_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:3])} ... {names[-1]} ({len(names)} tables)"


def print_cost(components: list[ComponentCost], console: Console) -> None:
    """Print parameters and floating-point operations per example of each component, and their sums."""
    table = Table(box=None, pad_edge=False)
    for column in ("component", "parameters", "FLOPs per example"):
        table.add_column(column, justify="left" if column == "component" else "right")
    total = ComponentCost("total", sum(cost.parameters for cost in components), sum(cost.flops for cost in components))
    for name, parameters, flops in (*components, total):
        table.add_row(escape(name), f"{parameters:,}", f"{flops:,}")
    console.print(table)
