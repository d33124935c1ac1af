"""Draw rows of a Parquet file so that a given fraction of them is positive: a small dataset with a rare label.

    python scripts/draw_rows.py IN.parquet OUT.parquet --rows 20000 --positive-rate 0.04 [--label label] [--seed 0]

Rows of each label are sampled without replacement. The file is read into memory.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def draw(table: pa.Table, label: str, rows: int, positive_rate: float, seed: int) -> pa.Table:
    """Return rows in random order.

    Raises:
        ValueError: a label has too few rows.
    """
    random, labels = np.random.default_rng(seed), table.column(label).to_numpy()
    positives = round(rows * positive_rate)
    sampled = []
    for value, count in ((1, positives), (0, rows - positives)):
        indices = np.flatnonzero(labels == value)
        if len(indices) < count:
            raise ValueError(
                f"column {label!r}: {len(indices):,} rows have label {value}, expected at least {count:,}. "
                "Lower --rows, or change --positive-rate."
            )
        sampled.append(random.choice(indices, count, replace=False))
    return table.take(pa.array(random.permutation(np.concatenate(sampled))))


def main() -> None:
    """Write the sampled rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--positive-rate", type=float, required=True)
    parser.add_argument("--label", default="label")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        table = draw(
            pq.read_table(arguments.source), arguments.label, arguments.rows, arguments.positive_rate, arguments.seed
        )
    except ValueError as error:
        sys.exit(f"error: {arguments.source}: {error}")
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, arguments.target)


if __name__ == "__main__":
    main()
