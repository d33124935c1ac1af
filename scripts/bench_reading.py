"""Measure rows per second from Parquet to shuffled batches, alternating with another commit if one is given.

    python scripts/bench_reading.py configs/bench/criteo_like_hex.yaml --set data.root=DIR [--against TREE]

TREE is another checkout of the project. Each measurement is a separate process that reads one epoch to warm up and
then one that is timed. Prints the median and the range of each, and of their ratio by round.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def rows_per_second(config: str, overrides: list[str]) -> float:
    """Return rows per second of the second epoch."""
    from ctr.config.experiment import load_experiment
    from ctr.training.data import prepare
    from features import Reader

    experiment = load_experiment(config, overrides)
    data = prepare(experiment)
    training = experiment.training
    reader = Reader(
        data.splits["train"],
        data.encoder,
        training.batch_size,
        experiment.seed,
        training.last_batch,
        experiment.data.shuffle_rows,
        training.threads,
    )
    for _ in reader.epoch(0):
        pass
    started, rows = time.perf_counter(), 0
    for batch in reader.epoch(1):
        rows += len(batch["ids"])
    return rows / (time.perf_counter() - started)


def measured(tree: Path, args: argparse.Namespace) -> float:
    """Return `rows_per_second` of the project in `tree`, in a separate process."""
    overrides = [word for override in args.set for word in ("--set", override)]
    command = [sys.executable, __file__, args.config, *overrides, "--once"]
    environment = {**os.environ, "PYTHONPATH": str(tree.resolve()), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(done.stdout)


def shown(values: list[float], form: str) -> str:
    """Return median and range as text."""
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override of a setting")
    parser.add_argument("--against", type=Path, metavar="TREE")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        print(rows_per_second(args.config, args.set))
        return
    trees = [Path(__file__).parents[1], *([args.against] if args.against else [])]
    rates: list[list[float]] = [[] for _ in trees]
    for round_ in range(args.rounds):
        for place in range(len(trees)) if round_ % 2 else reversed(range(len(trees))):
            rates[place].append(measured(trees[place], args))
    for tree, values in zip(trees, rates, strict=True):
        print(f"{tree.resolve().name}: {shown(values, ',.0f')} rows/s")
    if args.against:
        print(f"ratio: {shown([one / other for one, other in zip(*rates, strict=True)], '.3f')}")


if __name__ == "__main__":
    main()
