"""Measure time and extra memory of a whole training step by the number of rows of the tables: both should be flat.

    python scripts/bench_rows.py [--rows 100000 10000000] [--optimizer rmsprop_v2] [--rounds 15] [--threads 2]

DCN-V2 with 26 fields of width 16 and 13 numerics, batch 4096, a sparse optimizer on the tables, Adam on the tower.
Every size sees batches with the same number of distinct rows, spread over its tables. The sizes take turns, so that a
busy moment of the machine affects all of them. The ratio of the medians is what counts. Memory is the growth of the
process in a size's steps, without tables and state, which exist before. For comparison, the same rows are gathered from
a plain array of the same size after each step: if that time grows, memory access is slower, not the step.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from bench_start import resident_mb

from models import DCNV2, CTRModel, Field, Inputs, Table
from models.tables import SPECIAL_ROWS
from optimizers import SPARSE, Router, adam

FIELDS, WIDTH, NUMERICS, BATCH, DISTINCT, STEPS = 26, 16, 13, 4096, 1000, 10


def make_step(total_rows: int, optimizer: str) -> Callable[[dict[str, tf.Tensor]], None]:
    """Return a compiled training step of a model with `total_rows` rows in 26 tables."""
    names = [f"feature_{k}" for k in range(FIELDS)]
    inputs = Inputs(
        tables=tuple(Table(name, total_rows // FIELDS, WIDTH) for name in names),
        fields=tuple(Field(name, name, column=k) for k, name in enumerate(names)),
        numerics=tuple(f"numeric_{k}" for k in range(NUMERICS)),
        plain=tuple(range(NUMERICS)),
    )
    model = CTRModel(inputs, DCNV2("parallel", cross_layers=3, hidden=[400, 400, 400]))
    router = Router({"*": SPARSE[optimizer]()}, {"*": adam()}, model.logical_variables)
    model.compile(optimizer=router)
    router.build(model.trainable_variables)
    return tf.function(lambda batch: model.train_step(batch)["loss"], autograph=False, reduce_retracing=True)


def rows_of(batch: dict[str, tf.Tensor], total_rows: int) -> np.ndarray:
    """Return the distinct rows of a batch as rows of one array of all tables."""
    return np.unique(batch["ids"].numpy() + np.arange(FIELDS) * (total_rows // FIELDS))


def make_batches(total_rows: int, count: int) -> list[dict[str, tf.Tensor]]:
    """Return batches whose ids are DISTINCT rows of each table, sampled from all of it."""
    rng = np.random.default_rng(1)
    rows = total_rows // FIELDS
    batches = []
    for _ in range(count):
        present = np.stack([rng.choice(rows - SPECIAL_ROWS, DISTINCT, replace=False) for _ in range(FIELDS)], axis=1)
        # every present row once, and the rest of the batch sampled from them
        picks = np.concatenate([np.arange(DISTINCT), rng.integers(DISTINCT, size=BATCH - DISTINCT)])
        ids = SPECIAL_ROWS + present[picks]
        batches.append(
            {
                "ids": tf.constant(ids, tf.int32),
                "numerics": tf.constant(rng.standard_normal((BATCH, NUMERICS)), tf.float32),
                "label": tf.constant(rng.random(BATCH) < 0.2, tf.float32),
                "weight": tf.ones([BATCH]),
            }
        )
    return batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 10_000_000])
    parser.add_argument("--optimizer", choices=SPARSE, default="rmsprop_v2", help="optimizer of the tables")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    steps = {rows: make_step(rows, args.optimizer) for rows in args.rows}
    batches = {rows: make_batches(rows, STEPS) for rows in args.rows}
    plain = {rows: np.ones((rows, WIDTH), np.float32) for rows in args.rows}
    touched = {rows: [rows_of(batch, rows) for batch in batches[rows]] for rows in args.rows}
    seconds: dict[int, list[float]] = {rows: [] for rows in args.rows}
    gathers: dict[int, list[float]] = {rows: [] for rows in args.rows}
    grown = dict.fromkeys(args.rows, 0.0)
    for turn in range(args.rounds + 1):
        for rows, step in steps.items():
            before = resident_mb()
            for batch, ids in zip(batches[rows], touched[rows], strict=True):
                started = time.perf_counter()
                step(batch).numpy()
                stepped = time.perf_counter()
                plain[rows][ids]
                if turn > 0:  # the first turn compiles
                    seconds[rows].append(stepped - started)
                    gathers[rows].append(time.perf_counter() - stepped)
            grown[rows] += resident_mb() - before
    first = np.median(seconds[args.rows[0]])
    for rows, times in seconds.items():
        low, middle, high = np.quantile(times, [0.25, 0.5, 0.75]) * 1e3
        step = f"{middle:7.2f} ms a step (quartiles {low:.2f} to {high:.2f})  ratio {middle / 1e3 / first:.3f}"
        print(
            f"{rows:>12,} rows  {step}  {grown[rows]:+6.0f} MB  plain gather {np.median(gathers[rows]) * 1e3:6.2f} ms"
        )


if __name__ == "__main__":
    main()
