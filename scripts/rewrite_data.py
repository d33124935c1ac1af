"""Rewrite data of an interrupted run so that files keep size and footer, and check that `--resume` rejects it.

    python scripts/rewrite_data.py CONFIG [--rewrites 100] [--seed 0] [--set KEY=VALUE]... [--folder FOLDER]

A run is killed after `--step` steps. Then one value of one file changes: a label, an id or a number becomes that of
another row. If the new file has another size or footer, which are compared anyway, another value is sampled. Every
second file keeps its modification time, so that only reading the file can reveal the change. The resumed run must end
with an error that names file and column. Prints a Markdown table; exit code 1 if a change was not noticed. Finally, the
run must resume on the original data.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import tf_keras
from rich.console import Console

from ctr import train
from ctr.config.experiment import Experiment, load_experiment
from features import DataError, open_data

KINDS = ("label", "id", "number")


class Killed(BaseException):
    """Exception that ends a run immediately."""


class KillAfter(tf_keras.callbacks.Callback):
    """Callback that ends a run after a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if batch + 1 == self.step:
            raise Killed


@dataclass(frozen=True)
class Rewrite:
    """A changed value."""

    kind: str
    path: Path
    column: str


def columns_of(experiment: Experiment, kind: str) -> list[str]:
    """Return the columns whose values a kind of rewrite changes."""
    if kind == "label":
        return [experiment.data.label]
    features = experiment.features.columns.values()
    wanted = [f for f in features if f.reads_numbers == (kind == "number") and f.holds != "sequence"]
    return [column for feature in wanted for column in feature.columns]


def footer_of(path: Path) -> str:
    """Return the fingerprint of a file's footer."""
    return open_data(str(path))[0].file.footer


def rewrite(experiment: Experiment, folder: Path, kind: str, draw: random.Random) -> Rewrite:
    """Change one value of one file below `folder` so that its size and footer stay."""
    while True:
        path = draw.choice(sorted(folder.rglob("*.parquet")))
        name = draw.choice(columns_of(experiment, kind))
        size, footer, before = path.stat().st_size, footer_of(path), path.read_bytes()
        table = pq.read_table(path, partitioning=None)
        values = table[name].to_pylist()
        place, other = draw.sample(range(len(values)), 2)
        if values[place] == values[other]:
            continue
        values[place] = values[other]
        column = pa.chunked_array([pa.array(values, table.schema.field(name).type)])
        changed = table.set_column(table.column_names.index(name), table.schema.field(name), column)
        write(changed, path)
        if (path.stat().st_size, footer_of(path)) == (size, footer) and path.read_bytes() != before:
            return Rewrite(kind, path, name)
        path.write_bytes(before)


def write(table: pa.Table, path: Path) -> None:
    """Write a table without compression and dictionaries, which would change the size of the file."""
    pq.write_table(table, path, row_group_size=4096, compression="none", use_dictionary=False)


def resumed(experiment: Experiment, run: Path) -> str:
    """Resume a copy of a run; return the error, or ""."""
    copy = run.with_name("copy")
    shutil.copytree(run, copy)
    try:
        train(experiment, copy, resume=True, console=Console(quiet=True))
    except DataError as error:
        return str(error)
    finally:
        shutil.rmtree(copy)
    return ""


def rewrite_data(experiment: Experiment, run: Path, data: Path, rewrites: int, draw: random.Random) -> int:
    """Print the table; return how many changes were not noticed."""
    noticed: Counter[tuple[str, bool]] = Counter()
    missed: Counter[tuple[str, bool]] = Counter()
    for number in range(rewrites):
        kind, keeps_time = KINDS[number % len(KINDS)], bool(number % 2)
        kept = {path: (path.read_bytes(), path.stat()) for path in data.rglob("*.parquet")}
        change = rewrite(experiment, data, kind, draw)
        if keeps_time:
            os.utime(change.path, ns=(kept[change.path][1].st_atime_ns, kept[change.path][1].st_mtime_ns))
        message = resumed(experiment, run)
        is_named = str(change.path) in message and repr(change.column) in message
        (noticed if is_named else missed)[kind, keeps_time] += 1
        print(
            f"{number + 1}: {change.kind} {change.column} in {change.path.name}: {message}", file=sys.stderr, flush=True
        )
        for path, (content, stat) in kept.items():
            path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    print("| changed | modified | rewrites | rejected, file and column named | not noticed |\n|---|---|---|---|---|")
    for kind in KINDS:
        for keeps_time in (False, True):
            found, lost = noticed[kind, keeps_time], missed[kind, keeps_time]
            time_ = "kept" if keeps_time else "new"
            print(f"| {kind} | {time_} | {found + lost} | {found} | {lost} |")
    print(f"\n{rewrites} rewrites of the same size and footer: {missed.total()} not noticed")
    if message := resumed(experiment, run):
        raise SystemExit(f"with the original data: {message}")
    return missed.total()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--rewrites", type=int, default=100)
    parser.add_argument("--step", type=int, default=20, help="the run is killed after this step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="folder for data and runs (default: a temporary one)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).absolute()
        source = load_experiment(given.config, given.set).data
        paths = [source.path] if isinstance(source.path, str) else source.path
        if not paths:
            raise SystemExit(f"{given.config}: this script needs `data.path`")
        data = folder / "data"
        data.mkdir(parents=True)
        for file in {group.file.path for group in open_data(paths, source.root)}:
            write(pq.read_table(file, partitioning=None), data / Path(file).name)
        every = "training.checkpoint.every={steps: 5}"
        experiment = load_experiment(given.config, [*given.set, f"data.path={data}", "data.root=null", every])
        try:
            train(experiment, folder / "run", callbacks=[KillAfter(given.step)])
        except Killed:
            draw = random.Random(given.seed)  # noqa: S311 - not for secrets
            sys.exit(1 if rewrite_data(experiment, folder / "run", data, given.rewrites, draw) else 0)
        raise SystemExit(f"the run ended before step {given.step}")


if __name__ == "__main__":
    main()
