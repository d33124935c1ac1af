"""Measure milliseconds per update and bytes of state of every sparse optimizer, by the number of rows of the table.

    python scripts/bench_optimizers.py [--rows 100000 1000000 10000000] [--rounds 10] [--threads 2] [--only ftrl ...]

An update changes 27,000 rows of width 16, spread over the whole table, each once, as after deduplication. The sizes of
a table take turns, so that a busy moment of the machine affects all of them. The ratio of the medians is what counts;
it is above 1 because a larger table does not fit into the cache. The stock Keras optimizer of the same name is measured
on tables up to 10^6 rows, because it can rewrite all of them.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from optimizers import SPARSE

TOUCHED, WIDTH, STEPS = 27_000, 16, 5
STOCK_ROWS = 1_000_000
STOCK: dict[str, Callable[[], tf_keras.optimizers.Optimizer]] = {
    "ftrl": tf_keras.optimizers.Ftrl,
    "adagrad": tf_keras.optimizers.Adagrad,
    "lazy_adam": tf_keras.optimizers.Adam,
    "rmsprop": tf_keras.optimizers.RMSprop,
    "sgd": tf_keras.optimizers.SGD,
    "momentum": lambda: tf_keras.optimizers.SGD(momentum=0.9),
}


class Update:
    """Timed updates of a table of `rows` rows."""

    def __init__(self, optimizer: tf_keras.optimizers.Optimizer, rows: int) -> None:
        optimizer.weight_decay, optimizer.jit_compile = (
            None,
            False,
        )  # stock ones would decay tables, or compile
        self.table = tf.Variable(tf.random.stateless_normal([rows, WIDTH], [1, 2], stddev=0.01))
        optimizer.build([self.table])
        self.state_bytes = sum(
            v.shape.num_elements() * v.dtype.size for v in optimizer.variables if v.shape[:1] == self.table.shape[:1]
        )
        random = np.random.default_rng(1)
        self.gradients = [
            (
                tf.constant(random.choice(rows, TOUCHED, replace=False), tf.int32),
                tf.constant(random.normal(0, 1e-3, [TOUCHED, WIDTH]), tf.float32),
            )
            for _ in range(STEPS)
        ]
        shape = tf.constant([rows, WIDTH])

        def step(ids: tf.Tensor, values: tf.Tensor) -> None:
            optimizer.update_step(tf.IndexedSlices(values, ids, shape), self.table)

        self.step = tf.function(step, autograph=False)
        self.seconds: list[float] = []

    def run(self) -> None:
        """Run and time one round of updates."""
        started = time.perf_counter()
        for ids, values in self.gradients:
            self.step(ids, values)
        tf.gather(self.table, [0]).numpy()  # waits for the updates; reading the whole variable would copy it
        self.seconds.append((time.perf_counter() - started) / STEPS)

    @property
    def milliseconds(self) -> float:
        """Median over all rounds except the first, which traces."""
        return float(np.median(self.seconds[1:])) * 1e3


def measure(make: Callable[[], tf_keras.optimizers.Optimizer], sizes: list[int], rounds: int) -> list[Update]:
    """Time the updates of one optimizer on tables of several sizes, in turns."""
    updates = [Update(make(), rows) for rows in sizes]
    for _ in range(rounds + 1):
        for update in updates:
            update.run()
    return updates


def describe(name: str, sizes: list[int], updates: list[Update]) -> str:
    """Return a line with milliseconds at each size, their ratio, and bytes of state per row."""
    times = "  ".join(f"{update.milliseconds:9.2f}" for update in updates)
    ratio = updates[-1].milliseconds / updates[0].milliseconds
    return f"{name:24s} {times}  {ratio:7.2f}  {updates[-1].state_bytes / sizes[-1]:9.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=SPARSE, default=list(SPARSE))
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    print(f"{'ms an update':24s} {'  '.join(f'{rows:9,}' for rows in args.rows)}  {'ratio':>7s}  {'state B/row':>9s}")
    small = [rows for rows in args.rows if rows <= STOCK_ROWS]
    for name in args.only:
        print(describe(name, args.rows, measure(SPARSE[name], args.rows, args.rounds)), flush=True)
        if name in STOCK and small:
            print(describe("  stock Keras", small, measure(STOCK[name], small, args.rounds)), flush=True)


if __name__ == "__main__":
    main()
