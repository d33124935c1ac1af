"""Size, optimizer and row sparsity of each embedding table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ctr.schema.report import TableSize
from features.batch import SPECIAL_ROWS

if TYPE_CHECKING:
    from models import CTRModel


def sparsity_report(model: "CTRModel") -> list[TableSize]:
    """Return `tables` of report.json: the size of each logical table, with and without all-zero embeddings.

    Args:
        model: model compiled with a `Router`.

    Returns:
        A `TableSize` for each table. Special rows do not count as all-zero embeddings. The deployed size of a table is
        `nonzero_weight_bytes`. The optimizer state of all-zero embeddings remains, so they can become nonzero again.
    """
    optimizers: dict[str, dict[str, Any]] = {}
    for owned in model.optimizer.owned(model.trainable_variables):
        if owned.kind != "table":
            continue
        per_row = 4 * owned.shape[-1] + owned.state_bytes // owned.shape[0]
        optimizers |= {name: {"bytes": per_row, "optimizer": owned.optimizer} for name in owned.names}
    tables: list[TableSize] = []
    for table in model.tables.inputs.tables:
        all_zero = 0
        for index, rows in enumerate(model.tables.table_blocks(table.name)):
            ordinary = rows[SPECIAL_ROWS if index == 0 else 0 :]
            all_zero += len(ordinary) - int(ordinary.any(axis=1).sum())
        owner = optimizers[table.name]
        tables.append(
            {
                "name": table.name,
                "rows": table.rows,
                "dim": table.dim,
                "all_zero_embeddings": all_zero,
                "row_sparsity": all_zero / max(table.rows - SPECIAL_ROWS, 1),
                "bytes": table.rows * owner["bytes"],
                "weight_bytes": 4 * table.dim * table.rows,
                "nonzero_weight_bytes": 4 * table.dim * (table.rows - all_zero),
                "optimizer": owner["optimizer"],
            }
        )
    return tables


def state_bytes(model: "CTRModel") -> dict[str, int]:
    """Return the bytes of optimizer state of all tables and of the tower."""
    variables = model.optimizer.owned(model.trainable_variables)
    return {
        f"{kind}s": sum(owned.state_bytes for owned in variables if owned.kind == kind) for kind in ("table", "tower")
    }


def row_sparsity(tables: Sequence[TableSize]) -> float:
    """Return the fraction of all-zero embeddings in the given tables, without special rows."""
    rows = sum(table["rows"] - SPECIAL_ROWS for table in tables)
    return sum(table["all_zero_embeddings"] for table in tables) / max(rows, 1)
