"""Measure seconds from the start of the process to the first training step, and memory at the end of each epoch.

python scripts/bench_start.py CONFIG [--set KEY=VALUE]...
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import ctr


def seconds_of_life() -> float:
    """Return the seconds since the process started, as counted by Linux."""
    started = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def resident_mb() -> float:
    """Return the memory of this process in MB, as counted by Linux."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def watch() -> Any:
    """Return a callback that prints the time of the first step, and the memory after each epoch."""
    import tf_keras  # after ctr, which prevents TensorFlow from importing Keras 3

    def on_step(batch: int, logs: Any) -> None:
        if batch == 0:
            print(f"first step after {seconds_of_life():.1f} s", flush=True)

    def on_epoch(epoch: int, logs: Any) -> None:
        print(f"epoch {epoch + 1:2d}: {resident_mb():,.0f} MB", flush=True)

    return tf_keras.callbacks.LambdaCallback(on_batch_end=on_step, on_epoch_end=on_epoch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override of a setting")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ctr.train(ctr.load_experiment(args.config, args.set), Path(folder) / "run", callbacks=[watch()])


if __name__ == "__main__":
    main()
