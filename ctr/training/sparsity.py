"""Every embedding table with its size, its optimizer and its row sparsity."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ctr.schema.report import TableSize
from features.batch import SPECIAL_ROWS

if TYPE_CHECKING:
    from models import CTRModel


def sparsity_report(model: "CTRModel") -> list[TableSize]:
    """What each logical table holds, and what it would hold without its zero rows; report.json has it as `tables`.

    Args:
        model: compiled with a `Router`.

    Returns:
        For each table what `TableSize` says. Special rows are not counted as all-zero embeddings. Without these a table
        takes `nonzero_weight_bytes` to serve; their optimizer state stays, so that they can return.
    """
    optimizers: dict[str, dict[str, Any]] = {}
    for owned in model.optimizer.owned(model.trainable_variables):
        if owned.kind != "table":
            continue
        per_row = 4 * owned.shape[-1] + owned.state_bytes // owned.shape[0]
        optimizers |= {name: {"bytes": per_row, "optimizer": owned.optimizer} for name in owned.names}
    tables: list[TableSize] = []
    for table in model.tables.inputs.tables:
        zero_rows = 0
        for place, rows in enumerate(model.tables.table_blocks(table.name)):
            ordinary = rows[SPECIAL_ROWS if place == 0 else 0 :]
            zero_rows += len(ordinary) - int(ordinary.any(axis=1).sum())
        owner = optimizers[table.name]
        tables.append(
            {
                "name": table.name,
                "rows": table.rows,
                "dim": table.dim,
                "all_zero_embeddings": zero_rows,
                "row_sparsity": zero_rows / max(table.rows - SPECIAL_ROWS, 1),
                "bytes": table.rows * owner["bytes"],
                "weight_bytes": 4 * table.dim * table.rows,
                "nonzero_weight_bytes": 4 * table.dim * (table.rows - zero_rows),
                "optimizer": owner["optimizer"],
            }
        )
    return tables


def state_bytes(model: "CTRModel") -> dict[str, int]:
    """Bytes of the optimizers' state, of all tables and of all towers."""
    owned = model.optimizer.owned(model.trainable_variables)
    return {f"{kind}s": sum(one.state_bytes for one in owned if one.kind == kind) for kind in ("table", "tower")}


def row_sparsity(tables: Sequence[TableSize]) -> float:
    """Return the fraction of all-zero embeddings in some tables, special rows left out."""
    rows = sum(table["rows"] - SPECIAL_ROWS for table in tables)
    return sum(table["all_zero_embeddings"] for table in tables) / max(rows, 1)
