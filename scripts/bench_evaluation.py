"""Measure time and memory of evaluating scored rows: every metric with the CI of AUC, GAUC by user, PSI of the score.

`result by user` is `result` again, with CIs that treat users as independent; the total includes both.

    python scripts/bench_evaluation.py [--rows 10000000] [--users 1000000] [--weighted]

The rows are synthetic, 5% of them positive, and come in row groups of 100,000, like those of a file. Generating them is
not timed, and they are not kept, so the memory is that of the evaluation plus about 0.2 GB of the libraries.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ctr.metrics import BinaryMetrics, QuantileBins, compare, gauc, sigmoid

GROUP_ROWS = 100_000


def row_groups(
    rows: int, users: int, weighted: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]]:
    """Yield logit, label, user and weight (or None) of each row group; some users are far more active than others."""
    rng = np.random.default_rng(1)
    for start in range(0, rows, GROUP_ROWS):
        size = min(GROUP_ROWS, rows - start)
        logit = rng.normal(-3.4, 1, size).astype(np.float32)
        user = (users * rng.random(size) ** 2).astype(np.int64)
        weight = rng.uniform(0.5, 2, size).astype(np.float32) if weighted else None
        yield logit, (rng.random(size) < sigmoid(logit)).astype(np.float32), user, weight


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--weighted", action="store_true", help="give each row a weight")
    args = parser.parse_args()
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable, *arguments: Any) -> Any:
        started = time.perf_counter()
        done = work(*arguments)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
        return done

    reference = np.random.default_rng(0).normal(-3.4, 1, 1_000_000)
    bins = QuantileBins.fitted(reference, 10)
    expected = bins.count(reference)
    actual = np.zeros_like(expected)
    metrics = BinaryMetrics()
    for logit, label, user, weight in row_groups(args.rows, args.users, args.weighted):
        timed("add", metrics.add, logit, label, weight, {"user": pa.array(user)})
        actual += timed("PSI of the score", bins.count, logit)
    timed("counts", metrics.counts)
    timed("result", metrics.result)
    result = timed("result by user", metrics.result, 0.5, "user")
    timed("deciles", metrics.deciles)
    result |= timed("GAUC", lambda: gauc(metrics.by_group("user")))
    result["psi"] = timed("PSI of the score", compare, expected, actual, len(reference), args.rows, 0.2)["psi"]
    print({name: round(value, 6) if isinstance(value, float) else value for name, value in result.items()})
    for name, taken in (seconds | {"total": sum(seconds.values())}).items():
        print(f"{name:16} {taken:7.2f} s")
    print(f"{'peak memory':16} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:7.2f} GB")


if __name__ == "__main__":
    main()
