"""Measure rows per second and peak memory of `ctr psi` on two folders of Parquet.

    python scripts/bench_psi.py [--rows 5000000] [--rounds 3]

The data is written to a temporary folder: two datasets of `--rows` rows and 40 numeric columns (16 float32, 16 float64,
8 integers; every fourth with 5% nulls) in 5 files each, row groups of 100,000. In the second dataset, three columns are
shifted by a known number of their standard deviations. The command runs in a fresh process, `--rounds` times; rows per
second are the rows of both datasets divided by the wall time of the whole process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS, FILES, ROW_GROUP = 40, 5, 100_000
MOVED = {"x03": 0.1, "x10": 0.5, "x25": 1.0}  # in standard deviations


def column_of(name: str, place: int, rows: int, shift: float, random: np.random.Generator) -> pa.Array:
    """Return normal values, rounded for integers, shifted by `shift` standard deviations."""
    values = random.standard_normal(rows, np.float32) + np.float32(shift)
    mask = random.random(rows, np.float32) < 0.05 if place % 4 == 0 else None
    if place % 5 == 4:
        return pa.array((values * 1000).astype(np.int32), mask=mask)
    return pa.array(values.astype(np.float64 if place % 5 % 2 else np.float32), mask=mask)


def make_set(folder: Path, rows: int, moved: dict[str, float], seed: int) -> None:
    """Write one dataset."""
    folder.mkdir()
    for file in range(FILES):
        random = np.random.default_rng([seed, file])
        count = rows * (file + 1) // FILES - rows * file // FILES
        names = [f"x{place:02d}" for place in range(COLUMNS)]
        columns = {
            name: column_of(name, place, count, moved.get(name, 0.0), random) for place, name in enumerate(names)
        }
        pq.write_table(pa.table(columns), folder / f"part-{file}.parquet", row_group_size=ROW_GROUP)


def measure(folder: Path, rows: int) -> dict[str, float]:
    """Run the command once and return its measurements."""
    command = [sys.executable, "-m", "ctr.cli", "psi", folder / "reference", folder / "current"]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--out", folder / "out", "--overwrite"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit("ctr psi failed")
    return {
        "rows_per_s": round(2 * rows / seconds),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of each dataset")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_set(folder / "reference", args.rows, {}, seed=1)
        make_set(folder / "current", args.rows, MOVED, seed=2)
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        print(json.dumps({"rows": 2 * args.rows, "columns": COLUMNS, "parquet_mb": round(size / 2**20)}), flush=True)
        for _ in range(args.rounds):
            print(json.dumps(measure(folder, args.rows)), flush=True)
        report = json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))
        found = report["psi"]["features"]["current"]
        moved = {column: round(one["psi"], 4) for column, one in found.items() if column in MOVED}
        others = max(one["psi"] for column, one in found.items() if column not in MOVED)
        print(json.dumps({"psi_of_moved": moved, "largest_psi_of_others": round(others, 7)}))


if __name__ == "__main__":
    main()
