"""Every logical table with its size, its optimizer and its share of zero rows."""

from typing import TYPE_CHECKING, Any

from features.batch import SPECIAL_ROWS

if TYPE_CHECKING:
    from models import CTRModel


def sparsity_report(model: "CTRModel") -> list[dict[str, Any]]:
    """What each logical table holds, and what it would hold without its zero rows; report.json has it as `tables`.

    Args:
        model: compiled with a `Router`.

    Returns:
        For each table: `name`, `rows`, `dim`, `optimizer`; `zero_rows`, the rows that are exactly zero, the special
        ones left out; `bytes` of weights and optimizer state; `weight_bytes`, and `nonzero_weight_bytes`, those left
        for serving if zero rows were dropped. State stays: it lets a zero row return.
    """
    optimizers: dict[str, dict[str, Any]] = {}
    for owned in model.optimizer.owned(model.trainable_variables):
        if owned.kind != "table":
            continue
        per_row = 4 * owned.shape[-1] + owned.state_bytes // owned.shape[0]
        optimizers |= {name: {"bytes": per_row, "optimizer": owned.optimizer} for name in owned.names}
    tables = []
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
                "zero_rows": zero_rows,
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


def zero_share(tables: list[dict[str, Any]]) -> float:
    """The share of all rows of some tables that are exactly zero, the special ones left out."""
    rows = sum(table["rows"] - SPECIAL_ROWS for table in tables)
    return sum(table["zero_rows"] for table in tables) / max(rows, 1)
