"""Measure the peak memory of every command on data of six shapes, next to the estimate of `ctr inspect`.

    python scripts/bench_memory.py FOLDER [--only NAME]... [--rows 3000000]

Writes missing data to FOLDER, then runs `ctr inspect`, `ctr train`, `ctr evaluate` and `ctr psi`, each as a separate
process, and prints a Markdown table of their peak resident memory (ru_maxrss), in MiB. `promised` is the memory that
`ctr inspect` names.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

CHUNK = 100_000
RMSPROP = {"type": "rmsprop_v2", "learning_rate": 0.02, "l2_gradient": 0.001}
ROWWISE = {"type": "rowwise_adagrad", "learning_rate": 0.02}


@dataclass(frozen=True)
class Shape:
    """A dataset, and the features that read it."""

    make: Callable[[np.random.Generator, int], dict[str, Any]]
    """Function of a number of rows that returns columns; `x0` drives the label."""
    features: dict[str, Any]
    rows: float = 1.0
    """Fraction of `--rows`."""
    row_group: int = 100_000
    optimizer: dict[str, Any] = field(default_factory=lambda: ROWWISE)


def mixed(draw: np.random.Generator, rows: int) -> dict[str, Any]:
    """Return ten ids, ten numbers, three texts of a million values, and a list of twenty."""
    columns = {f"id{k}": draw.integers(0, 10 ** (2 + k // 2), rows) for k in range(10)}
    texts = {f"text{k}": [f"value-{value:08d}" for value in draw.integers(0, 1_000_000, rows)] for k in range(3)}
    ends = np.arange(0, 20 * rows + 1, 20, dtype=np.int32)
    lists = pa.ListArray.from_arrays(ends, draw.integers(0, 100_000, 20 * rows))
    return {**columns, **numbers(10)(draw, rows), **texts, "list": lists}


def numbers(count: int) -> Callable[[np.random.Generator, int], dict[str, Any]]:
    """Return a function that returns `count` columns of normal numbers."""
    return lambda draw, rows: {f"x{k}": draw.normal(size=rows) for k in range(count)}


def ids(draw: np.random.Generator, rows: int) -> dict[str, Any]:
    """Return a number and four columns of random 40-bit ids."""
    return {"x0": draw.normal(size=rows), **{f"id{k}": draw.integers(0, 2**40, rows) for k in range(4)}}


def long_lists(draw: np.random.Generator, rows: int) -> dict[str, Any]:
    """Return a number and a column of lists with up to 400 values."""
    ends = np.concatenate([[0], np.cumsum(draw.integers(0, 400, rows))]).astype(np.int32)
    return {"x0": draw.normal(size=rows), "list": pa.ListArray.from_arrays(ends, draw.integers(0, 50_000, ends[-1]))}


def hexadecimal(draw: np.random.Generator, rows: int) -> dict[str, Any]:
    """Return columns in the shape of Criteo's log: 13 numbers, 26 texts."""
    texts = {f"c{k}": [f"{value:08x}" for value in draw.zipf(1.2, rows) % 10 ** (3 + k % 4)] for k in range(26)}
    return {**numbers(13)(draw, rows), **texts}


VOCABULARY = {"type": "categorical", "vocabulary": {"min_count": 2}}
NUMBER = {"type": "numeric"}
MIXED = {
    **{f"id{k}": VOCABULARY for k in range(10)},
    **{f"x{k}": NUMBER for k in range(10)},
    **{f"text{k}": VOCABULARY for k in range(3)},
    "list": {"type": "sequence", "max_length": 20, "hash": 100_000},
}
SHAPES = {
    "mixed, one row group": Shape(mixed, MIXED, row_group=2**40),
    "mixed, row groups of 100,000": Shape(mixed, MIXED),
    "26 texts, 13 numbers": Shape(
        hexadecimal,
        {**{f"c{k}": VOCABULARY for k in range(26)}, **{f"x{k}": NUMBER for k in range(13)}},
        rows=1 / 3,
        row_group=65_536,
        optimizer=RMSPROP,
    ),
    "300 numbers": Shape(numbers(300), {f"x{k}": NUMBER for k in range(300)}, rows=1 / 6),
    "4 tables of 5 million rows": Shape(
        ids, {"x0": NUMBER, **{f"id{k}": {"hash": 5_000_000} for k in range(4)}}, rows=1 / 6, optimizer=RMSPROP
    ),
    "lists of up to 400": Shape(
        long_lists, {"x0": NUMBER, "list": {"type": "sequence", "max_length": 200, "hash": 50_000}}, rows=1 / 6
    ),
}


def chunks(shape: Shape, rows: int) -> Iterator[pa.Table]:
    """Yield tables of a shape with a label that depends on `x0`, at most CHUNK rows each."""
    draw = np.random.default_rng(0)
    for start in range(0, rows, CHUNK):
        columns = shape.make(draw, min(CHUNK, rows - start))
        columns["clicked"] = (draw.random(len(columns["x0"])) < 1 / (1 + np.exp(2 - columns["x0"]))).astype(np.int8)
        yield pa.table(columns)


def prepare(name: str, rows: int, folder: Path) -> Path:
    """Write data and config of a shape; return the config's path."""
    shape = SHAPES[name]
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.parquet"
    if not data.exists():
        table = pa.concat_tables(chunks(shape, int(rows * shape.rows)))
        pq.write_table(table, data, row_group_size=min(shape.row_group, len(table)))
    config = {
        "name": name,
        "seed": 1,
        "data": {"path": str(data), "split": {"by": "rows", "fractions": [0.8, 0.1, 0.1]}, "label": "clicked"},
        "features": {"defaults": {"dim": 8}, "columns": shape.features},
        "model": {"type": "dcn_v2", "cross_layers": 1, "hidden": [64]},
        "optimizers": {"sparse": {"*": shape.optimizer}, "dense": {"type": "adam", "learning_rate": 0.001}},
        "training": {"batch_size": 4096, "epochs": 1, "threads": 2, "device": "cpu"},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def peak_of(*arguments: object) -> tuple[int, str]:
    """Run the command line; return its peak memory in MiB and its output."""
    command = [sys.executable, "-m", "ctr.cli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        assert process.stderr is not None
        raise SystemExit(f"{command}: {process.stderr.read()[-2000:]}")
    return usage.ru_maxrss // 1024, printed


def mebibytes(printed: str) -> float:
    """Return the memory that `ctr inspect` names."""
    found = re.search(r"memory: the run\s+needs\s+([\d.,]+)\s+(KiB|MiB|GiB)", printed)
    if found is None:
        raise SystemExit(f"no line on memory in:\n{printed}")
    return float(found[1].replace(",", "")) * {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}[found[2]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", choices=list(SHAPES))
    parser.add_argument("--rows", type=int, default=3_000_000)
    given = parser.parse_args()
    print(
        "| shape | promised | inspect | train | promised / train | evaluate | psi |\n|---|---|---|---|---|---|---|",
        flush=True,
    )
    for name in given.only or SHAPES:
        folder = given.folder / re.sub(r"\W+", "-", name)
        with ProcessPoolExecutor(1, get_context("spawn")) as other:  # the peak of a child starts at its parent's
            config = other.submit(prepare, name, given.rows, folder).result()
        data, run = folder / "data.parquet", folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        inspected, printed = peak_of("inspect", config, "--run", run)
        trained, _ = peak_of("train", config, "--run", run)
        evaluated, _ = peak_of("evaluate", run, data)
        compared, _ = peak_of("psi", data, data)
        promised = mebibytes(printed)
        peaks = f"{inspected:,} | {trained:,} | {promised / trained:.2f} | {evaluated:,} | {compared:,}"
        print(f"| {name} | {promised:,.0f} | {peaks} |", flush=True)


if __name__ == "__main__":
    main()
