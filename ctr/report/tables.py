"""Every logical table with its size, its optimizer and its share of zero rows."""

from typing import Any

import numpy as np

from models import CTRModel
from models.tables import SPECIAL_ROWS


def describe_tables(model: CTRModel) -> list[dict[str, Any]]:
    """One entry per logical table, as report.json has it.

    `bytes` are of weight and optimizer state; `zero_rows` counts rows that are exactly zero, the special ones left out.
    """
    optimizers: dict[str, dict[str, Any]] = {}
    for owned in model.optimizer.owned(model.trainable_variables):
        per_row = 4 * owned.shape[-1] + owned.state_bytes // owned.shape[0]
        optimizers |= {name: {"bytes": per_row, "optimizer": owned.optimizer} for name in owned.names}
    tables = []
    for table in model.tables.inputs.tables:
        rows = model.tables.table_rows(table.name).numpy()[SPECIAL_ROWS:]
        owner = optimizers[table.name]
        tables.append(
            {
                "name": table.name,
                "rows": table.rows,
                "dim": table.dim,
                "zero_rows": int((~np.any(rows, axis=1)).sum()),
                "bytes": table.rows * owner["bytes"],
                "optimizer": owner["optimizer"],
            }
        )
    return tables
